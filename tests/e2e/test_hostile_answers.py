"""Answers that no workspace gives: made by a broken proxy, or by somebody who wants to do harm.

Whatever comes, the run ends with a report and an exit code: no crash, no wrong conclusion, and nothing goes elsewhere.
"""

import json
from collections.abc import Iterator

import pytest

from tests.support.audit import watched
from tests.support.faults import Say
from tests.support.hostile_server import Answer, HostileServer
from tests.support.secrets_repo import SecretsRepo
from tests.support.trouble import ME, Scene, trouble_scene


@pytest.fixture
def scene(repo: SecretsRepo) -> Iterator[Scene]:
    """Provide a workspace that is well so far, and empty."""
    with trouble_scene(repo) as scene:
        yield scene


TOO_MANY = 429
WELL_KNOWN = "/.well-known/databricks-config"

_DEEP = b"[" * 60_000


def _json(content: object) -> Say:
    return Say(body=json.dumps(content).encode())


def _raw(body: bytes, status: int = 200, **headers: str) -> Say:
    return Say(status=status, body=body, headers={name.replace("_", "-"): text for name, text in headers.items()})


def _keys(*keys: object) -> Say:
    return _json({"secrets": list(keys)})


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        pytest.param("put", _raw(_DEEP, 400), id="put-deep"),
        pytest.param("put", _raw(b'{"a":' * 12_000, 400), id="put-deep-objects"),
        pytest.param("put", _raw(b'{"message":' + b"[" * 900 + b"]" * 900 + b"}", 400), id="put-deep-message"),
        pytest.param("list", _raw(_DEEP), id="list-deep"),
        pytest.param("scopes/list", _raw(b'{"scopes":' + b"[" * 30_000 + b"]" * 30_000 + b"}"), id="scopes-deep"),
        pytest.param(ME, _raw(_DEEP), id="me-deep"),
        pytest.param(WELL_KNOWN, _raw(_DEEP), id="configuration-deep"),
        pytest.param(WELL_KNOWN, _json([1]), id="configuration-is-a-list"),
        pytest.param(
            WELL_KNOWN,
            _json({"oidc_endpoint": 5, "account_id": [1], "workspace_id": {"a": 1}, "cloud": 9}),
            id="configuration-of-other-kinds",
        ),
        pytest.param(
            WELL_KNOWN,
            _json({"oidc_endpoint": "https://evil.example", "account_id": "x\r\ny", "workspace_id": "1\r\nX: y"}),
            id="configuration-with-headers",
        ),
        pytest.param("list", _raw(b'{"secrets":[{"key":"a","last_updated_timestamp":NaN}]}'), id="nan"),
        pytest.param("list", _raw(b'{"secrets":[{"key":"a","last_updated_timestamp":1e999}]}'), id="infinity"),
        pytest.param(
            "list", _raw(b'{"secrets":[{"key":"a","last_updated_timestamp":' + b"9" * 5000 + b"}]}"), id="huge-number"
        ),
        pytest.param("list", _keys({"key": "\ud800", "last_updated_timestamp": 1}), id="surrogate-in-a-key"),
        pytest.param("list", _raw(b'{"secrets":[]}', content_type="text/x; charset=utf-7"), id="utf-7"),
        pytest.param("list", _raw(b'{"secrets":[]}', content_type="text/x; charset=nonsense"), id="no-charset"),
        pytest.param(ME, _json({"userName": "\ud800x"}), id="surrogate-in-a-name"),
        pytest.param(ME, _json({"userName": "x" * 100_000}), id="long-name"),
        pytest.param("scopes/list", _json({"scopes": [{"name": "\ud800"}]}), id="surrogate-in-a-scope"),
        pytest.param("scopes/list", _json({"scopes": [{"name": "bad", "backend_type": 5}]}), id="backend-is-a-number"),
        pytest.param("scopes/list", _json({"scopes": [None]}), id="scope-is-null"),
        pytest.param("acls/list", _json({"items": [{"principal": "\udfff", "permission": "READ"}]}), id="grant"),
        pytest.param("put", _raw(b"{}", 418), id="status-418"),
        pytest.param("put", _raw(b'{"error_code":400,"message":5}', 400), id="code-is-a-number"),
        pytest.param("put", _raw(b'{"error_code":["x"],"message":{"a":1}}', 400), id="code-is-a-list"),
        pytest.param("put", _raw(b'{"error_code":null,"message":null,"details":5}', 400), id="code-is-null"),
        pytest.param("put", _raw(b'{"error_code":"X","details":[5,{"@type":5},null]}', 400), id="odd-details"),
        pytest.param("put", _raw(b'{"error_code":"X","message":"\\ud800"}', 400), id="surrogate-in-a-message"),
        pytest.param("put", _raw(b"{}", 429, retry_after="nonsense"), id="retry-after-nonsense"),
        pytest.param("put", _raw(b"{}", 429, retry_after="-5"), id="retry-after-negative"),
        pytest.param("put", _raw(b"{}", 429, retry_after="9" * 400), id="retry-after-for-ever"),
        pytest.param("put", _raw(b"{}", 429, retry_after="inf"), id="retry-after-infinity"),
        pytest.param("put", _raw(b"{}", 429, retry_after="nan"), id="retry-after-nan"),
        pytest.param("put", _raw(b"{}", 503, retry_after="Wed, 21 Oct 2099 07:28:00 GMT"), id="retry-after-a-date"),
    ],
)
def test_nonsense_is_survived(operation: str, answer: Say, scene: Scene) -> None:
    """Exit 0 or 1, a report without a control character, and a workspace that is in order once it is well again."""
    scene.server.create_scope("bad")
    scene.faults.add(operation, answer, scope=None if operation in {"scopes/list", ME, WELL_KNOWN} else "bad")
    done = scene.run("-v", "apply", "prod", "--timeout=1", "--adopt")
    if "does not answer" in done.stdout:  # it does: on a busy machine, in more than a second
        done = scene.run("-v", "apply", "prod", "--timeout=5", "--adopt")
    # Under a name that has no grant on it, the ledger is somebody else's.
    assert done.exit_code in ({0, 1, 6} if operation == ME else {0, 1})
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    assert "prod" in done.stdout
    assert all(char.isprintable() or char == "\n" for char in done.stdout + done.stderr)
    # Of 429 the whole workspace is told: another scope may be held back for as long as a request is tried.
    if operation not in {"scopes/list", ME} and answer.status != TOO_MANY:
        assert scene.holds("good", "first")
    scene.faults.clear()
    scene.apply(0, "--adopt")
    assert scene.holds("bad", "first")


