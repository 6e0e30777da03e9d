"""What the merge driver is called where git is told of it, and which files it is for."""

from typing import Final

from reconciler.policy.sources import FOLDER, TARGETS_FILE


DRIVER: Final = "reconciler"
"""Name of the driver, in attributes and in the settings of a clone."""

DRIVER_SETTING: Final = f"merge.{DRIVER}.driver"
"""Setting of a clone that has the command."""

ATTRIBUTES_FILE: Final = ".gitattributes"

SCOPE_FILES: Final = (f"{FOLDER}/**/*.yaml", f"{FOLDER}/**/*.yml")
"""What `ATTRIBUTES_FILE` calls the scope files, from the directory that has ``secrets/``."""

BY_KEYS: Final = f"merge={DRIVER}"
"""Attribute of the scope files."""

TARGETS_BY_LINES: Final = f"{TARGETS_FILE} !merge"
"""Line of `ATTRIBUTES_FILE`, below those of the scope files. Targets are plain text, merged by lines."""

PROBES: Final = (f"{FOLDER}/a/b.yaml", f"{FOLDER}/a/b.yml")
"""Paths for which git is asked whether the attribute is there already."""
