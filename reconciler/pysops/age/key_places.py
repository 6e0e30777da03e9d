"""Where a user has keys, on each platform: what ``getUserConfigDir`` and ``loadAgeSSHIdentities`` of sops look for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final


_KEY_FILE: Final = ("sops", "age", "keys.txt")


def default_key_file(environ: Mapping[str, str], home: Path, platform: str) -> Path | str:
    """Return where the key file of the user is, with Go's ``os.UserConfigDir``.

    Args:
        environ: the environment.
        home: the home directory of the user.
        platform: as `sys.platform`.

    Returns:
        A path, or why there is none.
    """
    if platform == "win32":
        configured = variable(environ, "AppData", platform)
        return Path(configured, *_KEY_FILE) if configured else "AppData is not set"
    configured = environ.get("XDG_CONFIG_HOME")
    if configured and platform != "darwin" and not Path(configured).is_absolute():
        return "XDG_CONFIG_HOME is not an absolute path"
    if configured:
        return Path(configured, *_KEY_FILE)
    return home.joinpath(*(("Library", "Application Support") if platform == "darwin" else (".config",)), *_KEY_FILE)


def ssh_key_files(home: Path) -> tuple[Path, ...]:
    """Return where SSH keys that fit stand by default."""
    return home / ".ssh" / "id_ed25519", home / ".ssh" / "id_rsa"


def variable(environ: Mapping[str, str], name: str, platform: str) -> str | None:
    """Look up an environment variable; on Windows case does not matter, and a copy of `os.environ` is in upper case."""
    if platform == "win32":
        return next((text for key, text in environ.items() if key.upper() == name.upper()), None)
    return environ.get(name)