def test_workspace_that_answers_about_another_key(scene: Scene) -> None:
    """Taken at its word, a value would be compared with that of another key."""
    scene.apply(0)
    answer = b'{"key": "other", "value": "Zmlyc3QgYQ=="}'
    scene.faults.add("get", Say(body=answer), scope="bad")
    assert "about another key" in scene.apply(1, "--verify-values").stdout


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"key": "a", "value": "%%%"}', id="not-base64"),
        pytest.param(b'{"key": "a", "value": "QQ"}', id="no-padding"),
        pytest.param(b'{"key": "a", "value": 5}', id="number"),
        pytest.param(b'{"key": "a"}', id="nothing"),
        pytest.param(b'{"key": null, "value": null}', id="null"),
        pytest.param(b'{"key": "a", "value": ["QQ=="]}', id="list"),
    ],
)
def test_value_that_is_none(body: bytes, scene: Scene) -> None:
    """Neither absent nor different: unknown, so that nothing is written to the scope."""
    scene.apply(0)
    scene.wish("second")
    scene.faults.add("get", Say(body=body), scope="bad", key="a")
    scene.apply(1, "--verify-values")
    assert scene.holds("bad", "first")
    assert scene.holds("good", "second")


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        pytest.param("list", b'{"secrets": {"a": 1}}', id="mapping-for-list"),
        pytest.param("list", b'{"secrets": null}', id="null-for-list"),
        pytest.param("list", b'{"secrets": [1]}', id="number-for-secret"),
        pytest.param("list", b'{"secrets": [{"key": "a"}]}', id="no-time"),
        pytest.param("list", b'{"secrets": [{"key": 5, "last_updated_timestamp": 1}]}', id="number-for-key"),
        pytest.param("list", b'{"elsewhere": []}', id="other-field"),
        pytest.param("acls/list", b'{"items": [{"principal": "x", "permission": "OWN"}]}', id="new-permission"),
        pytest.param("acls/list", b'{"items": [{"permission": "READ"}]}', id="nobody"),
        pytest.param("acls/list", b'{"items": "users"}', id="text-for-grants"),
    ],
)
def test_listing_that_is_none(operation: str, body: bytes, scene: Scene) -> None:
    """Half a listing would make keys look absent, and grants, too."""
    scene.apply(0)
    scene.wish("second", acls=["<READ users>"])
    scene.faults.add(operation, Say(body=body), scope="bad")
    done = scene.apply(1)
    assert "scope bad: " in done.stdout
    assert scene.holds("bad", "first")
    assert scene.holds("good", "second")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("operation", ["put", "list", ME, "/.well-known/databricks-config"])
