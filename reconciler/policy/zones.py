"""Which hosts may be told our credentials and our values: those in Databricks' own zones, and loopback.

The host stands in git, where anybody who can push a branch can write; the credential stands in the environment of the
pipeline. Without this table a branch could send the one to wherever it likes.
"""

import re
from typing import Final

from reconciler.errors import UsageError


ZONES: Final = (
    ".cloud.databricks.com",  # AWS
    ".cloud.databricks.us",  # AWS GovCloud, civilian
    ".cloud.databricks.mil",  # AWS GovCloud, DoD
    ".azuredatabricks.net",  # Azure
    ".databricks.azure.us",  # Azure Government
    ".databricks.azure.cn",  # Azure operated by 21Vianet
    ".gcp.databricks.com",  # Google Cloud
)
"""Suffixes of the host names of workspaces.

Sources: ``environments.py`` of the SDK, https://docs.databricks.com/aws/en/security/privacy/gov-cloud for the DoD, and
https://learn.microsoft.com/azure/databricks/workspace/per-workspace-urls. Left out are the zones that Databricks uses
for its own development, and ``.databricks.com`` as such: custom URLs (``acme.databricks.com``) are there, but so are
sites which others run. Who has one names it in RECONCILER_EXTRA_HOSTS.
"""

LOOPBACK: Final = ("127.0.0.1", "localhost")
"""Hosts that ``http://`` and a port are for. Not ``[::1]``: a colon cannot stand in a mapping key above a value."""

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_MAX_HOST_CHARS: Final = 253
_MAX_PORT: Final = 65535

EXPECTED_HOST: Final = "https://NAME with a lower-case host name of Databricks and nothing else"


def parse_extra_hosts(text: str) -> tuple[str, ...]:
    """Return the hosts and zones that RECONCILER_EXTRA_HOSTS adds.

    Args:
        text: separated by commas or white space: ``acme.databricks.com`` is that host, ``.corp.example`` every host
            below it. No scheme, no port.

    Raises:
        UsageError: an entry is no host name, or is a zone as wide as a top-level domain.
    """
    entries = tuple(entry for entry in re.split(r"[\s,]+", text) if entry)
    for entry in entries:
        name = entry.removeprefix(".")
        too_wide = entry.startswith(".") and "." not in name
        if not _is_host_name(name) or too_wide:
            raise UsageError(
                "RECONCILER_EXTRA_HOSTS has an entry that is not a host or a zone",
                advice="write lower-case host names, or zones as .corp.example, separated by commas",
            )
    return entries


def host_problem(host: str, extra_hosts: tuple[str, ...]) -> tuple[str, str | None] | None:
    """Return what is wrong with ``host`` as targets.yaml names it, and advice; None when nothing is.

    Args:
        host: the text, such as ``https://adb-1.2.azuredatabricks.net``. It is not quoted back unless it is a plain host
            name, as it may hold a password.
        extra_hosts: hosts and zones besides those of Databricks.
    """
    scheme, separator, rest = host.partition("://")
    if scheme == "http" and separator:
        return _loopback_problem(rest)
    if scheme != "https" or not separator:
        return "the host does not begin with https://", None
    if not _is_host_name(rest):
        return _odd_host(rest), None
    if rest in LOOPBACK or not _is_known(rest, extra_hosts):
        return (
            f"the host '{rest}' is in none of Databricks' own zones ({', '.join(zone[1:] for zone in ZONES)})",
            "if it is yours, name it in the environment, not in git: RECONCILER_EXTRA_HOSTS",
        )
    return None


def _loopback_problem(rest: str) -> tuple[str, str | None] | None:
    name, colon, port = rest.partition(":")
    if name not in LOOPBACK:
        return "http:// is for loopback only (127.0.0.1 or localhost)", "write https://"
    if colon and not (_PORT.fullmatch(port) and int(port) <= _MAX_PORT):
        return "behind the port of a loopback host nothing else may stand", "write http://127.0.0.1:8080"
    return None


def host_key_of(host: str, workspace_id: str | None) -> str:
    """Return what stands above the values of a workspace in a scope file: ``host``, or ``host?o=ID``.

    The colon of a loopback port becomes an underscore, as SOPS joins mapping keys with colons and escapes none.
    """
    name = host.partition("://")[2].replace(":", "_")
    return name if workspace_id is None else f"{name}?o={workspace_id}"


def _is_host_name(text: str) -> bool:
    return len(text) <= _MAX_HOST_CHARS and _HOST_NAME.fullmatch(text) is not None


def _is_known(name: str, extra_hosts: tuple[str, ...]) -> bool:
    zones = (*ZONES, *(entry for entry in extra_hosts if entry.startswith(".")))
    return name in extra_hosts or any(name.endswith(zone) for zone in zones)


def _odd_host(rest: str) -> str:
    """Say what is odd about the text behind ``https://`` without quoting it."""
    oddities = (
        (not rest, "behind https:// stands nothing"),
        ("@" in rest, "the host has a user or a password in it"),
        ("?" in rest, "behind the host stands a query"),
        ("#" in rest, "behind the host stands a fragment"),
        ("/" in rest, "behind the host stands a path, if only a slash"),
        (":" in rest, "behind the host stands a port"),
        (rest.endswith("."), "the host name ends in a dot"),
        (not rest.isascii(), "the host name has characters beyond ASCII"),
        (rest != rest.lower(), "the host name has upper-case letters"),
    )
    return next((text for odd, text in oddities if odd), "what stands behind https:// is no host name")
