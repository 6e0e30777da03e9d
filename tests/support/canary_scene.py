"""Runs about canaries: what may go wrong with files, keys and a workspace that quotes what it knows.

Each situation changes a `Scene` that is fine so far, and stands in `IN_FILES` or `OF_A_WORKSPACE` with the exit codes
that it may lead to.
"""

import base64
import contextlib
import html
import json
import os
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.model import LEDGER_SCOPE
from tests.support.age_keys import AgeKey
from tests.support.canaries import Canaries, echo_of
from tests.support.cli import Cli
from tests.support.faults import Asked, Faults, Say, StoreInstead
from tests.support.secrets_repo import SecretsRepo, scope_text
from tests.support.workshop import flipped, rewritten
from tests.support.workspace_server import WorkspaceServer


ME = "/api/2.0/preview/scim/v2/Me"
FILE = "secrets/prod/app.yaml"

_CODES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}
"""By status, what the platform calls it."""


class Scene:
    """A run about canaries: values in git and in the workspace, the token, the identity."""

    def __init__(self, repo: SecretsRepo, server: WorkspaceServer, faults: Faults) -> None:
        self.repo = repo.targets({"prod": server.fields})
        self.server = server
        self.faults = faults
        self.canaries = Canaries.make(token=server.env["DATABRICKS_TOKEN"], identity=repo.key.identity)
        self.keys: dict[str, str | bytes] = {
            "text": self.canaries.text("text"),
            "odd": self.canaries.text("odd"),
            "bytes": self.canaries["bytes"],
        }
        self.env = {"SOPS_AGE_KEY": repo.key.identity, **server.env}
        self.run = Cli(cwd=repo.root, env=self.env)
        repo.scope_file("prod/app.yaml", self.secrets, acls=["<READ users>"])

    @property
    def secrets(self) -> dict[str, dict[str, dict[str, str | bytes]]]:
        """What the scope file holds."""
        return {self.server.host_key: {"app": self.keys}}

    def drift(self) -> None:
        """Apply once; then let the workspace hold other values, which the next run will read, and lack a grant."""
        self.run("apply", "prod").expect()
        for key in self.keys:
            self.server.put("app", key, self.canaries["old"])
        assert self.server.call("POST", "acls/delete", scope="app", principal="users").status == 200

    def ledger(self) -> dict[str, bytes]:
        """Return what the ledger holds: key to bytes."""
        return {key: self.server.value(LEDGER_SCOPE, key) for key in self.server.keys(LEDGER_SCOPE)}


@contextlib.contextmanager
def canary_scene(repo: SecretsRepo) -> Iterator[Scene]:
    """Provide canaries in git, and a workspace that is well so far."""
    faults = Faults()
    with WorkspaceServer(middleware=(faults,)) as server:
        yield Scene(repo, server, faults)


# Situations: what files may be.


def fine(scene: Scene) -> None:
    """Leave all as it is."""
    assert scene.keys


def _not_encrypted(scene: Scene) -> None:
    scene.repo.write(FILE, scope_text(scene.secrets))


def _half_encrypted(scene: Scene) -> None:
    step = rewritten("text", lambda _: scene.canaries.text("text"))
    scene.repo.write(FILE, step(scene.repo.read(FILE).decode()))


def broken_yaml(scene: Scene) -> None:
    """Write values where the parser would quote them."""
    text = scene.canaries.text("text")
    scene.repo.write(FILE, f"version: 1\nsecrets:\n    a: {text}\n  b: '{text}\n\t{text}: {{{text}: [{text}\n")


def _value_as_an_alias(scene: Scene) -> None:
    text = scene.canaries.text("text").replace("Text.", "").replace("_", "-")
    scene.repo.write(FILE, f"version: 1\nsecrets: *{text}\n")


def _value_as_a_tag(scene: Scene) -> None:
    scene.repo.write(FILE, f"version: 1\nsecrets: !<{scene.canaries.text('text')}> x\n")


