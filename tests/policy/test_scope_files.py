"""Reading scope files without a key: what is accepted, and everything that shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Acl, KeyName, Permission, Principal, Prune
from reconciler.policy import ScopeFile
from reconciler.policy.scope_files import RotationRule, UnreadableFile, read_scope_file
from reconciler.policy.scope_values import Form
from tests.policy.samples import ENC, HOST, METADATA, PATH, envelope, scope_yaml


CANARY = "canary-3c9e"


def _read(text: str, path: str = PATH) -> tuple[ScopeFile | UnreadableFile, list[str]]:
    """Return the file, and each problem as ``line:column: what``."""
    file = read_scope_file(path, text.encode())
    assert all(CANARY not in str(problem) for problem in file.problems)
    return file, [f"{each.line}:{each.column}: {each.what}" for each in file.problems]


def _good(text: str) -> ScopeFile:
    file, problems = _read(text)
    assert problems == []
    assert isinstance(file, ScopeFile)
    assert file.complete
    return file


def test_a_full_file_is_read() -> None:
    """Every field that there is, and every form of a value."""
    before = """\
acls:
    - <WRITE admins>
    - <READ data engineers>
    - <MANAGE 6f1c0000-0000-0000-0000-000000000000>
prune: none
rotation:
    - <90d db-password>
    - <180d *>
