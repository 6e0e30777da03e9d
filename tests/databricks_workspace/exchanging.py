"""What tests of exchanges need: ways to a token, a workspace that issues tokens, somebody who issues id tokens."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from databricks.sdk.core import Config
from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler import errors
from reconciler.databricks_workspace import Connection, DatabricksWorkspace, connect
from reconciler.databricks_workspace._credentials import BoundedCredentials
from reconciler.emulator import Emulator
from reconciler.emulator.token_endpoint import TOKEN_PATH
from tests.support.canaries import Canaries
from tests.support.faults import Hang, Reset, Say, react
from tests.support.hostile_server import Reaction, Seen
from tests.support.issuer import APPLICATION_ID, AZURE_DEVOPS_AUDIENCE, CLIENT_SECRET, REQUEST_TOKEN, Issuer


ME_PATH = "/api/2.0/preview/scim/v2/Me"
THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way to a token."""

    auth_type: str
    environment: Callable[[Issuer, str], Mapping[str, str]]
    """From the issuer and the address of the token endpoint."""

    id_tokens: int
    """How many are asked for by one exchange."""

    audience: str | None = None
    refused_with: str = "400, invalid_grant"


GITHUB = Kind(auth_type="github-oidc", environment=lambda issuer, _: issuer.github, id_tokens=1)
AZURE_DEVOPS = Kind(
    auth_type="azure-devops-oidc",
    environment=lambda issuer, _: issuer.azure_devops,
    id_tokens=1,
    audience=AZURE_DEVOPS_AUDIENCE,
)
ENV = Kind(
    auth_type="env-oidc",
    environment=lambda issuer, endpoint: {"DATABRICKS_OIDC_TOKEN": issuer.id_token(endpoint)},
    id_tokens=0,
)
SECRET = Kind(
    auth_type="oauth-m2m",
    environment=lambda *_: {"DATABRICKS_CLIENT_SECRET": CLIENT_SECRET},
    id_tokens=0,
    refused_with="401, invalid_client",
)


def each(*kinds: Kind) -> pytest.MarkDecorator:
    """Return a mark that runs a test once for each of ``kinds``."""
    return pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.auth_type) for kind in kinds])


KINDS = each(GITHUB, AZURE_DEVOPS, ENV, SECRET)
"""All that end in a token of Databricks' own."""


class Watch:
    """A middleware that counts, keeps what authenticated, and answers where a test says so."""

    def __init__(self) -> None:
        self.paths: Counter[str] = Counter()
        self.bearers: set[str] = set()
        self._reactions: dict[str, list[Say | Reset | Hang]] = {}

    def say(self, path: str, *reactions: Say | Reset | Hang, times: int = 1000) -> None:
        """Answer requests to ``path`` so, one by one, ``times`` times over."""
        self._reactions[path] = [*reactions] * times

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """Wrap the application."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            path = str(scope["path"])
            self.paths[path] += 1
            headers = (value.decode().split() for name, value in scope["headers"] if name == b"authorization")
            self.bearers |= {token for scheme, token in headers if scheme == "Bearer"}
            left = self._reactions.get(path)
            if left:
                await react(left.pop(0), send)
            else:
                await app(scope, receive, send)

        return watched


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return self.at_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A workspace, an issuer, and the environment of a job."""

    kind: Kind
    issuer: Issuer
    emulator: Emulator
    watch: Watch

    @property
    def connection(self) -> Connection:
        """As the target has it."""
        return Connection(host=self.emulator.url, client_id=APPLICATION_ID, auth_type=self.kind.auth_type)

    @contextlib.contextmanager
    def connected(
        self, *, timeout_s: float = 5.0, on_detail: Callable[[str], None] | None = None
    ) -> Iterator[DatabricksWorkspace]:
        """Connect for the time of the ``with``."""
        workspace = connect(self.connection, timeout_s=timeout_s, concurrency=THREADS, on_detail=on_detail)
        with contextlib.closing(workspace):
            yield workspace

    def config(self, clock: Clock, *, timeout_s: float = 5.0) -> Config:
        """Return a configuration whose tokens expire by ``clock``."""
        return Config(
            host=self.emulator.url,
            client_id=APPLICATION_ID,
            auth_type=self.kind.auth_type,
            credentials_strategy=BoundedCredentials(timeout_s, now=clock),
            retry_timeout_seconds=-1,
        )

    def canaries(self) -> Canaries:
        """Return all that a run of this kind has and must show nowhere."""
        tokens = {f"token {number}": bearer for number, bearer in enumerate(sorted(self.watch.bearers))}
        id_tokens = {f"id token {number}": token for number, token in enumerate(self.issuer.issued)}
        fixed = {"client secret": CLIENT_SECRET} if self.kind is SECRET else {}
        if self.kind.id_tokens:
            fixed["request token"] = REQUEST_TOKEN
        return Canaries(by_name={name: text.encode() for name, text in {**tokens, **id_tokens, **fixed}.items()})


@contextlib.contextmanager
def scene(
    kind: Kind,
    monkeypatch: pytest.MonkeyPatch,
    *,
    audience: str | None = None,
    token_lifetime_s: float = 3600,
    issuing: Callable[[Seen, Reaction], Reaction] = lambda _, answer: answer,
) -> Iterator[Scene]:
    """Run what an exchange needs; the environment of the test is that of the job."""
    watch = Watch()
    with Issuer(issuing) as issuer:
        principal = issuer.principal(audience or kind.audience, token_lifetime_s=token_lifetime_s)
        with Emulator(service_principal=principal, middleware=(watch,)) as emulator:
            for name, value in kind.environment(issuer, f"{emulator.url}{TOKEN_PATH}").items():
                monkeypatch.setenv(name, value)
            yield Scene(kind=kind, issuer=issuer, emulator=emulator, watch=watch)


def at_once(action: Callable[[], object], times: int = 40) -> list[object]:
    """Run ``action`` from several threads; return what each time came of it, errors included."""

    def one(_: int) -> object:
        try:
            return action()
        except errors.WorkspaceError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(times)))


def until(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
    """Wait for a condition that another thread will make true."""
    ends = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def caught(action: Callable[[], object]) -> Exception:
    """Return what ``action`` raises."""
    try:
        action()
    except Exception as error:  # noqa: BLE001  # what comes is what the test is about
        return error
    raise AssertionError("nothing was raised")


def fails(it: Scene, *, timeout_s: float = 5.0) -> errors.WorkspaceError:
    """Return why there was no way to connect."""
    with pytest.raises(errors.WorkspaceError) as caught:
        connect(it.connection, timeout_s=timeout_s, concurrency=THREADS)
    return caught.value
