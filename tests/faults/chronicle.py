"""A history of commits whose files have been read already, and runs of them against the workspace in memory."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from reconciler.choose import choose
from reconciler.errors import exit_code_of
from reconciler.report.record import TargetReport
from reconciler.session import Session
from reconciler.settings import Chosen, Settings
from tests.fakes import FakeClock, FakeWorkspace
from tests.faults.story import READ, TARGET, WRITE, Library, Step, Wish
from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool


HOST_KEY: Final = "fake.cloud.databricks.com"

_WISHES: Final = (
    ({"alpha": "a1 b1 c1", "beta": "a1 b1"}, {"users": READ}),
    ({"alpha": "a2 b1 c1", "beta": "a1 b1"}, {"users": READ, "team": WRITE}),
    ({"alpha": "a2 b1 d1", "beta": "a1 b2 c1"}, {"users": READ, "team": READ}),
    ({"alpha": "a2 b1 d1", "beta": "a1 b2 c1"}, {"users": READ, "team": READ}),
    ({"alpha": "a1 b1 c1", "beta": "a1 b1"}, {"users": READ, "team": READ, "ops": WRITE}),
    ({"alpha": "a1 b1 c1 d2", "gamma": "a1 b1"}, {"ops": WRITE}),
    ({"alpha": "a3 c2 d2", "gamma": "a1 b1 c3", "beta": "a1"}, {"ops": READ, "users": READ}),
    ({"alpha": "a3 b3 d2", "beta": "a1 b1"}, {"users": READ}),
)
"""Scope to keys with the numbers of their values, and grants: one commit after the other."""


class WallClock(FakeClock):
    """The platform's clock is the real one: pauses have to be real, and puts at once get the same time."""

    def tick(self) -> int:
        """Return the time of a put."""
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One commit."""

    wish: Wish
    commit: str
    chosen: Chosen
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a run in memory came to."""

    exit_code: int
    report: TargetReport

    @property
    def shown(self) -> Mapping[str, object]:
        """Changes, findings and errors, with the names of the JSON report that the judge looks at."""
        from reconciler.plan import action_of

        changes = [
            {
                "action": action_of(change),
                "scope": change.scope.lower(),
                "key": str(getattr(change, "key", "")).lower(),
                "principal": str(getattr(change, "principal", "")).lower(),
            }
            for change in self.report.plan.changes
        ]
        findings = [
            {
                "kind": finding.kind.value,
                "scope": finding.scope.lower(),
                "key": str(finding.key or "").lower(),
                "principal": str(finding.principal or "").lower(),
            }
            for finding in self.report.plan.findings
        ]
        return MappingProxyType({"changes": changes, "findings": findings, "errors": self.report.errors})


class _Silent:
    """Tells nobody."""

    detail = None

    def say(self, text: str) -> None:
        """Say nothing."""

    def progress(self, what: str, total: int) -> contextlib.AbstractContextManager[Callable[[], None]]:
        """Show nothing."""
        return contextlib.nullcontext(lambda: None)


class _Unhalted:
    """Nobody interrupts."""

    def reason(self) -> str | None:
        """Return nothing."""
        return None

    def also(self, wind_down: Callable[[], None]) -> None:
        """Forget it."""


def write(folder: Path, sops: SopsTool) -> tuple[Chapter, ...]:
    """Commit the history and read it, once."""
    key = AgeKey.generate()
    repo = SecretsRepo(folder / "repo", sops=sops, key=key)
    repo.targets({TARGET: {"workspace": {"host": f"https://{HOST_KEY}"}}})
    library = Library(repo=repo, host_key=HOST_KEY, clones=folder / "clones")
    home = folder / "home"
    home.mkdir()
    return tuple(_chapters(library, home, {"SOPS_AGE_KEY": key.identity}))


def _chapters(library: Library, home: Path, environ: Mapping[str, str]) -> Iterator[Chapter]:
    before: str | None = None
    for number, (scopes, acls) in enumerate(_WISHES):
        values = {
            scope: {part[0]: f"{scope} {part}".encode() for part in parts.split()} for scope, parts in scopes.items()
        }
        step = Step(name=f"commit-{number}", wish=Wish(scopes=values, acls=acls), follows=before)
        written = library.write(step)
        before = step.name
        settings = Settings(
            root=written.root, selectors=(TARGET,), environ=environ, home=home, concurrency=1, timeout_s=5
        )
        (chosen,) = choose(settings)
        yield Chapter(wish=step.wish, commit=written.commit, chosen=chosen, settings=settings)


def run(chapter: Chapter, workspace: FakeWorkspace, *, applying: bool = True) -> Told:
    """Plan or apply a commit."""
    session = Session(
        chapter.chosen,
        chapter.settings,
        _Silent(),
        now_ms=time.time_ns() // 1_000_000,
        applying=applying,
        connecting=lambda _target, _settings, _detail: contextlib.nullcontext(workspace),
    )
    with session:
        session.survey()
        if applying:
            session.apply(_Unhalted())
        report, codes = session.outcome()
    return Told(exit_code=exit_code_of(codes), report=report)