"""
    keys = f"text: {ENC}\nkeystore.p12: {{base64: '{envelope(8)}'}}\nnothing: {{empty: '{envelope(3)}'}}"
    file = _good(scope_yaml(keys, before=before))
    assert file.acls == (
        Acl(principal=Principal("admins"), permission=Permission.WRITE),
        Acl(principal=Principal("data engineers"), permission=Permission.READ),
        Acl(principal=Principal("6f1c0000-0000-0000-0000-000000000000"), permission=Permission.MANAGE),
    )
    assert file.prune is Prune.NONE
    assert file.rotation == (RotationRule(days=90, key=KeyName("db-password")), RotationRule(days=180, key=None))
    (feed,) = file.feeds
    assert (feed.host_key, feed.scope) == (HOST, "app")
    assert [(key.name, key.form) for key in feed.keys] == [
        ("text", Form.TEXT),
        ("keystore.p12", Form.BASE64),
        ("nothing", Form.EMPTY),
    ]


def test_optional_fields_may_be_absent() -> None:
    """Absent acls mean that grants are left alone, not that there are none."""
    file = _good(scope_yaml())
    assert (file.acls, file.prune, file.rotation, file.policy_mark) == (None, None, None, None)


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
    _, problems = _read(scope_yaml(keys))
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
    assert len(_good(scope_yaml(keys)).feeds[0].keys) == 1


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
    _, problems = _read(text)
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param("acls: []\n", ["1:7: acls is an empty list"], id="empty-acls"),
        pytest.param("acls:\n", ["1:6: acls is a single value"], id="null-acls"),
        pytest.param("acls: {users: READ}\n", ["1:7: acls is a mapping"], id="mapping-of-acls"),
        pytest.param("acls: <READ users>\n", ["1:7: acls is a single value"], id="no-list"),
        pytest.param("acls:\n    - users: READ\n", ["2:7: an entry of acls is not a grant"], id="pair"),
        pytest.param("acls:\n    - READ users\n", ["2:7: an entry of acls is not a grant"], id="no-brackets"),
        pytest.param("acls:\n    - <read users>\n", ["2:7: an entry of acls is not a grant"], id="lower-case"),
        pytest.param("acls:\n    - <ADMIN users>\n", ["2:7: an entry of acls is not a grant"], id="no-permission"),
        pytest.param(
            "acls:\n    - <READ users><MANAGE x>\n", ["2:7: an entry of acls is not a grant"], id="two-in-one"
        ),
        pytest.param("acls:\n    - <READ a:b>\n", ["2:7: an entry of acls is not a grant"], id="colon"),
        pytest.param("acls:\n    - '<READ  a>'\n", ["2:7: an entry of acls is not a grant"], id="two-spaces"),
        pytest.param("acls:\n    - '<READ a >'\n", ["2:7: an entry of acls is not a grant"], id="space-at-the-end"),
        pytest.param('acls:\n    - "<READ a\\u202eb>"\n', ["2:7: an entry of acls is not a grant"], id="bidi"),
        pytest.param('acls:\n    - "<READ a\\nb>"\n', ["2:7: an entry of acls is not a grant"], id="line-break"),
        pytest.param("acls:\n    - <READ users #1>\n", ["2:7: an entry of acls is not a grant"], id="comment"),
        pytest.param("acls:\n    -\n", ["2:6: an entry of acls is not a grant"], id="null-entry"),
        pytest.param("acls:\n    - ''\n", ["2:7: an entry of acls is not a grant"], id="empty-entry"),
        pytest.param(
            "acls:\n    - <READ a>\n    - <WRITE A>\n",
            ["3:7: the principal 'A' is the same as 'a'"],
            id="principal-twice",
        ),
        pytest.param("prune: sometimes\n", ["1:8: prune is none of the words"], id="prune-word"),
        pytest.param("prune: ALL\n", ["1:8: prune is none of the words"], id="prune-case"),
        pytest.param("prune:\n", ["1:7: prune is none of the words"], id="prune-null"),
        pytest.param("prune: [all]\n", ["1:8: prune is none of the words"], id="prune-list"),
        pytest.param("rotation: []\n", ["1:11: rotation is an empty list"], id="empty-rotation"),
        pytest.param("rotation:\n    - <0d a>\n", ["2:7: an entry of rotation is not a rule"], id="zero-days"),
        pytest.param("rotation:\n    - <90 a>\n", ["2:7: an entry of rotation is not a rule"], id="no-unit"),
        pytest.param("rotation:\n    - <90d a b>\n", ["2:7: an entry of rotation is not a rule"], id="two-names"),
        pytest.param("rotation:\n    - <READ a>\n", ["2:7: an entry of rotation is not a rule"], id="grant"),
        pytest.param("rotation:\n    - <9d *>\n    - <8d a>\n", ["3:7: a rule behind * is never reached"], id="behind"),
        pytest.param("rotation:\n    - <9d a>\n    - <8d A>\n", ["3:7: the rule for 'A' is the same"], id="rule-twice"),
        pytest.param("acl:\n    - <READ a>\n", ["1:1: unknown field 'acl'"], id="unknown-field"),
        pytest.param("prune: all\nacls:\n    - <READ a>\n", ["2:1: the field 'acls' stands behind"], id="order"),
        pytest.param(
            "rotation:\n    - <9d a>\nprune: all\n", ["3:1: the field 'prune' stands behind"], id="order-prune"
        ),
    ],
)
def test_plain_fields_that_will_not_do(before: str, expected: list[str]) -> None:
    """Grants, prune and rotation have one spelling each, so that no byte can change sides unnoticed."""
    _, problems = _read(scope_yaml(before=before))
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)


_SECRETS = scope_yaml().removeprefix("version: 1\n").removesuffix(METADATA)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"{_SECRETS}{METADATA}", ["1:1: there is no field 'version'"], id="no-version"),
        pytest.param(f"version: 2\n{_SECRETS}{METADATA}", ["1:10: the version is not 1"], id="newer"),
        pytest.param(f"version: 01\n{_SECRETS}{METADATA}", ["1:10: the version is not 1"], id="leading-zero"),
        pytest.param(f"version: 1.0\n{_SECRETS}{METADATA}", ["1:10: the version is not 1"], id="float"),
        pytest.param(f"version: [1]\n{_SECRETS}{METADATA}", ["1:10: the version is not 1"], id="list"),
        pytest.param(f"{_SECRETS}version: 1\n{METADATA}", ["5:1: the field 'version' stands behind"], id="behind"),
        pytest.param(f"version: 1\n{METADATA}{_SECRETS}", ["10:1: the field 'secrets' stands behind"], id="late"),
        pytest.param(scope_yaml() + "note: x\n", ["14:1: unknown field 'note'"], id="behind-the-metadata"),
        pytest.param(
            f"version: 1\nprune: all\n{_SECRETS}{METADATA}",
            ["2:1: the field 'prune' stands behind"],
            id="between-version-and-secrets",
        ),
    ],
)
def test_the_version_stands_right_above_the_secrets(text: str, expected: list[str]) -> None:
    """It parts what is plain from what is secret: without it a known secret's first bytes could become policy."""
    _, problems = _read(text)
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)


def test_a_quoted_version_is_the_text_1_too() -> None:
    """Some people quote everything; the MAC sees the same byte."""
    _good(scope_yaml().replace("version: 1\n", 'version: "1"\n', 1))


@pytest.mark.parametrize(
    ("old", "new", "fragment"),
    [
        pytest.param("encrypted_regex: ^secrets$", "encrypted_regex: ^(secrets|x)$", "not told to encrypt", id="regex"),
        pytest.param("encrypted_regex: ^secrets$", "encrypted_regex: secrets", "not told to encrypt", id="unanchored"),
        pytest.param(
            "encrypted_regex: ^secrets$", "unencrypted_regex: ^acls$", "not told to encrypt", id="unencrypted"
        ),
        pytest.param("encrypted_regex: ^secrets$", "encrypted_suffix: s", "not told to encrypt", id="suffix"),
        pytest.param("    encrypted_regex: ^secrets$\n", "", "not told to encrypt", id="none"),
        pytest.param(
            "encrypted_regex",
            "unencrypted_suffix: x\n    encrypted_regex",
            "more than one selector",
            id="two-selectors",
        ),
        pytest.param("    lastmod", "    mac_only_encrypted: true\n    lastmod", "mac_only_encrypted", id="mac-only"),
        pytest.param("    mac: ", "    mak: ", "has no mac", id="no-mac"),
        pytest.param(
            "    encrypted_regex",
            "        - recipient: age1first\n          enc: anything\n    encrypted_regex",
            "the same recipient stands there twice",
            id="recipient-twice",
        ),
    ],
)
def test_metadata_that_will_not_do(old: str, new: str, fragment: str) -> None:
    """What sops says about the file cannot be bent so that policy escapes the MAC, or secrets their encryption."""
    _, problems = _read(scope_yaml().replace(old, new, 1))
    assert len(problems) == 1, problems
    assert fragment in problems[0]
    assert not problems[0].startswith("None")


