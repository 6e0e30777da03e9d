"""Unlocking what was selected: values, and what shows only now."""

import base64
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import git
from reconciler.desired import Desired, unlock, unlocker_for
from reconciler.errors import InvalidInput
from reconciler.model import MAX_VALUE_BYTES, Prune, fold
from reconciler.policy import SelectedTarget, Sources, load
from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import SecretsRepo, Value
from tests.support.sops_tool import SopsTool


CANARY = "canary-77aa"

HOST = "adb-1.2.azuredatabricks.net"
TARGETS = {
    "prod": {"workspace": {"host": f"https://{HOST}"}},
    "test": {"workspace": {"host": "https://test.cloud.databricks.com"}},
}

ALL_VALUES: dict[str, Value] = {
    "text": "plain",
    "empty-text": "",
    "empty-bytes": b"",
    "bytes": bytes(range(256)),
    "nul": "a\0b",
    "crlf": "a\r\nb\r\n",
    "lone-cr": "a\rb",
    "bom": "\ufeffa",
    "newline-at-the-end": "a\n",
    "only-newlines": "\n\n",
    "spaces": "  a  ",
    "emoji": "\U0001f511 \u2028 \x85",
    "looks-like-a-number": "0123",
    "looks-like-a-date": "2024-01-02",
    "looks-true": "true",
    "looks-null": "null",
    "looks-encrypted": "ENC[AES256_GCM,data:x]",
    "pem": "-----BEGIN PRIVATE KEY-----\n" + "A" * 64 + "\n-----END PRIVATE KEY-----\n",
    "full-text": "x" * MAX_VALUE_BYTES,
    "full-emoji": "\U0001f511" * (MAX_VALUE_BYTES // 4),
    "full-bytes": b"\xff" * MAX_VALUE_BYTES,
    "k" * 128: "longest name",
}


@pytest.fixture
def repo(tmp_path: Path, sops: SopsTool, age_key: AgeKey) -> SecretsRepo:
    """Make a repository with two targets and no files."""
    return SecretsRepo(tmp_path / "repo", sops=sops, key=age_key).targets(TARGETS)


def _select(sources: Sources, selector: str = "prod") -> SelectedTarget:
    (selected,) = load(sources).select((selector,)).targets
    return selected


def _unlock(repo: SecretsRepo, selector: str = "prod", *, identity: str | None = None) -> Desired:
    sources = git.read_work_tree(repo.root)
    selected = _select(sources, selector)
    environ = {"SOPS_AGE_KEY": repo.key.identity if identity is None else identity}
    unlocker = unlocker_for(selected.target, sources, root=repo.root, environ=environ, home=Path("/nowhere"))
    desired = unlock(selected, unlocker)
    assert CANARY not in repr(desired)
    return desired


def _values(desired: Desired) -> dict[str, dict[str, bytes]]:
    return {scope.scope: {key.name: key.value.reveal() for key in scope.keys.values()} for scope in desired.scopes}


def _raw(values: dict[str, Value]) -> dict[str, bytes]:
    return {key: value.encode() if isinstance(value, str) else value for key, value in values.items()}


def test_values_arrive_byte_for_byte(repo: SecretsRepo) -> None:
    """Whatever text or bytes somebody gave to sops, up to the platform's limit."""
    repo.scope_file("a.yaml", {HOST: {"app": ALL_VALUES}}, acls=["<READ users>"], prune="all")
    desired = _unlock(repo)
    assert (desired.problems, desired.withheld) == ((), ())
    assert _values(desired) == {"app": _raw(ALL_VALUES)}
    (scope,) = desired.scopes
    assert scope.prune is Prune.ALL
    assert [acl.principal for acl in scope.acls or ()] == ["users"]


def test_text_that_is_not_utf_8_is_kept(repo: SecretsRepo) -> None:
    """YAML's ``!!binary`` in the plaintext is a text to sops, of whatever bytes."""
    repo.encrypt("a.yaml", f"version: 1\nsecrets:\n    {HOST}:\n        app:\n            k: !!binary /wEA\n")
    assert _values(_unlock(repo)) == {"app": {"k": b"\xff\x01\x00"}}


def test_keys_are_found_as_names_compare_and_keep_their_spelling(repo: SecretsRepo) -> None:
    """Two files feed one scope, spelt in two ways."""
    repo.scope_file("a.yaml", {HOST: {"app": {"Upper-Key": "1"}}}).scope_file("b.yaml", {HOST: {"App": {"b": "2"}}})
    (scope,) = _unlock(repo).scopes
    assert scope.keys[fold("UPPER-key")].name == "Upper-Key"
    assert list(scope.keys) == ["b", "upper-key"]
    with pytest.raises(TypeError):
        scope.keys[fold("new")] = scope.keys[fold("b")]  # type: ignore[index]


def test_only_what_is_selected_is_unlocked(repo: SecretsRepo) -> None:
    """A file that we cannot open does not matter to a run that is not about it."""
    other = AgeKey.generate()
    repo.scope_file("a.yaml", {HOST: {"app": {"a": "1"}}})
    repo.scope_file("b.yaml", {HOST: {"other": {"b": "2"}}}, recipients=[other.recipient])
    (repo.root / ".sops.yaml").unlink()  # which would say so without a key
    assert _values(_unlock(repo, "prod/app")) == {"app": {"a": b"1"}}
    assert _unlock(repo, "prod/app").problems == ()
    whole = _unlock(repo)
    assert _values(whole) == {"app": {"a": b"1"}}
    assert (len(whole.problems), whole.withheld) == (1, ("other",))


def test_one_file_feeds_two_workspaces(repo: SecretsRepo) -> None:
    """Each target gets its own values of it."""
    repo.scope_file("a.yaml", {HOST: {"app": {"a": "1"}}, "test.cloud.databricks.com": {"app": {"a": "2"}}})
    assert _values(_unlock(repo, "prod")) == {"app": {"a": b"1"}}
    assert _values(_unlock(repo, "test")) == {"app": {"a": b"2"}}


def test_a_wrong_key_is_told_by_source_and_never_by_key(repo: SecretsRepo) -> None:
    """The message says what was tried, whose key it takes, and which scope waits."""
    repo.scope_file("a.yaml", {HOST: {"app": {"a": CANARY}}})
    other = AgeKey.generate()
    (problem,) = _unlock(repo, identity=other.identity).problems
    assert problem.path == "secrets/a.yaml"
    assert problem.line is not None
    assert problem.scope == "prod/app"
    assert "tried: SOPS_AGE_KEY" in str(problem)
    assert repo.key.recipient in str(problem)
    assert other.identity not in str(problem)


def test_without_any_key_the_message_says_where_to_put_one(repo: SecretsRepo) -> None:
    """The first thing that happens to a new colleague."""
    repo.scope_file("a.yaml", {HOST: {"app": {"a": CANARY}}})
    sources = git.read_work_tree(repo.root)
    selected = _select(sources)
    unlocker = unlocker_for(selected.target, sources, root=repo.root, environ={}, home=Path("/nowhere"))
    (problem,) = unlock(selected, unlocker).problems
    assert "SOPS_AGE_KEY" in str(problem)


def test_an_embedded_target_uses_its_own_identity_alone(repo: SecretsRepo) -> None:
    """A demo works without any key, and does not reach for those of whoever tries it."""
    repo.targets({"demo": repo.embedded("demo")}, owner=None)
    repo.scope_file("demo/a.yaml", {"demo": {"app": {"a": "1"}}})
    stranger = AgeKey.generate()
    assert _values(_unlock(repo, "demo", identity=stranger.identity)) == {"app": {"a": b"1"}}
    repo.scope_file("demo/a.yaml", {"demo": {"app": {"a": "1"}}}, recipients=[stranger.recipient])
    (repo.root / ".sops.yaml").unlink()  # which would say so without a key
    (problem,) = _unlock(repo, "demo", identity=stranger.identity).problems
    assert "tried: secrets/demo/demo.agekey" in str(problem)


def _swap(data: bytes, old: str, new: str) -> bytes:
    assert old.encode() in data
    return data.replace(old.encode(), new.encode(), 1)


def test_a_tampered_value_is_reported_at_its_place(repo: SecretsRepo) -> None:
    """It stops all scopes that the file feeds, and no other."""
    repo.scope_file("a.yaml", {HOST: {"one": {"a": CANARY}, "two": {"b": CANARY}}})
    repo.scope_file("b.yaml", {HOST: {"three": {"c": "3"}, "two": {"d": "4"}}})
    data = repo.read("secrets/a.yaml")
    start = data.index(b",tag:") + 5
    tag = base64.b64decode(data[start : start + 24])
    forged = base64.b64encode(bytes([tag[0] ^ 1]) + tag[1:])
    repo.write("secrets/a.yaml", data[:start] + forged + data[start + 24 :])
    desired = _unlock(repo)
    (problem,) = desired.problems
    assert problem.where == "secrets/a.yaml:5:16"
    assert "does not authenticate" in problem.what
    assert problem.scope is None
    assert _values(desired) == {"three": {"c": b"3"}}
    assert desired.withheld == ("one", "two")


def test_a_mac_that_does_not_fit_is_reported(repo: SecretsRepo) -> None:
    """Here: a grant was raised by hand."""
    repo.scope_file("a.yaml", {HOST: {"app": {"a": CANARY}}}, acls=["<READ users>"])
    repo.write("secrets/a.yaml", _swap(repo.read("secrets/a.yaml"), "<READ users>", "<MANAGE users>"))
    (problem,) = _unlock(repo).problems
    assert problem.what.startswith("the MAC does not fit")
    assert problem.line is not None


def test_a_value_below_another_host_or_scope_does_not_decrypt(repo: SecretsRepo) -> None:
    """A copied file, retargeted by an attacker who has no key."""
    repo.scope_file("a.yaml", {HOST: {"app": {"a": CANARY}}})
    data = repo.read("secrets/a.yaml")
    repo.write("secrets/a.yaml", _swap(data, f"{HOST}:", "test.cloud.databricks.com:"))
    (problem,) = _unlock(repo, "test").problems
    assert "stands below other keys" in problem.what
    repo.write("secrets/a.yaml", _swap(data, "app:", "public:"))
    (problem,) = _unlock(repo).problems
    assert "stands below other keys" in problem.what


@pytest.mark.parametrize(
    ("form", "fragment"),
    [
        pytest.param('{base64: "****"}', "is not base64", id="other-characters"),
        pytest.param('{base64: "QQ =="}', "", id="white-space"),
        pytest.param('{base64: "-_-_"}', "is not base64", id="alphabet-of-urls"),
        pytest.param('{base64: "A==="}', "is not base64", id="padding"),
        pytest.param('{base64: "QQ==QUJD"}', "is not base64", id="padding-inside"),
        pytest.param('{base64: "QUJD\\n\\n\\n\\n"}', "is not base64", id="line-breaks"),
        pytest.param('{empty: "yep"}', "behind 'empty'", id="not-quite-yes"),
        pytest.param(
            f'{{base64: "{base64.b64encode(b"x" * (MAX_VALUE_BYTES + 1)).decode()}"}}', "larger", id="a-byte-over"
        ),
    ],
)
def test_forms_that_turn_out_wrong_stop_their_scope(repo: SecretsRepo, form: str, fragment: str) -> None:
    """What shows only on unlocking is reported at the key; the other scopes of the file go on."""
    text = f'version: 1\nsecrets:\n    {HOST}:\n        app:\n            a: "1"\n            k: {form}\n'
    repo.encrypt("a.yaml", f'{text}        other:\n            b: "2"\n')
    if not fragment:  # five characters: shows without a key
        with pytest.raises(InvalidInput, match="not base64"):
            _unlock(repo)
        return
    desired = _unlock(repo)
    (problem,) = desired.problems
    assert problem.where == "secrets/a.yaml:6:13"
    assert problem.what.startswith("key 'k': ")
    assert fragment in problem.what
    assert problem.scope == "prod/app"
    assert (_values(desired), desired.withheld) == ({"other": {"b": b"2"}}, ("app",))


def test_a_file_cut_short_anywhere_is_refused(repo: SecretsRepo) -> None:
    """Whether it shows with or without a key, never is a part of the file taken for the whole."""
    repo.scope_file("a.yaml", {HOST: {"app": {"a": "1", "b": "2"}, "other": {"c": "3"}}}, acls=["<READ users>"])
    lines = repo.read("secrets/a.yaml").splitlines(keepends=True)
    for count in range(len(lines)):
        repo.write("secrets/a.yaml", b"".join(lines[:count]))
        try:
            desired = _unlock(repo)
        except InvalidInput:
            continue
        # Behind the MAC stand the version of sops and nothing else.
        assert desired.problems or not lines[count:], count


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(data=st.data())
def test_a_file_with_any_byte_changed_is_refused_or_says_the_same(repo: SecretsRepo, data: st.DataObject) -> None:
    """No key, no difference: one changed byte never changes a value, a grant or a rule."""
    path = repo.root / "secrets/a.yaml"
    original = repo.root / "original"
    if not original.exists():
        secrets: dict[str, dict[str, dict[str, Value]]] = {HOST: {"app": {"a": "1", "b": b"2"}}}
        repo.scope_file("a.yaml", secrets, acls=["<READ users>"], prune="none", rotation=["<90d *>"])
        original.write_bytes(path.read_bytes())
    good = original.read_bytes()
    path.write_bytes(good)
    expected = _unlock(repo)
    assert expected.problems == ()
    position = data.draw(st.integers(0, len(good) - 1))
    path.write_bytes(good[:position] + bytes([data.draw(st.integers(0, 255))]) + good[position + 1 :])
    try:
        found = _unlock(repo)
    except InvalidInput:
        return
    assert found.problems or found == expected
