"""Which values of a file are encrypted, by the selectors of its metadata.

A selector looks at the mapping keys above a value, all of them; positions in lists do not count. See "Encrypting only
parts of a file" in https://getsops.io/docs/.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from reconciler.pysops.errors import MetadataError
from reconciler.pysops.sops_metadata import Metadata


DEFAULT_UNENCRYPTED_SUFFIX: Final = "_unencrypted"
"""What sops assumes when the metadata holds no selector."""

_LITERAL: Final = re.compile(r"\^([A-Za-z0-9_-]+)\$")


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
            latter and takes everything for plain (tried on 3.13.3), which nobody wants.
    """
    if metadata.encrypted_comment_regex is not None or metadata.unencrypted_comment_regex is not None:
        raise MetadataError(
            "selecting by comment is not supported",
            mark=metadata.mark,
            expected="encrypted_regex or one of the other selectors that go by key",
        )
    if metadata.encrypted_regex is not None:
        return Selector(matches=_regex(metadata.encrypted_regex, metadata), match_encrypts=True)
    if metadata.unencrypted_regex is not None:
        return Selector(matches=_regex(metadata.unencrypted_regex, metadata), match_encrypts=False)
    if metadata.encrypted_suffix is not None:
        return Selector(matches=_suffix(metadata.encrypted_suffix), match_encrypts=True)
    return Selector(matches=_suffix(metadata.unencrypted_suffix or DEFAULT_UNENCRYPTED_SUFFIX), match_encrypts=False)


def _suffix(suffix: str) -> Callable[[str], bool]:
    return lambda key: key.endswith(suffix)


def _regex(pattern: str, metadata: Metadata) -> Callable[[str], bool]:
    literal = _LITERAL.fullmatch(pattern)
    if literal is not None:  # the usual case needs no engine
        return literal[1].__eq__
    search = compile_re2(pattern)
    if search is None:
        raise MetadataError("a selector is not a regular expression", mark=metadata.mark, expected="RE2 syntax")
    return search


@cache
def compile_re2(pattern: str) -> Callable[[str], bool] | None:
    """Compile a regular expression as sops would: RE2 syntax, found anywhere in the text.

    Also for ``.sops.yaml``, whose rules are of the same syntax.

    Returns:
        Tells whether it is found in a text; None when it is no regular expression.
    """
    import re2

    options = re2.Options()
    options.log_errors = False  # it would write the pattern to stderr
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        return None
    return lambda key: compiled.search(key) is not None
