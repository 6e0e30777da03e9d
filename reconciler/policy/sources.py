"""The files of ``secrets/`` as handed in: pure data, whoever read them.

`reconciler.git` collects them, from the work tree or from a commit; everything behind it decides on bytes alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from reconciler.errors import Problem, Severity


FOLDER: Final = "secrets"
"""Directory, below that of the run, in which every file of ours stands."""

TARGETS_FILE: Final = f"{FOLDER}/targets.yaml"
"""The one file that is not a scope file."""

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
"""Largest file that is read. A thousand secrets of 10 KB each still fit, and nobody fills the memory with one push."""

MAX_TOTAL_BYTES: Final = 64 * 1024 * 1024
"""Most that is read, all files together."""

RULES_FILE: Final = ".sops.yaml"
"""Who may open which files: the configuration of sops, in the directory of the run or above it."""

MISNAMED_RULES_FILE: Final = ".sops.yml"
"""What sops ignores, and mentions in a warning."""

MAX_RULES_BYTES: Final = 1024 * 1024
"""Largest `RULES_FILE` that is read."""

MAX_OTHER_BYTES: Final = 64 * 1024
"""Files that are not YAML matter only as ``age_key_file``; larger ones are passed over unread."""

_YAML_NAME: Final = re.compile(r"\.ya?ml\Z", re.IGNORECASE)
_ALMOST_YAML_NAME: Final = re.compile(r"\.ya?ml[ .]+\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesFile:
    """The ``.sops.yaml`` that counts for a run, from where the scope files are."""

    path: str
    """From the directory of the run: ``.sops.yaml``, ``../.sops.yaml``."""

    data: bytes
    prefix: str = ""
    """Path of the directory of the run from that of this file: empty, or ending in a slash. In front of the path of a
    file it makes what ``path_regex`` is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What stands below ``secrets/``, at a commit or in the work tree."""

    files: Mapping[str, bytes]
    """Path, relative to the directory of the run and with forward slashes, to bytes. Read-only, sorted by path."""

    problems: tuple[Problem, ...] = ()
    """What could not be handed in: links, devices, files that are too large, unreadable names."""

    commit: str | None = None
    """Full hash of the commit that they were read from; None for the work tree."""

    tracked: frozenset[str] | None = field(default=None)
    """Paths that git knows; None where git could not be asked, outside a repository for one."""

    rules: RulesFile | None = None
    """``.sops.yaml``; None where there is none, or none that could be handed in, which is then among `problems`."""

    remarks: tuple[Problem, ...] = ()
    """What only `validate` shows: it keeps nothing from being read."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", MappingProxyType(dict(sorted(self.files.items()))))

    def is_tracked(self, path: str) -> bool:
        """Tell whether ``path`` is under version control; true where git could not be asked."""
        return self.tracked is None or path in self.tracked

    def scope_files(self) -> tuple[str, ...]:
        """Return the paths of everything that must be a scope file, sorted."""
        return tuple(path for path in self.files if is_yaml(path) and path != TARGETS_FILE)


def is_yaml(path: str) -> bool:
    """Tell whether ``path`` is named like YAML, in whatever case, so that ``x.YAML`` is not passed over in silence."""
    return _YAML_NAME.search(path) is not None


def max_bytes(path: str) -> int:
    """Return how large ``path`` may be to be read."""
    return MAX_FILE_BYTES if is_yaml(path) else MAX_OTHER_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """Why a file is not handed in, whichever it is."""

    what: str
    expected: str | None
    advice: str | None
    rule: str

    def about(self, path: str) -> Problem:
        """Return the problem of one file."""
        return Problem(path=path, what=self.what, expected=self.expected, advice=self.advice, rule=self.rule)


ODD_NAME: Final = Complaint(
    what="the name of this file has characters that do not print",
    expected="a name of printable characters in UTF-8",
    advice="rename the file",
    rule="file-name",
)
"""Control characters, line breaks and marks that turn the direction of text would let one name pass for another in a
review or a log."""

ALMOST_YAML: Final = Complaint(
    what="the name of this file looks as if it ended in .yaml, and does not, so it would be passed over",
    expected="a name that ends in .yaml or .yml",
    advice=f"rename the file, or move it out of {FOLDER}/",
    rule="file-name",
)
"""Nobody would see the blank or the full stop at its end."""

LINK: Final = Complaint(
    what="this is a symbolic link, and links are not followed",
    expected="a regular file",
    advice="put a copy of the file in its place, or take the link away",
    rule="file-kind",
)
"""It would read what stands elsewhere."""

IRREGULAR: Final = Complaint(
    what="this is neither a regular file nor a directory",
    expected="a regular file",
    advice=f"move it out of {FOLDER}/",
    rule="file-kind",
)
"""A device, a pipe, a socket, a submodule, or a directory in place of a file."""

UNREADABLE: Final = Complaint(
    what="the file cannot be read",
    expected=None,
    advice="check that it exists and its permissions",
    rule="file-kind",
)

TOO_LARGE: Final = Complaint(
    what="the file is larger than 16 MiB and was not read",
    expected="at most 16 MiB",
    advice="split it: several files may feed one scope",
    rule="file-size",
)

TOO_LARGE_TOGETHER: Final = Complaint(
    what="the files are larger than 64 MiB together, and were not all read",
    expected="at most 64 MiB",
    advice="split the repository: several may feed one workspace, with an owner each",
    rule="file-size",
)

RULES_TOO_LARGE: Final = Complaint(
    what="the file is larger than 1 MiB and was not read", expected="at most 1 MiB", advice=None, rule="file-size"
)

RULES_IRREGULAR: Final = Complaint(
    what="the rules of sops are no regular file",
    expected="a regular file",
    advice="put the file itself there: a link could lead to rules that no review sees",
    rule="file-kind",
)


def name_problem(path: str) -> Problem | None:
    """Return what is wrong with the name of a file, if anything."""
    if not path.isprintable():
        return ODD_NAME.about(path)
    return ALMOST_YAML.about(path) if _ALMOST_YAML_NAME.search(path) is not None else None


def misnamed_rules(path: str, *, found: bool) -> Problem:
    """Return the remark about a ``.sops.yml``.

    Args:
        path: of that file.
        found: whether there is a ``.sops.yaml`` as well. If not, the file is surely meant to be one.
    """
    return Problem(
        path=path,
        what="sops ignores this file, as its name does not end in .yaml",
        expected=RULES_FILE,
        advice="rename it" if not found else "delete it, or merge it into the other",
        rule="sops-config-name",
        severity=Severity.WARNING if found else Severity.ERROR,
    )


def hidden_from_review(path: str, *, how: str, others: int) -> Problem:
    """Return the remark about a file whose changes a review does not show.

    Args:
        path: of that file.
        how: by which attribute, and what comes of it.
        others: how many more there are.
    """
    return Problem(
        path=path,
        what=f"an attribute of git hides this file from reviews: {how}" + (f"; so for {others} more" if others else ""),
        expected=f"no such attribute for {RULES_FILE} and what is below {FOLDER}/",
        advice="take it out of .gitattributes; git check-attr -a FILE shows what applies",
        rule="hidden-from-review",
        severity=Severity.WARNING,
    )
