"""When the workspace refuses, fails, hangs or lies: a clear message, the right exit code, and other scopes go on."""

import socket
import time
from collections.abc import Iterator

import pytest

from reconciler.emulator import Rules
from tests.support.faults import Break, Hang, Reaction, Reset, Say, StoreInstead
from tests.support.secrets_repo import SecretsRepo
from tests.support.trouble import ME, Scene, trouble_scene


@pytest.fixture
def scene(repo: SecretsRepo) -> Iterator[Scene]:
    """Provide a workspace that is well so far, and empty."""
    with trouble_scene(repo) as scene:
        yield scene


TOO_MANY = 429
_PAUSE = Say.error(429, "REQUEST_LIMIT_EXCEEDED", Retry_After="60")
_DENIED = Say.error(403, "PERMISSION_DENIED")

TROUBLES = [
    pytest.param(_DENIED, ("PERMISSION_DENIED (403)", "needs"), id="403"),
    pytest.param(Say.error(404, "RESOURCE_DOES_NOT_EXIST"), ("RESOURCE_DOES_NOT_EXIST (404)",), id="404"),
    pytest.param(Say.error(500, "INTERNAL_ERROR"), ("INTERNAL_ERROR (500) (tried ",), id="500"),
    pytest.param(Say.error(500, "SOMETHING_NEW"), ("answered with an error (500)",), id="500-of-an-unknown-code"),
    pytest.param(Say.error(503, "TEMPORARILY_UNAVAILABLE"), ("TEMPORARILY_UNAVAILABLE (503)", "(tried "), id="503"),
    pytest.param(
        _PAUSE, ("(429)", "asks for a pause of 60 s", "--concurrency", "--timeout"), id="429-for-longer-than-there-is"
    ),
    pytest.param(Say.error(429, "REQUEST_LIMIT_EXCEEDED"), ("(429)", "(tried "), id="429"),
    pytest.param(Say.page(200), ("(200)", "not the JSON that the API documents"), id="page-that-says-success"),
    pytest.param(Say.page(403), ("(403)", "a page, not one of the API"), id="page-that-denies"),
    pytest.param(Say.page(404), ("(404)", "a page, not one of the API"), id="page-that-finds-nothing"),
    pytest.param(Say.page(502), ("(502)", "a page, not one of the API"), id="page-of-a-gateway"),
    pytest.param(Say(body=b"[1, 2"), ("(200)", "not the JSON that the API documents"), id="half-json"),
    pytest.param(Say(body=b"[]"), ("not the JSON object that the API documents",), id="list"),
    pytest.param(
        Say(body=b'{"error_code": "X"}'), ("an error under a status that says success",), id="error-in-success"
    ),
    pytest.param(Say(body=b"\xff\xfe\x00"), ("not the JSON",), id="bytes"),
    pytest.param(
        Say(body=b"\x1f\x8bnonsense", headers={"content-encoding": "gzip"}), ("not the JSON",), id="gzip-that-is-none"
    ),
    pytest.param(Break(), ("bad",), id="connection-breaks"),
    pytest.param(Hang(), ("does not answer",), id="no-answer"),
]


def _ends_all(reaction: Reaction) -> bool:
    """Tell whether what has not begun is given up, so that the other scope may wait for the next run.

    The workspace has stopped answering, or wants to be left alone for longer than a request is tried.
    """
    return isinstance(reaction, Break | Hang) or (isinstance(reaction, Say) and reaction.status == TOO_MANY)


@pytest.mark.parametrize(("reaction", "words"), TROUBLES)
def test_trouble_while_putting(reaction: Reaction, words: tuple[str, ...], scene: Scene) -> None:
    """Exit 1; each put that failed says so, what was put elsewhere stays, and the next run repairs the rest."""
    scene.faults.add("put", reaction, scope="bad")
    began = time.monotonic()
    done = scene.apply(1)
    assert time.monotonic() - began < 6
    assert all(word in done.stdout for word in words), done.stdout
    assert "put-secret" in done.stdout
    assert "failed" in done.stdout
    if not _ends_all(reaction):
        assert scene.holds("good", "first")
    assert not scene.holds("bad", "first")
    scene.apply(0)
    assert scene.holds("bad", "first")
    assert scene.holds("good", "first")


