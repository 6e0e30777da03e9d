"""``python -m tests.bench``: measure, print, compare with the goals."""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from tests.bench.report import Figures, as_json, as_text
from tests.bench.runs import Bench, Measured


_SIZES: Final = {10: 7, 100: 3, 1000: 3}
"""Keys, and how often everything is measured with so many; medians of more runs where a run is short."""

_MANY: Final = (100, 100)
"""Scopes, and keys in each."""

_FULL_SIZE: Final = 1000
"""A loop of so many puts takes the better part of a minute."""


def main() -> int:
    """Run, and return the exit code."""
    options = _options()
    with Bench.started() as bench:
        figures = _measure(bench, full=options.full)
    print(as_text(figures))  # noqa: T201  # it is the report
    if options.json is not None:
        options.json.write_text(json.dumps(as_json(figures), indent=2) + "\n", encoding="utf-8")
    return int(options.check and not all(goal.is_reached for goal in figures.goals()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure requests and seconds; see docs/performance.md.",
        epilog="Exits with 0 also when a goal is missed, as a busy machine misses some: --check makes it 1.",
    )
    parser.add_argument("--full", action="store_true", help="measure the loop of 1,000 puts, too (a minute more)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    return parser.parse_args()


def _measure(bench: Bench, *, full: bool) -> Figures:
    """Measure everything, the cheap ones more often."""
    _say("start-up")
    interpreter_s = bench.start_up(("-c", "pass"), 11)
    help_s = bench.start_up(("-m", "reconciler", "--help"), 11)
    _say("decryption")
    pysops_s = bench.start_up(("-c", "from reconciler import pysops"), 9)
    decrypted_s, sops_loop_s = bench.decryption(3)
    one_file_s, one_file_loaded_s, sops_one_file_s = bench.one_file(9)
    _say("validation")
    validated_s = bench.validation(7)
    runs: list[Measured] = []
    loops: list[Measured] = []
    for keys, times in _SIZES.items():
        _say(f"{keys} keys")
        runs += bench.lifecycle(keys, times)
    scopes, keys = _MANY
    _say(f"{scopes} scopes of {keys} keys, which takes the longest")
    runs += bench.many_scopes(scopes, keys, 3)
    for keys in _SIZES:
        if keys < _FULL_SIZE or full:
            _say(f"loop of {keys} puts")
            loops.append(bench.loop_of_puts(keys, 1))
    return Figures(
        runs=tuple(runs),
        loops=tuple(loops),
        interpreter_s=interpreter_s,
        help_s=help_s,
        decrypted_s=decrypted_s,
        sops_loop_s=sops_loop_s,
        pysops_s=pysops_s,
        one_file_s=one_file_s,
        one_file_loaded_s=one_file_loaded_s,
        sops_one_file_s=sops_one_file_s,
        validated_s=validated_s,
    )


def _say(what: str) -> None:
    print(f"measuring {what} …", file=sys.stderr)  # noqa: T201  # the talk


if __name__ == "__main__":
    sys.exit(main())
