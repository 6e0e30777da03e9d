"""What stands below ``secrets``: hosts, scopes, keys and the form of each value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.policy.scope_files import ScopeFile, read_scope_file
from reconciler.policy.scope_values import Form
from tests.policy.reading import CANARY, good, read
from tests.policy.samples import ENC, HOST, METADATA, PATH, envelope, scope_yaml


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param("k: 5432", ["5:16: a value is a whole number, and secrets are text"], id="int"),
        pytest.param("k: 1.5", ["5:16: a value is a number, and secrets are text"], id="float"),
        pytest.param("k: true", ["5:16: a value is true or false, and secrets are text"], id="bool"),
        pytest.param("k: 2024-01-02", ["5:16: a value is a date, and secrets are text"], id="date"),
        pytest.param("k: null", ["5:16: a value is null"], id="null"),
        pytest.param("k:", ["5:15: a value is null"], id="nothing-behind-the-colon"),
        pytest.param("k: ''", ["5:16: a value is empty text"], id="empty-text"),
        pytest.param(f"k: {CANARY}", ["5:16: a value is not encrypted, though the file is"], id="half-encrypted"),
        pytest.param(f"k: |\n    {CANARY}\n    more", ["5:16: a value is not encrypted"], id="half-encrypted-block"),
        pytest.param(f"k: {envelope(kind='int')}", ["5:16: an encrypted value is a whole number"], id="encrypted-int"),
        pytest.param(f"k: {envelope(kind='bool')}", ["5:16: an encrypted value is true or false"], id="encrypted-bool"),
        pytest.param(f"k: {envelope(kind='float')}", ["5:16: an encrypted value is a number"], id="encrypted-float"),
        pytest.param(f"k: {envelope(kind='time')}", ["5:16: an encrypted value is a date"], id="encrypted-date"),
        pytest.param(f"k: {envelope(kind='comment')}", ["5:16: an encrypted value is a comment"], id="comment"),
        pytest.param(f"k: ['{ENC}']", ["5:16: a value is a list"], id="list"),
        pytest.param("k: {}", ["5:16: a value is an empty mapping"], id="empty-mapping"),
        pytest.param(f"k: {{basE64: '{ENC}'}}", ["5:17: unknown form of a value 'basE64'"], id="unknown-form"),
        pytest.param(f"k: {{base64: {{a: '{ENC}'}}}}", ["5:25: this is a mapping"], id="mapping-in-a-form"),
        pytest.param(
            f"k: {{base64: '{envelope(4)}', empty: '{envelope(3)}'}}", ["5:16: a value has two forms"], id="two-forms"
        ),
        pytest.param(f"k: {{base64: '{CANARY}'}}", ["5:25: a value is not encrypted"], id="plain-base64"),
        pytest.param("k: {empty: yes}", ["5:24: a value is not encrypted"], id="plain-empty"),
        pytest.param(f"k: {{base64: '{envelope(5)}'}}", ["5:25: a value is not base64"], id="odd-length"),
        pytest.param(f"k: {{empty: '{envelope(2)}'}}", ["5:24: behind 'empty' stands another"], id="empty-no"),
        pytest.param(f"k: {envelope(131_073)}", ["5:16: a value is larger"], id="over-128-KB"),
        pytest.param(f"k: {{base64: '{envelope(174_768)}'}}", ["5:25: a value is larger"], id="base64-over-128-KB"),
        pytest.param(f"K: {ENC}\nk: {ENC}", ["6:13: the key 'k' is the same as 'K' in line 5"], id="twins"),
        pytest.param(f"a b: {ENC}", ["5:13: the name of unusual text"], id="space-in-a-name"),
        pytest.param(f"'a:b': {ENC}", ["5:13: the name of unusual text"], id="colon-in-a-name"),
        pytest.param(f"a/b: {ENC}", ["5:13: the name 'a/b' does not fit as a key"], id="slash-in-a-name"),
        pytest.param(f"k@b: {ENC}", ["5:13: the name 'k@b' does not fit as a key"], id="at-in-a-key"),
        pytest.param(f"é: {ENC}", ["5:13: the name 'é' does not fit as a key"], id="beyond-ascii"),
        pytest.param(f"{'k' * 129}: {ENC}", ["5:13: the name of unusual text"], id="129-characters"),
        pytest.param(f"'': {ENC}", ["5:13: the name of unusual text"], id="no-name"),
    ],
)
def test_values_and_key_names_that_will_not_do(keys: str, expected: list[str]) -> None:
    """Each at its place; what stands there is never repeated."""
    _, problems = read(scope_yaml(keys))
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(f"{'k' * 128}: {ENC}", id="128-characters"),
        pytest.param(f"A-b_c.9: {ENC}", id="all-kinds-of-characters"),
        pytest.param(f"'5': {ENC}", id="quoted-number"),
        pytest.param(f"k: {envelope(131_072)}", id="128-KB"),
        pytest.param(f"k: {{base64: '{envelope(174_764)}'}}", id="base64-of-128-KB"),
        pytest.param(f"? k\n: {ENC}", id="explicit-key"),
        pytest.param(f"k: {{'base64': '{envelope(4)}'}}", id="quoted-form"),
    ],
)
def test_values_and_key_names_at_the_edge(keys: str) -> None:
    """The longest names and values that the platform takes."""
    assert len(good(scope_yaml(keys)).feeds[0].keys) == 1


@pytest.mark.parametrize("value", ["5432", "true", "2024-01-02", "1.5"])
def test_advice_for_what_is_not_text_is_to_quote_it(value: str) -> None:
    """A port or a date is a text to the platform; only its author knows how it is to be spelt."""
    (problem,) = read_scope_file(PATH, scope_yaml(f"k: {value}").encode()).problems
    assert problem.advice == "put it in quotes"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(scope_yaml(host="https://x.cloud.databricks.com"), ["3:5: the name of unusual text"], id="url"),
        pytest.param(scope_yaml(host="X.cloud.databricks.com"), ["3:5: the name 'X.cloud.databricks.com'"], id="case"),
        pytest.param(scope_yaml(host="x.net?o=1&o=2"), ["3:5: the name of unusual text"], id="two-ids"),
        pytest.param(scope_yaml(host="x.net?o="), ["3:5: the name 'x.net?o=' does not"], id="empty-id"),
        pytest.param(scope_yaml(scope="a b"), ["4:9: the name of unusual text"], id="scope-name"),
        pytest.param(scope_yaml(scope="reconciler-ledger"), ["4:9: the scope 'reconciler-ledger' is"], id="ledger"),
        pytest.param(
            scope_yaml(scope="Reconciler-Ledger"), ["4:9: the scope 'reconciler-ledger' is"], id="ledger-case"
        ),
        pytest.param(
            f"version: 1\nsecrets:\n    h:\n        S: {{k: '{ENC}'}}\n        s: {{k: '{ENC}'}}\n{METADATA}",
            ["5:9: the scope 's' is the same as 'S' in line 4"],
            id="scope-twins",
        ),
        pytest.param(
            f"version: 1\nsecrets:\n    h?o=A: {{s: {{k: '{ENC}'}}}}\n    h?o=a: {{s: {{k: '{ENC}'}}}}\n{METADATA}",
            ["4:5: the host 'h?o=a' is the same as 'h?o=A' in line 3"],
            id="host-twins",
        ),
        pytest.param(f"version: 1\nsecrets: {{}}\n{METADATA}", ["2:10: secrets is an empty mapping"], id="no-hosts"),
        pytest.param(f"version: 1\nsecrets:\n{METADATA}", ["2:9: secrets is empty"], id="null-secrets"),
        pytest.param(f"version: 1\nsecrets: [a]\n{METADATA}", ["2:10: secrets is a list"], id="list-of-secrets"),
        pytest.param(f"version: 1\nsecrets:\n    h: {{}}\n{METADATA}", ["3:8: the host is an empty"], id="no-scopes"),
        pytest.param(
            f"version: 1\nsecrets:\n    h:\n        s: {{}}\n{METADATA}", ["4:12: the scope is an"], id="no-keys"
        ),
        pytest.param(
            f"version: 1\nsecrets:\n    h:\n        s: {ENC}\n{METADATA}",
            ["4:12: the scope is a single value"],
            id="value-for-a-scope",
        ),
        pytest.param(f"version: 1\n{METADATA}", ["1:1: there is no field 'secrets'"], id="no-secrets"),
    ],
)
def test_hosts_and_scopes_that_will_not_do(text: str, expected: list[str]) -> None:
    """The names above the values, which bind each value to where it may go."""
    _, problems = read(text)
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)


_NAMES = st.text(alphabet="abzABZ019._-", min_size=1, max_size=8)


@given(
    st.dictionaries(
        st.sampled_from([HOST, "demo", "x.cloud.databricks.com?o=12", "127.0.0.1_80"]),
        st.dictionaries(
            _NAMES.map(str.lower),
            st.dictionaries(_NAMES.map(str.lower), st.sampled_from(list(Form)), min_size=1, max_size=4),
            min_size=1,
            max_size=3,
        ),
        min_size=1,
    )
)
def test_any_valid_file_is_read_as_it_is(content: dict[str, dict[str, dict[str, Form]]]) -> None:
    """Hosts, scopes, keys and forms come back in file order, whatever the names."""
    form_text = {
        Form.TEXT: ENC,
        Form.BASE64: f"{{base64: '{envelope(4)}'}}",
        Form.EMPTY: f"{{empty: '{envelope(3)}'}}",
    }
    lines = ["version: 1", "secrets:"]
    for host, scopes in content.items():
        lines.append(f"    '{host}':")
        for scope, keys in scopes.items():
            lines.append(f"        '{scope}':")
            lines.extend(f"            '{key}': {form_text[form]}" for key, form in keys.items())
    file = good("\n".join(lines) + f"\n{METADATA}")
    read = [(feed.host_key, feed.scope, key.name, key.form) for feed in file.feeds for key in feed.keys]
    assert read == [
        (host, scope, key, form)
        for host, scopes in content.items()
        for scope, keys in scopes.items()
        for key, form in keys.items()
    ]


def test_names_that_are_left_out_because_of_problems_are_known() -> None:
    """In file order, beside the keys: who asks for one of them hears that it is there."""
    keys = f"b: {envelope(kind='float')}\nk: {ENC}\n'~': {ENC}\na: {{}}"
    file, problems = read(scope_yaml(keys))
    assert len(problems) == 3
    assert isinstance(file, ScopeFile)
    (feed,) = file.feeds
    assert [entry.name for entry in feed.keys] == ["k"]
    assert feed.misfits == ("b", "~", "a")
    assert good(scope_yaml()).feeds[0].misfits == ()
