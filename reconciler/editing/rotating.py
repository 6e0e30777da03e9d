"""``rotate``: a new value for a key that exists, and for every other place that holds the old one, if so wished.

In this order, so that nothing is lost halfway: the files are looked into; git is asked whether it could commit; only
then the new value is made or asked for, as a program may have changed a password elsewhere by the time it prints it;
then the files are written, all checks passed; then they are committed, pushed, proposed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from reconciler import git, pysops
from reconciler.editing.draft import Draft, Spot
from reconciler.editing.forms import written
from reconciler.editing.pull_request import NoProgram, by_hand, open_pull_request
from reconciler.editing.setting import spots_of
from reconciler.errors import InputError, ReconcilerError, Refused, UsageError, escaped, some_of
from reconciler.git import GitFailed, NewBranch
from reconciler.model import MAX_VALUE_BYTES, KeyName, SecretValue, fold
from reconciler.policy.crossing import scope_id
from reconciler.policy.scope_values import KeyEntry
from reconciler.pysops.config.fields import did_you_mean
from reconciler.settings import Observer


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is wanted besides the new value."""

    everywhere: bool = False
    """Rotate every place that holds the old value."""

    search: bool = True
    """Look for the old value in all files, which opens them; else in those alone that have the key."""

    commit: bool = False
    """Commit the files, on a branch of their own."""

    branch: str | None = None
    """How to call that; None: after the key and the day."""

    pull_request: bool = False
    """Push the branch and propose it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One key of one scope, in a file."""

    spot: Spot
    key: KeyName
    path: str

    def __str__(self) -> str:
        """``target/scope key``."""
        return f"{self.spot} {self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unopened:
    """A file that may hold the old value, too."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """What was done. Without a value."""

    places: tuple[Place, ...]
    """Those with the new value: first the ones that were named."""

    left: tuple[Place, ...]
    """Those that hold the old value still."""

    unopened: tuple[Unopened, ...]
    branch: NewBranch | None = None
    """Where it is committed."""

    commit: str | None = None
    """Full hash."""

    pushed: bool = False
    page: str | None = None
    """Of the pull request."""

    failure: ReconcilerError | None = None
    """Why it went no further. The files are written all the same."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that were written, sorted."""
        return tuple(sorted({place.path for place in self.places}))


_NOTHING_WRITTEN: Final = "nothing was written"
_UNASKED: Final = "--no-search"


def rotate(
    draft: Draft,
    selectors: Sequence[str],
    key: str,
    new: Callable[[], SecretValue],
    *,
    wishes: Wishes,
    observer: Observer,
) -> Rotated:
    """Give a key a new value, in every scope that is named, and write the files.

    Args:
        draft: The files.
        selectors: ``TARGET/SCOPE`` each; where there are several, they hold the same value.
        key: Its name.
        new: Makes the value, or asks for it; called once all that could be in the way was looked at.
        wishes: What is wanted besides.
        observer: Whom to tell how it goes.

    Raises:
        UsageError: There is no such target, scope or key; or the new value is none.
        InvalidInput: A file breaks a rule, or would.
        CannotDecrypt: A file with the key does not unlock.
        Refused: The new value is the old one, the scopes hold different ones, or git could not commit.
        ReconcilerError: No new value could be had.
    """
    named = _named(draft, selectors, key)
    old = _old_value(draft, named)
    others, unopened = _same_elsewhere(draft, old, named, wishes, observer)
    places = (*named, *(others if wishes.everywhere else ()))
    left = () if wishes.everywhere else others
    _say(observer, left, unopened)
    branch = _branch(draft, places, wishes) if wishes.commit else None
    _write(draft, places, old, new())
    done = Rotated(places=places, left=left, unopened=unopened)
    return done if branch is None else _record(draft, done, branch, wishes, observer)


def _say(observer: Observer, left: tuple[Place, ...], unopened: tuple[Unopened, ...]) -> None:
    """Tell what else there is before somebody types a value; the report has all of it."""
    if left:
        hold = "holds" if len(left) == 1 else "hold"
        observer.say(f"note: {some_of([str(place) for place in left])} {hold} the same value; see --everywhere")
    if unopened:
        files = some_of([escaped(file.path) for file in unopened])
        observer.say(f"note: no look into {files}: that may hold the same value, too")


def _named(draft: Draft, selectors: Sequence[str], key: str) -> tuple[Place, ...]:
    found: list[Place] = []
    for spot in spots_of(draft, selectors):
        path, place = draft.file_of(spot, key), draft.path_in_file(spot, key)
        if path is None or place is None:
            known = [entry.name for one in draft.files_of(spot) for entry in _keys_in(draft, one, spot)]
            raise UsageError(
                f"{spot} has no key {escaped(key)!r}",
                advice=did_you_mean(key, known) or f"for a new one: reconciler set {spot} {escaped(key)}",
            )
        found.append(Place(spot=spot, key=KeyName(place[-1]), path=path))
    return tuple(found)


def _keys_in(draft: Draft, path: str, spot: Spot) -> tuple[KeyEntry, ...]:
    feeds = draft.scope_file(path).feeds
    return tuple(entry for feed in feeds if scope_id(feed) == spot.id for entry in feed.keys)