@pytest.mark.parametrize("operation", ["list", "get"])
@pytest.mark.parametrize(("reaction", "words"), TROUBLES)
def test_trouble_while_looking(reaction: Reaction, words: tuple[str, ...], operation: str, scene: Scene) -> None:
    """What could not be looked at is not written to: nobody knows what is there."""
    scene.apply(0)
    scene.wish("second")
    scene.faults.add(operation, reaction, scope="bad")
    scene.server.traffic()
    if operation == "get" and reaction is _DENIED:
        # That is how the platform says that a value is not for us: not a failure, see below.
        scene.apply(0, "--verify-values")
        return
    if operation == "get" and reaction == Say.error(404, "RESOURCE_DOES_NOT_EXIST"):
        # Deleted since it was listed: put again. It is there all the same, and cannot be read back.
        scene.apply(1, "--verify-values")
        return
    is_silent = isinstance(reaction, Break | Hang)
    done = scene.apply(1, "--verify-values") if is_silent else scene.apply_in_trouble("--verify-values")
    assert all(word in done.stdout for word in words), done.stdout
    assert {call.scope for call in scene.server.writes()} <= {"good"}
    if not _ends_all(reaction):
        assert scene.holds("good", "second")
    assert scene.holds("bad", "first")
    scene.apply(0)
    assert scene.holds("bad", "second")


@pytest.mark.parametrize("operation", ["scopes/list", ME])
@pytest.mark.parametrize(("reaction", "words"), TROUBLES)
def test_trouble_with_the_first_questions(
    reaction: Reaction, words: tuple[str, ...], operation: str, scene: Scene
) -> None:
    """Without knowing who we are and what is there nothing is planned, and nothing is written."""
    scene.faults.add(operation, reaction)
    scene.server.traffic()
    done = scene.apply(1)
    asked = "listing the scopes: " if operation == "scopes/list" else "who we are: "
    assert asked in done.stdout
    assert isinstance(reaction, Break) or any(word in done.stdout for word in ("names nobody", *words[:1]))
    assert "no changes" not in done.stdout
    assert scene.server.writes() == []


@pytest.mark.parametrize("operation", ["scopes/list", ME, "list", "get", "acls/list"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Say(body=b"null"), id="null"),
        pytest.param(Say(body=b""), id="empty"),
        pytest.param(Say(status=204, body=b""), id="no-content"),
    ],
)
def test_nothing_is_no_empty_listing(answer: Say, operation: str, scene: Scene) -> None:
    """The SDK would take it for one: every key would look absent, and every grant."""
    scene.apply(0)
    scene.wish("second", acls=["<READ users>"])
    scene.faults.add(operation, answer, scope=None if operation in {"scopes/list", ME} else "bad")
    scene.server.traffic()
    assert "is empty" in scene.apply(1, "--verify-values").stdout
    assert {call.scope for call in scene.server.writes()} <= {"good"}
    assert scene.holds("bad", "first")


@pytest.mark.parametrize("operation", ["scopes/create", "acls/put", "acls/list"])
@pytest.mark.parametrize(
    "reaction",
    [
        pytest.param(_DENIED, id="403"),
        pytest.param(Say.error(500, "INTERNAL_ERROR"), id="500"),
        pytest.param(Say.page(200), id="page"),
    ],
)
def test_trouble_with_scopes_and_grants(reaction: Reaction, operation: str, scene: Scene) -> None:
    """Where the scope is not there, or not known to be ours, no value is put; a grant that fails hides no value."""
    scene.wish("first", acls=["<READ users>"])
    scene.faults.add(operation, reaction, scope="bad")
    done = scene.apply(1)
    if operation == "acls/put":
        assert scene.holds("bad", "first")
    else:
        assert "the scope could not be created" in done.stdout
        assert not scene.holds("bad", "first")
    assert scene.holds("good", "first")
    assert scene.server.grants("good")["users"] == "READ"
    scene.apply(0)
    assert scene.server.grants("bad")["users"] == "READ"


def test_token_that_is_not_accepted(scene: Scene) -> None:
    """401 from the first question on: what to set is said, nothing is written."""
    done = scene.run("apply", "prod", env={"DATABRICKS_TOKEN": "nobodys"}).expect(1)
    assert "403" in done.stdout
    scene.faults.add(None, Say.error(401, "UNAUTHENTICATED"))
    done = scene.apply(1)
    assert "UNAUTHENTICATED (401)" in done.stdout
    assert "DATABRICKS_TOKEN" in done.stdout
    scene.faults.clear()
    scene.server.traffic()
    done = scene.run("apply", "prod", env={"DATABRICKS_TOKEN": ""}).expect(1)
    assert "no usable credential" in done.stdout
    assert scene.server.writes() == []


