"""Sums up what the cases of a fuzzing run came to, across the workers."""

from collections import Counter
from typing import Any

import pytest

from tests.fuzz.test_differential import SEED
from tests.pysops.verdicts import Tally
from tests.support.sops_tool import find_sops


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seed and the counts, when there are any."""
    reports: list[Any] = [report for reports in terminalreporter.stats.values() for report in reports]
    calls = [report for report in reports if getattr(report, "when", None) == "call"]
    found: list[dict[str, Any]] = [
        value for report in calls for name, value in report.user_properties if name == "tally"
    ]
    if not found:
        return
    total = Tally()
    for counts in found:
        typed: dict[str, Any] = {
            name: Counter(value) if isinstance(value, dict) else value for name, value in counts.items()
        }
        total += Tally(**typed)
    failed = len(terminalreporter.stats.get("failed", ()))
    terminalreporter.section("in-process and sops compared")
    terminalreporter.write_line(f"seed {SEED}, {len(found)} cases without a difference, {failed} with one")
    terminalreporter.write_line(f"binary: {find_sops().name}")
    for name, count in _lines(total):
        terminalreporter.write_line(f"{count:>8,}  {name}")


def _lines(total: Tally) -> list[tuple[str, int]]:
    return [
        ("honest documents, read by both with the values that were encrypted", total.documents),
        ("    of these selected by comment, which only sops reads", total.selected_by_comment),
        ("mutants of these", total.mutants),
        ("read by both with equal values", total.read_by_both),
        ("    of these not compared, as sops could not write the values legibly", total.not_compared),
        ("refused by both", total.refused_by_both),
        *((f"refused here alone: {reason}", count) for reason, count in sorted(total.stricter.items())),
        ("documents that a mutation did not change", total.unchanged),
        ("refused by both, though not for what one would think; the ten most frequent:", total.other_class.total()),
        *((f"    {what}", count) for what, count in total.other_class.most_common(10)),
    ]
