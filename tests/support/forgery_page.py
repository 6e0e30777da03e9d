"""``docs/forgeries.md``, written from the tables that the tests run."""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from tests.support.forgeries_groups import GROUPS, GroupForgery
from tests.support.forgeries_loose import LOOSE
from tests.support.forgeries_tree import TREE
from tests.support.forgery import DECRYPTS, KEYLESS, Forgery, Stage
from tests.support.forgery_tables import CHAPTERS, FORGERIES


_SUMMARY: Final = (
    "SOPS encrypts values, and seals a file with a MAC over them. That proves less than people think: of the "
    "{forgeries} forgeries of a scope file below, all made without any key, sops 3.13.3 decrypts {decrypted} without "
    "complaint. Of these the reconciler refuses {refused}; {harmless} mean to a workspace what the honest file means; "
    "{review} are accepted, and only review can tell them from an honest file."
)

_START: Final = """\
The attacker can write to any branch, has the history with older ciphertexts under the same data key, knows every public
recipient and the text of some values, and has no private key.

This page is written from the tables that the tests run (`make golden`), each case against the real binary first; it
cannot go stale. "Exit" is what the reconciler ends with: 4 before any key is loaded and any request is made, 5 on
unlocking, before anything is written to a scope that the file feeds.
"""

_REVIEW: Final = """\
## Not refused, and why

Nothing in these files shows that anything is wrong: review of the pull request is the control, and this is what it has
to look for.
"""

_LOOSE: Final = """\
## What a reader of any SOPS file cannot tell

`pysops.load` reads files of any shape, so nothing that keeps the bytes of the MAC can look wrong to it: it returns what
sops returns. Scope files have a shape, which is why they refuse these. Who uses `pysops` alone should check the types
and names of what it returns.
"""

_GROUPS: Final = """\
## Key groups

A file of three groups of recipients, two of which open it; the attacker can open the first. All parts that open are put
together, so another part makes another data key, under which no value authenticates.
"""

_TREE: Final = """\
## Files and folders

What stands around the file, in the repository. sops looks at none of this.
"""


def page() -> str:
    """Return the whole page."""
    unseen = [(row.attack, row.words) for row in _of(Stage.REVIEW)]
    unseen += [(row.attack, row.words) for row in TREE.values() if row.review]
    parts = [
        f"# What can be forged without a key\n\n{_paragraph(_SUMMARY.format(**_counts()))}",
        _START,
        _REVIEW,
        _table(("attack", "why"), unseen),
    ]
    for chapter in CHAPTERS:
        parts += [
            f"## {chapter.title}\n\n{_paragraph(chapter.about)}",
            _table(_HEADS, map(_row, chapter.forgeries.values())),
        ]
    parts += [_GROUPS, _table(_HEADS, map(_group_row, GROUPS.values()))]
    tree = ((row.attack, _exit(row.exit_code), row.words) for row in TREE.values())
    parts += [_TREE, _table(("attack", "exit", "message, or what happens"), tree)]
    loose = ((row.attack, _says(row.sops), "the same") for row in LOOSE.values())
    parts += [_LOOSE, _table(("attack", "sops 3.13.3", "`pysops.load`"), loose)]
    return "\n".join(parts)


_HEADS: Final = ("attack", "sops 3.13.3", "exit", "message, or why it is accepted")


def _paragraph(text: str) -> str:
    return f"{textwrap.fill(text, 120, break_on_hyphens=False)}\n"


def _of(stage: Stage) -> Iterator[Forgery]:
    return (forgery for forgery in FORGERIES.values() if forgery.stage is stage)


def _counts() -> dict[str, int]:
    decrypted = [forgery for forgery in FORGERIES.values() if forgery.sops == DECRYPTS]
    stages = [forgery.stage for forgery in decrypted]
    accepted = {Stage.HARMLESS, Stage.REVIEW}
    return {
        "forgeries": len(FORGERIES),
        "decrypted": len(decrypted),
        "refused": sum(stage not in accepted for stage in stages),
        "harmless": stages.count(Stage.HARMLESS),
        "review": stages.count(Stage.REVIEW),
    }


def _row(forgery: Forgery) -> tuple[str, ...]:
    code = 4 if forgery.stage in KEYLESS else 5 if forgery.stage is Stage.UNLOCKING else 0
    return forgery.attack, _says(forgery.sops), _exit(code), forgery.words


def _group_row(forgery: GroupForgery) -> tuple[str, ...]:
    keyless = forgery.error is not None and forgery.error.__name__ == "MetadataError"
    refused = 4 if keyless else 5
    return forgery.attack, _says(forgery.sops), _exit(0 if forgery.error is None else refused), forgery.words


def _says(code: int) -> str:
    return "decrypts" if code == DECRYPTS else f"exit {code}"


def _exit(code: int) -> str:
    return str(code) if code else "accepted"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(map(_cell, cells))} |\n" for cells in lines)


def _cell(text: str) -> str:
    """Return text on one line, with what nobody sees, or takes for something else, written as an escape."""
    shown = "".join(
        char if (char.isascii() and char.isprintable()) or char == "\u2026" else char.encode("unicode_escape").decode()
        for char in text
    )
    # Stars and angle brackets mean something outside of code.
    parts = shown.replace("|", r"\|").split("`")
    return "`".join(part if index % 2 else part.replace("<", "&lt;") for index, part in enumerate(parts))
