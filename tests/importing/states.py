"""States of Terraform as its version 1.9 writes them with version 1.60 of the provider, trimmed to what is of interest.

Made by hand from the format that ``internal/states/statefile/version4.go`` of Terraform describes.
"""

import json
from typing import Any, Final


PROVIDER: Final = 'provider["registry.terraform.io/databricks/databricks"]'


def state(*resources: dict[str, Any]) -> bytes:
    """Return a state of some resources."""
    return json.dumps(
        {
            "version": 4,
            "terraform_version": "1.9.5",
            "serial": 7,
            "lineage": "0f1d6a4e-7a55-4f5c-b1a4-0c7a5be0e001",
            "outputs": {},
            "resources": list(resources),
            "check_results": None,
        },
        indent=2,
    ).encode()


def resource(
    kind: str,
    name: str,
    *instances: dict[str, Any],
    module: str | None = None,
    provider: str = PROVIDER,
    mode: str = "managed",
) -> dict[str, Any]:
    """Return one resource; each instance is its attributes, with ``index_key`` and ``deposed`` among them if it has."""
    made = {
        "mode": mode,
        "type": kind,
        "name": name,
        "provider": provider,
        "instances": list(map(_instance, instances)),
    }
    return made if module is None else {"module": module, **made}


def _instance(attributes: dict[str, Any]) -> dict[str, Any]:
    outer: dict[str, Any] = {
        name: attributes[name] for name in ("index_key", "deposed", "status") if name in attributes
    }
    inner = {name: value for name, value in attributes.items() if name not in outer}
    return {**outer, "schema_version": 0, "attributes": inner, "sensitive_attributes": []}


def secret(name: str, scope: str, key: str, value: str | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    """Return a resource that is one secret; ``more`` is of the resource."""
    return resource("databricks_secret", name, secret_in(scope, key, value), **more)


def secret_in(scope: str, key: str, value: str | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    """Return an instance of ``databricks_secret``."""
    return {
        **more,
        "config_reference": f"{{{{secrets/{scope}/{key}}}}}",
        "id": f"{scope}|||{key}",
        "key": key,
        "last_updated_timestamp": 1_700_000_000_000,
        "scope": scope,
        "string_value": value,
    }


def scope(name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    """Return a resource that is one scope; ``more`` are attributes."""
    return resource("databricks_secret_scope", "this", scope_in(name, **more))


def scope_in(name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    """Return an instance of ``databricks_secret_scope``."""
    return {
        "backend_type": "DATABRICKS",
        "id": name,
        "initial_manage_principal": None,
        "keyvault_metadata": [],
        "name": name,
        **more,
    }


def grant(name: str, scope: str, principal: str, permission: str) -> dict[str, Any]:
    """Return a resource that is one grant."""
    return resource(
        "databricks_secret_acl",
        name,
        {"id": f"{scope}|||{principal}", "permission": permission, "principal": principal, "scope": scope},
    )
