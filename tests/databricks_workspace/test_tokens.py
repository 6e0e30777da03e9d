"""What is kept of exchanges, and for how long, by a clock that a test sets."""

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from reconciler.databricks_workspace import _calls
from reconciler.databricks_workspace._credentials import _lifetime_of
from reconciler.databricks_workspace._exchange import issued_by
from reconciler.databricks_workspace._tokens import Issued, Tokens
from tests.databricks_workspace.exchanging import THREADS, Clock, caught, until


class Desk:
    """An exchange that a test controls: it counts, waits to be let go on, and fails as told."""

    def __init__(self, lifetime_s: float = 100.0) -> None:
        self.lifetime_s = lifetime_s
        self.count = 0
        self.failure: Exception | None = None
        self.failing: set[int] = set()
        """Which of them fail; besides, all while there is a `failure`."""
        self.open = threading.Event()
        self.open.set()

    def __call__(self) -> Issued:
        """Issue the next token."""
        self.count += 1
        number = self.count
        assert self.open.wait(10.0)
        if number in self.failing:
            raise _calls.SilentTokenEndpoint("gone")
        if self.failure is not None:
            raise self.failure
        return Issued(headers={"Authorization": f"Bearer {number}"}, lifetime_s=self.lifetime_s)


class TestTokens:
    """What is kept, by a clock that a test sets."""

    @staticmethod
    def _make(desk: Desk, clock: Clock, timeout_s: float = 5.0) -> Tokens:
        return Tokens(desk, timeout_s=timeout_s, now=clock)

    def test_are_used_until_shortly_before_their_end(self) -> None:
        """A token of 100 s is used for 90; from 80 on the next one is asked for."""
        desk, clock = Desk(), Clock()
        tokens = self._make(desk, clock)

        assert tokens.headers() == {"Authorization": "Bearer 1"}
        clock.at_s += 79.9
        assert tokens.headers() == {"Authorization": "Bearer 1"}
        assert desk.count == 1
        desk.open.clear()
        clock.at_s += 0.2
        assert tokens.headers() == {"Authorization": "Bearer 1"}
        desk.open.set()
        until(lambda: tokens.headers() == {"Authorization": "Bearer 2"})
        assert desk.count == 2

    def test_outlive_a_failed_attempt_to_get_the_next_one(self) -> None:
        """It is tried again after a while; only when the old one is over does the failure reach a call."""
        desk, clock = Desk(lifetime_s=1000.0), Clock()
        tokens = self._make(desk, clock)
        tokens.headers()
        desk.failure = _calls.FailingTokenEndpoint("down")

        clock.at_s += 900.0
        tokens.headers()
        until(lambda: desk.count == 2 and tokens._flight is None)
        assert [tokens.headers() for _ in range(5)] == [{"Authorization": "Bearer 1"}] * 5
        assert desk.count == 2
        clock.at_s += 5.0
        assert tokens.headers() == {"Authorization": "Bearer 1"}
        until(lambda: desk.count == 3 and tokens._flight is None)

        clock.at_s += 60.0
        with pytest.raises(_calls.FailingTokenEndpoint, match="down"):
            tokens.headers()

    def test_do_not_fail_a_call_for_an_attempt_that_was_begun_early(self) -> None:
        """Whoever has come to need it and waits for it, gets an attempt of its own when it fails."""
        desk, clock = Desk(), Clock()
        tokens = self._make(desk, clock, timeout_s=60.0)
        tokens.headers()
        desk.open.clear()
        desk.failing = {2}
        clock.at_s += 85.0
        tokens.headers()
        clock.at_s += 10.0
        with ThreadPoolExecutor(THREADS) as pool:
            waiting = [pool.submit(tokens.headers) for _ in range(THREADS)]
            time.sleep(0.1)
            desk.open.set()

            assert [each.result() for each in waiting] == [{"Authorization": "Bearer 3"}] * THREADS
        assert desk.count == 3

    def test_ask_once_for_all_that_wait(self) -> None:
        """What goes wrong is told to all of them, each by an exception of its own, and for a while to others."""
        desk, clock = Desk(), Clock()
        desk.failure = _calls.RefusedExchange("no")
        desk.open.clear()
        tokens = self._make(desk, clock)
        with ThreadPoolExecutor(THREADS) as pool:
            waiting = [pool.submit(caught, tokens.headers) for _ in range(THREADS)]
            until(lambda: desk.count == 1)
            desk.open.set()
            failures = [each.result() for each in waiting]
        failures += [caught(tokens.headers) for _ in range(20)]

        assert {type(failure) for failure in failures} == {_calls.RefusedExchange}
        assert len({id(failure) for failure in failures}) == len(failures)
        assert {failure.__context__ for failure in failures} == {None}
        assert desk.count == 1
        clock.at_s += 5.0
        desk.failure = None
        assert tokens.headers() == {"Authorization": "Bearer 2"}

    def test_do_not_wait_for_an_exchange_that_does_not_end(self) -> None:
        """It is left behind, and what it may still bring is not used."""
        desk = Desk()
        desk.open.clear()
        tokens = Tokens(desk, timeout_s=0.1)
        began = time.monotonic()
        with pytest.raises(_calls.TookTooLong):
            tokens.headers()

        assert time.monotonic() - began < 2.0
        desk.open.set()

    def test_that_live_for_no_time_serve_who_asked(self) -> None:
        """As those of an issuer that states no lifetime."""
        desk, clock = Desk(lifetime_s=0.0), Clock()
        tokens = self._make(desk, clock)

        assert [tokens.headers()["Authorization"] for _ in range(3)] == ["Bearer 1", "Bearer 2", "Bearer 3"]

    def test_are_dropped_only_by_who_was_refused_with_them(self) -> None:
        """A refusal of the old token that comes late does not cost the new one."""
        desk, clock = Desk(), Clock()
        tokens = self._make(desk, clock)
        tokens.headers()

        assert tokens.drop("Bearer 1")
        assert tokens.headers() == {"Authorization": "Bearer 2"}
        assert tokens.drop("Bearer 1")
        assert tokens.headers() == {"Authorization": "Bearer 2"}
        tokens.give_up("Bearer 1")
        assert tokens.drop("Bearer 2")
        assert tokens.headers() == {"Authorization": "Bearer 3"}
        tokens.give_up("Bearer 3")
        assert not tokens.drop("Bearer 3")
        assert tokens.headers() == {"Authorization": "Bearer 3"}

    def test_show_nothing_of_themselves(self) -> None:
        """Neither while they are kept nor while they are handed over."""
        issued = Issued(headers={"Authorization": "Bearer canary"}, lifetime_s=60.0)
        tokens = Tokens(lambda: issued, timeout_s=1.0)
        tokens.headers()

        assert "canary" not in f"{issued!r} {tokens!r} {tokens._held!r} {vars(tokens)!r}"


