"""Words of a review that text and Markdown share: what each difference says, and which are told together."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.errors import Severity
from reconciler.report.escape import escape_text
from reconciler.report.reviewed import FILE_STATES, Difference, Kind, Rank, ReviewReport, Sight
from reconciler.report.wording import COMMIT_CHARS, count


@dataclass(frozen=True, slots=True)
class Name:
    """Text that somebody else wrote, as it stands: whoever shows it, escapes it."""

    text: str


Phrase = tuple[str | Name, ...]
"""A sentence without a full stop, of our words and other people's names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What is told in one line: differences that are the same but for their place."""

    symbol: str
    """``+`` for what appears, ``~`` for what changes, ``-`` for what goes, ``!`` for what is to be looked at first."""

    phrase: Phrase
    scopes: tuple[str, ...]
    """``target/scope`` that it is about, each once; none where the phrase says it all."""

    files: tuple[str, ...]
    """``path:line`` or ``path``, each once."""

    rekeyed: bool


_NONE: Final = "none"
_NOT_AUTHENTICATION: Final = frozenset({"ledger_scope", "age_key_file", "workspace_id"})
_UNREAD: Final = "is not read by the reconciler"

_MAX_LISTED_KEYS: Final = 5


_HOLE: Final = re.compile(r"\{(\w+)\}")

SENTENCES: Final = {
    Kind.FILE_UNREADABLE: "unreadable: what this file changes does not show",
    Kind.VALUE_PLAIN: "not encrypted: the value of {key}",
    Kind.VALUE_COPIED: "a copy: the ciphertext of {before} will not open as {key}",
    Kind.HOST_CHANGED: "host changed: of {target}, {before} -> {after}",
    Kind.TARGET_ADDED: "target added: {target}, {after}",
    Kind.TARGET_RENAMED: "target renamed: {before} -> {after}",
    Kind.TARGET_FIELD_CHANGED: "{field} changed: {before} -> {after}",
    Kind.TARGET_ENTRY_ADDED: "{field}: {subject} added, target {target}",
    Kind.TARGET_ENTRY_REMOVED: "{field}: {subject} removed, target {target}",
    Kind.AGE_KEY_CHANGED: "identity changed: {target} opens files with another one",
    Kind.RECIPIENT_ADDED: "recipient added: {subject} can open the file",
    Kind.RULES_FILE_CHANGED: "rules exchanged: another .sops.yaml counts, {before} -> {after}",
    Kind.RULE_RECIPIENT_ADDED: "recipient added: {after} to the rule for {subject}",
    Kind.RULE_RECIPIENT_REMOVED: "recipient removed: {after} from the rule for {subject}",
    Kind.RULE_ADDED: "rule added: for {subject}",
    Kind.RULE_REMOVED: "rule removed: for {subject}",
    Kind.RULE_CHANGED: "rule changed: for {subject}, {field} {before} -> {after}",
    Kind.RULES_REORDERED: "rules reordered: the first that matches decides",
    Kind.FILE_UNDER_OTHER_RULE: "rule exchanged: another one decides who may open a file, {before} -> {after}",
    Kind.RECIPIENT_REMOVED: "recipient removed: {subject}",
    Kind.FILE_SETTING_CHANGED: "encryption changed: {field} of the file, {before} -> {after}",
    Kind.ACL_ADDED: "grant added: {subject} gets {after}",
    Kind.ACL_RAISED: "grant widened: {subject} {before} -> {after}",
    Kind.ACLS_UNMANAGED: "grants let go: from now on whoever has one keeps it",
    Kind.FILE_ROLLED_BACK: "went back: it was written {after}, and what stood there {before}",
    Kind.VALUE_ROLLED_BACK: "went back: {key} to the value of commit {commit}",
    Kind.FILE_REKEYED: "re-encrypted as a whole: a new data key, and which of {values} changed cannot be seen",
    Kind.SCOPE_FED_BY_FILE: "new source: a further file feeds keys",
    Kind.FILE_MOVED: "file moved: {before} -> {after}",
    Kind.TARGET_REMOVED: "target {target}, {before}: what was written there stays",
    Kind.SCOPE_REMOVED: "scope {place} with {keys}",
    Kind.KEY_REMOVED: "key {key}",
    Kind.KEY_RENAMED: "key {before}, by its looks renamed to {after}",
    Kind.ACL_REMOVED: "grant of {subject}, {before}",
    Kind.ACL_LOWERED: "grant lowered: {subject} {before} -> {after}",
    Kind.ACLS_MANAGED: "grants managed from now on",
    Kind.PRUNE_CHANGED: "prune changed: {before} -> {after}",
    Kind.ROTATION_CHANGED: "rotation changed: {before} -> {after}",
    Kind.SCOPE_ADDED: "scope {place} with {keys}",
    Kind.KEY_ADDED: "key {key} added",
    Kind.KEY_CHANGED: "key {key} changed",
    Kind.KEY_MOVED: "key {key} moved, perhaps changed, from {before}",
    Kind.KEY_RESPELT: "key {key}, so far spelt {before}",
    Kind.VALUES_REBOUND: "encrypted anew for another host, perhaps changed: {values}",
    Kind.FILE_ADDED: "file added",
    Kind.FILE_REMOVED: "file removed",
    Kind.FILE_REWRITTEN: "rewritten without a change that counts: comments, order, layout or metadata",
    Kind.OTHER_FILE: "{path} {state}: {why}",
}
"""What each kind of difference says. ``{field}``, ``{commit}``, ``{values}``, ``{keys}``, ``{why}`` and ``{state}``
are filled with words of ours, the others with names."""

