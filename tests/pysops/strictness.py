"""Why our reader refuses what sops reads: one table, the reasons that are allowed.

A refusal counts for a reason only if it is the right error with the right words, and the file holds what it is about.
"""

import re
from dataclasses import dataclass
from typing import Final

from reconciler.pysops import DocumentError, MetadataError, SopsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason to be stricter than sops."""

    name: str
    """In the words of adr/0003 and docs/pysops.md, "What is refused"."""

    error: type[SopsError]
    what: str
    """A pattern of how the message begins."""

    evidence: str = ""
    """A pattern of what must stand in the file."""


SELECTED_BY_COMMENT: Final = "selectors by comment"
CLASSES_OF_UNICODE: Final = "classes of Unicode"

REASONS: Final = (
    Reason(name="second document", error=DocumentError, what="a second document", evidence=r"(?m)^(---|\.\.\.)"),
    Reason(name="duplicate keys", error=DocumentError, what="a key that stands twice"),
    Reason(name="aliases", error=DocumentError, what="an alias", evidence=r"\*"),
    Reason(name="anchors", error=DocumentError, what="an anchor", evidence="&"),
    Reason(name="<<", error=DocumentError, what="a merge key", evidence="<<"),
    Reason(name="tags", error=DocumentError, what="a tag", evidence="!"),
    Reason(name="directives", error=DocumentError, what="a directive", evidence="(?m)^%"),
    Reason(name="byte order mark", error=DocumentError, what="a byte order mark", evidence="\ufeff"),
    Reason(
        name="control characters", error=DocumentError, what="the control character", evidence="[\x00-\x1f\x7f-\x9f]"
    ),
    Reason(name="line breaks", error=DocumentError, what="the line break NEL", evidence="\x85"),
    Reason(name="line breaks", error=DocumentError, what="the line separator", evidence="\u2028"),
    Reason(name="line breaks", error=DocumentError, what="the paragraph separator", evidence="\u2029"),
    Reason(name="line breaks", error=DocumentError, what="a carriage return without", evidence="\r(?!\n)"),
    Reason(name="keys that are not text", error=DocumentError, what="a key that is not text"),
    Reason(
        name="ENC[…] that is not whole",
        error=DocumentError,
        what="an encrypted value that is not whole",
        evidence=r"ENC\[",
    ),
    Reason(
        name="comments that are values", error=DocumentError, what="an encrypted value in a comment", evidence=r"#ENC\["
    ),
    Reason(name="comments that are values", error=DocumentError, what="an empty comment in", evidence=r"(?m)#\r?$"),
    Reason(
        name="git conflict markers", error=DocumentError, what="git conflict markers", evidence=r"(?m)^([<|=>])\1{6}"
    ),
    Reason(name="integers beyond 64 bits", error=DocumentError, what="an integer above", evidence="[0-9a-fA-F_]{16}"),
    Reason(name="escapes that YAML does not have", error=DocumentError, what="not valid YAML", evidence=r"\\'"),
    Reason(
        name="timestamps a day off",
        error=DocumentError,
        what="a timestamp with an offset of a day",
        evidence="[-+]2[345]:[0-6][0-9]",
    ),
    Reason(
        name="integers beyond 64 bits",
        error=MetadataError,
        what="shamir_threshold is not a number",
        evidence="(?i)shamir_threshold.*[0-9]{19}",
    ),
    Reason(
        name=SELECTED_BY_COMMENT,
        error=MetadataError,
        what="(un)?encrypted_comment_regex: values selected by comment",
        evidence="(?i)comment_regex",
    ),
    Reason(
        name="invalid selectors",
        error=MetadataError,
        what="(un)?encrypted_regex is not a regular",
        evidence="(?i)_regex",
    ),
    Reason(
        name=CLASSES_OF_UNICODE,
        error=MetadataError,
        what="(un)?encrypted_regex has a class of Unicode",
        evidence=r"(?i)_regex.*\\+p",
    ),
)


def reason_of(error: SopsError, file: bytes) -> str | None:
    """Return the name of the reason for which a file that sops reads may be refused; None when it is none."""
    text = file.decode(errors="replace")
    for reason in REASONS:
        if type(error) is reason.error and re.match(reason.what, error.what) and re.search(reason.evidence, text):
            return reason.name
    return None
