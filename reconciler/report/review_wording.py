"""Words of a review that text and Markdown share: what each difference says, and which are told together."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.report.escape import escape_text
from reconciler.report.reviewed import FILE_STATES, Difference, Kind, Rank, ReviewReport, Sight
from reconciler.report.wording import COMMIT_CHARS, count


@dataclass(frozen=True, slots=True)
class Name:
    """Text that somebody else wrote, as it stands: whoever shows it, escapes it."""

    text: str


Phrase = tuple[str | Name, ...]
"""A sentence without a full stop, of our words and other people's names."""


FROM_REKEYED: Final = "from a file with a new data key"

_NONE: Final = "none"
_NOT_AUTHENTICATION: Final = frozenset({"ledger_scope", "age_key_file", "workspace_id"})
_UNREAD: Final = "is not read by the reconciler"


_HOLE: Final = re.compile(r"\{(\w+)\}")

SENTENCES: Final = {
    Kind.FILE_UNREADABLE: "unreadable: what this file changes does not show",
    Kind.VALUE_PLAIN: "not encrypted: the value of {key}",
    Kind.PLAIN_IN_HISTORY: "was not encrypted: in commit {commit}, and whoever has the branch has {values}",
    Kind.VALUE_COPIED: "a copy: the ciphertext of {before} will not open as {key}",
    Kind.FILE_UNSEALED: "not sealed: it says something else than before, under the MAC that it had",
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
    Kind.FILE_REWRITTEN: "rewritten: in comments, order, layout or seal alone, as far as that shows without a key",
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
        "state": next((state for state in FILE_STATES.values() if state == one.subject), FILE_STATES["M"]),
    }
    if hole in ours:
        return ours[hole]
    text = f"{one.target}/{one.scope}" if hole == "place" else getattr(one, hole)
    return _NONE if text is None else Name(text)


def span(report: ReviewReport) -> tuple[str, str | None, str]:
    """Return base, its name and head as they are shown."""
    head = "work tree" if report.head is None else report.head[:COMMIT_CHARS]
    return report.base[:COMMIT_CHARS], report.base_name, head


def extent(report: ReviewReport) -> str:
    """Return how many files differ."""
    words = f"{count(report.files, 'file')} compared"
    return f"{words}, {count(report.other_files, 'other')} not looked at" if report.other_files else words


def enumerated(names: Sequence[str], shown: Callable[[str], str], most: int) -> str:
    """Return the first of ``names`` as ``shown`` shows them, and how many more there are."""
    left = len(names) - most
    return ", ".join(map(shown, names[:most])) + (f" and {left:,} more" if left > 0 else "")


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
