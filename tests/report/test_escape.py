"""Names from elsewhere do nothing but stand there."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.model import KeyName, Permission, Principal, ScopeName
from reconciler.plan import Finding, FindingKind, PutReason, PutSecret
from reconciler.report import Format, Status, code_span, escape_text, render
from tests.report.situations import grant, run, target_report


anything = st.text(st.characters(exclude_categories=()))
marks = st.text(st.sampled_from("`|\\<>&@#[]()*_~!:/\n\r\t \x1b\u202e\u200b\u0301")) | anything


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("db-password", "db-password", id="plain"),
        pytest.param("Zo\u00eb \u540d\u524d \U0001f511", "Zo\u00eb \u540d\u524d \U0001f511", id="letters-of-all-kinds"),
        pytest.param("a\nb\r\tc", r"a\nb\r\tc", id="line-breaks"),
        pytest.param("\x1b[2J\x9b1m\x00\x7f", r"\x1b[2J\x9b1m\x00\x7f", id="terminal-escapes"),
        pytest.param("\u202eabc\u2066\u200f", r"\u202eabc\u2066\u200f", id="reading-direction"),
        pytest.param("a\u200bb\u200d\ufeff\u00ad\u2060", r"a\u200bb\u200d\ufeff\xad\u2060", id="zero-width"),
        pytest.param("a\ufe0f\u3164\u115f\u2800\u034f", r"a\ufe0f\u3164\u115f\u2800\u034f", id="invisible-letters"),
        pytest.param("a\u00a0b\u3000\u2028", r"a\xa0b\u3000\u2028", id="other-white-space"),
        pytest.param("\u0301a e\u0301", "\\u0301a e\u0301", id="combining-first"),
        pytest.param("\ud800\udfff", r"\ud800\udfff", id="lone-surrogates"),
        pytest.param("\ue000\U000e0041", r"\ue000\U000e0041", id="private-and-tags"),
        pytest.param("DOMAIN\\user", "DOMAIN\\user", id="backslash-stays"),
        pytest.param("", "", id="empty"),
    ],
)
def test_what_is_not_visible_is_written_out(text: str, expected: str) -> None:
    """Whatever a terminal would act on, or a reader would not see, becomes visible; the rest stays."""
    assert escape_text(text) == expected


@given(anything)
@example("\u0301")
def test_escaped_text_is_visible_and_on_one_line(text: str) -> None:
    """No control, format, separator, surrogate or unassigned character survives, and once is enough."""
    escaped = escape_text(text)
    assert all(char == " " or unicodedata.category(char)[0] not in "CZ" for char in escaped)
    assert escape_text(escaped) == escaped
    escaped.encode("utf-8")


@given(marks)
def test_code_span_cannot_be_left(text: str) -> None:
    """Nothing in a code span ends it, or the table cell that it stands in."""
    span = code_span(text)
    assert span == "" or (span[0] == span[-1] == "`" and len(span) > 2)
    assert not set(span[1:-1]) & set("`|\n\r")


@given(name=marks, form=st.sampled_from((Format.TEXT, Format.MARKDOWN)), color=st.booleans())
def test_no_name_alters_the_shape_of_a_report(name: str, form: Format, *, color: bool) -> None:
    """Whatever things are called, a report has the same lines and nothing in it but text and our own colours."""

    def report(name: str) -> str:
        finding = Finding(kind=FindingKind.UNMANAGED_ACL, scope=ScopeName(name), principal=Principal(name), detail="d")
        put = PutSecret(scope=ScopeName(name), key=KeyName(name), reason=PutReason.NEW)
        acl = grant(name, Permission.READ, scope=name)
        target = target_report("prod", Status.PENDING, put, acl, findings=(finding,), errors=(f"x{name}",))
        return render(run(target), form, color=color)

    told = report(name)
    assert told.count("\n") == report("name").count("\n")
    for line in told.removesuffix("\n").split("\n"):
        plain = re.sub(r"\x1b\[[0-9;]*m", "", line) if color else line
        assert escape_text(plain) == plain
    if form is Format.MARKDOWN:
        foreign = re.sub(r"`[^`]*`", "", told)
        assert not set(foreign) & set("<@#[]\\") - set("#")