@pytest.mark.parametrize(
    ("said", "lifetime_s"),
    [
        pytest.param(3600, 3600, id="a number"),
        pytest.param("3599", 3599, id="text"),
        pytest.param(1.5, 1.5, id="a fraction"),
        pytest.param(0, 0, id="none"),
        pytest.param(10**400, 86_400, id="for ever"),
        pytest.param("9" * 400, 300, id="for ever as text"),
        pytest.param(float("inf"), 86_400, id="infinity"),
        pytest.param(float("nan"), 300, id="no number"),
        pytest.param(-1, 300, id="negative"),
        pytest.param(True, 300, id="true"),
        pytest.param(None, 300, id="nothing"),
        pytest.param("soon", 300, id="a word"),
        pytest.param("٣٦٠٠", 300, id="other digits"),
    ],
)
def test_believes_lifetimes_that_make_sense(said: object, lifetime_s: float) -> None:
    """What an issuer says in another way, or not at all, is five minutes; more than a day is a day."""
    answer = {"access_token": "token", "token_type": "Bearer", "expires_in": said}

    assert issued_by("the issuer", answer).lifetime_s == lifetime_s


@pytest.mark.parametrize(
    ("claims", "lifetime_s"),
    [
        pytest.param('{"iat": 100, "exp": 3700}', 3600, id="an hour"),
        pytest.param('{"iat": 100, "exp": 160}', 60, id="a minute"),
        pytest.param('{"iat": 0, "exp": 9999999999}', 3600, id="for ever"),
        pytest.param('{"exp": 3700}', 0, id="without a beginning"),
        pytest.param("[]", 0, id="a list"),
        pytest.param("no JSON", 0, id="no JSON"),
    ],
)
def test_reads_the_lifetime_that_a_jwt_states(claims: str, lifetime_s: float) -> None:
    """Of strategies of the SDK that exchange for each request; where it states none, they go on doing so."""
    encoded = _base64(claims)

    assert _lifetime_of(f"Bearer x.{encoded}.y") == lifetime_s
    assert _lifetime_of("Bearer opaque") == 0


def _base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
