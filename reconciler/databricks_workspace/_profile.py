"""Profiles of the user's own, ``~/.databrickscfg``: used for authentication, and only for the host they are made for.

A token that was made for one host must not be sent to another one because a file in git says so.
"""

import configparser
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from reconciler.databricks_workspace._connection import Connection
from reconciler.errors import Problem


PROFILE_VARIABLE: Final = "DATABRICKS_CONFIG_PROFILE"
FILE_VARIABLE: Final = "DATABRICKS_CONFIG_FILE"
_DEFAULT_FILE: Final = "~/.databrickscfg"


def profile_of(connection: Connection, environ: Mapping[str, str]) -> str | None:
    """Return the name of the profile that is to be used; None for none, as always for an embedded target."""
    if connection.token is not None:
        return None
    return connection.profile or environ.get(PROFILE_VARIABLE) or None


def profile_problem(connection: Connection, environ: Mapping[str, str]) -> Problem | None:
    """Say what is wrong with the profile that ``connection`` would use; None when nothing is, or when there is none.

    Reads the user's configuration file, sends nothing. `connect` checks it too; this is for checking all targets before
    the first request leaves.

    Args:
        connection: Of one target.
        environ: The environment; DATABRICKS_CONFIG_PROFILE and DATABRICKS_CONFIG_FILE count.
    """
    name = profile_of(connection, environ)
    if name is None:
        return None
    shown = environ.get(FILE_VARIABLE) or _DEFAULT_FILE
    named_by = f"profile {name!r}" if connection.profile else f"profile {name!r} (from {PROFILE_VARIABLE})"
    try:
        section = _section(Path(shown).expanduser(), name)
    except (OSError, UnicodeDecodeError, configparser.Error, RuntimeError) as error:
        # The parser's message quotes the line, which may hold a token.
        return Problem(path=shown, what=f"{named_by} cannot be read: {type(error).__name__}")
    if section is None:
        return Problem(
            path=shown,
            what=f"there is no {named_by}",
            advice="create it with `databricks configure`, or authenticate by environment variables",
        )
    host = section.get("host", "")
    if _comparable(host) != _comparable(connection.host):
        return Problem(
            path=shown,
            what=f"{named_by} is for {_shown_host(host)}",
            expected=f"host = {connection.host}, as the target says",
            advice="a profile serves to authenticate at its own host only; choose another one",
        )
    return None


def _section(path: Path, name: str) -> Mapping[str, str] | None:
    """Return the settings of one profile alone, as the SDK reads them: without those of DEFAULT."""
    parser = configparser.ConfigParser(interpolation=None, default_section="\0")
    with path.open(encoding="utf-8") as file:
        parser.read_file(file)
    return parser[name] if parser.has_section(name) else None


def _comparable(host: str) -> tuple[str, str, int | None] | None:
    """Return scheme, name and port as the SDK understands ``host``; None when it names no machine."""
    text = host.strip()
    try:
        parts = urllib.parse.urlsplit(text if "://" in text else f"https://{text}")
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname:
        return None
    standard = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, None if port == standard else port


def _shown_host(host: str) -> str:
    """Return the host without whatever else may have been written into the field."""
    parts = _comparable(host)
    if parts is None:
        return "no host"
    scheme, name, port = parts
    return f"{scheme}://{name}" if port is None else f"{scheme}://{name}:{port}"
