"""Provides the court, once per worker, and sums up what was tried."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.figures import Figures
from tests.faults.story import FULL_STEPS
from tests.faults.trial import Court
from tests.support.sops_tool import SopsTool


@pytest.fixture(scope="session")
def court(tmp_path_factory: pytest.TempPathFactory, sops: SopsTool) -> Iterator[Court]:
    """Provide a workspace, a client, and steps that are ready to be tried."""
    with Court.opened(tmp_path_factory.mktemp("court"), sops) as court:
        yield court


@pytest.fixture(scope="session")
def full_court(tmp_path_factory: pytest.TempPathFactory, sops: SopsTool) -> Iterator[Court]:
    """Provide the same with a scope that holds as many keys as fit."""
    with Court.opened(tmp_path_factory.mktemp("full-court"), sops, FULL_STEPS) as court:
        yield court


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of all workers, when there are any."""
    reports: list[Any] = [report for reports in terminalreporter.stats.values() for report in reports]
    found: list[dict[str, Any]] = [
        value
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == "faults"
    ]
    if not found:
        return
    total = Figures()
    for counts in found:
        total += Figures(**{name: Counter(value) for name, value in counts.items()})
    terminalreporter.section("faults and other people's changes")
    terminalreporter.write_line(json.dumps(total.summary()))