_REASONS: Final = {
    Sight.PIPELINE: "says what runs with the pipeline's credentials",
    Sight.REVIEWERS: "says who has to review",
    Sight.ATTRIBUTES: "says what a review shows and how files merge",
    Sight.TOOLING: "says what a build runs or installs",
    Sight.RULES: "rules of sops that do not count here",
    Sight.BESIDE: "stands among the secrets and is no scope file",
}
"""Why a file outside matters."""


def items_of(report: ReviewReport, rank: Rank) -> tuple[Item, ...]:
    """Return what a review tells of one rank, most urgent first."""
    whole: set[tuple[Kind, str | None, str]] = {
        (one.kind, one.target, (one.scope or "").lower())
        for one in report.differences
        if one.kind in {Kind.SCOPE_ADDED, Kind.SCOPE_REMOVED}
    }
    groups: dict[tuple[object, ...], list[Difference]] = {}
    for one in report.of_rank(rank):
        if not _is_said(one, whole):
            groups.setdefault(_sense(one), []).append(one)
    return tuple(_item(group, report) for group in groups.values())


def _is_said(one: Difference, whole: set[tuple[Kind, str | None, str]]) -> bool:
    """Tell whether a difference goes without saying, as its whole scope comes or goes."""
    of_scope = one.target, (one.scope or "").lower()
    match one.kind:
        case Kind.KEY_ADDED | Kind.ROTATION_CHANGED:
            return (Kind.SCOPE_ADDED, *of_scope) in whole
        case Kind.KEY_REMOVED | Kind.ACL_REMOVED:
            return (Kind.SCOPE_REMOVED, *of_scope) in whole
        case _:
            return False


def _sense(one: Difference) -> tuple[object, ...]:
    """Return what two differences have in common that are told together."""
    if one.kind in {Kind.SCOPE_ADDED, Kind.SCOPE_REMOVED, Kind.VALUES_REBOUND}:
        return one.kind, one.target, one.scope, one.path
    place: tuple[str | None, ...]
    if one.kind in _OF_FILES:
        place = () if one.kind in _MANY_FILES else (one.path,)
        return one.kind, *place, one.subject, one.field, one.before, one.after, one.commit, one.rekeyed, one.sight
    place = () if one.scope is not None else (one.target, one.path)
    return one.kind, *place, one.key, one.subject, one.field, one.before, one.after, one.commit, one.rekeyed


_MANY_FILES: Final = frozenset(
    {
        Kind.RECIPIENT_ADDED,
        Kind.RECIPIENT_REMOVED,
        Kind.FILE_SETTING_CHANGED,
        Kind.FILE_UNDER_OTHER_RULE,
        Kind.FILE_ADDED,
        Kind.FILE_REMOVED,
        Kind.FILE_REWRITTEN,
    }
)
"""Of files, and told of several of them in one line."""

_OF_FILES: Final = _MANY_FILES | {
    Kind.FILE_UNREADABLE,
    Kind.FILE_ROLLED_BACK,
    Kind.FILE_REKEYED,
    Kind.FILE_MOVED,
    Kind.OTHER_FILE,
}


def _item(group: Sequence[Difference], report: ReviewReport) -> Item:
    first = group[0]
    scopes = (f"{one.target}/{one.scope}" for one in group if one.scope is not None)
    files = (one.path if one.line is None else f"{one.path}:{one.line}" for one in group)
    return Item(
        symbol=symbol_of(first),
        phrase=(*told(first), *_keys(first, report)),
        scopes=tuple(dict.fromkeys(scopes)) if first.kind not in _SAY_SCOPE else (),
        files=tuple(dict.fromkeys(files)) if first.kind is not Kind.OTHER_FILE else (),
        rekeyed=first.rekeyed and first.rank is Rank.FIRST,
    )


_SAY_SCOPE: Final = frozenset({Kind.SCOPE_ADDED, Kind.SCOPE_REMOVED})


def _keys(one: Difference, report: ReviewReport) -> Phrase:
    """Return the first few keys of a scope that comes or goes."""
    kind = {Kind.SCOPE_ADDED: Kind.KEY_ADDED, Kind.SCOPE_REMOVED: Kind.KEY_REMOVED}.get(one.kind)
    if kind is None:
        return ()
    place = one.target, (one.scope or "").lower()
    keys = [
        each.key
        for each in report.differences
        if each.kind is kind and (each.target, (each.scope or "").lower()) == place and each.key is not None
    ]
    if not keys:
        return ()
    more = len(keys) - _MAX_LISTED_KEYS
    return (": ", *_listed(keys[:_MAX_LISTED_KEYS]), f" and {more} more" if more > 0 else "")