def test_an_unencrypted_file_is_one_problem_with_advice() -> None:
    """Not one for each value; but what would not do even when encrypted is said at once."""
    text = f"version: 1\nsecrets:\n    {HOST}:\n        app:\n            a: {CANARY}\n            b: 5432\n"
    file = read_scope_file("secrets/my team/app.yaml", text.encode())
    first, second = file.problems
    assert first.what == "the file is not encrypted"
    assert first.advice is not None
    assert "sops encrypt -i 'secrets/my team/app.yaml'" in first.advice
    assert (second.line, second.what) == (6, "a value is a whole number, and secrets are text")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("# nothing\n", id="comment-only"),
        pytest.param("{}\n", id="empty-mapping"),
        pytest.param("- a\n", id="list"),
        pytest.param("just text\n", id="text"),
        pytest.param(f"{scope_yaml()}---\na: b\n", id="second-document"),
        pytest.param(scope_yaml(f"k: {ENC}\nk: {ENC}"), id="duplicate-key"),
        pytest.param(scope_yaml(f"k: &a {ENC}"), id="anchor"),
        pytest.param(scope_yaml(f"k: !!str {ENC}"), id="tag"),
        pytest.param(scope_yaml(f"k: {ENC}x"), id="text-behind-the-envelope"),
        pytest.param(scope_yaml(f"k: {ENC[:-9]}"), id="envelope-cut-short"),
        pytest.param(scope_yaml()[:-80] + '"', id="truncated"),
        pytest.param(f"<<<<<<< HEAD\n{scope_yaml()}=======\n>>>>>>> other\n", id="conflict-markers"),
        pytest.param(scope_yaml("5: a"), id="number-as-a-key"),
        pytest.param("\ufeff" + scope_yaml(), id="byte-order-mark"),
        pytest.param(scope_yaml() + "\x07", id="control-character"),
        pytest.param(scope_yaml().replace("\n", "\r"), id="lone-carriage-returns"),
        pytest.param("a: [1\n", id="not-yaml"),
    ],
)
def test_what_is_no_document_is_refused(text: str) -> None:
    """The rules of the strict reader come through as one problem each."""
    file, problems = _read(text)
    assert isinstance(file, UnreadableFile)
    assert len(problems) == 1


def test_windows_line_endings_are_fine() -> None:
    """An editor on Windows harms nothing."""
    _good(scope_yaml().replace("\n", "\r\n"))


def test_a_misplaced_targets_file_gets_advice() -> None:
    """``targets.yml`` is a scope file by its name, and is told how it should be called."""
    file = read_scope_file("secrets/targets.yml", b"targets:\n    demo: {}\n")
    assert file.problems[-1].advice is not None or file.problems[0].advice is not None
    assert any("secrets/targets.yaml" in (problem.advice or "") for problem in file.problems)


def test_an_ending_in_upper_case_is_not_passed_over() -> None:
    """To sops ``.YAML`` is a binary file, and other tools would not see it at all."""
    _, (problem,) = _read(scope_yaml(), path="secrets/prod/app.YAML")
    assert "does not end in .yaml" in problem


def test_all_problems_of_a_file_are_reported_together() -> None:
    """One run shows everything, in the order of the file when sorted by place."""
    text = scope_yaml(f"K: {ENC}\nk: 5\na/b: ''", before="acls:\n    - users\nprune: maybe\n").replace("^secrets$", "x")
    file = read_scope_file(PATH, text.encode())
    places = sorted((problem.line or 0, problem.column or 0) for problem in file.problems)
    assert places == [(2, 7), (3, 8), (9, 13), (9, 16), (10, 13), (10, 18), (11, 1)]


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
    file = _good("\n".join(lines) + f"\n{METADATA}")
    read = [(feed.host_key, feed.scope, key.name, key.form) for feed in file.feeds for key in feed.keys]
    assert read == [
        (host, scope, key, form)
        for host, scopes in content.items()
        for scope, keys in scopes.items()
        for key, form in keys.items()
    ]
