"""Connecting: in bounded time, to the host that git names, with nothing from elsewhere but secrets."""

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from databricks.sdk.core import ApiClient, Config

from reconciler import errors
from reconciler.databricks_workspace import Connection, _calls, _session, _transport, connect
from reconciler.model import ScopeName
from tests.databricks_workspace.joining import TOKEN, facing
from tests.support.hostile_server import WELL_KNOWN, Answer, Hang, HostileServer, Reaction, Reset, Seen, refusal


SCOPE = ScopeName("payments")


def _whoami(connection: Connection, *, timeout_s: float = 5.0) -> str:
    with contextlib.closing(connect(connection, timeout_s=timeout_s, concurrency=2)) as workspace:
        return workspace.whoami().name


def _me(seen: Seen) -> Answer:
    """Answer as a workspace whose user is named after the credential it got."""
    return Answer() if seen.path == WELL_KNOWN else Answer(body={"userName": seen.headers.get("authorization", "none")})


def _self_signed(folder: Path) -> ssl.SSLContext:
    """Make a certificate that only its own maker trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.pem")
    return context


@pytest.fixture
def server() -> Iterator[HostileServer]:
    """Run a server that tells which credential it was sent."""
    with HostileServer(_me) as server:
        yield server


class TestTime:
    """Nothing takes much longer than ``--timeout``."""

    @pytest.mark.parametrize(
        "reaction",
        [
            pytest.param(Hang(), id="silence"),
            pytest.param(Reset(), id="reset"),
            pytest.param(Answer(body=b"x" * 1000, drip_s=0.02), id="dripping"),
            pytest.param(refusal(429, "X", Retry_After="3600"), id="429 for an hour"),
            pytest.param(refusal(503, "X", Retry_After="3600"), id="503 for an hour"),
            pytest.param(refusal(503, "X", Retry_After="0"), id="503 again and again"),
        ],
    )
    def test_gives_up_on_a_host_that_does_not_serve(self, reaction: Reaction) -> None:
        """The first question already has the limit, and its answer is the error."""
        with HostileServer.saying(reaction, path=WELL_KNOWN) as server:
            began = time.monotonic()
            with pytest.raises((errors.Unreachable, errors.Throttled, errors.UnexpectedAnswer), match="connecting to"):
                _whoami(Connection(host=server.url, token=TOKEN), timeout_s=0.5)

            assert time.monotonic() - began < 3.0

    def test_gives_up_on_a_host_that_refuses(self) -> None:
        """Nobody listens: tried again until the time is over."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            began = time.monotonic()
            with pytest.raises(errors.Unreachable, match="cannot be connected to"):
                _whoami(Connection(host=f"http://127.0.0.1:{taken.getsockname()[1]}", token=TOKEN), timeout_s=2.0)

            assert time.monotonic() - began < 3.5

    def test_gives_up_on_a_name_that_does_not_exist(self) -> None:
        """The name is reserved never to exist (RFC 2606); a resolver that hangs is left behind."""
        began = time.monotonic()
        with pytest.raises(errors.Unreachable):
            _whoami(Connection(host="https://nobody.invalid", token=TOKEN), timeout_s=1.0)

        assert time.monotonic() - began < 3.0

    @pytest.mark.parametrize(
        ("reaction", "error"),
        [
            pytest.param(Hang(), errors.Unreachable, id="silence"),
            pytest.param(Answer(body=b"x" * 1000, drip_s=0.02), errors.Unreachable, id="dripping"),
            pytest.param(Answer(body=b"x" * 1000, cut=True), errors.Unreachable, id="broken off"),
            pytest.param(refusal(429, "X", Retry_After="3600"), errors.Throttled, id="429 for an hour"),
        ],
    )
    def test_gives_up_on_a_request_that_is_not_served(
        self, reaction: Reaction, error: type[errors.WorkspaceError]
    ) -> None:
        """Later requests have the same limit each; the error says what the last attempt met."""
        with facing(reaction, timeout_s=0.5) as (workspace, _):
            began = time.monotonic()
            with pytest.raises(errors.WorkspaceError) as caught:
                workspace.list_secrets(SCOPE)

            assert type(caught.value) is error
            assert time.monotonic() - began < 3.0

    @pytest.mark.parametrize(
        ("reaction", "error"),
        [
            pytest.param(refusal(429, "X", Retry_After="0"), errors.Throttled, id="429"),
            pytest.param(refusal(503, "X", Retry_After="0"), errors.UnexpectedAnswer, id="503"),
        ],
    )
    def test_gives_up_on_a_request_that_is_put_off_again_and_again(
        self, reaction: Reaction, error: type[errors.WorkspaceError]
    ) -> None:
        """The last attempt may come too late for an answer, where the machine is busy."""
        with facing(reaction, timeout_s=0.5) as (workspace, _):
            began = time.monotonic()
            with pytest.raises((error, errors.Unreachable)):
                workspace.list_secrets(SCOPE)

            assert time.monotonic() - began < 3.0

    def test_gives_up_at_once_on_a_certificate_that_nobody_vouches_for(self, tmp_path: Path) -> None:
        """Trying again would not make it another one; the credential is not sent."""
        with HostileServer(_me, tls=_self_signed(tmp_path)) as server:
            began = time.monotonic()
            with pytest.raises(errors.Unreachable, match="certificate"):
                _whoami(Connection(host=server.url, token=TOKEN), timeout_s=30.0)

            assert time.monotonic() - began < 5.0
            assert server.seen == []

    def test_does_not_wait_for_code_that_has_no_limit(self) -> None:
        """Token exchanges and name resolution of the layers below are left behind."""
        never = threading.Event()
        began = time.monotonic()
        with pytest.raises(_calls.TookTooLong):
            _calls.within(0.1, never.wait)
        never.set()

        assert time.monotonic() - began < 1.0


