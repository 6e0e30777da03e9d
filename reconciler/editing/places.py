"""Paths as people give them, and as the rooms call the same files."""

from pathlib import Path

from reconciler.policy.sources import FOLDER
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
