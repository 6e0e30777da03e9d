"""Selectors: which keys they speak of, and that they mean the same here as in the real sops."""

import json
import time

import pytest

from reconciler.pysops import Mark, MetadataError, Scalar, parse, read_metadata
from reconciler.pysops.selectors import MAX_PATTERN_LENGTH, compile_re2, selector_of
from tests.pysops.test_sops_metadata import AGE, REST, read
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


@pytest.mark.parametrize(
    ("field", "key", "encrypted"),
    [
        pytest.param("", "a", True, id="no selector"),
        pytest.param("", "a_unencrypted", False, id="no selector means the default suffix"),
        pytest.param("unencrypted_suffix: _p", "a_p", False, id="unencrypted suffix"),
        pytest.param("unencrypted_suffix: _p", "a_unencrypted", True, id="a suffix replaces the default one"),
        pytest.param("encrypted_suffix: _x", "a_x", True, id="encrypted suffix"),
        pytest.param("encrypted_suffix: _x", "a_X", False, id="suffixes go by case"),
        pytest.param("encrypted_suffix: 5", "a5", True, id="a number is a text"),
        pytest.param("encrypted_regex: ^secrets$", "secrets", True, id="literal"),
        pytest.param("encrypted_regex: ^secrets$", "secrets2", False, id="literal, longer"),
        pytest.param("encrypted_regex: ^secrets$", "secrets\n", False, id="literal, line break behind"),
        pytest.param("unencrypted_regex: (?i)meta", "METAdata", False, id="unencrypted regex"),
    ],
)
def test_a_key_decides_as_in_sops(field: str, key: str, *, encrypted: bool) -> None:
    """Each selector, by its own rule."""
    selector = selector_of(read(f"    {field}\n{AGE}{REST}" if field else AGE + REST))
    assert selector.encrypts(matched=selector.matches(key)) is encrypted


KEYS = (
    *(
        "a",
        "b",
        "ab",
        "aB",
        "xb",
        "A",
        "secrets",
        "secrets2",
        "a.b",
        "a b",
        "a\nb",
        "b\n",
        "\n",
        "",
        "_",
        "-",
        "5",
        "0x1F",
    ),
    *(
        "été",
        "É",
        "ß",
        "\u017f",
        "\u212a",
        "k",
        "漢字",
        "🔐",
        "\u0661",
        "é5",
        "{",
        "a{2}",
        "\\C",
        "]",
        "^",
        "a" * 1000,
        "\x00",
    ),
)
"""A key for every difference between engines that somebody might stumble over."""

