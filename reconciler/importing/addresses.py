"""Addresses of Terraform: what a resource, an instance and a provider are called, and how Terraform is told to forget.

A `removed` block takes the address of a resource without instance keys, also without those of the modules above it
(https://developer.hashicorp.com/terraform/language/block/removed): it forgets all instances at once. Names come from a
state that somebody else wrote and go into a configuration that Terraform will run, so nothing passes that is no name.
"""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


_NAME: Final = r"[^\W\d][\w-]*"
"""An identifier of HCL (https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md#identifiers)."""

_KEY: Final = r'\[(?:[0-9]{1,10}|"(?:[^"\\\n]|\\.)*")\]'
_STEP: Final = re.compile(rf"module\.({_NAME})({_KEY})?(?:\.|\Z)")
_IDENTIFIER: Final = re.compile(_NAME)
_PROVIDER: Final = re.compile(rf'(?:(?P<above>.+)\.)?provider(?:\["[^"\n]*"\]|\.{_NAME})(?:\.(?P<alias>{_NAME}))?')

DEFAULT_PROVIDER: Final = "default"
"""What a configuration of the provider without an alias is called here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One instance of one resource."""

    resource: str
    """What a `removed` block is about: ``module.a.databricks_secret.b``."""

    instance: str
    """With all instance keys, as ``terraform state rm`` takes it."""


def address_of(module: str, kind: str, name: str, key: int | str | None) -> Address | None:
    """Return the address of an instance; None when something in it is no name.

    Args:
        module: as in a state: ``module.a["x"].module.b``; empty for the root.
        kind: type of the resource.
        name: its name.
        key: its key where it has ``count`` or ``for_each``.
    """
    steps = _steps(module)
    if steps is None or not (_is_name(kind) and _is_name(name)):
        return None
    plain = "".join(f"module.{step}." for step, _ in steps)
    keyed = "".join(f"module.{step}{index}." for step, index in steps)
    return Address(resource=f"{plain}{kind}.{name}", instance=f"{keyed}{kind}.{name}{_index(key)}")


def provider_of(text: str) -> str | None:
    """Return how a configuration of the provider is called, from what a state says; None when it says something else.

    ``provider["registry.terraform.io/databricks/databricks"].eu`` is ``eu``, without an alias `DEFAULT_PROVIDER`; one
    within a module has the module in front.
    """
    match = _PROVIDER.fullmatch(text)
    if match is None:
        return None
    above, alias = match["above"], match["alias"] or DEFAULT_PROVIDER
    if above is None:
        return alias
    steps = _steps(above)
    return None if steps is None else "".join(f"module.{step}{index}." for step, index in steps) + alias


def removed_blocks(resources: Iterable[str]) -> str:
    """Return what has Terraform forget resources, and leave alone what they stand for; needs Terraform 1.7."""
    return "\n".join(
        f"removed {{\n  from = {resource}\n\n  lifecycle {{\n    destroy = false\n  }}\n}}\n" for resource in resources
    )


def forgetting(instances: Iterable[str]) -> str:
    """Return the command that has Terraform forget single instances."""
    return " ".join(("terraform state rm", *map(shlex.quote, instances)))


def _is_name(text: str) -> bool:
    return _IDENTIFIER.fullmatch(text) is not None


def _steps(module: str) -> tuple[tuple[str, str], ...] | None:
    """Return each module with its key, as it is written, or empty; None when ``module`` is no address of one."""
    steps: list[tuple[str, str]] = []
    position = 0
    while position < len(module):
        match = _STEP.match(module, position)
        if match is None or not match[0].isprintable():
            return None
        steps.append((match[1], match[2] or ""))
        position = match.end()
    return None if module.endswith(".") else tuple(steps)


def _index(key: int | str | None) -> str:
    if key is None:
        return ""
    return f"[{key}]" if isinstance(key, int) else f'["{"".join(map(_escaped, _untemplated(key)))}"]'


def _untemplated(text: str) -> str:
    """Double what would begin a template within quotes of HCL."""
    return text.replace("${", "$${").replace("%{", "%%{")


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"  # noqa: PLR2004  # beyond four digits