def _old_value(draft: Draft, places: tuple[Place, ...]) -> SecretValue:
    first, *rest = places
    old = _value_at(draft, first)
    for place in rest:
        if _value_at(draft, place) != old:
            raise Refused(
                f"{first.spot} and {place.spot} have different values for {first.key}, and one new value would make "
                f"them the same; {_NOTHING_WRITTEN}",
                advice="rotate them one by one; reconciler set gives several scopes the same value",
            )
    return old


def _value_at(draft: Draft, place: Place) -> SecretValue:
    value = draft.value_of(place.spot, place.key)
    if value is None:
        raise AssertionError("its file has it")
    return value


def _same_elsewhere(
    draft: Draft, old: SecretValue, named: tuple[Place, ...], wishes: Wishes, observer: Observer
) -> tuple[tuple[Place, ...], tuple[Unopened, ...]]:
    """Return where else the old value stands, and the files that nobody can look into.

    An empty value stands for none: two that are empty have nothing in common.
    """
    if not old.reveal():
        return (), ()
    known = {(place.spot.id, fold(place.key)) for place in named}
    found: list[Place] = []
    unopened = [Unopened(path=file.path, reason=file.problems[0].what) for file in draft.policy.unreadable]
    files = draft.policy.files
    if not wishes.search:
        at_hand = {place.path for place in named}
        unopened += [Unopened(path=file.path, reason=_UNASKED) for file in files if file.path not in at_hand]
        files = tuple(file for file in files if file.path in at_hand)
    with observer.progress("looking for the same value", len(files)) as advance:
        for file in files:
            try:
                held = draft.held(file.path)
            except InputError as error:
                unopened.append(Unopened(path=file.path, reason=error.problems[0].what))
            else:
                same = (one for one in held if one.value == old and (one.spot.id, fold(one.key)) not in known)
                found.extend(Place(spot=one.spot, key=one.key, path=one.path) for one in same)
            advance()
    return tuple(found), tuple(unopened)


def _write(draft: Draft, places: tuple[Place, ...], old: SecretValue, value: SecretValue) -> None:
    raw = value.reveal()
    if not raw:
        raise UsageError(f"the new value is empty; {_NOTHING_WRITTEN}", advice="reconciler set --empty, if it is meant")
    if len(raw) > MAX_VALUE_BYTES:
        raise UsageError(
            f"the new value is larger than the platform takes; {_NOTHING_WRITTEN}",
            advice=f"at most {MAX_VALUE_BYTES // 1024} KB",
        )
    if value == old:
        raise Refused(
            f"not rotated: the new value is the one that {places[0]} has already; {_NOTHING_WRITTEN}",
            advice="look at where it came from: the old one may still be what counts there",
        )
    edits: dict[str, list[pysops.Edit]] = {}
    for place in places:
        path = draft.path_in_file(place.spot, place.key)
        if path is None:
            raise AssertionError("its file has it")
        edits.setdefault(place.path, []).append(pysops.Put(path=path, value=written(value)))
    draft.edit_all(edits)
    draft.save()


def _branch(draft: Draft, places: tuple[Place, ...], wishes: Wishes) -> NewBranch:
    first = places[0]
    parts = (first.spot.target.name, first.spot.scope, first.key, f"{draft.now:%Y%m%d}")
    return git.prepare(
        draft.settings.root,
        draft.settings.environ,
        name=git.branch_name("rotate", *parts) if wishes.branch is None else wishes.branch,
        paths=sorted({place.path for place in places}),
        to_push=wishes.pull_request,
    )


def _record(draft: Draft, done: Rotated, branch: NewBranch, wishes: Wishes, observer: Observer) -> Rotated:
    """Commit what was written, push and propose it if so wished; say of each step that fails what stands."""
    title, body = _title(done.places), _body(done)
    try:
        after = {path: draft.bytes_of(path) or b"" for path in done.paths}
        done = replace(done, branch=branch, commit=branch.record(f"{title}\n\n{body}", after))
        if wishes.pull_request:
            for line in branch.push():
                observer.say(f"remote: {line}")
            done = replace(done, pushed=True)
            done = replace(done, page=open_pull_request(branch, title=title, body=body))
    except NoProgram:
        observer.say(f"note: gh is not installed, so there is no pull request yet; where it is: {by_hand(branch)}")
    except KeyboardInterrupt:
        if done.commit is None:
            observer.say(f"note: the new value is written to {_files(done)}, and is not committed")
        raise
    except ReconcilerError as error:
        for line in error.said if isinstance(error, GitFailed) else ():
            observer.say(f"  {line}")
        done = replace(done, failure=_told(error, done))
    return done


def _told(error: ReconcilerError, done: Rotated) -> ReconcilerError:
    """Return an error that says what stands in spite of it."""
    if done.commit is not None:
        return error
    return ReconcilerError(
        f"{error}; the new value is written to {_files(done)}",
        advice=error.advice or "commit it by hand once the reason is gone; git restore takes it back",
    )


def _files(done: Rotated) -> str:
    return some_of([escaped(path) for path in done.paths])


def _title(places: tuple[Place, ...]) -> str:
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"Rotate {places[0]}{more}"


def _body(done: Rotated) -> str:
    # Not what holds the old value still: who can read the one place would know what stands in the other.
    return "\n".join(["New value for:", "", *(f"- {place}" for place in done.places)]) + "\n"