def _value_in_a_policy(scene: Scene) -> None:
    text = scene.canaries.text("text")
    plaintext = scope_text(scene.secrets, acls=[f"READ {text}"], prune=text, rotation=[text])
    scene.repo.encrypt("prod/app.yaml", plaintext.replace("version: 1", f'version: "{text}"'))


def _value_that_does_not_fit(scene: Scene) -> None:
    text = scene.canaries.text("text")
    scene.repo.encrypt(
        "prod/app.yaml",
        f"version: 1\nsecrets:\n    {scene.server.host_key}:\n        app:\n"
        f'            a: {{base64: "{text}!!!"}}\n            b: {{base64: "x!{text[:-5]}"}}\n'
        f'            c: {{base64: "{text}.."}}\n            d: {{base64: "{text}."}}\n',
    )


def tampered_value(scene: Scene) -> None:
    """Alter a value."""
    scene.repo.write(FILE, rewritten("text", flipped("data"))(scene.repo.read(FILE).decode()))


def _tampered_mac(scene: Scene) -> None:
    scene.repo.write(FILE, rewritten("mac", flipped("tag"))(scene.repo.read(FILE).decode()))


def _moved_boundary(scene: Scene) -> None:
    scene.repo.write(FILE, scene.repo.read(FILE).replace(b"<READ users>", b"<READ evil>"))


def _another_key(scene: Scene) -> None:
    scene.repo.scope_file("prod/app.yaml", scene.secrets, recipients=[AgeKey.generate().recipient])


def garbled_key(scene: Scene) -> None:
    """Misspell the identity."""
    garbled = scene.env["SOPS_AGE_KEY"]
    object.__setattr__(scene.run, "env", {**scene.env, "SOPS_AGE_KEY": f"{garbled[:30]}x{garbled[30:]} {garbled}"})


def _key_for_a_file_name(scene: Scene) -> None:
    env = {**scene.env, "SOPS_AGE_KEY": "", "SOPS_AGE_KEY_FILE": scene.env["SOPS_AGE_KEY"]}
    object.__setattr__(scene.run, "env", env)


def _token_in_git(scene: Scene) -> None:
    token = scene.canaries.text("token")
    host = {"host": scene.server.emulator.url}
    fields: dict[str, str] = {"token": token, "auth_type": token, "profile": f"{token} !", "workspace_id": f"{token}/"}
    scene.repo.targets({"prod": {"workspace": {**host, **fields}}})


def _token_in_the_host(scene: Scene) -> None:
    token = scene.canaries.text("token")
    scene.repo.targets({"prod": {"workspace": {"host": scene.server.emulator.url.replace("//", f"//user:{token}@")}}})


def odd_token(scene: Scene) -> None:
    """Take a token that no header can hold."""
    object.__setattr__(scene.run, "env", {**scene.env, "DATABRICKS_TOKEN": f"{scene.canaries.text('token')}é\n"})


def _profile_that_is_none(scene: Scene) -> None:
    token = scene.canaries.text("token")
    (Path(os.environ["HOME"]) / ".databrickscfg").write_text(f"[work\nhost = x\ntoken: {token}\n{token}\n")
    object.__setattr__(scene.run, "env", {**scene.env, "DATABRICKS_CONFIG_PROFILE": "work"})


# Situations: what a workspace may say.


def _quoting(scene: Scene) -> Callable[[Asked], str]:
    """Return what quotes all that the workspace knows of: the value, the token, the value before."""

    def quote(asked: Asked) -> str:
        known = [asked.value, asked.headers["authorization"].rpartition(" ")[2].encode()]
        known.append(scene.canaries["old"])
        # Everything that is stored, not only what this request is about.
        known += [value.encode() if isinstance(value, str) else value for value in scene.keys.values()]
        return " | ".join(map(echo_of, known)) + f" headers {dict(asked.headers)} fields {dict(asked.fields)}"

    return quote