class TestFirstQuestion:
    """What the host says of itself."""

    def test_is_asked_once_without_a_credential(self, server: HostileServer) -> None:
        """The SDK's own question is not sent; if a new version sends it again, this fails."""
        _whoami(Connection(host=server.url, token=TOKEN))

        asked = [seen for seen in server.seen if seen.path == WELL_KNOWN]
        assert len(asked) == 1
        assert "authorization" not in asked[0].headers

    def test_opens_the_connection_that_is_used_on(self, server: HostileServer) -> None:
        """A handshake costs as much as a request or two."""
        _whoami(Connection(host=server.url, token=TOKEN))

        assert len({seen.connection for seen in server.seen}) == 1

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(refusal(404, "NOT_FOUND"), id="404"),
            pytest.param(Answer(body=b"<html>"), id="a page"),
            pytest.param(Answer(status=404, body=b"<html>"), id="a page with 404"),
            pytest.param(Answer(body=[]), id="a list"),
            pytest.param(Answer(body={"oidc_endpoint": 5, "workspace_id": "a\nb", "cloud": 5}), id="nonsense"),
            pytest.param(Answer(status=302, headers={"Location": "/login"}), id="redirect"),
        ],
    )
    def test_need_not_be_answered(self, answer: Answer) -> None:
        """Older hosts do not know it; whatever they say instead is ignored, and nothing followed."""
        with HostileServer(lambda seen: answer if seen.path == WELL_KNOWN else _me(seen)) as server:
            assert _whoami(Connection(host=server.url, token=TOKEN)) == f"Bearer {TOKEN}"
            assert len(server.seen) == 2

    def test_is_asked_again_for_a_while_where_the_host_fails(self) -> None:
        """On a host of several workspaces the answer says which one is meant; an older host may fail for good."""
        first = Answer(status=500)
        with HostileServer.saying(first, Answer(body={"workspace_id": "77"}), path=WELL_KNOWN) as server:
            connect(Connection(host=server.url, token=TOKEN), timeout_s=5.0, concurrency=2).close()
            assert len(server.seen) == 2
        with HostileServer.saying(first, path=WELL_KNOWN) as server:
            connect(Connection(host=server.url, token=TOKEN), timeout_s=0.3, concurrency=2).close()

    def test_leads_to_the_right_workspace(self) -> None:
        """On a host of several workspaces each request says which one is meant; git beats the host."""
        with HostileServer(lambda seen: Answer(body={"workspace_id": "77", "userName": "x"})) as server:
            _whoami(Connection(host=server.url, token=TOKEN))
            _whoami(Connection(host=server.url, token=TOKEN, workspace_id="88"))

            told = [seen.headers.get("x-databricks-workspace-id") for seen in server.seen if seen.path != WELL_KNOWN]
            assert told == ["77", "88"]


