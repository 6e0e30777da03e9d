"""What a program that prints a key gets of the environment: what programs need, and what password managers log in with.

An allow-list, as for every program that is started here, and wider than the others: which program it is, the user has
said in the same environment. `MORE` adds what is missing. See docs/adr/0013.
"""

from collections.abc import Mapping
from typing import Final

from reconciler.pysops.age.key_places import variable


MORE: Final = "PYSOPS_KEY_CMD_ENV"
"""Names further variables, with commas between them, ``*`` at the end of a name for all that begin so."""

NEVER: Final = frozenset({"SOPS_AGE_KEY", "SOPS_AGE_RECIPIENT"})
"""A private key; and what the program is told by us, which must not be an older one."""

_NAMES: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TMP", "TEMP", "TZ", "LANG", "LANGUAGE", "TERM"),
        *("LD_LIBRARY_PATH", "NIX_SSL_CERT_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"),
        *("REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
        *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
        # Agents, and where they ask for a passphrase or a touch.
        *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "SSH_AUTH_SOCK", "GPG_TTY"),
        *("GPG_AGENT_INFO", "GNUPGHOME", "PINENTRY_USER_DATA", "KRB5CCNAME", "KRB5_CONFIG", "SECURITYSESSIONID"),
        # Windows, where nothing starts without the first two.
        *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "USERNAME", "USERDOMAIN", "USERPROFILE"),
        *("HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)"),
    }
)

_PREFIXES: Final = (
    *("LC_", "XDG_", "WSL"),
    *("OP_", "BW_", "BITWARDENCLI_", "RBW_", "LPASS_", "PASSWORD_STORE_", "GOPASS_"),
    *("VAULT_", "BAO_", "DOPPLER_", "INFISICAL_", "AKEYLESS_", "CONJUR_"),
    *("AWS_", "GOOGLE_", "CLOUDSDK_", "AZURE_"),
)
"""The second line: password managers; then services that keep secrets, and clouds that do."""


def command_environment(environ: Mapping[str, str], platform: str) -> dict[str, str]:
    """Return what of ``environ`` a program that prints a key gets.

    Args:
        environ: the environment of whoever runs us.
        platform: as `sys.platform`: on Windows the case of names does not matter.
    """
    more = [name.strip() for name in (variable(environ, MORE, platform) or "").split(",") if name.strip()]
    names = _NAMES.union(more)
    prefixes = (*_PREFIXES, *(name[:-1] for name in more if name.endswith("*")))
    if platform == "win32":
        names, prefixes = frozenset(map(str.upper, names)), tuple(map(str.upper, prefixes))

    def passes(name: str) -> bool:
        compared = name.upper() if platform == "win32" else name
        return compared not in NEVER and (compared in names or compared.startswith(prefixes))

    return {name: text for name, text in environ.items() if passes(name)}