def test_redirect_is_not_followed(status: int, operation: str, scene: Scene) -> None:
    """Neither the value nor the token goes to whoever the answer names, at whatever step it comes."""
    with HostileServer.saying(Answer()) as elsewhere:
        scene.faults.add(operation, Say(status=status, headers={"location": f"{elsewhere.url}/api/2.0/secrets/put"}))
        if operation == "list":
            scene.server.create_scope("bad")
        done = scene.run("apply", "prod", "--timeout=1")
        assert elsewhere.seen == []
        if operation == "/.well-known/databricks-config":
            return  # older workspaces do not have it, so its answer decides nothing
        assert done.exit_code == 1
        assert "a redirect, which is never followed" in done.stdout


@pytest.mark.parametrize("header", ["Set-Cookie", "WWW-Authenticate", "Refresh", "Link", "Location", "Alt-Svc"])
def test_headers_lead_nowhere(header: str, scene: Scene) -> None:
    """Nothing but the API's answer counts."""
    with HostileServer.saying(Answer()) as elsewhere:
        scene.faults.add("put", Say(headers={header: f"0; url={elsewhere.url}"}), after=True)
        with watched() as deeds:
            scene.apply(0)
        port = elsewhere.url.rpartition(":")[2]
        assert not any(port in contact for contact in deeds.contacts)


def test_names_from_a_hostile_workspace_cannot_fake_a_line(scene: Scene) -> None:
    """Whatever it calls keys, people and itself: shown as escapes, in every form of the report."""
    evil = "\\u001b[2J\\nprod  no changes\\r\\u202e::error::"
    scene.apply(0)
    secrets = f'{{"secrets": [{{"key": "{evil}", "last_updated_timestamp": 1}}]}}'
    scene.faults.add("list", Say(body=secrets.encode()), scope="bad")
    # Under another name than the one that the ledger belongs to, a plan is refused.
    for exit_code, words in ((0, "unmanaged-key"), (6, "admin")):
        for form in ("text", "markdown", "json"):
            done = scene.run("plan", "prod", "-o", form).expect(exit_code)
            assert words in done.stdout
            assert all(char.isprintable() or char == "\n" for char in done.stdout + done.stderr)
            assert not any(line.startswith(("prod  no changes", "::")) for line in done.stdout.splitlines())
        scene.faults.add(ME, Say(body=f'{{"userName": "admin{evil}"}}'.encode()))
    listed = scene.run("list", "prod").expect()
    assert all(char.isprintable() or char == "\n" for char in listed.stdout)
