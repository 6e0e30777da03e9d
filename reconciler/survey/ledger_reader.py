"""The ledger's part of a survey: asks for grants, head and entries, and says only what counts of the answers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from reconciler.errors import InvalidRequest, NotFound, PermissionDenied, UnexpectedAnswer, WorkspaceError
from reconciler.ledger.encoding import decode_entry, decode_head
from reconciler.ledger.records import (
    Entry,
    FoundEntry,
    FoundHead,
    Garbled,
    Head,
    Missing,
    entry_name,
    head_name,
    managed_tag,
)
from reconciler.ledger.trust import Standing, Trusted, Unwritten, standing
from reconciler.model import Acl, FoldedName, KeyName, Principal, ScopeName, SecretValue, fold
from reconciler.survey.facts import LedgerSpot
from reconciler.workers import Workers
from reconciler.workspace import ScopeInfo, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSays:
    """What the ledger says; nothing but its standing unless that is `Trusted`."""

    standing: Standing
    head: FoundHead
    entries: Mapping[FoldedName, FoundEntry | WorkspaceError]
    """By wanted scope; an error where it could not be read and the next attempt may succeed."""


UNHEARD: Final = LedgerSays(standing=Unwritten(), head=Missing(), entries={})
"""What is said where there is no ledger to ask."""


class LedgerReader:
    """Asks in three steps, none of which waits before the last."""

    def __init__(self, workspace: Workspace, workers: Workers, spot: LedgerSpot) -> None:
        """Ask nothing yet.

        Args:
            workspace: Where the ledger is.
            workers: Threads to ask with.
            spot: Where exactly.
        """
        self._workspace = workspace
        self._workers = workers
        self._spot = spot
        self._granting: Callable[[], tuple[tuple[Acl, ...] | WorkspaceError, ...]] = tuple
        self._heading: Callable[[], tuple[SecretValue | WorkspaceError | None, ...]] = tuple
        self._reading: Callable[[], tuple[SecretValue | WorkspaceError | None, ...]] = tuple
        self._scopes: Sequence[ScopeName] = ()
        self._is_shown = False

    def begin(self) -> None:
        """Ask who may do what with the ledger, and for the head of our owner."""
        self._granting = self._workers.begin([self._grants])
        self._heading = self._workers.begin([partial(self._value, head_name(self._spot.owner))])

    def begin_entries(self, scopes: Sequence[ScopeName], there: Iterable[ScopeInfo]) -> None:
        """Ask for entries, whether or not the ledger will count: that is not known yet, and waiting costs more.

        Args:
            scopes: Wanted ones.
            there: All scopes that the identity sees. Without the ledger's among them it can read no entry.
        """
        self._is_shown = fold(self._spot.scope) in {fold(info.name) for info in there}
        if not self._is_shown:
            return
        self._scopes = scopes
        names = [entry_name(self._spot.place, scope) for scope in scopes]
        self._reading = self._workers.begin([partial(self._value, name) for name in names])

    def hear(self, identity: Principal) -> LedgerSays:
        """Wait for all answers.

        Args:
            identity: Who runs.

        Raises:
            WorkspaceError: It cannot be told whether the ledger counts, or what its head is.
            Refused: A newer version of this tool wrote it.
        """
        (acls,) = self._granting()
        stands = standing(acls, self._spot.circle(identity))
        (head,), entries = self._heading(), self._reading()
        if not isinstance(stands, Trusted):
            return LedgerSays(standing=stands, head=Missing(), entries={})
        if not self._is_shown:
            what = f"the workspace shows the grants of scope {self._spot.scope}, and does not list it"
            raise UnexpectedAnswer(what, advice="somebody may have just made it: run again")
        return LedgerSays(
            standing=stands,
            head=self._head(head),
            entries={
                fold(scope): self._entry(scope, answer) for scope, answer in zip(self._scopes, entries, strict=True)
            },
        )

    def _grants(self) -> tuple[Acl, ...]:
        return self._workspace.list_acls(self._spot.scope)

    def _value(self, key: KeyName) -> SecretValue | None:
        """Return what stands under a key of the ledger, None for nothing."""
        try:
            return self._workspace.get_secret(self._spot.scope, key)
        except NotFound:
            return None

    def _head(self, answer: SecretValue | WorkspaceError | None) -> FoundHead:
        if isinstance(answer, WorkspaceError):
            if (withheld := _withheld(answer)) is None:
                raise answer
            return withheld
        found = Missing() if answer is None else decode_head(answer)
        if isinstance(found, Head) and (found.owner, found.place) != (self._spot.owner, self._spot.place):
            return Garbled(why="it is about another owner or workspace")
        return found

    def _entry(self, scope: ScopeName, answer: SecretValue | WorkspaceError | None) -> FoundEntry | WorkspaceError:
        if isinstance(answer, WorkspaceError):
            return _withheld(answer) or answer
        found = Missing() if answer is None else decode_entry(answer)
        about = self._spot.place, managed_tag(self._spot.place, scope)
        if isinstance(found, Entry) and (found.place, found.scope) != about:
            return Garbled(why="it is about another scope or workspace")
        return found


def _withheld(error: WorkspaceError) -> Garbled | None:
    """Return what a record counts as that the platform keeps to itself; None for errors that may pass."""
    if isinstance(error, InvalidRequest | PermissionDenied):
        return Garbled(why=f"the platform does not hand it out: {error}")
    return None
