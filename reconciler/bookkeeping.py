"""The ledger's requests: it is opened, its head is written and watched, entries are written. `ledger` decides.

In: what a survey found of the ledger, and entries to write. Out: the ledger as it should be, or an error. In a run::

    open (scope, grants, head) -> write (entries with intents) -> watch, change, watch, change … -> watch -> write

There is no compare-and-set, so two runs at once cannot be kept apart for certain; pipelines do that. What is left is
noticed: each run writes an id of its own into the head and stops as soon as it finds another one there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, assert_never

from reconciler.apply import Gate, Manner, Patience, apply
from reconciler.errors import AlreadyExists, InvalidRequest, NotFound, PermissionDenied, Refused, WorkspaceError
from reconciler.ledger.encoding import decode_head, encode_entry, encode_head
from reconciler.ledger.records import Entry, FoundHead, Head, Missing, entry_name, head_name
from reconciler.ledger.trust import Circle, Foreign, Hidden, Standing, Trusted, Unwritten, standing
from reconciler.model import Acl, ScopeName, SecretValue
from reconciler.plan import Outcome, Plan, PutAcl
from reconciler.workers import Workers
from reconciler.workspace import Workspace


OVERTAKEN: Final = "another run has begun on this target"
"""Why a run that was overtaken begins nothing more."""


class Overtaken(Exception):
    """Another run of this target has made the ledger, or written its head, since they were looked for."""


class NoLedgerPossible(Exception):
    """The platform lets only ``users`` manage a new scope, as without the premium plan: everybody could write there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An entry and which scope it is about."""

    scope: ScopeName
    entry: Entry


class Books:
    """The ledger of one workspace during one run. Not safe in several threads."""

    def __init__(self, workspace: Workspace, workers: Workers, circle: Circle, head: Head) -> None:
        """Send nothing yet.

        Args:
            workspace: Where the ledger is.
            workers: Threads to ask with.
            circle: Who may do what with it.
            head: What `open` will write: this run's own.
        """
        self._workspace = workspace
        self._workers = workers
        self._circle = circle
        self._head = head
        self._is_overtaken = False

    @property
    def is_overtaken(self) -> bool:
        """Tell whether the head of another run was found, or none where this run's should stand."""
        return self._is_overtaken

    def compare(self, head: FoundHead) -> None:
        """See that the head is still the one that was surveyed, where time has passed since, as with a question.

        Raises:
            Overtaken: Another run has begun, and perhaps ended, meanwhile.
            WorkspaceError: It cannot be read.
        """
        try:
            found = decode_head(self._workspace.get_secret(self._circle.scope, head_name(self._head.owner)))
        except (InvalidRequest, PermissionDenied):
            return
        except NotFound:
            found = Missing()
        if found != head:
            self._is_overtaken = True
            raise Overtaken

    def open(self, found: Standing, patience: Patience, gate: Gate) -> tuple[str, ...]:
        """See that the ledger's scope exists with its grants, and write the head: from now on other runs give way.

        Args:
            found: How the ledger stands: it counts, or there is none.
            patience: How long to wait for grants to be seen.
            gate: What may end the run meanwhile.

        Returns:
            Sentences about grants that could not be added.

        Raises:
            NoLedgerPossible: There cannot be one in this workspace.
            Overtaken: Another run has just made it.
            Refused: Somebody else has just made it, or has a grant on it.
            WorkspaceError: It cannot be written.
        """
        match found:
            case Trusted(missing=missing):
                pass
            case Unwritten():
                missing = self._create()
                # Another run may have found it made and be through already; its head and entries must stay.
                self.compare(Missing())
            case Foreign(refusal=refusal) | Hidden(refusal=refusal):
                raise refusal
            case _:
                assert_never(found)
        remarks = self._grant(missing, patience, gate) if missing else ()
        self._workspace.put_secret(self._circle.scope, head_name(self._head.owner), encode_head(self._head))
        return remarks

    def watch(self) -> str | None:
        """Return why this run may not go on, or None: its head still stands in the ledger."""
        scope, key = self._circle.scope, head_name(self._head.owner)
        answer = self._workers.attempt(partial(self._workspace.get_secret, scope, key))
        match answer:
            case NotFound():
                pass
            case InvalidRequest() | PermissionDenied():
                # A workspace that hands out no value outside of notebooks can be written to all the same.
                return None
            case WorkspaceError():
                return f"it could not be seen whether another run has begun: {answer}"
            case _ if self._is_own(answer):
                return None
            case _:
                pass
        # Without a head somebody has garbled or removed the ledger: what it says must be looked at anew as well.
        self._is_overtaken = True
        return OVERTAKEN

    def write(self, pages: Sequence[Page]) -> tuple[WorkspaceError | None, ...]:
        """Write entries side by side; return for each why it could not be written, or None."""
        answers = self._workers.each([partial(self._write, page) for page in pages])
        return tuple(answer if isinstance(answer, WorkspaceError) else None for answer in answers)

    def forget(self, scope: ScopeName) -> WorkspaceError | None:
        """Remove the entry of a scope that was deleted; return why it could not be removed, or None."""
        name = entry_name(self._head.place, scope)
        answer = self._workers.attempt(partial(self._workspace.delete_secret, self._circle.scope, name))
        return answer if isinstance(answer, WorkspaceError) and not isinstance(answer, NotFound) else None

    def _is_own(self, value: SecretValue) -> bool:
        """Tell whether a head is the one that this run wrote."""
        try:
            found = decode_head(value)
        except Refused:  # of a newer version of this tool
            return False
        return isinstance(found, Head) and found.run == self._head.run

    def _write(self, page: Page) -> object:
        name = entry_name(page.entry.place, page.scope)
        return self._workspace.put_secret(self._circle.scope, name, encode_entry(page.entry))

    def _create(self) -> tuple[Acl, ...]:
        """Create the ledger's scope and return the grants that it still lacks."""
        scope = self._circle.scope
        try:
            self._workspace.create_scope(scope)
        except InvalidRequest:
            raise NoLedgerPossible from None
        except AlreadyExists:
            self._refuse_strangers()
            # Made for the operators alone, so by one of them.
            self._is_overtaken = True
            raise Overtaken from None
        # A create whose answer was lost may have met somebody else's scope: who may use it tells.
        found = standing(self._workspace.list_acls(scope), self._circle)
        match found:
            case Trusted(missing=missing):
                return missing
            case Foreign(refusal=refusal) | Hidden(refusal=refusal):
                raise refusal
            case Unwritten():
                return self._circle.grants()

    def _refuse_strangers(self) -> None:
        """Refuse a ledger that has just appeared, unless another run of this target made it.

        Raises:
            Refused: Somebody else made it, or keeps it.
        """
        scope = self._circle.scope
        try:
            stands = standing(self._workspace.list_acls(scope), self._circle)
        except (NotFound, PermissionDenied):
            stands = None
        if not isinstance(stands, Trusted):
            raise Refused(
                f"the ledger's scope {scope} is there, but was not shown: somebody else has just made it, or keeps it",
                advice=f"find out who made scope {scope}; only the operators of {self._circle.target} may have a grant",
            )

    def _grant(self, missing: tuple[Acl, ...], patience: Patience, gate: Gate) -> tuple[str, ...]:
        """Add grants; return what is to be told of those that could not be added.

        They keep nobody from working but the ones who lack them: a name that the workspace does not know, as of
        somebody who has left, must not keep a rotation from being applied.
        """
        scope = self._circle.scope
        plan = Plan(
            changes=tuple(PutAcl(scope=scope, principal=acl.principal, permission=acl.permission) for acl in missing)
        )
        manner = Manner(identity=self._circle.identity, patience=patience, gate=Gate(before_change=gate.before_change))
        results = apply(plan, (), self._workspace, self._workers, manner)
        return tuple(
            f"{result.change.principal} could not be granted the ledger's scope {scope}: {result.error}"
            for result in results
            if isinstance(result.change, PutAcl) and result.outcome is not Outcome.DONE
        )