def _listed(names: Sequence[str]) -> Iterator[str | Name]:
    for index, name in enumerate(names):
        if index:
            yield ", "
        yield Name(name)


def symbol_of(one: Difference) -> str:
    """Return the sign in front of a difference."""
    if one.rank is Rank.FIRST:
        return "!"
    if one.rank is Rank.GONE or one.kind is Kind.FILE_REMOVED:
        return "-"
    return "+" if one.kind in {Kind.SCOPE_ADDED, Kind.KEY_ADDED, Kind.FILE_ADDED} else "~"


def told(one: Difference) -> Phrase:
    """Return what a difference says, without the scope and the file that it is about."""
    told_so_far: list[str | Name] = []
    for place, piece in enumerate(_HOLE.split(_words_of(one))):
        part = _filled(one, piece) if place % 2 else piece
        last = told_so_far[-1] if told_so_far else None
        if isinstance(part, str) and isinstance(last, str):
            told_so_far[-1] = last + part
        else:
            told_so_far.append(part)
    return tuple(told_so_far)


def _words_of(one: Difference) -> str:
    """Return a sentence with holes."""
    match one.kind:
        case Kind.FILE_ROLLED_BACK if one.commit is not None:
            return "went back: it is the file of commit {commit}, old values and all"
        case Kind.KEY_CHANGED if one.before is not None or one.after is not None:
            return "key {key} changed, from {before} to {after}"
        case Kind.TARGET_FIELD_CHANGED if one.target is not None:
            what = "authentication" if one.field not in _NOT_AUTHENTICATION else "target"
            return f"{what} changed: {{field}} of {{target}}, {{before}} -> {{after}}"
        case Kind.PRUNE_CHANGED if one.after == "all":
            return "prune changed: {before} -> {after}, so that keys and grants of others are deleted"
        case _:
            return SENTENCES[one.kind]


def _filled(one: Difference, hole: str) -> str | Name:
    """Return what goes into a hole of a sentence."""
    ours = {
        "field": one.field or "",
        "commit": (one.commit or "")[:COMMIT_CHARS],
        "values": count(one.count or 0, "value"),
        "keys": count(one.count or 0, "key"),
        "why": _UNREAD if one.sight is None else _REASONS[one.sight],
        "state": one.subject if one.subject in FILE_STATES.values() else FILE_STATES["M"],
    }
    if hole in ours:
        return ours[hole]
    text = f"{one.target}/{one.scope}" if hole == "place" else getattr(one, hole)
    return _NONE if text is None else Name(text)


def headline(report: ReviewReport) -> str:
    """Return the review in one line."""
    number = {rank: len(items_of(report, rank)) for rank in Rank}
    words = [
        f"{number[Rank.FIRST]} to look at first" if number[Rank.FIRST] else "",
        count(number[Rank.GONE], "deletion") if number[Rank.GONE] else "",
        count(number[Rank.CHANGE], "change") if number[Rank.CHANGE] else "",
        f"{count(number[Rank.ALSO], 'file')} outside" if number[Rank.ALSO] else "",
    ]
    warnings = sum(found.problem.severity is Severity.WARNING for found in report.problems)
    problems = len(report.problems) - warnings
    words.insert(0, count(problems, "problem") if problems else "")
    words.append(count(warnings, "warning") if warnings else "")
    return ", ".join(filter(None, words)) or "no changes"


def span(report: ReviewReport) -> tuple[str, str | None, str]:
    """Return base, its name and head as they are shown."""
    head = "work tree" if report.head is None else report.head[:COMMIT_CHARS]
    return report.base[:COMMIT_CHARS], report.base_name, head


def extent(report: ReviewReport) -> str:
    """Return how many files differ."""
    words = f"{count(report.files, 'file')} compared"
    return f"{words}, {count(report.other_files, 'other')} not looked at" if report.other_files else words


def are_counted(item: Item) -> bool:
    """Tell whether the files of an item are told by their number: its scopes say enough, and nobody has to go there."""
    return bool(item.scopes) and len(item.files) > 1 and item.symbol != "!"


def some(names: Iterable[str], most: int) -> tuple[tuple[str, ...], int]:
    """Return the first of ``names``, and how many more there are."""
    every = tuple(names)
    return every[:most], max(0, len(every) - most)


def shortened(text: str, most: int) -> str:
    """Return a name, escaped, and of one that is as long as a page both ends.

    Both, as whoever writes it could otherwise put what matters behind what is shown.
    """
    if len(text) <= most:
        shown = escape_text(text)
        if len(shown) <= most:
            return shown
    half = most // 2
    # Escaped before it is cut: an escape may be ten times as long as what it stands for.
    return f"{escape_text(text[:half])[:half]}…{escape_text(text[-half:])[-half:]}"
