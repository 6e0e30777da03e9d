"""Paths as people give them, and as the rooms call the same files."""

from pathlib import Path, PurePosixPath

from reconciler.errors import UsageError, escaped
from reconciler.policy.sources import FOLDER, MISNAMED_RULES_FILE, RULES_FILE, TARGETS_FILE
from reconciler.settings import Settings


def place_of(settings: Settings, path: Path) -> str | None:
    """Return a path below ``secrets/``, or that folder, as in `Sources.files`; None when it is elsewhere.

    Args:
        settings: Which directory the run is in.
        path: As the shell sees it, which completes names where the user stands; or from the directory of the run. The
            last part may be a link, and is not followed.
    """
    top = settings.root.resolve()
    for place in (path.parent.resolve() / path.name, top / path):
        if place.is_relative_to(top / FOLDER) and ".." not in place.parts:
            return place.relative_to(top).as_posix()
    return None


def scope_file_of(settings: Settings, path: str) -> str:
    """Return the path of a scope file, whether it exists or not, as in `Sources.files`.

    Raises:
        UsageError: No scope file can stand there.
    """
    place = place_of(settings, Path(path))
    if place is None:
        raise _no_place(path)
    check_place(place)
    return place


def check_place(path: str) -> None:
    """Make sure that a scope file can stand at a path, as in `Sources.files`.

    Raises:
        UsageError: It is not below ``secrets/``, not YAML by its name, or would be taken for something else.
    """
    pure = PurePosixPath(path)
    is_below = pure.parts[:1] == (FOLDER,) and len(pure.parts) > 1 and ".." not in pure.parts
    if not is_below or pure.suffix not in {".yaml", ".yml"} or is_reserved(path):
        raise _no_place(path)


def is_reserved(path: str) -> bool:
    """Tell whether a file would be taken for something else than a scope file: a scope may be called ``.sops``."""
    return PurePosixPath(path).name.casefold() in {RULES_FILE, MISNAMED_RULES_FILE} or path.casefold() == TARGETS_FILE


def _no_place(path: str) -> UsageError:
    return UsageError(f"{escaped(path)} is no place for a scope file", advice=f"name a *.yaml below {FOLDER}/")
