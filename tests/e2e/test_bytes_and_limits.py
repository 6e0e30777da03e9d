"""From a file to a reader of the workspace, byte for byte, and up to the limits of the platform."""

import base64
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model import LEDGER_SCOPE, MAX_KEYS_PER_SCOPE, MAX_NAME_CHARS, MAX_VALUE_BYTES
from tests.support.age_keys import AgeKey
from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo, Value
from tests.support.sops_tool import SopsTool
from tests.support.workspace_server import WorkspaceServer


def _pem() -> str:
    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _bytes_of(value: Value) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


VALUES: Final[Mapping[str, Value]] = {
    "nul-in-text": "a\0b",
    "nul-in-bytes": b"\0",
    "crlf": "first\r\nsecond\r\n",
    "lone-cr": "a\rb",
    "bom-first": "\ufeffvalue",
    "bom-in-bytes": b"\xef\xbb\xbfvalue",
    "line-feed-last": "value\n",
    "line-feeds-last": "value\n\n\n",
    "line-feed-only": "\n",
    "spaces-around": "  value  ",
    "one-space": " ",
    "tabs": "\ta\tb\t",
    "indented-lines": "  a\n    b\n c",
    "text-of-128-kb": "x" * MAX_VALUE_BYTES,
    "umlauts-of-128-kb": "ä" * (MAX_VALUE_BYTES // 2),
    "bytes-of-128-kb": bytes(range(256)) * (MAX_VALUE_BYTES // 256),
    "every-byte": bytes(range(256)),
    "not-utf-8": b"\xff\xfe\xc3\x28",
    "emoji": "🔑👩‍👩‍👧‍👦🇩🇪",
    "combining": "e\u0301 is not é",
    "right-to-left": "\u202eabc\u202c שלום",
    "pem": _pem(),
    "empty": "",
    "looks-encrypted": "ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:str]",
    "looks-like-int": "0123",
    "looks-like-float": "1.0",
    "looks-like-exponent": "1e3",
    "looks-like-hex": "0x1F",
    "looks-like-bool": "true",
    "looks-like-no": "no",
    "looks-like-null": "null",
    "looks-like-tilde": "~",
    "looks-like-date": "2024-01-02",
    "looks-like-time": "12:30:45",
    "looks-like-merge": "<<",
    "looks-like-base64": "AAECAw==",
    "looks-like-json": '{"base64": "AA=="}',
    "looks-like-template": "{{secrets/scope/key}} ${HOME} %PATH% $(id) `id`",
    "yaml-specials": "- a: b # c\n? d\n: e\n| > & * ! % @ ` ' \" , [ ] { }",
    "document-marks": "---\na\n...\n%YAML 1.2\n",
    "quotes-and-backslashes": "\\\"'\\n\\u0041 C:\\temp\\",
    "one-very-long-line": "word " * 20_000 + "end",
    "line-separators": "a\u2028b\u2029c\x85d",
    "controls": "".join(map(chr, (*range(1, 32), *range(127, 160)))),
    "non-characters": "\ufffe\uffff\U0001ffff",
    "last-code-point": "\U0010ffff",
}
"""Key to value. Lone surrogates have no place here: they are no text in UTF-8, and YAML has no way to write them."""


def test_every_value_arrives_byte_for_byte(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """What stands in the file is what a reader of the API gets, and the next run finds nothing to do."""
    repo.targets({"prod": workspace_server.fields})
    repo.scope_file("prod/app.yaml", {workspace_server.host_key: {"app": VALUES}})
    run("apply", "prod").expect()
    got = {key: workspace_server.value("app", key) for key in workspace_server.keys("app")}
    assert got.keys() == VALUES.keys()
    assert [key for key, value in VALUES.items() if got[key] != _bytes_of(value)] == []
    workspace_server.traffic()
    assert "no changes" in run("apply", "prod").expect().stdout
    assert workspace_server.writes() == []


@pytest.mark.parametrize("key", ["nul-in-text", "every-byte", "line-feed-last", "bom-first", "empty", "text-of-128-kb"])
def test_get_prints_exactly_the_bytes(key: str, run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """The command ``get`` adds nothing to a value and takes nothing away, where no terminal reads it."""
    repo.targets({"prod": workspace_server.fields})
    workspace_server.create_scope("app")
    workspace_server.put("app", key, _bytes_of(VALUES[key]))
    assert run("get", "prod/app", key).expect().stdout_bytes == _bytes_of(VALUES[key])


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
_values = st.lists(_texts | st.binary(max_size=80), min_size=50, max_size=50)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(values=_values)
def test_any_text_and_any_bytes_arrive(
    values: list[Value], sops: SopsTool, age_key: AgeKey, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever text or bytes a file holds is what the workspace then holds."""
    wanted = {f"key-{number}": value for number, value in enumerate(values)}
    repo = SecretsRepo(tmp_path_factory.mktemp("repo"), sops=sops, key=age_key)
    with WorkspaceServer() as server:
        repo.targets({"prod": server.fields}).scope_file("prod/app.yaml", {server.host_key: {"app": wanted}})
        Cli(cwd=repo.root, env={"SOPS_AGE_KEY": age_key.identity, **server.env})("apply", "prod").expect()
        got = {key: server.value("app", key) for key in server.keys("app")}
    assert got == {key: _bytes_of(value) for key, value in wanted.items()}


def test_block_and_folded_scalars_of_a_hand_written_file_arrive(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """People write keys as block scalars: line feeds are kept, added or dropped just as YAML says."""
    text = (
        f"version: 1\nsecrets:\n    {workspace_server.host_key}:\n        app:\n"
        "            kept: |\n                a\n                b\n"
        "            stripped: |-\n                a\n                b\n"
        "            folded: >\n                a\n                b\n"
        "            plain: correct horse battery\n"
        "            wrapped: {base64: AAEC}\n"
    )
    repo.targets({"prod": workspace_server.fields}).encrypt("prod/app.yaml", text)
    run("apply", "prod").expect()
    got = {key: workspace_server.value("app", key) for key in workspace_server.keys("app")}
    assert got == {
        "kept": b"a\nb\n",
        "stripped": b"a\nb",
        "folded": b"a b\n",
        "plain": b"correct horse battery",
        "wrapped": b"\0\1\2",
    }


def test_names_of_128_characters_and_of_every_character_are_taken(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Names reach up to the platform's length and alphabet, and may look like numbers or words of YAML."""
    keys = ["k" * MAX_NAME_CHARS, "A.b_c-9", "123", "true", "null", "1e3", "-", "...", ".hidden", "0x1F"]
    scopes = ["s" * MAX_NAME_CHARS, "team@example.com", "42", "no"]
    repo.targets({"prod": workspace_server.fields})
    repo.scope_file("prod/all.yaml", {workspace_server.host_key: {scope: dict.fromkeys(keys, "x") for scope in scopes}})
    run("apply", "prod").expect()
    assert workspace_server.scopes() == sorted(scopes)
    assert all(workspace_server.keys(scope) == sorted(keys) for scope in scopes)
    assert "no changes" in run("apply", "prod").expect().stdout


def test_a_scope_of_1000_keys_is_put_once_and_a_rotation_is_one_put(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """A full scope: 1,001 writes, then none; when one value changes, exactly that one is put."""
    keys = {f"key-{number}": f"value {number}" for number in range(MAX_KEYS_PER_SCOPE)}
    repo.targets({"prod": workspace_server.fields})
    repo.scope_file("prod/app.yaml", {workspace_server.host_key: {"app": keys}})
    run("apply", "prod").expect()
    writes = workspace_server.writes()
    assert (writes[0].operation, len(writes)) == ("scopes/create", 1 + MAX_KEYS_PER_SCOPE)
    assert {call.subject for call in writes[1:]} == keys.keys()
    keys["key-617"] = "rotated"
    repo.scope_file("prod/app.yaml", {workspace_server.host_key: {"app": keys}})
    report = run("apply", "prod", "-o", "json").expect().target
    assert [(call.operation, call.subject) for call in workspace_server.writes()] == [("put", "key-617")]
    assert (report["summary"]["put_secret"], report["summary"]["unchanged"]) == (1, MAX_KEYS_PER_SCOPE - 1)
    assert workspace_server.value("app", "key-617") == b"rotated"
    assert "no changes" in run("apply", "prod").expect().stdout
    assert workspace_server.writes() == []


def test_fifty_scopes_in_one_file(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """One file may feed many scopes; each gets its own value under the same key, and its grants."""
    scopes = {f"scope-{number}": {"key": f"of {number}"} for number in range(50)}
    repo.targets({"prod": workspace_server.fields})
    repo.scope_file("prod/all.yaml", {workspace_server.host_key: scopes}, acls=["<READ users>"])
    run("apply", "prod").expect()
    assert {scope: workspace_server.value(scope, "key").decode() for scope in workspace_server.scopes()} == {
        scope: keys["key"] for scope, keys in scopes.items()
    }
    assert all(workspace_server.grants(scope)["users"] == "READ" for scope in scopes)
    workspace_server.traffic()
    assert "no changes" in run("apply", "prod").expect().stdout
    assert workspace_server.writes() == []


def test_two_files_feed_one_scope(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Team folders: the keys of both files are there, and neither file takes the other's for strays."""
    host = workspace_server.host_key
    repo.targets({"prod": workspace_server.fields})
    repo.scope_file("prod/one/app.yaml", {host: {"app": {"a": "1"}}}, prune="all", acls=["<READ users>"])
    run("apply", "prod").expect()
    workspace_server.put("app", "stray", b"x")
    repo.scope_file("prod/two/app.yml", {host: {"APP": {"b": "2"}}})
    run("apply", "prod").expect()
    assert {key: workspace_server.value("app", key) for key in workspace_server.keys("app")} == {"a": b"1", "b": b"2"}
    assert "no changes" in run("apply", "prod").expect().stdout


def test_one_file_feeds_two_workspaces(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Each workspace gets what stands under its own host; ``--all`` reconciles both in one run."""
    with WorkspaceServer(admin_token=workspace_server.emulator.admin_token) as other:
        repo.targets({"one": workspace_server.fields, "two": other.fields})
        repo.scope_file(
            "shared.yaml",
            {workspace_server.host_key: {"app": {"key": "for one"}}, other.host_key: {"app": {"key": "for two"}}},
        )
        report = run("apply", "--all", "-o", "json").expect().json
        assert [(target["target"], target["status"]) for target in report["targets"]] == [
            ("one", "applied"),
            ("two", "applied"),
        ]
        assert workspace_server.value("app", "key") == b"for one"
        assert other.value("app", "key") == b"for two"
        workspace_server.traffic()
        other.traffic()
        run("apply", "two").expect()
        assert workspace_server.traffic() == []
        assert other.writes() == []


def test_selecting_a_scope_touches_that_scope_alone(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """``TARGET/SCOPE`` asks and writes nothing of another scope, and does not even open its file."""
    host = workspace_server.host_key
    repo.targets({"prod": workspace_server.fields})
    repo.scope_file("prod/app.yaml", {host: {"app": {"a": "1"}}})
    repo.scope_file("prod/web.yaml", {host: {"web": {"b": "2"}}}, recipients=[AgeKey.generate().recipient])
    run("apply", "prod/App").expect()
    traffic = workspace_server.traffic()
    assert {call.scope for call in traffic} == {"", "app", LEDGER_SCOPE}
    # Of the ledger, too, only what is about that scope: the head, and one entry.
    assert len({call.subject for call in traffic if call.scope == LEDGER_SCOPE and call.operation == "put"}) == 2
    assert workspace_server.scopes() == ["app"]
    run("apply", "prod").expect(5)


def test_several_selectors_are_one_run(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Scopes of the same target add up, and a target includes its scopes."""
    repo.targets({"prod": workspace_server.fields})
    scopes = {name: {"key": "x"} for name in ("a", "b", "c")}
    repo.scope_file("prod/all.yaml", {workspace_server.host_key: scopes})
    run("apply", "prod/a", "prod/b").expect()
    assert workspace_server.scopes() == ["a", "b"]
    assert len(run("apply", "prod/a", "prod", "-o", "json").expect().json["targets"]) == 1
    assert workspace_server.scopes() == ["a", "b", "c"]


def test_base64_in_the_file_is_what_bytes_look_like(repo: SecretsRepo, sops: SopsTool, age_key: AgeKey) -> None:
    """The repository of these tests writes bytes as the README says, so that the tests above prove what they claim."""
    repo.scope_file("demo/app.yaml", {"demo": {"app": {"key": b"\0\1\2", "none": b""}}})
    plain = sops.decrypt(repo.read("secrets/demo/app.yaml"), age_key.identity).decode()
    assert base64.b64encode(b"\0\1\2").decode() in plain
    assert list(itertools.filterfalse(plain.__contains__, ("base64:", 'empty: "yes"'))) == []


def test_secrets_may_stand_at_any_depth_below_the_folder(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer, tmp_path: Path
) -> None:
    """Folders are for people: any ``*.yaml`` or ``*.yml`` below ``secrets/`` counts, ``-C`` finds it from anywhere."""
    repo.targets({"prod": workspace_server.fields})
    repo.scope_file("a/b/c/d e/deep.yml", {workspace_server.host_key: {"app": {"key": "deep"}}})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run.process("-C", str(repo.root), "apply", "prod", cwd=elsewhere).expect()
    assert workspace_server.value("app", "key") == b"deep"
    assert list(elsewhere.iterdir()) == []
