"""Addresses of Terraform."""

import pytest

from reconciler.importing.addresses import address_of, forgetting, provider_of, removed_blocks


@pytest.mark.parametrize(
    ("module", "key", "resource", "instance"),
    [
        pytest.param("", None, "databricks_secret.a", "databricks_secret.a", id="root"),
        pytest.param("", 0, "databricks_secret.a", "databricks_secret.a[0]", id="count"),
        pytest.param("", "x.y", "databricks_secret.a", 'databricks_secret.a["x.y"]', id="for-each"),
        pytest.param("module.m", None, "module.m.databricks_secret.a", "module.m.databricks_secret.a", id="module"),
        pytest.param(
            'module.m["a.b"].module.n[2]',
            1,
            "module.m.module.n.databricks_secret.a",
            'module.m["a.b"].module.n[2].databricks_secret.a[1]',
            id="modules-with-keys",
        ),
        pytest.param(
            r'module.m["a\"].module.x"]',
            None,
            "module.m.databricks_secret.a",
            r'module.m["a\"].module.x"].databricks_secret.a',
            id="quote-in-a-key",
        ),
        pytest.param(
            "",
            'q"\\ ${x} %{y}\n',
            "databricks_secret.a",
            r'databricks_secret.a["q\"\\ $${x} %%{y}\u000a"]',
            id="escapes",
        ),
        pytest.param(
            "module.größe", None, "module.größe.databricks_secret.a", "module.größe.databricks_secret.a", id="letters"
        ),
    ],
)
def test_address_has_keys_for_the_instance_alone(
    module: str, key: int | str | None, resource: str, instance: str
) -> None:
    """A removed block takes no instance keys, state rm takes them all."""
    address = address_of(module, "databricks_secret", "a", key)
    assert address is not None
    assert (address.resource, address.instance) == (resource, instance)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        pytest.param("", 'a\n}\nresource "x" "y" {', id="a-block-in-a-name"),
        pytest.param("", "", id="no-name"),
        pytest.param("", "a b", id="blank"),
        pytest.param("", "1a", id="digit-first"),
        pytest.param("module.m.", "a", id="full-stop-at-the-end"),
        pytest.param("m", "a", id="no-module"),
        pytest.param('module.m["a\n"]', "a", id="line-break-in-a-key"),
        pytest.param('module.m["a\u202e"]', "a", id="turned-direction"),
        pytest.param("module.m[-1]", "a", id="odd-key"),
        pytest.param("data.m", "a", id="data"),
    ],
)
def test_what_is_no_name_of_terraform_is_no_address(module: str, name: str) -> None:
    """Nothing but names gets from a state into a configuration that Terraform runs."""
    assert address_of(module, "databricks_secret", name, None) is None


@pytest.mark.parametrize(
    ("text", "provider"),
    [
        pytest.param('provider["registry.terraform.io/databricks/databricks"]', "default", id="default"),
        pytest.param('provider["registry.terraform.io/databricks/databricks"].eu', "eu", id="alias"),
        pytest.param(
            'module.a.provider["registry.terraform.io/databricks/databricks"]', "module.a.default", id="module"
        ),
        pytest.param('module.a.provider["r/d/d"].eu', "module.a.eu", id="alias-in-a-module"),
        pytest.param("provider.databricks", "default", id="terraform-0.12"),
        pytest.param("provider.databricks.eu", "eu", id="terraform-0.12-alias"),
        pytest.param("module.a.provider.databricks.eu", "module.a.eu", id="terraform-0.12-module"),
        pytest.param("databricks", None, id="no-provider"),
        pytest.param("", None, id="nothing"),
        pytest.param('provider["r/d/d"].eu.x', None, id="too-much"),
    ],
)
def test_provider_is_called_by_its_alias(text: str, provider: str | None) -> None:
    """Configurations of one provider are told apart by alias and module."""
    assert provider_of(text) == provider


def test_removed_block_forgets_and_does_not_destroy() -> None:
    """The block is formatted as terraform fmt does."""
    assert removed_blocks(["module.a.databricks_secret.b"]) == (
        "removed {\n  from = module.a.databricks_secret.b\n\n  lifecycle {\n    destroy = false\n  }\n}\n"
    )


def test_command_quotes_for_the_shell() -> None:
    """Instance keys are text from elsewhere, and somebody will paste the command."""
    assert forgetting(['a.b["it\'s $(x)"]']) == """terraform state rm 'a.b["it'"'"'s $(x)"]'"""
