"""Asks git for what a review compares."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler import git, policy
from reconciler.errors import UsageError, escaped
from reconciler.policy.sources import TARGETS_FILE, Sources
from reconciler.report.reviewed import ReviewReport
from reconciler.review.compare import GitFacts, Tree, compare
from reconciler.review.files import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which two commits are compared."""

    base: str
    """Full hash."""

    base_name: str | None
    """As it was asked for or found; None where that is the hash itself."""

    head: str | None
    """Full hash; None for the work tree."""

    tip: str
    """Full hash of the last commit that counts: that of the head, or what the work tree was made of."""

    is_checked_out: bool
    """The head is what the work tree was made of: git knows attributes of no other commit."""

    remarks: tuple[str, ...]


def review(
    root: Path,
    environ: Mapping[str, str],
    *,
    base: str | None = None,
    head: str | None = None,
    work_tree: bool = False,
) -> ReviewReport:
    """Tell what a change does to the files of ``secrets/``, and to the rules.

    Args:
        root: The directory that has ``secrets/``, in a git repository.
        environ: Where RECONCILER_EXTRA_HOSTS stands.
        base: What the change is compared with: where it and the head parted. None means the branch that changes are
            usually merged to.
        head: The last commit of the change; None means HEAD.
        work_tree: Look at the files as they are now instead of a head.

    Raises:
        UsageError: There is no such commit, or none to compare with.
        Refused: Git does not work on the repository.
    """
    extra_hosts = policy.parse_extra_hosts(environ.get("RECONCILER_EXTRA_HOSTS", ""))
    checkout = git.Checkout(root)
    span = _span(root, checkout, base=base, head=head, work_tree=work_tree)
    before = checkout.read_commit(span.base)
    now = checkout.read_work_tree() if span.head is None else checkout.read_commit(span.head)
    changed = _changed_files(before, now)
    past = git.past_of(root, checkout.prefix, span.base, changed)
    branch = git.versions_between(root, checkout.prefix, span.base, span.tip)
    facts = GitFacts(
        past=_versions(past),
        branch=_versions(branch),
        changes=tuple(_changes(root, checkout.prefix, span)),
        hidden=git.hidden_changes(root, sorted(changed | _others(before, now))) if span.is_checked_out else (),
    )
    found = compare(
        Tree(sources=before, policy=policy.load(before, extra_hosts)),
        Tree(sources=now, policy=policy.load(now, extra_hosts)),
        facts,
    )
    remarks = [*span.remarks, *found.remarks]
    if not branch.complete:
        remarks.append("the branch is long: not all of its commits were looked at for values that were not encrypted")
    if not past.complete:
        remarks.append("not all of the history is there: what went back further than that passes unnoticed")
    return ReviewReport(
        base=span.base,
        base_name=span.base_name,
        head=span.head,
        differences=found.differences,
        problems=found.problems,
        files=found.files,
        other_files=found.other_files,
        prefix=checkout.prefix,
        remarks=tuple(remarks),
    )


def _span(root: Path, checkout: git.Checkout, *, base: str | None, head: str | None, work_tree: bool) -> Span:
    """Return what is compared: the head, and where it and the base parted."""
    if work_tree and head is not None:
        raise UsageError(
            "--work-tree looks at the files as they are now, --head at a commit", advice="give one of them"
        )
    if checkout.head_commit is None:
        raise UsageError(f"{root} has no commit to compare with", advice="run it in a git repository; -C DIR names one")
    tip = checkout.head_commit if head is None else _resolved(root, head)
    if base is None:
        found = git.usual_base(root)
        if found is None:
            advice = "name one, such as a branch, or HEAD~1 for the last commit alone"
            raise UsageError("nothing says what the change is compared with: no branch main or master", advice=advice)
        name, commit = found
    else:
        name, commit = base, _resolved(root, base)
    parted = git.merge_base(root, commit, tip)
    remarks: list[str] = []
    if parted is None:
        # A pipeline may have fetched the two commits and nothing between them.
        remarks.append(
            f"git does not have the commit at which the head and {escaped(name)} parted: what changed in "
            f"{escaped(name)} since then shows as taken back"
        )
        parted = commit
    elif parted == tip and not work_tree:
        remarks.append(f"nothing was committed since {escaped(name)}; --work-tree looks at what is not committed yet")
    return Span(
        base=parted,
        base_name=None if name == parted else name,
        head=None if work_tree else tip,
        tip=tip,
        is_checked_out=tip == checkout.head_commit,
        remarks=tuple(remarks),
    )


def _resolved(root: Path, name: str) -> str:
    found = git.resolve(root, name)
    if found is None:
        advice = "name a branch, a tag or a hash that git log knows; a pipeline may have to fetch it first"
        raise UsageError(f"there is no commit '{escaped(name)[:200]}'", advice=advice)
    return found


def _others(before: Sources, now: Sources) -> frozenset[str]:
    """Return what differs besides scope files, as far as it is within the directory of the run."""
    found = set[str]()
    if before.files.get(TARGETS_FILE) != now.files.get(TARGETS_FILE):
        found.add(TARGETS_FILE)
    if now.rules is not None and now.rules != before.rules:
        found.add(now.rules.path)
    return frozenset(found)


def _changed_files(before: Sources, now: Sources) -> frozenset[str]:
    """Return the scope files that differ, and those that are gone: a moved file has its history there."""
    paths = {*before.scope_files(), *now.scope_files()}
    return frozenset(path for path in paths if before.files.get(path) != now.files.get(path) and path != TARGETS_FILE)


def _versions(past: git.Past) -> Mapping[str, tuple[Version, ...]]:
    return {
        path: tuple(Version(commit=each.commit, data=each.data) for each in versions)
        for path, versions in past.files.items()
    }


def _changes(root: Path, prefix: str, span: Span) -> Iterator[tuple[str, str, str]]:
    for change in git.changed_paths(root, span.base, span.head):
        yield change.path, git.from_root(change.path, prefix), change.status
