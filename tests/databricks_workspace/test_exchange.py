"""Exchanges of tokens that go wrong: told as what they are, in bounded time, without anything that was sent."""

import json
import logging
import os
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.databricks_workspace import _calls
from reconciler.databricks_workspace._exchange import Exchange, ExchangeCall, retrying_exchanges
from reconciler.emulator import Exchanges
from reconciler.emulator.token_endpoint import METADATA_PATH, TOKEN_PATH
from tests.databricks_workspace.exchanging import (
    AZURE_DEVOPS,
    GITHUB,
    KINDS,
    ME_PATH,
    SECRET,
    Kind,
    caught,
    each,
    fails,
    scene,
    until,
)
from tests.support.faults import Hang, Reset, Say
from tests.support.hostile_server import Answer, HostileServer, Reaction
from tests.support.hostile_server import Hang as NoAnswer
from tests.support.issuer import APPLICATION_ID


@KINDS
class TestTrouble:
    """What goes wrong with an exchange is told as what it is, in bounded time, and without what was sent."""

    def test_says_so_when_it_is_refused(self, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
        """In our words, with the documented code of the refusal and what to look at; not tried again."""
        with scene(kind, monkeypatch, audience="somebody-else") as it:
            if kind is SECRET:
                monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "another")
            failure = fails(it)

            assert type(failure) is errors.Unauthenticated
            assert str(failure) == (
                f"authenticating to {it.emulator.url}: no usable credential was found: the token endpoint refuses "
                f"({kind.refused_with})"
            )
            assert "federation policy" in (failure.advice or "")
            assert it.emulator.exchanges == Exchanges(refused=1)
            assert ME_PATH not in it.watch.paths

    def test_says_so_when_nobody_answers(self, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
        """Silence is no wrong credential."""
        with scene(kind, monkeypatch) as it:
            it.watch.say(TOKEN_PATH, Hang(seconds=5.0))
            began = time.monotonic()
            failure = fails(it, timeout_s=0.5)

            assert type(failure) is errors.Unreachable
            assert str(failure).startswith(f"authenticating to {it.emulator.url}: the token endpoint did not answer")
            assert time.monotonic() - began < 3.0

    @pytest.mark.parametrize("path", [TOKEN_PATH, METADATA_PATH])
    def test_follows_no_redirect(self, path: str, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever the answer names would be sent a secret, or would name where to send it."""
        with HostileServer(lambda _: Answer()) as elsewhere, scene(kind, monkeypatch) as it:
            it.watch.say(path, Say(status=307, headers={"location": f"{elsewhere.url}/oidc"}))
            failure = fails(it)

            assert type(failure) is errors.UnexpectedAnswer
            assert "a redirect, which is never followed" in str(failure)
            assert elsewhere.seen == []
            assert it.watch.paths[path] == 1

    @pytest.mark.parametrize(
        "endpoint",
        ["http://evil.example/token", "http://127.0.0.1.evil.example/", "ftp://127.0.0.1/", "http://[", "", None, 5],
    )
    def test_sends_no_secret_in_the_clear(self, endpoint: object, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
        """The token endpoint is encrypted, or it is the loopback that we talk to anyway."""
        with scene(kind, monkeypatch) as it:
            it.watch.say(METADATA_PATH, Say(body=_json({"token_endpoint": endpoint})))
            failure = fails(it)

            assert type(failure) is errors.Unauthenticated
            assert it.emulator.exchanges == Exchanges()
            assert it.issuer.asked == []

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(b"<html>", id="a page"),
            pytest.param(b"[]", id="a list"),
            pytest.param(b"{}", id="nothing"),
            pytest.param(b'{"access_token": "two words", "token_type": "Bearer"}', id="spaces"),
            pytest.param(b'{"access_token": "line\\nbreak", "token_type": "Bearer"}', id="line break"),
            pytest.param('{"access_token": "tök€n", "token_type": "Bearer"}'.encode(), id="beyond ASCII"),
            pytest.param(b'{"access_token": 5, "token_type": "Bearer"}', id="a number"),
            pytest.param(b"[" * 100_000, id="brackets"),
        ],
    )
    def test_takes_nothing_for_a_token_that_is_none(
        self, answer: bytes, kind: Kind, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever it is, it does not reach a header or a message."""
        with scene(kind, monkeypatch) as it:
            it.watch.say(TOKEN_PATH, Say(body=answer))
            failure = fails(it)

            assert type(failure) is errors.Unauthenticated
            assert str(failure).endswith("the token endpoint answers with something that is no token")

    def test_shows_no_token_and_no_secret(
        self, kind: Kind, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Neither in what is raised, with whatever is chained to it, nor in logs, details or reprs."""
        caplog.set_level(logging.DEBUG)
        shown: list[str] = []
        with scene(kind, monkeypatch) as it:

            def quoting(status: int) -> Say:
                quoted = " ".join(canary.decode() for canary in it.canaries().by_name.values())
                return Say.error(status, "BAD_REQUEST", quoted)

            with it.connected(on_detail=shown.append) as workspace:
                workspace.whoami()
                it.watch.say(ME_PATH, quoting(401), quoting(401), quoting(401), times=1)
                shown += [told(caught(workspace.whoami)), told(caught(workspace.whoami)), repr(vars(workspace))]
            for status in (200, 400, 401, 500):
                it.watch.say(TOKEN_PATH, quoting(status))
                shown.append(told(fails(it, timeout_s=0.3)))

            assert any("the server said: BAD_REQUEST ***" in each for each in shown)
            assert it.canaries().found_in("\n".join((*shown, caplog.text))) == []


@each(GITHUB, SECRET)
@pytest.mark.parametrize(
    ("path", "reaction", "error", "words"),
    [
        pytest.param(
            METADATA_PATH, Say.error(503, "X"), errors.UnexpectedAnswer, "with an error (503)", id="discovery"
        ),
        pytest.param(
            TOKEN_PATH, Say.page(503), errors.UnexpectedAnswer, "answers with an error (503)", id="503 with a page"
        ),
        pytest.param(TOKEN_PATH, Say.error(500, "X"), errors.UnexpectedAnswer, "answers with an error (500)", id="500"),
        pytest.param(TOKEN_PATH, Say.error(429, "X"), errors.Throttled, "was asked too often (429)", id="429"),
        pytest.param(TOKEN_PATH, Reset(), errors.Unreachable, "did not answer", id="reset"),
    ],
)
def test_tries_again_and_then_says_whose_fault_it_is(
    reaction: Say | Reset,
    error: type[errors.WorkspaceError],
    words: str,
    path: str,
    kind: Kind,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An endpoint that is down for a moment costs that moment; one that stays down is told as that."""
    with scene(kind, monkeypatch) as it:
        it.watch.say(path, reaction, times=1)
        with it.connected() as workspace:
            assert workspace.whoami().name == APPLICATION_ID
        assert it.watch.paths[path] == 2
        assert it.emulator.exchanges == Exchanges(issued=1)

        it.watch.say(path, reaction)
        began = time.monotonic()
        failure = fails(it, timeout_s=0.6)

        assert type(failure) is error
        assert words in str(failure)
        assert "no usable credential" not in str(failure)
        assert time.monotonic() - began < 3.0


def test_gives_up_at_once_when_the_run_is_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted run does not wait for a token endpoint that is down until the time allowed is over."""
    with scene(GITHUB, monkeypatch) as it, it.connected(timeout_s=30.0) as workspace:
        it.emulator.revoke_tokens()
        it.watch.say(TOKEN_PATH, Say(status=503))
        with ThreadPoolExecutor(1) as pool:
            began = time.monotonic()
            waiting = pool.submit(caught, workspace.whoami)
            until(lambda: it.watch.paths[TOKEN_PATH] == 2)
            workspace.wind_down()

            assert type(waiting.result()) is errors.UnexpectedAnswer
            assert time.monotonic() - began < 10.0


@each(GITHUB, AZURE_DEVOPS)
class TestIdTokens:
    """Those who issue id tokens may be in trouble as well."""

    @pytest.mark.parametrize(
        ("answer", "error", "words"),
        [
            pytest.param(Answer(status=403), errors.Unauthenticated, "refuses (403)", id="refused"),
            pytest.param(Answer(status=502), errors.UnexpectedAnswer, "answers with an error (502)", id="failing"),
            pytest.param(NoAnswer(), errors.Unreachable, "did not answer", id="silence"),
            pytest.param(Answer(), errors.Unauthenticated, "there is no id token", id="nothing"),
            pytest.param(Answer(body={"value": 5}), errors.Unauthenticated, "there is no id token", id="a number"),
            pytest.param(Answer(body=b"<html>"), errors.Unauthenticated, "something that is no token", id="a page"),
            pytest.param(
                Answer(status=302, headers={"Location": "/x"}), errors.UnexpectedAnswer, "redirect", id="redirect"
            ),
        ],
    )
    def test_are_told_as_what_they_are(
        self,
        answer: Reaction,
        error: type[errors.WorkspaceError],
        words: str,
        kind: Kind,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The token endpoint is not asked without one."""
        with scene(kind, monkeypatch, issuing=lambda *_: answer) as it:
            failure = fails(it, timeout_s=0.5)

            assert type(failure) is error
            assert words in str(failure)
            assert TOKEN_PATH not in it.watch.paths


class TestAsking:
    """One question to whoever issues tokens."""

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_is_put_off_for_as_long_as_it_is_told(self, status: int) -> None:
        """Retry-After counts, but not past the time allowed."""
        pauses: list[float] = []
        put_off = (Answer(status=status, headers={"Retry-After": "7"}), Answer(body={"a": "b"}))
        with HostileServer.saying(*put_off) as server, _asking(60.0, pauses) as asking:
            assert asking.ask("the issuer", "GET", server.url) == {"a": "b"}

        assert len(pauses) == 1
        assert 7.0 <= pauses[0] < 8.0

        with HostileServer.saying(*put_off) as server, _asking(5.0, pauses) as asking:
            with pytest.raises(_calls.CredentialFailure, match=str(status)):
                asking.ask("the issuer", "GET", server.url)
            assert len(server.seen) == 1

    def test_goes_through_no_proxy_and_with_no_login_that_nobody_gave(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """On the loopback a proxy leads nowhere; and a login of ~/.netrc would take the place of ours."""
        netrc = Path(os.environ["HOME"], ".netrc")
        netrc.write_text("machine 127.0.0.1 login netrc password netrc\n")
        netrc.chmod(0o600)
        with HostileServer(lambda _: Answer()) as proxy, HostileServer(lambda _: Answer()) as server:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            monkeypatch.setenv("ALL_PROXY", proxy.url)
            with _asking(5.0, []) as asking:
                asking.ask("the issuer", "GET", server.url, headers={"Authorization": "Bearer ours"})
                asking.ask("the issuer", "POST", server.url, form={"a": "b"})

            assert [seen.headers.get("authorization") for seen in server.seen] == ["Bearer ours", None]
            assert proxy.seen == []

    @pytest.mark.parametrize("url", ["no address", "http://", "ftp://127.0.0.1/", "http://127.0.0.1:99999/"])
    def test_says_so_where_it_cannot_be_put(self, url: str) -> None:
        """The address itself is not repeated: that of GitHub's issuer names the job."""
        with _asking(5.0, []) as asking, pytest.raises(_calls.CredentialFailure) as failure:
            asking.ask("the issuer", "GET", url)

        assert url not in str(failure.value)
        assert failure.value.__cause__ is failure.value.__context__ is None

    def test_does_not_show_what_cannot_be_sent(self) -> None:
        """Requests quotes the header that it refuses, and Python the text that it cannot encode."""
        with HostileServer(lambda _: Answer()) as server, _asking(5.0, []) as asking:
            failures = [
                caught(lambda: asking.ask("the issuer", "GET", server.url, headers={"Authorization": "Bearer li\nne"})),
                caught(
                    lambda: asking.ask("the issuer", "GET", server.url, headers={"Authorization": "Bearer \U0001f511"})
                ),
                caught(lambda: asking.ask("the issuer", "POST", server.url, login=("me", "\U0001f511"))),
            ]

            assert {type(failure) for failure in failures} == {_calls.CredentialFailure}
            assert {failure.__context__ for failure in failures} == {None}
            assert {str(failure) for failure in failures} <= {
                "the issuer cannot be asked",
                "what the issuer is to be shown holds characters that a header cannot",
            }
            assert server.seen == []


def _asking(timeout_s: float, pauses: list[float]) -> Exchange:
    """Return an exchange that notes pauses instead of making them."""
    call = ExchangeCall(timeout_s)

    def note(_: threading.Event, pause_s: float) -> bool:
        pauses.append(pause_s)
        return False

    return Exchange(call=call, retrying=retrying_exchanges(call, wait=note), on_secret=lambda _: None)


def told(error: Exception) -> str:
    """Return all that an exception could show, chained ones and their notes included."""
    return "".join(traceback.format_exception(error, chain=True)) + repr(error) + str(vars(error))


def _json(content: object) -> bytes:
    return json.dumps(content).encode()
