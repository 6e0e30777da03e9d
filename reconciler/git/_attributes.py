"""What a review does not get to see, because an attribute of git hides it."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from reconciler.errors import Problem, Refused
from reconciler.git._program import ask
from reconciler.policy import sources


_SHOWN: Final = frozenset({"unset", "unspecified", "false"})

_HIDING: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "diff": (lambda value: value == "unset", "no diff shows what changes in it (-diff, binary)"),
    "filter": (lambda value: value not in _SHOWN, "a filter stands between it and what is committed (filter)"),
    "linguist-generated": (lambda value: value not in _SHOWN, "GitHub folds its changes away (linguist-generated)"),
    "gitlab-generated": (lambda value: value not in _SHOWN, "GitLab folds its changes away (gitlab-generated)"),
}
"""Attribute to the values that hide, and what comes of it.

See https://git-scm.com/docs/gitattributes,
https://docs.github.com/en/repositories/working-with-files/managing-files/customizing-how-changed-files-appear-on-github
and https://docs.gitlab.com/user/project/merge_requests/changes/.
"""


def hidden_changes(root: Path, paths: Iterable[str]) -> tuple[Problem, ...]:
    """Return a remark for each way in which changes of any of ``paths`` are hidden; none where git cannot be asked.

    Git itself says which attributes apply: patterns, macros and who overrides whom are its own business. What the user
    has set for all repositories does not count, as nobody else sees less by it.
    """
    found: dict[str, list[str]] = {}
    nobodys = f"core.attributesFile={os.devnull}"
    names = "".join(f"{path}\0" for path in paths)
    try:
        output = ask(root, "-c", nobodys, "check-attr", "-z", "--stdin", *_HIDING, stdin=os.fsencode(names))
    except Refused:
        return ()
    fields = os.fsdecode(output).split("\0")
    for path, attribute, value in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        if _HIDING[attribute][0](value):
            found.setdefault(attribute, []).append(path)
    return tuple(
        sources.hidden_from_review(files[0], how=_HIDING[attribute][1], others=len(files) - 1)
        for attribute, files in found.items()
    )