class TestRedirects:
    """A redirect would hand credential and value to whoever it names."""

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_is_never_followed(self, status: int, server: HostileServer) -> None:
        """Neither for reading nor for writing; the other server gets no request at all."""
        with facing(Answer(status=status, headers={"Location": f"{server.url}/stolen"})) as (workspace, first):
            with pytest.raises(errors.UnexpectedAnswer, match="redirect"):
                workspace.list_scopes()
            with pytest.raises(errors.UnexpectedAnswer, match="redirect"):
                workspace.create_scope(SCOPE)

            assert len(first.paths()) == 2
        assert server.seen == []

    @pytest.mark.parametrize("prefix", ["http://127.0.0.1/", "https://adb-1.2.azuredatabricks.net/"])
    def test_meets_our_transport_on_any_scheme(self, prefix: str) -> None:
        """The session inside the SDK's client is where this version expects it."""
        api = ApiClient(Config(host="http://127.0.0.1:9", token="x", retry_timeout_seconds=-1))
        transport = _transport.Transport(call=_calls.Call(1.0), counter=_transport.RequestCounter(), connections=16)
        _session._harden(api, transport, loopback=False)

        assert api._api_client._session.get_adapter(prefix) is transport
        assert api._api_client._session.max_redirects == 0

    def test_is_not_left_to_chance(self) -> None:
        """A client whose session cannot be found is not used."""
        api = ApiClient(Config(host="http://127.0.0.1:9", token="x", retry_timeout_seconds=-1))
        del api._api_client._session
        transport = _transport.Transport(call=_calls.Call(1.0), counter=_transport.RequestCounter(), connections=16)

        with pytest.raises(errors.UnexpectedAnswer, match="databricks-sdk"):
            _session._harden(api, transport, loopback=False)