def _say(form: str, status: int, words: str, asked: Asked) -> Say:
    """Return an answer that has ``words`` somewhere."""
    value = asked.fields.get("bytes_value", words)
    if form == "page":
        return Say.page(status, f"<pre>{html.escape(words)}</pre><title>{words}</title>")
    if form == "headers":
        names = ("X-Databricks-Reason-Phrase", "Location", "Retry-After", "WWW-Authenticate", "Content-Type")
        return Say(status=status, body=value.encode(), headers=dict.fromkeys(names, urllib.parse.quote(value)))
    bodies: dict[str, object] = {
        "message": {"error_code": _CODES.get(status, "BAD_REQUEST"), "message": words},
        "code": {"error_code": value, "message": "no"},
        "details": {"error_code": "X", "message": "no", "details": [{"reason": words, "metadata": {"v": words}}]},
        "nested": {"error_code": "X", "message": base64.b64encode(json.dumps(dict(asked.fields)).encode()).decode()},
    }
    return Say(status=status, body=words.encode() if form == "text" else json.dumps(bodies[form]).encode())


def echo(
    status: int, *, operation: str = "put", form: str = "message", scope: str | None = "app"
) -> Callable[[Scene], None]:
    """Return a situation in which the workspace refuses, and quotes what it was sent.

    Args:
        status: Of its answers.
        operation: Which requests it refuses.
        form: Where it quotes.
        scope: Only requests about that one; None for those that are about none.
    """

    def prepare(scene: Scene) -> None:
        scene.drift()
        quote = _quoting(scene)
        scene.faults.add(operation, lambda asked: _say(form, status, quote(asked), asked), scope=scope)

    return prepare


def _echo_of_old(scene: Scene) -> None:
    """The workspace quotes the value that was there before, which is not in git any more."""
    scene.drift()
    answer = Say.error(400, "BAD_REQUEST", f"{scene.canaries.text('old')} is there")
    scene.faults.add("put", answer, scope="app")


def _lie(scene: Scene) -> None:
    scene.faults.add("put", lambda asked: StoreInstead(asked.value + b"x"), scope="app")


def _value_that_is_not_base64(scene: Scene) -> None:
    scene.drift()
    body = json.dumps({"key": "text", "value": f"%{scene.canaries.text('old')}"}).encode()
    scene.faults.add("get", Say(body=body), key="text")


def value_of_another_kind(scene: Scene) -> None:
    """Let the workspace answer with a list for a value."""
    scene.drift()
    body = json.dumps({"key": "text", "value": [scene.canaries.text("old")]}).encode()
    scene.faults.add("get", Say(body=body), key="text")


def _value_for_another_key(scene: Scene) -> None:
    scene.drift()
    old = scene.canaries.text("old")
    scene.faults.add("get", Say(body=json.dumps({"key": old, "value": old}).encode()), key="text")


def _value_as_a_number(scene: Scene) -> None:
    scene.drift()
    old = scene.canaries.text("old")
    body = {"secrets": [{"key": "text", "last_updated_timestamp": old}]}
    scene.faults.add("list", Say(body=json.dumps(body).encode()), scope="app")


def _values_in_the_ledger(scene: Scene) -> None:
    """Somebody has put values where records should be."""
    scene.drift()
    for key in scene.ledger():
        scene.server.put(LEDGER_SCOPE, key, scene.canaries["old"])


def _records_that_break_off_in_a_value(scene: Scene) -> None:
    """They begin as records of this tool do."""
    scene.drift()
    for key, record in scene.ledger().items():
        scene.server.put(LEDGER_SCOPE, key, record[:60] + scene.canaries["text"])


def _nothing_can_be_read(scene: Scene) -> None:
    """The workspace hands out no value, and quotes some instead; not even the ledger can be read."""
    scene.drift()
    quote = _quoting(scene)
    scene.faults.add("get", lambda asked: _say("message", 400, quote(asked), asked))


