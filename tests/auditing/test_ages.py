"""How old values are: from the stamps of the ledger and the rotation rules of git."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.auditing.ages import ages_of, audit
from reconciler.errors import EXIT_DONE, EXIT_PENDING, EXIT_WORKSPACE
from reconciler.model import KeyName, Prune, ScopeName
from reconciler.policy import ScopePolicy, SelectedTarget, Target, WorkspaceSettings
from reconciler.policy.scope_files import RotationRule
from reconciler.report.aged import AgedKey, AgeStanding, TargetAges
from reconciler.report.standings import (
    Changed,
    KeyStanding,
    KeyStatus,
    LedgerStanding,
    ScopeStanding,
    ScopeStatus,
    TargetStatus,
)
from reconciler.settings import Settings
from reconciler.terminal import Terminal
from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo
from tests.support.workspace_server import WorkspaceServer


NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)

DAY = timedelta(days=1)


def rule(days: int, key: str | None = None) -> RotationRule:
    """Return one rotation rule."""
    return RotationRule(days=days, key=None if key is None else KeyName(key))


def names(scope: str, *keys: str, rotation: tuple[RotationRule, ...] = ()) -> ScopePolicy:
    """Return what git says of a scope."""
    return ScopePolicy(
        scope=ScopeName(scope),
        files=(),
        keys=tuple(map(KeyName, keys)),
        acls=None,
        prune=Prune.OWNED,
        rotation=rotation,
    )


def key(name: str, age: timedelta | None, standing: KeyStanding = KeyStanding.MANAGED) -> KeyStatus:
    """Return how one key stands whose value changed so long ago; None: nobody knows."""
    changed = None if age is None else Changed(at=NOW - age, commit="1" * 40, author="Ada <ada@example.com>")
    return KeyStatus(key=KeyName(name), standing=standing, changed=changed)


def scope(
    name: str, *keys: KeyStatus, standing: ScopeStanding = ScopeStanding.MANAGED, detail: str = ""
) -> ScopeStatus:
    """Return how one scope stands."""
    return ScopeStatus(scope=ScopeName(name), standing=standing, keys=keys, detail=detail)


def told(*policies: ScopePolicy, scopes: tuple[ScopeStatus, ...], error: str | None = None) -> TargetAges:
    """Return the ages of a target of which that is known, with 14 days' notice."""
    status = TargetStatus(
        target="prod",
        host="https://fake.cloud.databricks.com",
        identity="oncall@example.com",
        commit="3" * 40,
        ledger=LedgerStanding.COUNTS,
        scopes=scopes,
        error=error,
    )
    target = Target(name="prod", workspace=WorkspaceSettings(host="https://fake.cloud.databricks.com"))
    return ages_of(SelectedTarget(target=target, scopes=policies, whole=True), status, within=14 * DAY, now=NOW)


def only(ages: TargetAges) -> AgedKey:
    """Return the one key."""
    (found,) = ages.keys
    return found


@pytest.mark.parametrize(
    ("age", "standing", "days"),
    [
        pytest.param(90 * DAY, AgeStanding.DUE, 90, id="at its limit"),
        pytest.param(90 * DAY + timedelta(milliseconds=1), AgeStanding.OVERDUE, 91, id="a moment beyond it"),
        pytest.param(76 * DAY, AgeStanding.FRESH, 76, id="at the beginning of the notice"),
        pytest.param(76 * DAY + timedelta(milliseconds=1), AgeStanding.DUE, 77, id="a moment into the notice"),
        pytest.param(timedelta(), AgeStanding.FRESH, 0, id="of this moment"),
        pytest.param(-3 * DAY, AgeStanding.FRESH, 0, id="by a clock that is ahead"),
    ],
)
def test_an_age_stands_to_its_limit(age: timedelta, standing: AgeStanding, days: int) -> None:
    """Older than allowed is overdue, as rotation-due of a plan has it; due is what will be so within the notice."""
    found = only(told(names("app", "a", rotation=(rule(90),)), scopes=(scope("app", key("a", age)),)))
    assert (found.standing, found.age_days, found.limit_days) == (standing, days, 90)
    assert found.due == NOW - age + 90 * DAY


@pytest.mark.parametrize(
    ("rules", "limit"),
    [
        pytest.param((rule(10, "A"), rule(90)), 10, id="by name, whatever the case"),
        pytest.param((rule(10, "b"), rule(90)), 90, id="by the rule for all others"),
        pytest.param((rule(10, "b"),), None, id="by none"),
    ],
)
def test_the_first_rule_that_fits_is_the_limit(rules: tuple[RotationRule, ...], limit: int | None) -> None:
    """Names compare without case."""
    found = only(told(names("app", "a", rotation=rules), scopes=(scope("app", key("a", 20 * DAY)),)))
    assert found.limit_days == limit
    assert (found.standing is AgeStanding.UNRULED) == (limit is None)


def test_what_has_no_rule_is_nobody_s_duty() -> None:
    """Counted, with its age, and nothing to do."""
    ages = told(names("app", "a", "b"), scopes=(scope("app", key("a", 4_000 * DAY), key("b", None)),))
    assert [one.standing for one in ages.keys] == [AgeStanding.UNRULED] * 2
    assert [one.step for one in ages.keys] == [None, None]
    assert ages.exit_code == EXIT_DONE


