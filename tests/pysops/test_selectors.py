"""Selectors: which keys they speak of."""

import pytest

from reconciler.pysops import MetadataError
from reconciler.pysops.selectors import selector_of
from tests.pysops.test_sops_metadata import AGE, REST, read


@pytest.mark.parametrize(
    ("field", "key", "encrypted"),
    [
        pytest.param("", "a", True, id="no selector"),
        pytest.param("", "a_unencrypted", False, id="no selector means the default suffix"),
        pytest.param("unencrypted_suffix: _p", "a_p", False, id="unencrypted suffix"),
        pytest.param("unencrypted_suffix: _p", "a_unencrypted", True, id="a suffix replaces the default one"),
        pytest.param("encrypted_suffix: _x", "a_x", True, id="encrypted suffix"),
        pytest.param("encrypted_suffix: _x", "a_X", False, id="suffixes go by case"),
        pytest.param("encrypted_regex: ^secrets$", "secrets", True, id="literal"),
        pytest.param("encrypted_regex: ^secrets$", "secrets2", False, id="literal, longer"),
        pytest.param("encrypted_regex: ^secrets$", "secrets\n", False, id="literal, line break behind"),
        pytest.param("encrypted_regex: ^a|b$", "xb", True, id="regex, unanchored"),
        pytest.param("encrypted_regex: ^a.b$", "a\nb", False, id="a dot is no line break"),
        pytest.param("encrypted_regex: ^(a|b)$", "b\n", False, id="dollar is the end of the text"),
        pytest.param("encrypted_regex: ^[[:alpha:]]+$", "abc", True, id="POSIX class"),
        pytest.param(r"encrypted_regex: ^\d$", "\u0661", False, id="digits are ASCII"),
        pytest.param("unencrypted_regex: (?i)meta", "METAdata", False, id="unencrypted regex"),
    ],
)
def test_a_key_decides_as_in_sops(field: str, key: str, *, encrypted: bool) -> None:
    """RE2 semantics, not those of Python."""
    selector = selector_of(read(f"    {field}\n{AGE}{REST}" if field else AGE + REST))
    assert selector.encrypts(matched=selector.matches(key)) is encrypted


@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        pytest.param("encrypted_regex: ^(?!foo)", "not a regular expression", id="look-ahead"),
        pytest.param("encrypted_regex: '['", "not a regular expression", id="open bracket"),
        pytest.param("encrypted_comment_regex: sops", "by comment", id="encrypted comment"),
        pytest.param("unencrypted_comment_regex: sops", "by comment", id="unencrypted comment"),
    ],
)
def test_selectors_that_cannot_be_followed_are_refused(
    field: str, complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where sops takes everything for plain as the pattern is broken, there is an error, and nothing is printed."""
    with pytest.raises(MetadataError, match=complaint):
        selector_of(read(f"    {field}\n{AGE}{REST}"))
    assert capfd.readouterr() == ("", "")
