"""What somebody who left could ever read, and what of it is not known to have changed since. Offline.

In: git's history, a recipient, the keys at hand. Out: a `RevokedReport`. Nothing is asked of a workspace. What
becomes of each value is decided in `exposures`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from reconciler import git
from reconciler.auditing.archive import Archive
from reconciler.auditing.exposures import Exposures
from reconciler.auditing.lineages import Opener
from reconciler.auditing.versions import Place
from reconciler.desired import keys_for
from reconciler.errors import Refused, UsageError, escaped, some_of
from reconciler.model import fold
from reconciler.policy import Sources, Target, Targets, parse_extra_hosts
from reconciler.policy.target_reader import read_targets
from reconciler.pysops import Identities, Recipient
from reconciler.pysops.age import bech32
from reconciler.pysops.config.fields import did_you_mean
from reconciler.report.revoked import Exposure, RevokedReport, RevokedValue
from reconciler.settings import Observer, Settings


_MIN_PREFIX_CHARS: Final = 10
"""How much of a name has to be given. ``age1`` and six characters more are one in a thousand million."""


def revoked(settings: Settings, observer: Observer, recipient: str, *, all_refs: bool) -> RevokedReport:
    """Return what a recipient could read that is not known to have changed.

    Args:
        settings: The surroundings. Its selectors limit the answer; none means everything.
        observer: Told what is not looked at.
        recipient: A name as in the metadata of files, or the beginning of one.
        all_refs: Also look at the commits of other branches, tags and stashes.

    Raises:
        UsageError: Nobody, or more than one, is called so; or a selector names no target, or a scope that no
            version ever had.
        Refused: There is no history to look at, or not all of it.
    """
    checkout = git.Checkout(settings.root)
    if (commit := checkout.head_commit) is None:
        raise Refused(
            f"{settings.root} has no commit, and what somebody could read is told from the history of git",
            advice="run this in the repository of the files",
        )
    sources = checkout.read_commit()
    targets = read_targets(sources, parse_extra_hosts(settings.environ.get("RECONCILER_EXTRA_HOSTS", "")))
    is_wanted = _wanted(settings.selectors, targets)
    _check_long_enough(recipient)
    if waiting := checkout.uncommitted():
        observer.say(f"not looked at, as it is not committed: {some_of(waiting)}")
    history = git.file_history(settings.root, commit, all_refs=all_refs)
    archive = Archive.read(settings.root, history, recipient)
    _check_scopes(settings.selectors, targets, archive)
    meant = _meant(recipient, archive.recipients())
    shown = min(meant).shown if meant else recipient
    exposures = Exposures(archive, meant, Opener(tuple(_identities(settings, sources, targets))))
    hosts = {target.host_key: target.name for target in targets.targets}
    values = tuple(exposures.values(hosts, is_wanted))
    return RevokedReport(
        recipient=shown,
        commit=commit,
        commits=history.commits,
        versions=len(archive.versions),
        all_refs=all_refs,
        open_files=exposures.open_files(),
        values=tuple(sorted(values, key=_order)),
        changed=exposures.changed,
        without_key=exposures.without_key,
        unread=archive.unread,
    )


_URGENCY: Final = {exposure: place for place, exposure in enumerate(Exposure)}


def _order(value: RevokedValue) -> tuple[int, str, str, str, str, str]:
    return _URGENCY[value.exposure], value.detail, value.path, value.host, fold(value.scope), fold(value.key)


def _wanted(selectors: tuple[str, ...], targets: Targets) -> Callable[[Place], bool]:
    """Return what tells whether a value is asked for.

    Raises:
        UsageError: A selector names no target.
    """
    scopes: dict[str, set[str]] = {}
    for selector in selectors:
        name, _, scope = selector.partition("/")
        if (target := targets.named(name)) is None:
            known = ", ".join(each.name for each in targets.targets)
            raise UsageError(f"unknown target {name!r}", advice=f"known: {known}" if known else None)
        scopes.setdefault(target.host_key, set()).add(fold(scope))

    def is_wanted(place: Place) -> bool:
        return not selectors or not scopes.get(place.host, set()).isdisjoint({"", place.scope})

    return is_wanted


def _check_scopes(selectors: tuple[str, ...], targets: Targets, archive: Archive) -> None:
    """Refuse scopes that no version ever had: a slip of the pen is no all-clear.

    Raises:
        UsageError: A selector names such a scope.
    """
    written: dict[tuple[str, str], str] = {}
    for version in archive.versions:
        for place, sealed in version.contents.values.items():
            written[place.host, place.scope] = sealed.scope
    for selector in selectors:
        name, _, scope = selector.partition("/")
        target = targets.named(name)
        if target is None or not scope or (target.host_key, fold(scope)) in written:
            continue
        known = sorted(f"{name}/{escaped(text)}" for (host, _), text in written.items() if host == target.host_key)
        raise UsageError(
            f"no version of any file has a scope {escaped(selector)!r}",
            advice=did_you_mean(selector, known) or (f"there were: {some_of(known)}" if known else None),
        )


def _identities(settings: Settings, sources: Sources, targets: Targets) -> Iterator[Identities]:
    """Yield the keys at hand: those of the user, and those that embedded targets have beside their files."""
    yield Identities.from_environment(settings.environ, settings.home)
    for target in targets.targets:
        if target.embedded:
            yield _beside(target, settings, sources)


def _beside(target: Target, settings: Settings, sources: Sources) -> Identities:
    return keys_for(target, sources, root=settings.root, environ=settings.environ, home=settings.home).identities


def _check_long_enough(recipient: str) -> None:
    if len(recipient) < _MIN_PREFIX_CHARS:
        raise UsageError(
            f"{recipient!r} is too short to name a recipient",
            advice=f"give the name as it stands in .sops.yaml, or at least its first {_MIN_PREFIX_CHARS} characters",
        )


def _meant(name: str, known: Iterable[Recipient]) -> frozenset[Recipient]:
    """Return who is called so, or begins so: one, which an SSH key may be under several comments.

    Returns:
        Nobody for a whole age recipient that no version names.

    Raises:
        UsageError: Nobody is called so, which may be a slip of the pen; or several are.
    """
    by_name: dict[str, set[Recipient]] = {}
    for one in known:
        by_name.setdefault(_bare(one.name), set()).add(one)
    bare = _bare(name)
    found = [bare] if bare in by_name else sorted(each for each in by_name if each.startswith(bare))
    if len(found) == 1:
        return frozenset(by_name[found[0]])
    shown = some_of([min(by_name[each]).shown for each in found or sorted(by_name)])
    if found:
        raise UsageError(f"{len(found)} recipients have names that begin so", advice=f"give more of the name: {shown}")
    if name.startswith("age1") and bech32.decode(name) is not None:
        return frozenset()
    raise UsageError(
        "no version of any file names such a recipient",
        advice=f"named are: {shown}" if shown else "no file names anybody: is this the repository of the files?",
    )


def _bare(name: str) -> str:
    """Return the name of an SSH key without the comment behind it, which is no part of the key."""
    return " ".join(name.split()[:2]) if name.startswith("ssh-") else name
