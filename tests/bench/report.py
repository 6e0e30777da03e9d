"""The floor, the goals, and the table."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from tests.bench.before import BEFORE
from tests.bench.runs import CHECKED_FILES, CONCURRENCY, FILES, VALUES, Measured
from tests.bench.server import LATENCY_S


def floor_s(requests: int) -> float:
    """Return the seconds below which nobody gets: rounds of CONCURRENCY requests, each as long as the latency.

    That is requests / concurrency x latency, where a last round that is not full takes as long as a full one.
    """
    return math.ceil(requests / CONCURRENCY) * LATENCY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One promise and what was measured."""

    what: str
    wanted: float
    found: float
    unit: str
    at_least: bool = False
    """More is better."""

    @property
    def is_reached(self) -> bool:
        """Tell whether the promise holds."""
        return self.found >= self.wanted if self.at_least else self.found <= self.wanted

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        verdict = "reached" if self.is_reached else "MISSED"
        return f"{verdict:8} {self.what:44} {self.found:8.3f} {sign} {self.wanted:g} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that was measured; times in seconds, medians."""

    runs: tuple[Measured, ...]
    loops: tuple[Measured, ...]
    interpreter_s: float
    """A Python that does nothing: what the machine itself takes."""

    help_s: float
    decrypted_s: float
    sops_loop_s: float
    pysops_s: float
    """A Python that imports the reader and ends: what one file costs before anything is read."""

    one_file_s: float
    one_file_loaded_s: float
    """Without the start of Python, as of any file but the first of a run."""

    sops_one_file_s: float
    validated_s: float

    def goals(self) -> tuple[Goal, ...]:
        """Return what must be reached."""
        return (
            Goal(what="reconciler --help", wanted=100, found=self.help_s * 1000, unit="ms"),
            *(
                Goal(what=f"{run.name}, {run.keys} keys, whole process", wanted=0.6, found=run.seconds, unit="s")
                for run in self.runs
                if run.scopes == 1 and run.keys == _PLAN_KEYS and run.name.startswith("plan")
            ),
            *(
                Goal(
                    what=f"puts of a first apply, {run.keys} keys",
                    wanted=1.3,
                    found=run.puts_seconds / floor_s(run.puts),
                    unit="x floor",
                )
                for run in self.runs
                if run.name == "first apply" and run.scopes == 1
            ),
            *(goal for run in self.runs for goal in _ledger_goals(run)),
            Goal(
                what=f"{FILES} files decrypted, whole process",
                wanted=8,
                found=self.sops_loop_s / self.decrypted_s,
                unit="x faster than the binary",
                at_least=True,
            ),
            Goal(
                what=f"one file of {VALUES:,} values, in a running process",
                wanted=1,
                found=self.one_file_loaded_s / self.sops_one_file_s,
                unit="x the binary",
            ),
            Goal(
                what=f"one file of {VALUES:,} values, whole process",
                wanted=1,
                found=self.one_file_s / self.sops_one_file_s,
                unit="x the binary",
            ),
            Goal(
                what=f"validate {CHECKED_FILES} files, whole process",
                wanted=1,
                found=self.validated_s,
                unit="s",
            ),
        )


_PLAN_KEYS: Final = 10


def _ledger_goals(run: Measured) -> Sequence[Goal]:
    """Return what was promised of the ledger for runs of this kind."""
    what = f"{run.name}, {run.scopes} x {run.keys} keys"
    requests, values = run.reads + run.writes, floor_s(run.puts) + floor_s(run.values_read)
    match run.name, run.scopes, run.keys:
        case "no-op", 1, 1000:
            return (
                Goal(what=what, wanted=8, found=requests, unit="requests"),
                Goal(what=what, wanted=0, found=run.values_read, unit="values read"),
                Goal(what=f"{what}, whole process", wanted=0.75, found=run.seconds, unit="s"),
            )
        case "rotate one", 1, 1000:
            return (Goal(what=what, wanted=16, found=requests, unit="requests"),)
        case "first apply", 1, 1000:
            return (
                Goal(what=f"{what}, puts and reads", wanted=1.25, found=run.values_seconds / values, unit="x floor"),
                Goal(what=f"{what}, whole process", wanted=1.25, found=run.seconds / values, unit="x floor"),
            )
        case "no-op", 100, 100:
            return (
                Goal(what=what, wanted=310, found=requests, unit="requests"),
                Goal(what=what, wanted=0, found=run.values_read, unit="values read"),
            )
        case _:
            return ()


def as_text(figures: Figures) -> str:
    """Return the report for people."""
    return "\n".join(
        (
            f"Against the embedded workspace: {LATENCY_S * 1000:.0f} ms more per request, {CONCURRENCY} at a time.",
            "Seconds, medians: of the whole process, and of the puts alone beside their floor.",
            "At the right requests and seconds of the same runs before there was a ledger.",
            "",
            _row("", *_COLUMNS),
            *(_run_row(run, floor_s) for run in figures.runs),
            *(_run_row(run, lambda requests: requests * LATENCY_S) for run in figures.loops),
            "",
            f"{'python -c pass':40} {figures.interpreter_s:7.3f} s",
            f"{'reconciler --help':40} {figures.help_s:7.3f} s",
            f"{f'{FILES} files decrypted in one process':40} {figures.decrypted_s:7.3f} s",
            f"{f'{FILES} files, sops called on each':40} {figures.sops_loop_s:7.3f} s",
            f"{'python -c import pysops':40} {figures.pysops_s:7.3f} s",
            f"{f'one file of {VALUES:,} values, whole process':40} {figures.one_file_s:7.3f} s",
            f"{f'one file of {VALUES:,} values, loaded':40} {figures.one_file_loaded_s:7.3f} s",
            f"{f'one file of {VALUES:,} values, sops':40} {figures.sops_one_file_s:7.3f} s",
            f"{f'reconciler validate, {CHECKED_FILES} files':40} {figures.validated_s:7.3f} s",
            "",
            *map(str, figures.goals()),
        )
    )


def as_json(figures: Figures) -> dict[str, object]:
    """Return the report for programs."""
    goals = [{**asdict(goal), "is_reached": goal.is_reached} for goal in figures.goals()]
    return {"latency_s": LATENCY_S, "concurrency": CONCURRENCY, **asdict(figures), "goals": goals}


_COLUMNS: Final = (
    *("scopes", "keys", "reads", "writes", "floor", "whole", "conns"),
    *("puts", "floor", "took", "ratio"),
    *("before", "whole"),
)


def _run_row(run: Measured, floor: Callable[[int], float]) -> str:
    puts: Sequence[str] = ("", "", "", "")
    if run.puts:
        lowest = floor(run.puts)
        puts = (str(run.puts), f"{lowest:.2f}", f"{run.puts_seconds:.2f}", f"{run.puts_seconds / lowest:.2f}")
    counts = (str(run.scopes), str(run.keys), str(run.reads), str(run.writes))
    whole = (f"{floor(run.reads + run.writes):.2f}", f"{run.seconds:.2f}", str(run.connections))
    before = BEFORE.get((run.name, run.scopes, run.keys))
    earlier = () if before is None else (str(before.requests), f"{before.seconds:.2f}")
    return _row(run.name, *counts, *whole, *puts, *earlier)


def _row(name: str, *cells: str) -> str:
    return f"{name:16}" + "".join(f"{cell:>7}" for cell in cells).rstrip()
