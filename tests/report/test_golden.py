"""Every report of every situation, as a person sees it."""

import pytest

from reconciler.errors import Problem, Severity
from reconciler.model import Acl, KeyName, Permission, Principal, ScopeName
from reconciler.report import (
    Format,
    ListedKey,
    ListedScope,
    TargetListing,
    TargetRow,
    render,
    render_listing,
    render_listing_json,
    render_problems,
    render_problems_json,
    render_problems_sarif,
    render_review,
    render_review_json,
    render_review_markdown,
    render_status,
    render_status_json,
    render_targets,
    render_targets_json,
)
from reconciler.workspace import Backend
from tests.report.audits import AUDITS
from tests.report.compare import check_golden, golden_names
from tests.report.reviews import REVIEWS
from tests.report.situations import SITUATIONS
from tests.report.standings import STANDINGS


TARGETS = (
    TargetRow(target="demo", host="demo", embedded=True, files=1, scopes=(ScopeName("secrets"),)),
    TargetRow(
        target="prod",
        host="https://adb-1.2.azuredatabricks.net",
        embedded=False,
        files=12,
        scopes=(ScopeName("edge"), ScopeName("payments")),
    ),
    TargetRow(target="spare", host="https://adb-2.2.azuredatabricks.net", embedded=False, files=0, scopes=()),
)

LISTING = (
    TargetListing(
        target="prod",
        host="https://adb-1.2.azuredatabricks.net",
        identity="deploy@example.com",
        scopes=(
            ListedScope(
                scope=ScopeName("payments"),
                backend=Backend.DATABRICKS,
                keys=(
                    ListedKey(key=KeyName("db-password"), updated_ms=1_767_323_045_678),
                    ListedKey(key=KeyName("api"), updated_ms=0),
                ),
                acls=(
                    Acl(principal=Principal("data team \u202e"), permission=Permission.READ),
                    Acl(principal=Principal("admins"), permission=Permission.MANAGE),
                ),
            ),
            ListedScope(
                scope=ScopeName("vault"),
                backend=Backend.AZURE_KEYVAULT,
                keys=(),
                acls=None,
                error="listing its keys was denied (ask its owner for READ)",
            ),
        ),
    ),
)

PROBLEMS = (
    Problem(
        path="secrets/prod/payments.yaml",
        line=3,
        column=9,
        what="unknown field ruls",
        expected="acls, prune, rotation, version or secrets",
        advice="did you mean rotation?",
        scope="prod/payments",
        rule="unknown-field",
    ),
    Problem(path="secrets/prod/\x1b[2Jempty.yaml", what="the file is empty"),
    Problem(
        path=".sops.yaml",
        line=7,
        column=5,
        what="sops ignores age of a rule that has key_groups",
        expected="recipients in key_groups, or beside it",
        rule="ignored-recipients",
        severity=Severity.WARNING,
    ),
)

RULES = {
    "invalid-input": "input that a run cannot use",
    "unknown-field": "fields are those of an allow-list",
    "ignored-recipients": "a rule names recipients in key_groups or beside it",
}

TABLES = {
    "targets.text": render_targets(TARGETS, color=False),
    "targets.json": render_targets_json(TARGETS),
    "no-targets.text": render_targets((), color=False),
    "listing.text": render_listing(LISTING, color=False),
    "listing.json": render_listing_json(LISTING),
    "problems.text": render_problems(PROBLEMS, files=3, color=False),
    "problems.colour": render_problems(PROBLEMS, files=3, color=True),
    "problems.json": render_problems_json(PROBLEMS, files=3),
    "problems.sarif": render_problems_sarif(PROBLEMS, rules=RULES, prefix="", tool_version="0.0.0"),
    "warnings.text": render_problems(PROBLEMS[2:], files=3, color=False),
    "no-problems.text": render_problems((), files=1, color=False),
    "no-problems.sarif": render_problems_sarif((), rules=RULES, prefix="", tool_version="0.0.0"),
    **{f"{name}.text": render_status(found, color=False) for name, found in STANDINGS.items()},
    **{f"{name}.json": render_status_json(found) for name, found in STANDINGS.items()},
    **{f"{name}.text": render_review(found, color=False) for name, found in REVIEWS.items()},
    **{f"{name}.markdown": render_review_markdown(found) for name, found in REVIEWS.items()},
    **{f"{name}.json": render_review_json(found) for name, found in REVIEWS.items()},
    "review-everything.colour": render_review(REVIEWS["review-everything"], color=True, width=80),
    **AUDITS,
    "status-everything.colour": render_status(STANDINGS["status-everything"], color=True, width=60),
}


@pytest.mark.parametrize("form", [pytest.param(form, id=form.value) for form in Format])
@pytest.mark.parametrize("situation", [pytest.param(name, id=name) for name in SITUATIONS])
def test_report_looks_as_it_did(situation: str, form: Format) -> None:
    """A report changes only when somebody has looked at the change."""
    check_golden(f"{situation}.{form.value}", render(SITUATIONS[situation], form))


@pytest.mark.parametrize("table", [pytest.param(name, id=name) for name in TABLES])
def test_table_looks_as_it_did(table: str) -> None:
    """The same for what targets, list, status and validate print."""
    check_golden(table, TABLES[table])


def test_colours_look_as_they_did() -> None:
    """A coloured report is the plain one with ANSI colours, wrapped at the terminal's width between words."""
    check_golden("failed.colour", render(SITUATIONS["failed"], Format.TEXT, color=True, width=60))


def test_no_golden_file_is_left_over() -> None:
    """A file that no test reads would look like a promise."""
    reports = {f"{situation}.{form.value}" for situation in SITUATIONS for form in Format}
    assert golden_names() == reports | TABLES.keys() | {"failed.colour"}
