"""The ways to a token: chosen, asked and worded as the SDK does it."""

import contextlib
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.core import Config
from databricks.sdk.credentials_provider import DefaultCredentials

from reconciler import errors
from reconciler.databricks_workspace import Connection, _calls, connect
from reconciler.databricks_workspace._credentials import BoundedCredentials
from reconciler.emulator import Exchanges
from reconciler.emulator.token_endpoint import METADATA_PATH, TOKEN_PATH
from tests.databricks_workspace.exchanging import GITHUB, KINDS, Clock, Kind, fails, scene
from tests.support.hostile_server import Answer, HostileServer, Seen
from tests.support.issuer import APPLICATION_ID, Issuer


class TestSdk:
    """Forms, headers and choice are the SDK's."""

    @KINDS
    @pytest.mark.parametrize("client_id", [APPLICATION_ID, "a b&c=d+e/f"])
    def test_sends_what_the_sdk_sends(self, client_id: str, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same requests, in the same order, once each; a new version of the SDK that sends others shows here."""
        sent: list[list[tuple[object, ...]]] = []
        strategies: tuple[Any, ...] = (DefaultCredentials(), BoundedCredentials(5.0))
        for strategy in strategies:
            with Issuer() as issuer, HostileServer(_endpoint) as server:
                for name, value in kind.environment(issuer, "audience").items():
                    monkeypatch.setenv(name, value)
                config = Config(
                    host=server.url,
                    client_id=client_id,
                    auth_type=kind.auth_type,
                    credentials_strategy=strategy,
                    discovery_url=f"{server.url}{METADATA_PATH}",
                    retry_timeout_seconds=-1,
                )
                assert config.authenticate() == {"Authorization": "Bearer fresh"}
                assert config.auth_type == kind.auth_type
                told = (*issuer.asked, *server.seen)
                sent.append(sorted({_shape(seen, server.url) for seen in told if "databricks-config" not in seen.path}))

        assert sent[0] == sent[1]

    def test_takes_the_first_that_has_what_it_needs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without an auth_type the environment decides, in the SDK's order."""
        with scene(GITHUB, monkeypatch) as it:
            connection = Connection(host=it.emulator.url, client_id=APPLICATION_ID)
            with contextlib.closing(connect(connection, timeout_s=5.0, concurrency=1)) as workspace:
                assert workspace.whoami().name == APPLICATION_ID

            assert len(it.issuer.asked) == 1

    @KINDS
    def test_asks_nobody_without_what_it_needs(self, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each variable that is missing makes it no way to a token."""
        with scene(kind, monkeypatch) as it:
            named = [name for name in kind.environment(it.issuer, "") if name != "SYSTEM_OIDCREQUESTURI"]
            for name in named:
                with monkeypatch.context() as without:
                    without.delenv(name)
                    assert type(fails(it)) is errors.Unauthenticated

            assert it.issuer.asked == []
            assert METADATA_PATH not in it.watch.paths

    def test_reads_the_id_token_of_a_file_anew(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Who puts it there replaces it before it expires."""
        file = tmp_path / "id-token"
        kind = Kind(
            auth_type="file-oidc", environment=lambda *_: {"DATABRICKS_OIDC_TOKEN_FILEPATH": str(file)}, id_tokens=0
        )
        clock = Clock()
        with scene(kind, monkeypatch) as it:
            assert type(fails(it)) is errors.Unauthenticated
            file.write_text(f"{it.issuer.id_token(f'{it.emulator.url}{TOKEN_PATH}')}\n")
            config = it.config(clock)
            config.authenticate()
            file.write_text("not any more")
            clock.at_s += 3600
            with pytest.raises(_calls.RefusedExchange):
                config.authenticate()

            assert it.emulator.exchanges == Exchanges(issued=1, refused=1)


def _endpoint(seen: Seen) -> Answer:
    """Answer as a host with a token endpoint whose address is always the same."""
    if seen.path == TOKEN_PATH:
        return Answer(body={"access_token": "fresh", "token_type": "Bearer", "expires_in": 3600})
    host = f"http://{seen.headers['host']}"
    return Answer(body={"token_endpoint": f"{host}{TOKEN_PATH}", "authorization_endpoint": host})


def _shape(seen: Seen, url: str) -> tuple[object, ...]:
    """Return what matters of a request; an id token and the port of a server differ each time."""
    form = {
        name: "a JWT" if name == "subject_token" else value
        for name, value in urllib.parse.parse_qsl(seen.body.decode(), keep_blank_values=True)
    }
    query = {name: value.replace(url, "URL") for name, value in seen.query.items()}
    login = seen.headers.get("authorization", "")
    kind = seen.headers.get("content-type", "")
    return seen.method, seen.path, str(sorted(query.items())), str(sorted(form.items())), login, kind