def test_token_that_ends_in_the_middle(scene: Scene) -> None:
    """After a 401 what has not begun is given up and said to be so; the next run finishes."""
    scene.faults.add("put", Say.error(401, "UNAUTHENTICATED"))
    done = scene.apply(1, "--concurrency=1")
    assert "UNAUTHENTICATED (401)" in done.stdout
    assert "skipped" in done.stdout
    assert "not tried" in done.stdout
    scene.faults.clear()
    scene.apply(0)
    assert scene.holds("bad", "first")


def test_key_vault_scope_is_refused_alone(scene: Scene) -> None:
    """Exit 6: its values are managed elsewhere; the other scope is reconciled."""
    metadata = {"resource_id": "/subscriptions/x", "dns_name": "https://x.vault.azure.net/"}
    answer = scene.server.call(
        "POST",
        "scopes/create",
        scope="BAD",
        scope_backend_type="AZURE_KEYVAULT",
        backend_azure_keyvault=metadata,
        initial_manage_principal="users",
    )
    assert answer.status == 200, answer.text
    done = scene.apply(6)
    assert "backed by AZURE_KEYVAULT" in done.stdout
    assert "manage its values in the vault" in done.stdout
    assert scene.holds("good", "first")
    assert {call.scope for call in scene.server.writes()} == {"good"}
    scene.run("plan", "prod").expect(6)


def test_unknown_principal(scene: Scene) -> None:
    """The grant fails and is named; the values, and the other grants, are there."""
    scene.wish("first", acls=["<READ users>", "<READ nobody@example.com>"])
    done = scene.apply(1, "-o", "json")
    failed = [change for change in done.target["changes"] if change["result"] == "failed"]
    assert [(change["action"], change["principal"]) for change in failed] == [
        ("put-acl", "nobody@example.com"),
        ("put-acl", "nobody@example.com"),
    ]
    assert all("INVALID_PARAMETER_VALUE (400)" in change["error"] for change in failed)
    assert scene.holds("bad", "first")
    assert scene.server.grants("good")["users"] == "READ"


def test_scope_that_is_full(repo: SecretsRepo) -> None:
    """What fits is put, what does not is named with the limits."""
    # As many as the ledger needs for two scopes.
    with trouble_scene(repo, rules=Rules(max_keys_per_scope=3)) as scene:
        scene.server.create_scope("bad")
        scene.server.put("bad", "another", b"x")
        scene.server.put("bad", "stranger", b"x")
        done = scene.apply(1, "--adopt")
        assert "RESOURCE_LIMIT_EXCEEDED (400)" in done.stdout
        assert "1,000 secrets" in done.stdout
        assert scene.server.value("bad", "stranger") == b"x"
        assert len(scene.server.keys("bad")) == 3
        assert scene.holds("good", "first")


def test_workspace_that_is_full(repo: SecretsRepo) -> None:
    """The second scope beside the ledger's is refused; the first one is filled."""
    with trouble_scene(repo, rules=Rules(max_scopes=2)) as scene:
        done = scene.apply(1)
        assert "RESOURCE_LIMIT_EXCEEDED (400)" in done.stdout
        assert "1,000 scopes" in done.stdout
        assert "the scope could not be created" in done.stdout
        assert len(scene.server.scopes()) == 1


def test_values_that_cannot_be_read(repo: SecretsRepo) -> None:
    """They are put, each time, and the report says why. Neither can the ledger be read, so that has to be wanted."""
    with trouble_scene(repo, rules=Rules(values_outside_notebooks=False)) as scene:
        scene.apply(0)
        done = scene.apply(0, "-o", "json", "--adopt")
        assert {change["reason"] for change in done.target["changes"]} == {"unverifiable"}
        assert {change["result"] for change in done.target["changes"]} == {"done"}
        findings = done.target["findings"]
        assert {finding["kind"] for finding in findings} == {"unverifiable-value"}
        assert {finding["key"] for finding in findings} == {"a", "b"}
        assert all("BAD_REQUEST (400)" in finding["detail"] for finding in findings)
        assert "unverifiable-value" in scene.apply(0, "--adopt").stdout


@pytest.mark.parametrize(
    "reaction",
    [
        pytest.param(Say.error(429, "REQUEST_LIMIT_EXCEEDED", Retry_After="1"), id="429"),
        pytest.param(Say.error(503, "TEMPORARILY_UNAVAILABLE", Retry_After="1"), id="503"),
        pytest.param(Say.error(500, "INTERNAL_ERROR"), id="500"),
        pytest.param(Say.error(504, "SOMETHING_NEW"), id="504"),
        pytest.param(Say.page(502), id="page-of-a-gateway"),
        pytest.param(Say.page(403), id="page-that-denies"),
        pytest.param(Say.page(200), id="page-that-says-success"),
        pytest.param(Break(), id="connection-breaks"),
        pytest.param(Reset(), id="connection-is-reset"),
    ],
)
def test_trouble_that_passes_is_not_even_mentioned(reaction: Reaction, scene: Scene) -> None:
    """One bad answer, then all is well: exit 0, after the pause that the workspace asked for, if it did."""
    scene.faults.add("put", reaction, scope="bad", key="a", times=1)
    began = time.monotonic()
    done = scene.apply(0, timeout_s=20)
    if isinstance(reaction, Say) and "Retry-After" in reaction.headers:
        assert time.monotonic() - began > 1.0
    assert "failed" not in done.stdout
    assert scene.holds("bad", "first")


