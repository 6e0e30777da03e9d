"""Reading a state of Terraform."""

import json
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import InvalidInput
from reconciler.importing.tfstate import GrantRecord, ScopeRecord, SecretRecord, read_state
from tests.importing.states import grant, resource, scope, scope_in, secret, secret_in, state


CANARY = "canary-5f0c-value"


def read_one(*resources: dict[str, Any]) -> Any:  # noqa: ANN401  # whichever record it is
    """Return the only record of a state."""
    (record,) = read_state(state(*resources), "x.tfstate")
    return record


def test_records_say_what_stands_where() -> None:
    """Scopes, secrets and grants come in the order of the state, with their addresses."""
    found = read_state(
        state(
            resource("databricks_cluster", "c", {"id": "1"}),
            scope("App"),
            secret("pw", "App", "Db.Pw", "v", module='module.m["eu"]'),
            grant("g", "App", "data team", "READ"),
            resource("databricks_secret_scope", "d", scope_in("Other"), mode="data"),
        ),
        "x.tfstate",
    )
    one, two, three = found
    assert isinstance(one, ScopeRecord)
    assert (one.scope, one.is_key_vault, one.manager) == ("App", False, None)
    assert isinstance(two, SecretRecord)
    assert two.value is not None
    assert (two.scope, two.key, two.value.reveal()) == ("App", "Db.Pw", b"v")
    assert two.source.address.instance == 'module.m["eu"].databricks_secret.pw'
    assert isinstance(three, GrantRecord)
    assert (three.principal, three.permission) == ("data team", "READ")


@settings(max_examples=50)
@given(st.text(min_size=1))
def test_value_is_the_bytes_of_its_text(text: str) -> None:
    """Whatever text a value is, its bytes are those in UTF-8; what is no text has none."""
    record = read_one(secret("a", "s", "k", text))
    try:
        expected = text.encode()
    except UnicodeEncodeError:
        assert record.value is None
    else:
        assert record.value.reveal() == expected


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param(secret_in("s", "k", None), id="null"),
        pytest.param(secret_in("s", "k", ""), id="empty"),
        pytest.param({"scope": "s", "key": "k"}, id="missing"),
        pytest.param(
            {"scope": "s", "key": "k", "string_value": None, "string_value_wo": None, "string_value_wo_version": 2},
            id="write-only",
        ),
        pytest.param(secret_in("s", "k", "\ud800"), id="half-a-pair"),
    ],
)
def test_value_that_is_not_in_the_state_is_none(attributes: dict[str, Any]) -> None:
    """Write-only and imported secrets have no value there, which is not an empty value."""
    assert read_one(resource("databricks_secret", "a", attributes)).value is None


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param(scope_in("s", backend_type="AZURE_KEYVAULT"), id="backend"),
        pytest.param(scope_in("s", keyvault_metadata=[{"dns_name": "d", "resource_id": "r"}]), id="metadata"),
    ],
)
def test_key_vault_shows(attributes: dict[str, Any]) -> None:
    """A scope that an Azure Key Vault backs is told by either attribute."""
    assert read_one(resource("databricks_secret_scope", "a", attributes)).is_key_vault


def test_workspace_of_the_resource_itself_is_part_of_where_it_belongs() -> None:
    """One configuration of the provider may serve several workspaces."""
    record = read_one(
        resource("databricks_secret", "a", secret_in("s", "k", "v", provider_config=[{"workspace_id": "12"}]))
    )
    assert record.source.provider == "default?o=12"


def test_deposed_and_tainted_instances_are_told_apart() -> None:
    """Terraform means to destroy what is deposed; what is tainted is there all the same."""
    found = read_state(
        state(
            resource(
                "databricks_secret",
                "a",
                secret_in("s", "k", "v", deposed="0a1b2c3d"),
                secret_in("s", "k", "w", status="tainted"),
            )
        ),
        "x",
    )
    assert [record.source.is_deposed for record in found] == [True, False]


def _changed(**changes: object) -> bytes:
    document = json.loads(state(secret("a", "s", "k", CANARY)))
    return json.dumps({**document, **changes}).encode()


def _with_resource(**changes: object) -> bytes:
    return state({**secret("a", "s", "k", CANARY), **changes})