def test_what_is_due_names_the_command_for_it() -> None:
    """Also where a key would pass for an option."""
    ages = told(
        names("app", "a", "-b", rotation=(rule(1),)), scopes=(scope("app", key("a", 2 * DAY), key("-b", 2 * DAY)),)
    )
    assert [one.step for one in ages.keys] == ["reconciler rotate prod/app -- -b", "reconciler rotate prod/app a"]
    assert ages.exit_code == EXIT_PENDING


@pytest.mark.parametrize(
    ("scopes", "why"),
    [
        pytest.param((scope("app", key("a", None, KeyStanding.PENDING)),), "never applied", id="never applied"),
        pytest.param(
            (scope("app", key("a", None), standing=ScopeStanding.UNMANAGED, detail="somebody else's"),),
            "somebody else's",
            id="not ours",
        ),
        pytest.param(
            (ScopeStatus(scope=ScopeName("app"), standing=ScopeStanding.UNKNOWN, error="no READ"),),
            "no READ",
            id="denied",
        ),
        pytest.param((), "ledger does not say", id="nothing known"),
    ],
)
def test_an_unknown_age_says_why(scopes: tuple[ScopeStatus, ...], why: str) -> None:
    """It is listed, as it may be overdue, and is not called so."""
    ages = told(names("app", "a", rotation=(rule(1),)), scopes=scopes)
    found = only(ages)
    assert found.standing is AgeStanding.UNKNOWN
    assert why in found.detail
    assert found.step == "reconciler plan prod/app"
    assert ages.exit_code in {EXIT_DONE, EXIT_WORKSPACE}


def test_a_value_that_drifted_is_as_old_as_what_git_has() -> None:
    """Whoever put something else there by hand did not rotate what git holds."""
    drifted = key("a", 100 * DAY, KeyStanding.DRIFTED)
    found = only(told(names("app", "a", rotation=(rule(90),)), scopes=(scope("app", drifted),)))
    assert found.standing is AgeStanding.OVERDUE


def test_a_target_that_cannot_be_looked_at_says_so_and_nothing_else() -> None:
    """No key of it is called overdue or fresh."""
    ages = told(names("app", "a", rotation=(rule(1),)), scopes=(), error="no answer")
    assert (ages.keys, ages.error, ages.exit_code) == ((), "no answer", EXIT_WORKSPACE)


def test_a_year_that_no_calendar_has_is_never_due() -> None:
    """A stamp far ahead of us does not end the audit of all others."""
    far = key("a", NOW - datetime(9999, 1, 1, tzinfo=UTC))
    found = only(told(names("app", "a", rotation=(rule(99_999),)), scopes=(scope("app", far),)))
    assert (found.standing, found.due) == (AgeStanding.FRESH, None)


@pytest.fixture
def make_settings(repo: SecretsRepo, workspace_server: WorkspaceServer) -> Callable[[], Settings]:
    """Return the settings of an audit without a key of the files."""
    return lambda: Settings(
        root=repo.root, selectors=("prod",), environ=dict(workspace_server.env), home=repo.root / ".no-home"
    )


def test_ages_count_from_the_ledger_without_a_key(
    run: Cli,
    repo: SecretsRepo,
    workspace_server: WorkspaceServer,
    make_settings: Callable[[], Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run of the real thing: applied, looked at today, and again in a month; nothing is written."""
    monkeypatch.setenv("DATABRICKS_TOKEN", workspace_server.env["DATABRICKS_TOKEN"])
    repo.targets({"prod": workspace_server.fields})
    secrets = {workspace_server.host_key: {"app": {"old": "1", "other": "2"}}}
    commit = repo.scope_file("prod/app.yaml", secrets, rotation=["<20d old>"]).commit()
    run("apply", "prod", "--yes").expect()
    workspace_server.traffic()

    now = datetime.now(UTC)
    today = audit(make_settings(), Terminal(verbose=False), within_days=14, now=now)
    later = audit(make_settings(), Terminal(verbose=False), within_days=14, now=now + 30 * DAY)
    assert workspace_server.all_writes() == []
    assert [one.standing for one in today.targets[0].keys] == [AgeStanding.FRESH, AgeStanding.UNRULED]
    assert [one.standing for one in later.targets[0].keys] == [AgeStanding.OVERDUE, AgeStanding.UNRULED]
    assert (today.exit_code, later.exit_code) == (EXIT_DONE, EXIT_PENDING)
    changed = later.targets[0].keys[0].changed
    assert changed is not None
    assert (changed.commit, changed.author) == (commit, "Tester <tester@example.com>")

    shown = run("audit", "prod", "--within", "21", "-o", "json").expect()
    assert [one["status"] for one in shown.target["keys"]] == ["due", "unruled"]
    assert "1 due within 21 days" in run("audit", "prod", "--within", "21", "-o", "markdown").expect().stdout


def test_a_failed_audit_is_a_document_too(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """A program that reads stdout gets JSON, whatever went wrong."""
    repo.targets({"prod": workspace_server.fields}).commit()
    found = run("audit", "nowhere", "-o", "json").expect(2)
    assert found.target["target"] == "nowhere"
    assert "unknown target" in found.target["error"]
    kept = repo.root.parent / "audit.md"
    shown = run("audit", "nowhere", "-o", "markdown", "--output-file", str(kept)).expect(2)
    assert "unknown target" in kept.read_text()
    assert shown.stdout == ""
