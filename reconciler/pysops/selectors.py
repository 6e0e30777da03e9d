r"""Which values of a file are encrypted, by the selectors of its metadata.

A selector looks at the mapping keys above a value, all of them; positions in lists do not count. See "Encrypting only
parts of a file" in https://getsops.io/docs/.

Patterns are Go's regular expressions for sops, and those of the C++ library RE2 here, from which Go's were written.
What one takes and the other does not is no pattern here, so that the two never disagree on what is encrypted. Of what
both take, only the classes ``\p`` differ, by the Unicode tables of each: 15.0 in Go 1.26, 15.1 in google-re2. They are
asked only about characters that both have. ``\w``, ``\b``, ``[[:alpha:]]`` and the like are ASCII in both; ``.`` and
``(?i)`` are equal. All of Unicode was compared, with Go 1.26.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from reconciler.pysops.errors import Mark, MetadataError
from reconciler.pysops.sops_metadata import Metadata


if TYPE_CHECKING:
    RE2Pattern = Any  # google-re2 ships no annotations

DEFAULT_UNENCRYPTED_SUFFIX: Final = "_unencrypted"
"""What sops assumes when the metadata holds no selector."""

MAX_PATTERN_LENGTH: Final = 10_000
"""In characters. Up to here compiling takes a second and a hundred megabytes at worst; a megabyte of ``\\pL`` takes all
there is."""

_MAX_GROUPS: Final = 1_000
"""Go refuses to nest any deeper; that many side by side nobody writes."""

_MAX_STEPS: Final = 2_000_000_000
"""Of one selector on all keys of a file, at worst one for each instruction and character: about 15 seconds."""

_LITERAL: Final = re.compile(r"\^([A-Za-z0-9_-]+)\$")

_CLASS_WITH_UNDERSCORE: Final = re.compile(r"\{[^}]*_")
"""As in ``\\p{Old_Italic}``: Go 1.26 no longer finds such names."""

_ASSIGNED: Final = r"\A[\pL\pM\pN\pP\pS\pZ\pC]*\z"
"""Text of characters that the tables of RE2 have. ``\\pC`` has no unassigned ones there, as it has in Go."""

_NEW_IN_15_1: Final = re.compile("[\u2ffc-\u2fff\u31ef\U0002ebf0-\U0002ee5d]")
"""https://www.unicode.org/versions/Unicode15.1.0/: all that the tables of RE2 have and those of Go do not."""

_ESCAPES: Final = r"(?s:\\Q.*?(?:\\E|\Z)|\\.)"


