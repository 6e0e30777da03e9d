"""What happens to a workspace, commit by commit: each step is applied from the state that the steps before it left.

All files are encrypted by the real sops and committed to a real repository, of which each step has a clone of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from reconciler.model import Permission, fold
from tests.support.secrets_repo import SecretsRepo


READ, WRITE, MANAGE = Permission

RUNNER: Final = "admin@example.com"
"""Who runs, by folded name."""

GUEST: Final = "guest@example.com"
"""Somebody with a grant that git knows nothing of."""

MALLORY: Final = "mallory@example.com"
"""Somebody who makes scopes under names that git wants."""

PRINCIPALS: Final = ("team", "ops", GUEST, MALLORY)
"""Whom the workspace knows besides its own."""

TARGET: Final = "prod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a commit says; all names folded."""

    scopes: Mapping[str, Mapping[str, bytes]]
    acls: Mapping[str, Permission]
    """On each of the scopes."""

    def value(self, scope: str, key: str) -> bytes | None:
        """Return what git has for a key; None where it has nothing."""
        return self.scopes.get(scope, {}).get(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One commit to be applied."""

    name: str
    wish: Wish
    follows: str | None
    """Name of the step from whose outcome this one starts; None for an empty workspace."""

    flags: tuple[str, ...] = ()
    """Of the command line, besides the usual."""

    foreign_keys: tuple[tuple[str, str], ...] = ()
    """Keys of somebody else that are put before the step: scope and key."""

    foreign_grants: tuple[tuple[str, str, Permission], ...] = ()
    forgets: bool = False
    """Whether the ledger is lost before the step."""

    is_new_commit: bool = True
    """False: the commit of the step that it follows."""

    orphans: frozenset[str] = frozenset()
    """Scopes that were ours, stay, and are fed by nothing any more."""


def _keys(**values: str) -> Mapping[str, bytes]:
    return MappingProxyType({key: f"{value} of {key}".encode() for key, value in values.items()})


_PEOPLE: Final = {"users": READ, "team": WRITE}

_FIRST: Final = Wish(
    scopes={"alpha": _keys(a="first", b="first", c="first"), "beta": _keys(a="beta", b="beta", c="beta")},
    acls=_PEOPLE,
)
_ROTATED: Final = Wish(
    scopes={"alpha": _keys(a="second", b="first", d="first"), "beta": _keys(a="beta", b="beta", c="rotated")},
    acls={"users": READ, "team": READ, "ops": WRITE},
)
_RENAMED: Final = Wish(
    scopes={"alpha": _ROTATED.scopes["alpha"], "gamma": _ROTATED.scopes["beta"]}, acls={"users": READ, "ops": WRITE}
)
_FULL: Final = Wish(scopes={"full": _keys(**{f"k{number:03}": "full" for number in range(1000)})}, acls={"users": READ})
_FULL_RENAMED: Final = Wish(
    scopes={
        "full": {
            **{key: value for key, value in _FULL.scopes["full"].items() if key not in {"k001", "k500", "k999"}},
            **_keys(n001="full", n500="full", z999="full"),
        }
    },
    acls={"users": READ},
)

_STRANGER: Final = (("alpha", "stranger"),)
_GUEST: Final = (("alpha", GUEST, READ),)

STEPS: Final = (
    Step(name="first", wish=_FIRST, follows=None),
    Step(name="again", wish=_FIRST, follows="first", is_new_commit=False),
    Step(name="rotate", wish=_ROTATED, follows="first", foreign_keys=_STRANGER, foreign_grants=_GUEST),
    Step(name="unchanged", wish=_ROTATED, follows="rotate"),
    Step(name="rename", wish=_RENAMED, follows="rotate", orphans=frozenset({"beta"})),
    Step(name="rename-and-delete", wish=_RENAMED, follows="rotate", flags=("--delete-scopes",)),
    Step(name="revert", wish=_ROTATED, follows="rename", orphans=frozenset({"gamma"})),
    Step(name="rotate-back", wish=_FIRST, follows="rotate"),
    Step(name="rebuild", wish=_FIRST, follows="first", is_new_commit=False, forgets=True),
)
"""In the order in which they are made."""

FULL_STEPS: Final = (
    Step(name="fill", wish=_FULL, follows=None),
    Step(name="rename-in-full", wish=_FULL_RENAMED, follows="fill"),
)
"""A scope with as many keys as fit. Slow to begin with, so for long runs alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A step in git."""

    step: Step
    root: Path
    """A clone at its commit."""

    commit: str


@dataclass(slots=True)
class Library:
    """Writes steps to a repository and gives each a clone."""

    repo: SecretsRepo
    host_key: str
    clones: Path
    _written: dict[str, Written] = field(default_factory=dict)

    def write(self, step: Step) -> Written:
        """Commit a step on top of the one that it follows."""
        before = self._written[step.follows] if step.follows is not None else None
        if before is not None:
            self.repo.git("checkout", "--quiet", "--detach", before.commit)
        commit = before.commit if before is not None else ""
        if step.is_new_commit:
            self.repo.scope_file(f"{TARGET}/scopes.yaml", {self.host_key: _texts(step.wish)}, acls=_lines(step.wish))
            commit = self.repo.commit(step.name)
        root = self.clones / step.name
        # Objects are linked, so a clone costs little; it knows all commits so far, as a clone of a branch would.
        self.repo.git("clone", "--quiet", "--local", "--no-checkout", str(self.repo.root), str(root))
        self.repo.git("-C", str(root), "checkout", "--quiet", "--detach", commit)
        self._written[step.name] = Written(step=step, root=root, commit=commit)
        return self._written[step.name]


def _texts(wish: Wish) -> Mapping[str, Mapping[str, str]]:
    return {scope: {key: value.decode() for key, value in keys.items()} for scope, keys in wish.scopes.items()}


def _lines(wish: Wish) -> Sequence[str]:
    return [f"<{permission.name} {principal}>" for principal, permission in wish.acls.items()]


def grants_of(wish: Wish) -> dict[str, Permission]:
    """Return the grants on a scope that was made for ``wish`` and that nobody else has touched."""
    return {RUNNER: MANAGE, **{fold(principal): permission for principal, permission in wish.acls.items()}}
