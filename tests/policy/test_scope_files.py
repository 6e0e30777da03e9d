"""Reading scope files without a key: plain fields, version, metadata, and what is no document at all."""

import pytest

from reconciler.model import Acl, KeyName, Permission, Principal, Prune
from reconciler.policy.scope_files import RotationRule, UnreadableFile, read_scope_file
from reconciler.policy.scope_values import Form
from tests.policy.reading import CANARY, good, read
from tests.policy.samples import ENC, HOST, METADATA, PATH, envelope, scope_yaml


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
    file = good(scope_yaml(keys, before=before))
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
    file = good(scope_yaml())
    assert (file.acls, file.prune, file.rotation, file.policy_mark) == (None, None, None, None)


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
    _, problems = read(scope_yaml(before=before))
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
    _, problems = read(text)
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)


def test_a_quoted_version_is_the_text_1_too() -> None:
    """Some people quote everything; the MAC sees the same byte."""
    good(scope_yaml().replace("version: 1\n", 'version: "1"\n', 1))


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
    _, problems = read(scope_yaml().replace(old, new, 1))
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
    file, problems = read(text)
    assert isinstance(file, UnreadableFile)
    assert len(problems) == 1


def test_windows_line_endings_are_fine() -> None:
    """An editor on Windows harms nothing."""
    good(scope_yaml().replace("\n", "\r\n"))


def test_a_misplaced_targets_file_gets_advice() -> None:
    """``targets.yml`` is a scope file by its name, and is told how it should be called."""
    file = read_scope_file("secrets/targets.yml", b"targets:\n    demo: {}\n")
    assert file.problems[-1].advice is not None or file.problems[0].advice is not None
    assert any("secrets/targets.yaml" in (problem.advice or "") for problem in file.problems)


def test_an_ending_in_upper_case_is_not_passed_over() -> None:
    """To sops ``.YAML`` is a binary file, and other tools would not see it at all."""
    _, (problem,) = read(scope_yaml(), path="secrets/prod/app.YAML")
    assert "does not end in .yaml" in problem


def test_all_problems_of_a_file_are_reported_together() -> None:
    """One run shows everything, in the order of the file when sorted by place."""
    text = scope_yaml(f"K: {ENC}\nk: 5\na/b: ''", before="acls:\n    - users\nprune: maybe\n").replace("^secrets$", "x")
    file = read_scope_file(PATH, text.encode())
    places = sorted((problem.line or 0, problem.column or 0) for problem in file.problems)
    assert places == [(2, 7), (3, 8), (9, 13), (9, 16), (10, 13), (10, 18), (11, 1)]
