"""What a state of Terraform says of secret scopes, secrets and grants. Pure: bytes in, records out.

The format is version 4, that of Terraform since 0.12 and of OpenTofu (``stateV4`` in
https://github.com/hashicorp/terraform/blob/main/internal/states/statefile/version4.go); the attributes are those of
https://registry.terraform.io/providers/databricks/databricks/latest/docs/resources/secret, ``secret_scope`` and
``secret_acl``.

Rules, each with the accident that it prevents:

* No text of a state stands in an error, apart from names: a state holds every value in the clear, and the errors of a
  JSON parser carry all of it.
* JSON is read strictly. Where a key stands twice, Terraform takes the last and others the first.
* What is not understood is refused, and not passed over: a value left out here would be deleted from Terraform's state
  and stand nowhere.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from reconciler.errors import InvalidInput, Problem
from reconciler.importing.addresses import Address, address_of, provider_of
from reconciler.model import SecretValue


MAX_STATE_BYTES: Final = 256 * 1024 * 1024
"""Largest state that is read: a thousand values of 128 KB, each byte of which JSON may write as two."""

_VERSION: Final = 4
_LONGEST_NUMBER: Final = 20
"""Digits. Python takes time that grows with their square to read them, and refuses beyond 4,300; other resources may
have such numbers, as Terraform does not limit them."""

_KINDS: Final = ("databricks_secret", "databricks_secret_scope", "databricks_secret_acl")
_PULL: Final = "pipe what terraform state pull prints, or name a file that holds that"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where in a state something stands."""

    address: Address
    provider: str
    """Which configuration of the provider it belongs to, see `addresses.provider_of`; and, where the resource names a
    workspace of its own, ``?o=`` and that behind it. One such is one workspace."""

    is_deposed: bool = False
    """Terraform has put another object in its place, and means to destroy this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeRecord:
    """A scope."""

    source: Source
    scope: str
    is_key_vault: bool
    manager: str | None
    """Who got MANAGE when it was created, if that was not whoever created it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRecord:
    """A secret."""

    source: Source
    scope: str
    key: str
    value: SecretValue | None
    """None when it is not in the state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRecord:
    """A grant."""

    source: Source
    scope: str
    principal: str
    permission: str


Record = ScopeRecord | SecretRecord | GrantRecord


class _BadStateError(Exception):
    """Says what is wrong in our words; never leaves this module."""

    def __init__(self, what: str, *, expected: str | None = None, advice: str | None = None) -> None:
        super().__init__(what)
        self.what, self.expected, self.advice = what, expected, advice
        self.line: int | None = None
        self.column: int | None = None


def read_state(data: bytes, path: str) -> tuple[Record, ...]:
    """Return what a state says of secrets, in its order; data sources and everything else are passed over.

    Args:
        data: the state.
        path: how the file is called, for messages.

    Raises:
        InvalidInput: it is no state of version 4, or says something that is not understood.
    """
    failure: _BadStateError
    try:
        return tuple(_records(_parsed(data)))
    except _BadStateError as error:
        failure = error
    problem = Problem(
        path=path,
        line=failure.line,
        column=failure.column,
        what=failure.what,
        expected=failure.expected,
        advice=failure.advice,
    )
    # Raised here, so that it has no context: parsers carry the state in their errors, and frames hold it.
    del failure, data
    raise InvalidInput((problem,))


def _parsed(data: bytes) -> Mapping[str, object]:
    if len(data) > MAX_STATE_BYTES:
        raise _BadStateError(
            f"the state is larger than {MAX_STATE_BYTES // 1024 // 1024} MiB",
            advice="import in parts: see docs/import.md",
        )
    if not data.strip():
        raise _BadStateError("there is nothing in the state", advice=_PULL)
    failure: _BadStateError | None = None
    found: object = None
    try:
        found = json.loads(
            data.decode(json.detect_encoding(data)),  # what PowerShell writes is UTF-16
            object_pairs_hook=_once_each,
            parse_int=_whole,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        failure = _BadStateError("this is not valid JSON", advice=_PULL)
        failure.line, failure.column = error.lineno, error.colno
    except UnicodeError:
        failure = _BadStateError("this is not text", expected="JSON in UTF-8", advice=_PULL)
    except RecursionError:
        failure = _BadStateError("this is nested too deeply to be a state", advice=_PULL)
    if failure is not None:
        raise failure
    return _checked(found)


def _checked(found: object) -> Mapping[str, object]:
    """Return a document that is a state; say of what is often taken for one what it is."""
    if not isinstance(found, dict):
        raise _BadStateError("this is not a state of Terraform", expected="a JSON object", advice=_PULL)
    if "encrypted_data" in found:
        raise _BadStateError("this state is encrypted", advice="pipe what tofu state pull prints")
    if "format_version" in found or "planned_values" in found:
        raise _BadStateError("this is what terraform show -json prints, and not a state", advice=_PULL)
    version = found.get("version")
    if version != _VERSION or isinstance(version, bool):
        known = isinstance(version, int) and not isinstance(version, bool)
        what = f"this is a state of version {version}" if known else "this is not a state of Terraform"
        raise _BadStateError(
            what, expected=f"version {_VERSION}", advice="let Terraform 0.12 or later write it anew" if known else _PULL
        )
    return found


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _BadStateError(
            "a key stands twice in one object of the state", advice="that was not written by Terraform"
        )
    return found


def _whole(text: str) -> int | float:
    """Return a whole number; of one that is too long, which no field of ours can be, something that is none."""
    return int(text) if len(text) <= _LONGEST_NUMBER else math.nan


def _no_constant(_text: str) -> NoReturn:
    raise _BadStateError("this is not valid JSON: it has NaN or Infinity", advice=_PULL)


def _records(state: Mapping[str, object]) -> Iterator[Record]:
    resources = state.get("resources", [])
    if not isinstance(resources, list):
        raise _BadStateError("'resources' of the state is no list")
    for number, resource in enumerate(resources, 1):
        if not isinstance(resource, dict):
            raise _BadStateError(f"resource {number} of the state is no object")
        if resource.get("mode") == "managed" and resource.get("type") in _KINDS:
            yield from _resource(resource, number)


def _resource(resource: Mapping[str, object], number: int) -> Iterator[Record]:
    kind = _text_in(resource, "type", number)
    name = _text_in(resource, "name", number)
    module = _text_in(resource, "module", number) if resource.get("module") is not None else ""
    whole = address_of(module, kind, name, None)
    if whole is None:
        raise _BadStateError(f"resource {number} of the state has a name that is none of Terraform")
    provider = provider_of(_text_in(resource, "provider", number))
    if provider is None:
        raise _BadStateError(f"{whole.resource} names its provider in a way that is not understood")
    instances = resource.get("instances", [])
    if not isinstance(instances, list) or not all(isinstance(one, dict) for one in instances):
        raise _BadStateError(f"{whole.resource} has instances that are no list of objects")
    for instance in instances:
        key = instance.get("index_key")
        if isinstance(key, float) and key.is_integer():
            key = int(key)
        if isinstance(key, bool) or not (key is None or isinstance(key, int | str)):
            raise _BadStateError(f"{whole.resource} has an instance whose index_key is neither a number nor text")
        address = address_of(module, kind, name, key)
        if address is not None:
            yield _instance(kind, _Fields(address=address, found=_attributes(instance, address)), provider, instance)


def _attributes(instance: Mapping[str, object], address: Address) -> Mapping[str, object]:
    attributes = instance.get("attributes")
    if isinstance(attributes, dict):
        return attributes
    if "attributes_flat" in instance:
        raise _BadStateError(
            f"{address.resource} stands in the state as Terraform 0.11 wrote it",
            advice="run terraform apply -refresh-only once, and pull the state again",
        )
    raise _BadStateError(f"{address.resource} has an instance without attributes")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fields:
    """The attributes of one instance."""

    address: Address
    found: Mapping[str, object] = field(repr=False)

    def text(self, name: str) -> str:
        """Return an attribute that must be there.

        Raises:
            _BadStateError: it is not, or is no text.
        """
        value = self.found.get(name)
        if not isinstance(value, str) or not value:
            raise _BadStateError(f"{self.address.resource} has an instance whose '{name}' is no text")
        return value

    def optional(self, name: str) -> str | None:
        """Return an attribute that may be missing; empty text is how the provider writes that it is not set."""
        return self.text(name) if self.found.get(name) not in (None, "") else None

    @property
    def workspace_id(self) -> str | None:
        """The workspace that the resource itself names (``provider_config``)."""
        config = self.found.get("provider_config")
        if isinstance(config, list) and config:
            config = config[0]
        found = config.get("workspace_id") if isinstance(config, dict) else None
        return found if isinstance(found, str) and found else None

    @property
    def value(self) -> SecretValue | None:
        """The value of a secret; None where it is not in the state.

        It is not where the configuration has ``string_value_wo``, which Terraform writes nowhere, and after
        ``terraform import``, as the provider does not read values. The provider takes no empty value.
        """
        text = self.optional("string_value")
        if text is None:
            return None
        with contextlib.suppress(UnicodeEncodeError):
            return SecretValue(text.encode())
        return None  # half of a surrogate pair: whatever it was meant to be, it is not what the platform was sent


def _instance(kind: str, fields: _Fields, provider: str, instance: Mapping[str, object]) -> Record:
    workspace = fields.workspace_id
    source = Source(
        address=fields.address,
        provider=provider if workspace is None else f"{provider}?o={workspace}",
        is_deposed=bool(instance.get("deposed")),
    )
    if kind == "databricks_secret":
        return SecretRecord(source=source, scope=fields.text("scope"), key=fields.text("key"), value=fields.value)
    if kind == "databricks_secret_acl":
        return GrantRecord(
            source=source,
            scope=fields.text("scope"),
            principal=fields.text("principal"),
            permission=fields.text("permission"),
        )
    return ScopeRecord(
        source=source,
        scope=fields.text("name"),
        is_key_vault=fields.optional("backend_type") == "AZURE_KEYVAULT" or bool(fields.found.get("keyvault_metadata")),
        manager=fields.optional("initial_manage_principal"),
    )


def _text_in(resource: Mapping[str, object], name: str, number: int) -> str:
    value = resource.get(name)
    if not isinstance(value, str):
        raise _BadStateError(f"resource {number} of the state has no '{name}' that is text")
    return value