IN_FILES = [
    pytest.param(fine, {0}, id="fine"),
    pytest.param(_not_encrypted, {4}, id="not-encrypted"),
    pytest.param(_half_encrypted, {4}, id="half-encrypted"),
    pytest.param(broken_yaml, {4}, id="broken-yaml"),
    pytest.param(_value_as_an_alias, {4}, id="alias"),
    pytest.param(_value_as_a_tag, {4}, id="tag"),
    pytest.param(_value_in_a_policy, {4}, id="value-in-a-policy"),
    pytest.param(_value_that_does_not_fit, {4, 5}, id="value-that-does-not-fit"),
    pytest.param(tampered_value, {5}, id="tampered-value"),
    pytest.param(_tampered_mac, {5}, id="tampered-mac"),
    pytest.param(_moved_boundary, {5}, id="mac-mismatch"),
    pytest.param(_another_key, {5}, id="another-key"),
    pytest.param(garbled_key, {5}, id="garbled-key"),
    pytest.param(_key_for_a_file_name, {5}, id="key-for-a-file-name"),
    pytest.param(_token_in_git, {4}, id="token-in-git"),
    pytest.param(_token_in_the_host, {4}, id="token-in-the-host"),
    pytest.param(odd_token, {1}, id="odd-token"),
    pytest.param(_profile_that_is_none, {4}, id="profile-that-is-none"),
]

OF_A_WORKSPACE = [
    pytest.param(echo(400), {1}, id="echo-400"),
    pytest.param(echo(401), {1}, id="echo-401"),
    pytest.param(echo(403), {1}, id="echo-403"),
    pytest.param(echo(404), {1}, id="echo-404"),
    pytest.param(echo(429), {1}, id="echo-429"),
    pytest.param(echo(500), {1}, id="echo-500"),
    pytest.param(echo(503), {1}, id="echo-503"),
    pytest.param(echo(400, form="code"), {1}, id="echo-in-the-code"),
    pytest.param(echo(400, form="details"), {1}, id="echo-in-details"),
    pytest.param(echo(400, form="nested"), {1}, id="echo-encoded-as-a-whole"),
    pytest.param(echo(400, form="headers"), {1}, id="echo-in-headers"),
    pytest.param(echo(302, form="headers"), {1}, id="echo-in-a-redirect"),
    pytest.param(echo(502, form="page"), {1}, id="echo-in-a-page"),
    pytest.param(echo(200, form="page"), {1}, id="echo-in-a-page-of-success"),
    pytest.param(echo(400, form="text"), {1}, id="echo-in-text"),
    pytest.param(echo(400, operation="get"), {0}, id="echo-on-get"),
    pytest.param(echo(400, operation="list"), {1}, id="echo-on-list"),
    pytest.param(echo(400, operation="acls/put"), {1}, id="echo-on-a-grant"),
    pytest.param(echo(500, operation="scopes/list", scope=None), {1}, id="echo-on-scopes"),
    pytest.param(echo(403, operation=ME, scope=None), {1}, id="echo-on-me"),
    pytest.param(_echo_of_old, {1}, id="echo-of-what-was-there"),
    pytest.param(_lie, {1}, id="lie"),
    pytest.param(_value_that_is_not_base64, {1}, id="value-that-is-not-base64"),
    pytest.param(value_of_another_kind, {1}, id="value-of-another-kind"),
    pytest.param(_value_for_another_key, {1}, id="value-for-another-key"),
    pytest.param(_value_as_a_number, {0, 1}, id="value-as-a-number"),
    pytest.param(echo(400, scope=LEDGER_SCOPE), {1}, id="echo-on-writing-the-ledger"),
    pytest.param(echo(503, scope=LEDGER_SCOPE), {1}, id="echo-503-on-writing-the-ledger"),
    pytest.param(echo(503, operation="get", scope=LEDGER_SCOPE), {1}, id="echo-on-reading-the-ledger"),
    pytest.param(echo(403, operation="acls/list", scope=LEDGER_SCOPE), {0, 6}, id="echo-on-grants-of-the-ledger"),
    pytest.param(_values_in_the_ledger, {6}, id="values-in-the-ledger"),
    pytest.param(_records_that_break_off_in_a_value, {6}, id="records-that-break-off-in-a-value"),
    pytest.param(_nothing_can_be_read, {6}, id="nothing-can-be-read"),
]
