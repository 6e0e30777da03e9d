"""Where to and as whom, as plain data."""

import ipaddress
import urllib.parse
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One workspace under one identity. Names are those of the SDK; secrets of real targets are not here."""

    host: str
    """``https://…``, or ``http://`` on loopback."""

    token: str | None = field(default=None, repr=False)
    """Of an embedded workspace only. When set, nothing is taken from the environment or the user's configuration."""

    profile: str | None = None
    """Section of ``~/.databrickscfg`` (or DATABRICKS_CONFIG_FILE), for authentication only: its host must be ``host``.
    None: DATABRICKS_CONFIG_PROFILE, if that is set."""

    workspace_id: str | None = None
    account_id: str | None = None
    client_id: str | None = None
    token_audience: str | None = None
    azure_client_id: str | None = None
    azure_tenant_id: str | None = None
    azure_workspace_resource_id: str | None = None
    auth_type: str | None = None
    """Strategy of the SDK; None: the environment or the profile decides."""

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.host)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a host starts with https:// and names a machine; got {self.host!r}")
        if parts.scheme == "http" and not self.is_loopback:
            raise ValueError(f"a host that is not this machine starts with https://; got {self.host!r}")
        if self.token == "":
            raise ValueError("an empty token is no token; leave it out")

    @property
    def hostname(self) -> str:
        """Name or address of the host, without scheme and port."""
        return urllib.parse.urlsplit(self.host).hostname or ""

    @property
    def is_loopback(self) -> bool:
        """Tell whether the host is this machine, to which no proxy leads."""
        return is_loopback(self.hostname)


def is_loopback(hostname: str) -> bool:
    """Tell whether a host is this machine."""
    if hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False  # a name, whatever it begins with