PATTERNS = (
    *(
        "^a|b$",
        "^a.b$",
        "^(a|b)$",
        "a$",
        "$",
        "^",
        "^^a",
        "(?s)^a.b$",
        "(?m)^b$",
        "(?i)^É$",
        "(?i)k",
        "(?i)s",
        "(?U)a+",
    ),
    *(
        "",
        "|",
        "()",
        "a||x",
        "[[:alpha:]]",
        "[[:^alpha:]]",
        "[[:word:]]",
        "[[:punct:]]",
        r"^\d$",
        r"^\w+$",
        r"\s",
        r"\bb",
    ),
    *(
        r"\pN",
        r"^\p{Greek}|\p{Han}",
        r"\PL",
        r"^\pL+$",
        r"\p{^L}",
        "[^a-z]",
        "[]]",
        "[^]a]",
        "[a-]",
        r"[\]\\]",
        r"\x{1F510}",
    ),
    *(
        r"\Qa.b\E",
        r"\Qa{2}",
        r"\\C",
        r"\Q\C\E",
        r"a\z",
        r"\Aa",
        "a{2}",
        "a{,2}",
        "^a{1000}$",
        "{",
        "x*",
        "a**",
        "(?P<n>a)b",
        "(?P<n>a)(?P<n>b)",
    ),
    *("(?<n>a)b", r"^\x41$", r"\041", r"^[\x00-\x1f]", "[\u017f]", "^..$", r"^\C$", "^[é-ü]", "(?:a|b)+?$"),
)
BROKEN = (
    *("^(?!foo)", "(?=a)", "(?<=a)b", "(?>a)", "[", "(", ")", "*", "a{2,1}", "a{1001}", "(a{1000}){2}", r"\C", r"a\Cb"),
    *(r"\1", r"\Z", r"\8", r"\h", r"\u0041", r"\x{110000}", r"\pX", "[[:foo:]]", "[z-a]", "(?P=n)"),
    *("(?P<é>a)", "(?<1é>a)", "(?#c)", "(?x)a", "a++b", "\\", "(" * 1000 + "a" + ")" * 1000),
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_means_what_it_means_to_sops(pattern: str, sops: SopsTool, age_key: AgeKey) -> None:
    """On a table of keys, sops encrypts the values that we take for encrypted; RE2 semantics, not those of Python."""
    matches = compile_re2(pattern)
    plaintext = json.dumps(dict.fromkeys(KEYS, "x"), ensure_ascii=True).replace(r"\ud83d\udd10", "🔐")
    file = sops.encrypt(plaintext.encode(), [age_key.recipient], extra_args=["--encrypted-regex", pattern])
    written = {entry.key.text: entry.value for entry in parse(file).root.entries}
    theirs = [key for key in KEYS if getattr(written[key], "text", "").startswith("ENC[")]
    if not pattern:  # no selector at all
        assert len(theirs) == len(KEYS)
    else:
        assert theirs == ([] if matches is None else [key for key in KEYS if matches(key)])


@pytest.mark.parametrize("pattern", BROKEN)
def test_what_sops_would_leave_in_plain_is_refused(pattern: str, sops: SopsTool, age_key: AgeKey) -> None:
    """A broken pattern is ignored by sops; we raise, with the field and its place."""
    assert compile_re2(pattern) is None
    file = sops.encrypt(b"a: x\n", [age_key.recipient], extra_args=["--encrypted-regex", pattern])
    assert file.startswith(b"a: x\n")
    with pytest.raises(MetadataError, match="encrypted_regex is not a regular expression") as caught:
        selector_of(read(f"    encrypted_regex: {json.dumps(pattern)}\n{AGE}{REST}"))
    assert caught.value.mark == Mark(line=3, column=22)


@pytest.mark.parametrize(
    "pattern", [r"\p{greek}", r"\p{Letter}", r"\p{LC}", r"\p{Cn}", r"\p{ASCII}", r"\pL{1000}", r"x|\P{Old_Italic}"]
)
def test_what_depends_on_the_go_of_sops_is_refused(pattern: str) -> None:
    """It means something to some versions and nothing to others, and the advice does not say what it means to sops."""
    assert compile_re2(pattern) is None
    with pytest.raises(MetadataError, match="is not a regular expression") as caught:
        selector_of(read(f"    encrypted_regex: '{pattern}'\n{AGE}{REST}"))
    assert "depends on its version" in (caught.value.advice or "")


@pytest.mark.parametrize("pattern", [r"^\pL+$", r"\PN", r"\p{Han}", r"(?i)\p{Lu}", r"[^\p{Ll}_]", r"\p{^L}|x"])
@pytest.mark.parametrize("new", ["\u2ffc", "\u31ef", "\U0002ebf0", "\u0378", "a\u1c89"])
def test_classes_of_unicode_are_not_asked_about_new_characters(pattern: str, new: str) -> None:
    """The tables of RE2 and Go are of different versions: what such a character is, they disagree about."""
    selector = selector_of(read(f"    unencrypted_regex: '{pattern}'\n{AGE}{REST}"))
    with pytest.raises(MetadataError, match=r"unencrypted_regex has a class of Unicode \(\\p\)") as caught:
        selector.matches(new)
    assert caught.value.mark == Mark(line=3, column=24)


@pytest.mark.parametrize("pattern", [r"\pL", r"^\PL", r"\p{Lu}", r"\p{Han}", r"\pS", r"[^\pC]", r"(?i)\p{Lu}"])
def test_classes_of_unicode_mean_to_sops_what_they_mean_here(pattern: str, sops: SopsTool, age_key: AgeKey) -> None:
    """On characters that have long been in Unicode, of every class."""
    keys = ("secrets", "\u00c9t\u00e9", "\u9375", "\U0001f511", "\u00b2", "\u20ac", "\u0391", "\U00020000", "\ue000")
    plain = "".join(f"{json.dumps(key, ensure_ascii=False)}: canary\n" for key in keys).encode()
    file = sops.encrypt(plain, [age_key.recipient], extra_args=["--encrypted-regex", pattern])
    values = {entry.key.text: entry.value for entry in parse(file).root.entries}
    matches = selector_of(read_metadata(parse(file))).matches
    for key in keys:
        value = values[key]
        assert isinstance(value, Scalar)
        assert matches(key) is value.text.startswith("ENC["), key


@pytest.mark.parametrize("pattern", [r"^\w+$", r"\\pL", r"\Q\pL\E", "[[:alpha:]]", "(?i)\u00c9", ".", r"\Bb"])
def test_other_patterns_are_asked_about_all_keys(pattern: str) -> None:
    """Nothing in them goes by a table of Unicode, or both have the same."""
    found = compile_re2(pattern)
    assert found is not None
    assert not found.has_classes


@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        pytest.param("unencrypted_regex: '['", "unencrypted_regex is not a regular expression", id="open bracket"),
        pytest.param("encrypted_comment_regex: sops", "encrypted_comment_regex: .* by comment", id="encrypted comment"),
        pytest.param("unencrypted_comment_regex: sops", "unencrypted_comment_regex: ", id="unencrypted comment"),
    ],
)
def test_selectors_that_cannot_be_followed_are_refused(
    field: str, complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """There is an error that says where and what to do, and nothing is printed."""
    with pytest.raises(MetadataError, match=complaint) as caught:
        selector_of(read(f"    {field}\n{AGE}{REST}"))
    assert caught.value.mark == Mark(line=3, column=field.index(":") + 7)
    assert "sops" in (caught.value.advice or "")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("(" * 5_000_000 + ")" * 5_000_000, id="nested"),
        pytest.param(r"\pL" * 5_000_000, id="classes"),
        pytest.param(r"\pL" * (MAX_PATTERN_LENGTH // 3), id="classes, as many as are compiled"),
    ],
)
def test_a_pattern_made_to_take_all_memory_is_refused(pattern: str) -> None:
    """RE2 would take gigabytes for ten megabytes of it."""
    started = time.monotonic()
    assert compile_re2(pattern) is None
    assert time.monotonic() - started < 5


def test_a_pattern_made_to_take_hours_is_refused() -> None:
    """It is asked once for each key, as long as that is no more than can be answered."""
    selector = selector_of(read(f"    encrypted_regex: '[ab]*a[ab]{{900}}c'\n{AGE}{REST}"))
    assert not any(selector.matches(key) for key in ("a" * 1000, "b" * 1000) * 5000)
    with pytest.raises(MetadataError, match="encrypted_regex takes too long") as caught:
        selector.matches("ab" * 2_000_000)
    assert caught.value.mark == Mark(line=3, column=22)
