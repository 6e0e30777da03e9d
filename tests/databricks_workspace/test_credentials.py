"""Exchanges of tokens over real HTTP: one for the lifetime of a token, by each way to one.

Who issues id tokens is `tests.support.issuer`, who issues tokens is the emulator's token endpoint; both count.
"""

import time
from collections import Counter

import pytest

from reconciler import errors
from reconciler.emulator import Exchanges
from reconciler.emulator.token_endpoint import METADATA_PATH, TOKEN_PATH
from tests.databricks_workspace.exchanging import GITHUB, KINDS, ME_PATH, Clock, Kind, at_once, caught, scene, until
from tests.support.faults import Hang, Say
from tests.support.issuer import APPLICATION_ID


@KINDS
class TestLifetime:
    """One exchange serves the lifetime of a token."""

    def test_is_one_exchange_for_all_calls_and_threads(self, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
        """Forty calls from eight threads: the endpoint is asked for once, an id token once, a token once."""
        with scene(kind, monkeypatch) as it, it.connected() as workspace:
            names = at_once(lambda: workspace.whoami().name)

            assert names == [APPLICATION_ID] * 40
            assert it.emulator.exchanges == Exchanges(issued=1)
            assert len(it.issuer.asked) == kind.id_tokens
            assert it.watch.paths == Counter(
                {"/.well-known/databricks-config": 1, METADATA_PATH: 1, TOKEN_PATH: 1, ME_PATH: 40}
            )
            assert (workspace.request_count().read, workspace.request_count().write) == (41, 0)

    def test_is_one_more_exchange_once_the_token_has_expired(self, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
        """However many threads find out at the same time."""
        clock = Clock()
        with scene(kind, monkeypatch) as it:
            config = it.config(clock)
            first = at_once(lambda: config.authenticate()["Authorization"])
            clock.at_s += 3600
            second = at_once(lambda: config.authenticate()["Authorization"])

            assert (len(set(first)), len(set(second)), len({*first, *second})) == (1, 1, 2)
            assert it.emulator.exchanges == Exchanges(issued=2)
            assert len(it.issuer.asked) == 2 * kind.id_tokens
            assert it.watch.paths == Counter({METADATA_PATH: 1, TOKEN_PATH: 2})

    def test_asks_for_the_next_token_while_the_old_one_is_used(
        self, kind: Kind, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two minutes before its end; nobody waits for it, and one exchange is enough."""
        clock = Clock()
        with scene(kind, monkeypatch) as it:
            config = it.config(clock)
            old = config.authenticate()["Authorization"]
            it.watch.say(TOKEN_PATH, Hang(seconds=0.2), Say(status=503), times=1)
            clock.at_s += 3600 - 110
            began = time.monotonic()
            assert set(at_once(lambda: config.authenticate()["Authorization"])) == {old}
            assert time.monotonic() - began < 0.2

            until(lambda: config.authenticate()["Authorization"] != old)
            assert it.emulator.exchanges == Exchanges(issued=2)

    def test_is_replaced_when_it_is_not_accepted_any_more(self, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
        """Revoked in the middle of a run: no call fails, and all threads together need one more exchange."""
        with scene(kind, monkeypatch) as it, it.connected() as workspace:
            at_once(lambda: workspace.whoami().name)
            it.emulator.revoke_tokens()
            names = at_once(lambda: workspace.whoami().name)

            assert names == [APPLICATION_ID] * 40
            assert it.emulator.exchanges == Exchanges(issued=2)
            assert len(it.issuer.asked) == 2 * kind.id_tokens

    @pytest.mark.parametrize(
        ("refusal", "error"),
        [
            pytest.param(Say.error(401, "UNAUTHENTICATED"), errors.Unauthenticated, id="401"),
            pytest.param(
                Say(status=403, body=b'{"error_code": 403, "message": "Invalid access token."}'),
                errors.PermissionDenied,
                id="403 of the front door",
            ),
        ],
    )
    def test_is_replaced_once_and_then_given_up(
        self, refusal: Say, error: type[errors.WorkspaceError], kind: Kind, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the second token is refused like the first one, a third would be no better: not one per call."""
        with scene(kind, monkeypatch) as it, it.connected() as workspace:
            it.watch.say(ME_PATH, refusal)
            outcomes = [caught(workspace.whoami), *at_once(workspace.whoami)]

            assert {type(outcome) for outcome in outcomes} == {error}
            assert it.emulator.exchanges == Exchanges(issued=2)
            assert it.watch.paths[ME_PATH] == 42

    def test_is_not_replaced_when_its_owner_may_not_do_something(
        self, kind: Kind, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A denial is about the grant, not about the token."""
        with scene(kind, monkeypatch) as it, it.connected() as workspace:
            it.watch.say(ME_PATH, Say.error(403, "PERMISSION_DENIED"), times=1)
            with pytest.raises(errors.PermissionDenied):
                workspace.whoami()

            assert it.emulator.exchanges == Exchanges(issued=1)


def test_goes_on_over_the_end_of_tokens_that_live_for_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real clocks of both sides: no call fails, and there are few exchanges."""
    with scene(GITHUB, monkeypatch, token_lifetime_s=2) as it, it.connected() as workspace:
        ends = time.monotonic() + 3.0

        def call() -> object:
            time.sleep(0.01)
            return workspace.whoami().name

        outcomes: list[object] = []
        while time.monotonic() < ends:
            outcomes += at_once(call, times=16)

        assert set(outcomes) == {APPLICATION_ID}
        assert 2 <= it.emulator.exchanges.issued <= 4