class Pattern:
    """A regular expression, found anywhere in a text."""

    __slots__ = ("_search", "has_classes", "size")

    def __init__(self, compiled: "RE2Pattern", *, has_classes: bool) -> None:
        self._search = compiled.search
        self.has_classes = has_classes
        """Whether it has classes of Unicode, and so means the same to sops on settled text only, see `is_settled`."""
        self.size: int = compiled.programsize
        """Instructions."""

    def __call__(self, text: str) -> bool:
        """Tell whether ``text`` holds a match."""
        return self._search(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """The rule of one file."""

    matches: Callable[[str], bool]
    """Tells whether a mapping key is one that the rule speaks of."""

    match_encrypts: bool
    """Whether values below a matching key are the encrypted ones, or the ones left plain."""

    def encrypts(self, *, matched: bool) -> bool:
        """Tell whether a value is encrypted, given whether any key above it matches."""
        return matched is self.match_encrypts


def selector_of(metadata: Metadata) -> Selector:
    """Return the rule of a file.

    Raises:
        MetadataError: the rule goes by comments, which are not read, or is no regular expression. sops ignores the
            latter and takes everything for plain (tried on 3.13.3), which nobody wants. `Selector.matches` raises it
            for keys and patterns made to take hours, and for new characters under a pattern with classes of Unicode.
    """
    if metadata.selects_by_comment:
        name = "unencrypted_comment_regex" if metadata.encrypted_comment_regex is None else "encrypted_comment_regex"
        raise MetadataError(
            f"{name}: values selected by comment are not read",
            mark=metadata.selector_mark,
            expected="encrypted_regex, or another selector that goes by key",
            advice="read the file with the sops program (--decryptor sops), or encrypt it anew by key",
        )
    if metadata.encrypted_regex is not None:
        matches = _regex("encrypted_regex", metadata.encrypted_regex, metadata.selector_mark)
        return Selector(matches=matches, match_encrypts=True)
    if metadata.unencrypted_regex is not None:
        matches = _regex("unencrypted_regex", metadata.unencrypted_regex, metadata.selector_mark)
        return Selector(matches=matches, match_encrypts=False)
    if metadata.encrypted_suffix is not None:
        return Selector(matches=_suffix(metadata.encrypted_suffix), match_encrypts=True)
    return Selector(matches=_suffix(metadata.unencrypted_suffix or DEFAULT_UNENCRYPTED_SUFFIX), match_encrypts=False)


@lru_cache(maxsize=256)
def compile_re2(pattern: str) -> Pattern | None:
    """Compile a regular expression as sops would: RE2 syntax, found anywhere in the text.

    Also for ``.sops.yaml``, whose rules are of the same syntax.

    Returns:
        None when it is no regular expression, or longer than `MAX_PATTERN_LENGTH`.
    """
    if len(pattern) > MAX_PATTERN_LENGTH or pattern.count("(") >= _MAX_GROUPS:
        return None
    escapes = [(escape[0], escape.end()) for escape in re.finditer(_ESCAPES, pattern)]
    classes = [end for escape, end in escapes if escape in {r"\p", r"\P"}]
    if any(escape == r"\C" for escape, _ in escapes):  # a single byte, which Go does not have
        return None
    if any(_CLASS_WITH_UNDERSCORE.match(pattern, end) for end in classes):
        return None
    import re2

    options = re2.Options()
    options.log_errors = False  # it would write the pattern to stderr
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        return None
    # Go allows ASCII in the names of groups only.
    if not all(name.isascii() for name in compiled.groupindex):
        return None
    return Pattern(compiled, has_classes=bool(classes))


def is_settled(text: str) -> bool:
    """Tell whether every character of ``text`` has been in Unicode for so long that all tables agree on it."""
    return text.isascii() or (_NEW_IN_15_1.search(text) is None and _assigned()(text))


@cache
def _assigned() -> Pattern:
    found = compile_re2(_ASSIGNED)
    if found is None:
        raise AssertionError("RE2 has no classes of Unicode")
    return found


def _suffix(suffix: str) -> Callable[[str], bool]:
    return lambda key: key.endswith(suffix)


def _regex(name: str, pattern: str, mark: Mark) -> Callable[[str], bool]:
    literal = _LITERAL.fullmatch(pattern)
    if literal is not None:  # the usual case needs no engine
        return literal[1].__eq__
    found = compile_re2(pattern)
    if found is None:
        raise MetadataError(
            f"{name} is not a regular expression",
            mark=mark,
            expected=f"RE2 syntax, at most {MAX_PATTERN_LENGTH} characters",
            advice="sops leaves everything in plain where it cannot read the selector, and what it can read depends on"
            " its version: write the selector in another way, and encrypt anew",
        )
    return _Bounded(name, found, mark)


class _Bounded:
    """A pattern for the keys of one file: asks once for each, and no more than can be answered in time."""

    def __init__(self, name: str, pattern: Pattern, mark: Mark) -> None:
        self._name = name
        self._pattern = pattern
        self._mark = mark
        self._steps = 0
        self._known: dict[str, bool] = {}

    def __call__(self, key: str) -> bool:
        known = self._known.get(key)
        if known is not None:
            return known
        if self._pattern.has_classes and not is_settled(key):
            raise MetadataError(
                f"{self._name} has a class of Unicode (\\p), and a key of the file has a character of no settled class",
                mark=self._mark,
                advice="what belongs to such a class depends on the version of Unicode: select by names or ranges",
            )
        self._steps += self._pattern.size * len(key)
        if self._steps > _MAX_STEPS:
            raise MetadataError(f"{self._name} takes too long on keys as long as those of this file", mark=self._mark)
        self._known[key] = found = self._pattern(key)
        return found
