"""Counts the requests of a run and lets something happen at one of them: a fault, a signal, somebody else's change.

One request is served at a time, so that "between two requests" means the same in each run, and the workspace is looked
at after each.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.support.faults import Asked, Break, Hang, Reset, Say, asked_of, react, sent_again, whole_body


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to a request."""

    reaction: Say | Break | Reset | Hang | None = None
    """Instead of the answer; None leaves that alone."""

    signals: tuple[int, ...] = ()
    """That the run gets."""

    after: bool = False
    """Whether the request has its effect."""


_ERROR: Final = Say.error(500, "INTERNAL_ERROR")
_BUSY: Final = Say.error(503, "TEMPORARILY_UNAVAILABLE", Retry_After="0")
_HANG: Final = Hang(seconds=1.5)
"""Longer than any attempt of a run with the timeout that such cases give it."""

FAULTS: Final = {
    "500": Fault(reaction=_ERROR),
    "500-after": Fault(reaction=_ERROR, after=True),
    "503": Fault(reaction=_BUSY),
    "503-after": Fault(reaction=_BUSY, after=True),
    "503-wait": Fault(reaction=Say.error(503, "TEMPORARILY_UNAVAILABLE", Retry_After="1")),
    "429": Fault(reaction=Say.error(429, "REQUEST_LIMIT_EXCEEDED", Retry_After="0")),
    "reset": Fault(reaction=Reset()),
    "reset-after": Fault(reaction=Reset(), after=True),
    "half-answer": Fault(reaction=Break()),
    "half-answer-after": Fault(reaction=Break(), after=True),
    "timeout": Fault(reaction=_HANG),
    "timeout-after": Fault(reaction=_HANG, after=True),
    "page-200": Fault(reaction=Say.page(200)),
    "page-200-after": Fault(reaction=Say.page(200), after=True),
    "page-502": Fault(reaction=Say.page(502)),
    "page-502-after": Fault(reaction=Say.page(502), after=True),
    "kill": Fault(signals=(signal.SIGKILL,)),
    "kill-after": Fault(signals=(signal.SIGKILL,), after=True),
    "interrupt": Fault(signals=(signal.SIGINT,)),
    "interrupt-after": Fault(signals=(signal.SIGINT,), after=True),
    "terminate": Fault(signals=(signal.SIGTERM,)),
    "interrupt-twice": Fault(signals=(signal.SIGINT, signal.SIGINT)),
}
"""By name: whatever can go wrong with one request."""


@dataclass(slots=True, kw_only=True)
class Plot:
    """What is to happen in one run."""

    at: int
    """Number of the request, from 0."""

    fault: Fault | None = None
    stuck: bool = False
    """Whether the same request fails however often it is tried again."""

    meddle: Callable[[], bool] | None = None
    """Somebody else's change right before the request; says whether anything was done."""

    happened: bool = False
    """Whether there was such a request, and something to be done."""


NOTHING: Final = Plot(at=-1)


class Noted(Protocol):
    """Called after a request was served."""

    def __call__(self, number: int, asked: Asked, *, answered: bool) -> None:
        """Learn its number in the run, what it asked, and whether the run is told the answer."""
        ...


class Instants:
    """A middleware for the embedded workspace.

    Args:
        noted: Called after each request.
    """

    def __init__(self, noted: Noted) -> None:
        self._noted = noted
        self._lock = asyncio.Lock()
        self._pid: int | None = None
        self._plot = NOTHING
        self._stuck: Asked | None = None
        self.asked: list[Asked] = []
        """Requests of the run so far."""
        self.busy = 0
        """Requests that are being served, or wait for their turn: also those of a run that was killed."""

    def expect(self, plot: Plot) -> None:
        """Count from 0 again: another run is about to begin."""
        self.asked = []
        self._pid = None
        self._plot = plot
        self._stuck = None

    def began(self, pid: int) -> None:
        """Learn which process runs."""
        self._pid = pid

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """Wrap the application."""

        async def counting(scope: Scope, receive: Receive, send: Send) -> None:
            body = await whole_body(receive) if scope["method"] != "GET" else b""
            self.busy += 1
            try:
                async with self._lock:
                    instead = await self._serve(app, asked_of(scope, body), (scope, body, send))
            finally:
                self.busy -= 1
            if instead is not None:
                # Not under the lock: whoever does not answer must not keep others waiting.
                await react(instead, send)

        return counting

    async def _serve(
        self, app: ASGIApp, asked: Asked, exchange: tuple[Scope, bytes, Send]
    ) -> Say | Break | Reset | Hang | None:
        """Serve one request; return what to do instead of answering it, if anything."""
        scope, body, send = exchange
        number = len(self.asked)
        self.asked.append(asked)
        plot = self._plot
        if number == plot.at and plot.meddle is not None:
            plot.happened = plot.meddle()
        fault = self._fault_of(number, asked)
        if fault is None:
            await app(scope, sent_again(body), send)
            self._noted(number, asked, answered=True)
            return None
        plot.happened = True
        answer: list[Message] = []
        if fault.after:
            await app(scope, sent_again(body), _into(answer))
        self._noted(number, asked, answered=False)
        for each in fault.signals:
            await self._signal(each)
        if signal.SIGKILL in fault.signals:
            return Reset()
        if fault.reaction is not None:
            return fault.reaction
        if not fault.after:
            await app(scope, sent_again(body), _into(answer))
        self._noted(number, asked, answered=True)
        for message in answer:
            await send(message)
        return None

    def _fault_of(self, number: int, asked: Asked) -> Fault | None:
        plot = self._plot
        if plot.fault is None:
            return None
        if number == plot.at:
            self._stuck = asked if plot.stuck else None
            return plot.fault
        again = self._stuck is not None and (asked.operation, asked.fields) == (
            self._stuck.operation,
            self._stuck.fields,
        )
        return plot.fault if again else None

    async def _signal(self, number: int) -> None:
        while self._pid is None:  # noqa: ASYNC110  # told by another thread within a millisecond
            await asyncio.sleep(0.001)
        os.kill(self._pid, number)
        # Until it has been noticed: Python handles a signal between two instructions.
        await asyncio.sleep(0.002)


def _into(answer: list[Message]) -> Send:
    async def keep(message: Message) -> None:
        answer.append(message)

    return keep
