"""Time that passes only when somebody waits, for tests of what waits."""

import threading


class Clockwork:
    """A clock, and a wait that moves it."""

    def __init__(self) -> None:
        self.at = 1_000.0
        self.waits: list[float] = []

    def now(self) -> float:
        """Return the time in seconds."""
        return self.at

    def wait(self, end: threading.Event, seconds: float) -> bool:
        """Let ``seconds`` pass, unless ``end`` has come."""
        if end.is_set():
            return True
        self.waits.append(seconds)
        self.at += seconds
        return False