def _with_instance(**changes: object) -> bytes:
    made = secret("a", "s", "k", CANARY)
    return state({**made, "instances": [{**made["instances"][0], **changes}]})


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(b"", "there is nothing in the state", id="empty"),
        pytest.param(b" \n", "there is nothing in the state", id="blank"),
        pytest.param(b"[]", "not a state of Terraform", id="list"),
        pytest.param(b"{}", "not a state of Terraform", id="no-version"),
        pytest.param(f'{{"x": "{CANARY}", }}'.encode(), "not valid JSON", id="broken"),
        pytest.param(f'{{"x": "{CANARY}\xff"}}'.encode("latin-1"), "not text", id="latin-1"),
        pytest.param(b'{"version": NaN}', "not valid JSON", id="nan"),
        pytest.param(b'{"version": ' + b"4" * 5000 + b"}", "not a state of Terraform", id="huge-version"),
        pytest.param(_with_instance(index_key=4**99), "neither a number nor text", id="huge-index-key"),
        pytest.param(b"[" * 200_000, "nested too deeply", id="deep"),
        pytest.param(b'{"a":' * 200_000, "nested too deeply", id="deep-objects"),
        pytest.param(f'{{"version": 4, "x": "{CANARY}", "x": 1}}'.encode(), "a key stands twice", id="twice"),
        pytest.param(_changed(version=3), "a state of version 3", id="version-3"),
        pytest.param(_changed(version=True), "not a state of Terraform", id="version-true"),
        pytest.param(_changed(version="4"), "not a state of Terraform", id="version-text"),
        pytest.param(_changed(encrypted_data=CANARY), "encrypted", id="opentofu-encrypted"),
        pytest.param(_changed(format_version="1.0"), "terraform show -json", id="show-json"),
        pytest.param(_changed(resources={}), "'resources' of the state is no list", id="resources"),
        pytest.param(_changed(resources=[CANARY]), "resource 1 of the state is no object", id="resource"),
        pytest.param(_with_resource(name=3), "resource 1 of the state has no 'name'", id="name"),
        pytest.param(_with_resource(name=f"a\n{CANARY}"), "a name that is none of Terraform", id="odd-name"),
        pytest.param(_with_resource(module="m"), "a name that is none of Terraform", id="odd-module"),
        pytest.param(_with_resource(provider=CANARY), "names its provider", id="provider"),
        pytest.param(_with_resource(instances={}), "no list of objects", id="instances"),
        pytest.param(_with_resource(instances=[CANARY]), "no list of objects", id="instance"),
        pytest.param(_with_instance(index_key=[CANARY]), "neither a number nor text", id="index-key"),
        pytest.param(_with_instance(index_key=True), "neither a number nor text", id="index-key-true"),
        pytest.param(_with_instance(attributes=CANARY), "without attributes", id="attributes"),
        pytest.param(_with_instance(attributes=None, attributes_flat={"x": CANARY}), "Terraform 0.11", id="flat"),
        pytest.param(_with_instance(attributes={"string_value": CANARY}), "whose 'scope' is no text", id="scope"),
        pytest.param(
            _with_instance(attributes={"scope": "s", "key": 5, "string_value": CANARY}),
            "whose 'key' is no text",
            id="key",
        ),
        pytest.param(
            _with_instance(attributes={"scope": "s", "key": "k", "string_value": [CANARY]}),
            "whose 'string_value' is no text",
            id="value",
        ),
    ],
)
def test_what_is_not_understood_is_refused_without_a_quote(data: bytes, what: str) -> None:
    """A state is never half understood, and nothing in it gets into an error, however deep one looks."""
    with pytest.raises(InvalidInput) as caught:
        read_state(data, "x.tfstate")
    assert what in str(caught.value)
    assert str(caught.value).startswith("x.tfstate:")
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    kept = [line for line in shown.format(chain=True) if "tests/importing" not in line]
    assert CANARY not in str(caught.value)
    assert CANARY not in "".join(line for line in kept if "tfstate.py" in line)
    assert caught.value.__context__ is None


def test_numbers_of_others_may_be_as_long_as_they_like() -> None:
    """Terraform does not limit them, and Python takes long to read them."""
    other = resource("random_integer", "r", {"result": 10**4_000})
    assert len(read_state(state(other, secret("a", "s", "k", "v")), "x")) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_what_powershell_writes_is_read(encoding: str) -> None:
    """``terraform state pull > file`` makes UTF-16 of it there."""
    data = state(secret("a", "s", "k", "é")).decode().encode(encoding)
    (record,) = read_state(data, "x")
    assert isinstance(record, SecretRecord)
    assert record.value is not None
    assert record.value.reveal() == "é".encode()