@pytest.mark.parametrize(
    ("operation", "reaction"),
    [
        pytest.param("put", Break(), id="put-breaks"),
        pytest.param("scopes/create", Break(), id="create-breaks"),
        pytest.param("scopes/create", Say.error(503, "TEMPORARILY_UNAVAILABLE"), id="create-503"),
    ],
)
def test_answer_that_is_lost_after_the_effect(reaction: Reaction, operation: str, scene: Scene) -> None:
    """The request is repeated; that it has been carried out before is no failure."""
    scene.faults.add(operation, reaction, scope="bad", after=True, times=1)
    scene.apply(0, timeout_s=20)
    assert scene.holds("bad", "first")


def test_answers_that_are_lost_for_good_after_the_effect(scene: Scene) -> None:
    """The put counts as failed, as nobody knows; the next run sees that there is nothing left to do."""
    scene.faults.add("put", Say.error(500, "INTERNAL_ERROR"), scope="bad", after=True)
    scene.apply(1)
    assert scene.holds("bad", "first")
    assert "no changes" in scene.apply(0).stdout


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        pytest.param(StoreInstead(b"something else"), "holds another value now", id="another-value"),
        pytest.param(StoreInstead(b"first a\n"), "holds another value now", id="a-line-feed-more"),
        pytest.param(StoreInstead(b""), "holds another value now", id="nothing"),
        pytest.param(Say(), "is gone again", id="no-effect"),
    ],
)
def test_workspace_that_lies_about_a_put(lie: Reaction, said: str, scene: Scene) -> None:
    """An answer of 200 is what the workspace says; what it holds is read back, and differs: failed."""
    scene.faults.add("put", lie, scope="bad", key="a")
    done = scene.apply(1, "-o", "json")
    (failed,) = (change for change in done.target["changes"] if change["result"] == "failed")
    assert (failed["scope"], failed["key"]) == ("bad", "a")
    assert said in failed["error"]
    assert done.target["status"] == "failed"
    assert scene.holds("good", "first")


def test_workspace_that_lies_about_a_delete(scene: Scene) -> None:
    """What should be gone and is not is a failure, too."""
    scene.server.create_scope("bad")
    scene.server.put("bad", "stranger", b"x")
    scene.repo.scope_file("prod/app.yaml", {scene.server.host_key: {"bad": {"a": "x"}}}, prune="all")
    scene.apply(0, "--adopt")
    scene.faults.add("delete", Say(), scope="bad")
    done = scene.apply(1)
    assert "delete-secret" in done.stdout
    assert "it was deleted, but is still there" in done.stdout
    assert scene.server.keys("bad") == ["a", "stranger"]


def _port_of_nobody() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_target_that_is_not_there_does_not_stop_the_others(scene: Scene) -> None:
    """Exit 1 for the one, and the other one is reconciled."""
    gone = f"127.0.0.1_{_port_of_nobody()}"
    scene.repo.targets(
        {"gone": {"workspace": {"host": f"http://{gone.replace('_', ':')}"}}, "prod": scene.server.fields}
    )
    scene.repo.scope_file("gone/app.yaml", {gone: {"app": {"key": "x"}}})
    done = scene.run("apply", "--all", "--timeout=1", "-o", "json").expect(1)
    assert {target["target"]: target["status"] for target in done.json["targets"]} == {
        "gone": "failed",
        "prod": "applied",
    }
    assert scene.holds("good", "first")


def test_workspace_that_stops_answering_costs_one_timeout(scene: Scene) -> None:
    """Not one for each of a hundred values: what has not begun is given up, and named."""
    scene.repo.scope_file(
        "prod/app.yaml", {scene.server.host_key: {"bad": {f"key-{number}": "x" for number in range(100)}}}
    )
    scene.faults.add("put", Hang(), scope="bad")
    began = time.monotonic()
    done = scene.apply(1, "--concurrency=4")
    assert time.monotonic() - began < 5
    assert "not tried, as the workspace does not answer" in done.stdout