class TestEnvironment:
    """Nothing from outside decides where requests go."""

    def test_does_not_touch_embedded_targets(self, server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """No variable of any strategy, no profile, no netrc and no proxy changes what an embedded target is sent."""
        home = Path(os.environ["HOME"])
        (home / ".databrickscfg").write_text("[DEFAULT]\nhost = http://127.0.0.1:9\ntoken = from-file\n")
        (home / ".netrc").write_text("machine 127.0.0.1 login netrc password netrc\n")
        (home / ".netrc").chmod(0o600)
        for attribute in Config.attributes():
            if attribute.env:
                monkeypatch.setenv(attribute.env, "7")
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")

        assert _whoami(Connection(host=server.url, token=TOKEN)) == f"Bearer {TOKEN}"
        assert {seen.headers.get("x-databricks-workspace-id") for seen in server.seen} == {None}

    def test_takes_the_token_and_not_the_host(self, server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """DATABRICKS_TOKEN is used; DATABRICKS_HOST and the workspace id of the environment are not."""
        monkeypatch.setenv("DATABRICKS_HOST", "http://127.0.0.1:9")
        monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
        monkeypatch.setenv("DATABRICKS_WORKSPACE_ID", "99")
        monkeypatch.setenv("DATABRICKS_DEBUG_HEADERS", "true")

        assert _whoami(Connection(host=server.url)) == f"Bearer {TOKEN}"
        assert "x-databricks-workspace-id" not in server.seen[-1].headers

    def test_takes_the_token_of_a_profile(self, server: HostileServer) -> None:
        """A profile of the same host authenticates, and nothing else in it counts."""
        Path(os.environ["HOME"], ".databrickscfg").write_text(
            f"[mine]\nhost = {server.url}/\ntoken = {TOKEN}\nworkspace_id = 99\n"
        )

        assert _whoami(Connection(host=server.url, profile="mine")) == f"Bearer {TOKEN}"
        assert "x-databricks-workspace-id" not in server.seen[-1].headers

    def test_refuses_a_profile_of_another_host(self, server: HostileServer) -> None:
        """The token of one workspace is not sent to another; not a single request leaves."""
        Path(os.environ["HOME"], ".databrickscfg").write_text("[mine]\nhost = https://other\ntoken = secret\n")

        with pytest.raises(errors.InvalidInput, match="profile 'mine' is for https://other"):
            _whoami(Connection(host=server.url, profile="mine"))
        assert server.seen == []

    def test_says_so_when_there_is_no_credential(self, server: HostileServer) -> None:
        """Nothing is set: the message says what could be."""
        with pytest.raises(errors.Unauthenticated, match="no usable credential") as caught:
            _whoami(Connection(host=server.url))

        assert "DATABRICKS_TOKEN" in (caught.value.advice or "")

    def test_starts_no_program_that_nobody_named(
        self, server: HostileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """The SDK's default chain runs ``az`` and ``databricks`` from PATH."""
        for name in ("az", "databricks"):
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n" + "#" * 1024 * 1024)
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

        with pytest.raises(errors.Unauthenticated):
            _whoami(Connection(host=server.url))
        assert not (tmp_path / "started").exists()

    def test_lets_the_target_choose_among_credentials(
        self, server: HostileServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two credentials at once are one too many, unless auth_type says which counts."""
        monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
        monkeypatch.setenv("ARM_CLIENT_SECRET", "other")

        with pytest.raises(errors.Unauthenticated):
            _whoami(Connection(host=server.url))
        assert _whoami(Connection(host=server.url, auth_type="pat")) == f"Bearer {TOKEN}"

    @pytest.mark.parametrize("token", ["line\nbreak", "tok\u00e9n\U0001f511"])
    def test_does_not_show_a_token_that_cannot_be_sent(
        self, token: str, server: HostileServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Requests quotes the header that it refuses."""
        monkeypatch.setenv("DATABRICKS_TOKEN", token)

        with pytest.raises(errors.Unauthenticated) as caught:
            _whoami(Connection(host=server.url))
        assert "tok" not in str(caught.value)
        assert "break" not in str(caught.value)


class TestTokenExchange:
    """OAuth for machines, against a host that speaks it."""

    @staticmethod
    def _react(seen: Seen) -> Reaction:
        host = f"http://{seen.headers['host']}"
        match seen.path:
            case "/.well-known/databricks-config":
                return Answer(body={"oidc_endpoint": f"{host}/oidc"})
            case "/oidc/.well-known/oauth-authorization-server":
                return Answer(body={"token_endpoint": f"{host}/oidc/token", "authorization_endpoint": host})
            case "/oidc/token":
                return Answer(body={"access_token": "fresh", "token_type": "Bearer", "expires_in": 3600})
            case _:
                return _me(seen)

    def test_uses_what_it_gets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Client id and secret become a token, which authenticates; exchanges are not counted."""
        monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "very-secret")
        with HostileServer(self._react) as server:
            workspace = connect(
                Connection(host=server.url, client_id="me", auth_type="oauth-m2m"), timeout_s=5.0, concurrency=2
            )

            assert workspace.whoami().name == "Bearer fresh"
            assert workspace.request_count().read == 2
            assert workspace.request_count().write == 0

    @pytest.mark.parametrize(
        ("reaction", "kind", "words"),
        [
            pytest.param(Hang(), errors.Unreachable, "the token endpoint did not answer", id="silence"),
            pytest.param(Reset(), errors.Unreachable, "the token endpoint did not answer", id="reset"),
            pytest.param(
                Answer(body={"access_token": "x"}, cut=True),
                errors.Unreachable,
                "the token endpoint did not answer",
                id="broken off",
            ),
            pytest.param(Answer(status=400), errors.Unauthenticated, "no usable credential was found", id="no"),
            pytest.param(Answer(body=b"<html>"), errors.Unauthenticated, "no usable credential was found", id="page"),
        ],
    )
    def test_does_not_wait_for_it_for_ever(
        self, reaction: Reaction, kind: type[errors.WorkspaceError], words: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A host that is not there is no wrong credential."""
        monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "very-secret")

        def react(seen: Seen) -> Reaction:
            return reaction if seen.path == "/oidc/token" else self._react(seen)

        with HostileServer(react) as server:
            began = time.monotonic()
            with pytest.raises(errors.WorkspaceError, match=words) as caught:
                _whoami(Connection(host=server.url, client_id="me", auth_type="oauth-m2m"), timeout_s=0.5)

            assert type(caught.value) is kind
            assert time.monotonic() - began < 3.0

    def test_says_so_where_its_endpoints_cannot_be_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Likewise one step before, when a strategy looks for the endpoint."""
        monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "very-secret")

        def react(seen: Seen) -> Reaction:
            return Reset() if "oauth-authorization-server" in seen.path else self._react(seen)

        with HostileServer(react) as server, pytest.raises(errors.WorkspaceError) as caught:
            _whoami(Connection(host=server.url, client_id="me", auth_type="oauth-m2m"), timeout_s=0.5)

        assert type(caught.value) is errors.Unreachable

    @pytest.mark.parametrize("path", ["/oidc/.well-known/oauth-authorization-server", "/oidc/token"])
    @pytest.mark.parametrize("status", [302, 307])
    def test_follows_no_redirect(self, path: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """The body of an exchange is a secret; whoever the answer names would be sent it."""
        monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "very-secret")
        with HostileServer(self._react) as elsewhere:

            def react(seen: Seen) -> Reaction:
                if seen.path == path:
                    return Answer(status=status, headers={"Location": f"{elsewhere.url}{path}"})
                return self._react(seen)

            with HostileServer(react) as server:
                with pytest.raises(errors.UnexpectedAnswer, match="redirect, which is never followed"):
                    _whoami(Connection(host=server.url, client_id="me", auth_type="oauth-m2m"), timeout_s=2.0)

                assert path in [seen.path for seen in server.seen]
                assert elsewhere.seen == []

    @pytest.mark.parametrize(
        "host", ["http://127.0.0.1:1", "http://127.3.2.1:1", "http://localhost:1", "http://[::1]:1"]
    )
    def test_keeps_every_loopback_from_proxies(self, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not only the usual names of it."""
        monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:1")
        monkeypatch.setenv("NO_PROXY", "elsewhere.example")

        _session._keep_from_proxies(Connection(host=host).hostname)

        assert requests.utils.get_environ_proxies(host) == {}
        assert "elsewhere.example" in os.environ["NO_PROXY"].split(",")

    @pytest.mark.parametrize(
        ("host", "endpoint", "used"),
        [
            pytest.param("http://127.0.0.1:8080", "http://127.0.0.1:8080/oidc", True, id="same"),
            pytest.param("http://127.0.0.1:8080", "http://127.0.0.1:80801/oidc", False, id="longer port"),
            pytest.param("http://127.0.0.1:8080", "http://127.0.0.1:8080.evil.example/oidc", False, id="longer name"),
            pytest.param("http://127.0.0.1:8080", "http://127.0.0.1:8080@evil.example/oidc", False, id="user"),
            pytest.param("http://127.0.0.1:8080", "https://accounts.example/oidc", True, id="elsewhere, encrypted"),
            pytest.param("https://adb-1.2.azuredatabricks.net", "http://127.0.0.1/oidc", False, id="in the clear"),
        ],
    )
    def test_sends_no_secret_in_the_clear_to_another_than_the_host(self, host: str, endpoint: str, used: bool) -> None:  # noqa: FBT001
        """Loopback may say http of itself, and of nobody whose name merely begins like it."""
        found = _session._settings_of(Connection(host=host), {"oidc_endpoint": endpoint})

        assert ("discovery_url" in found) is used

    def test_goes_through_no_proxy_on_loopback(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither do the exchanges, which the SDK sends by sessions of its own."""
        monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "very-secret")
        with HostileServer(self._react) as proxy, HostileServer(self._react) as server:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            monkeypatch.setenv("NO_PROXY", "elsewhere.example")
            monkeypatch.setenv("no_proxy", "")

            assert _whoami(Connection(host=server.url, client_id="me", auth_type="oauth-m2m"), timeout_s=5.0)
            assert proxy.seen == []
