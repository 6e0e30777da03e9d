"""Reports of plans and results: text, Markdown, JSON over one record.

Renderers take data and return text; who calls them decides where it goes. ``rich`` is imported only for colours, for
names outside ASCII and for a progress bar that is really drawn.
"""

import enum
from typing import assert_never

from reconciler.report.ages_table import render_ages, render_ages_json, render_ages_markdown
from reconciler.report.as_json import render_json
from reconciler.report.as_markdown import render_markdown
from reconciler.report.as_sarif import render_problems_sarif
from reconciler.report.as_text import render_text
from reconciler.report.checkup_table import render_checkup, render_checkup_json
from reconciler.report.escape import code_span, escape_text
from reconciler.report.progress import ProgressBar
from reconciler.report.record import (
    ListedKey,
    ListedScope,
    RunReport,
    Status,
    TargetListing,
    TargetReport,
    TargetRow,
)
from reconciler.report.review_as_json import render_review_json
from reconciler.report.review_as_markdown import render_review_markdown
from reconciler.report.review_as_text import render_review
from reconciler.report.revoked_table import (
    render_error_json,
    render_error_markdown,
    render_revoked,
    render_revoked_json,
    render_revoked_markdown,
)
from reconciler.report.status_table import render_status, render_status_json
from reconciler.report.tables import (
    render_listing,
    render_listing_json,
    render_problems,
    render_problems_json,
    render_targets,
    render_targets_json,
)


class Format(enum.Enum):
    """How a report is written; the values are those of ``-o``."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


def render(
    report: RunReport, form: Format, *, color: bool = False, width: int | None = None, verbose: bool = False
) -> str:
    """Return ``report`` in one of its forms, ended by a line feed.

    Args:
        report: What to tell.
        form: How.
        color: Use ANSI colours; text only.
        width: Columns of the terminal, None when there is none; text only.
        verbose: Also tell the platform's request ids; text only, JSON always has them.
    """
    match form:
        case Format.TEXT:
            return render_text(report, color=color, width=width, verbose=verbose)
        case Format.MARKDOWN:
            return render_markdown(report)
        case Format.JSON:
            return render_json(report)
        case _:
            assert_never(form)


__all__ = [
    "Format",
    "ListedKey",
    "ListedScope",
    "ProgressBar",
    "RunReport",
    "Status",
    "TargetListing",
    "TargetReport",
    "TargetRow",
    "code_span",
    "escape_text",
    "render",
    "render_ages",
    "render_ages_json",
    "render_ages_markdown",
    "render_checkup",
    "render_checkup_json",
    "render_error_json",
    "render_error_markdown",
    "render_json",
    "render_listing",
    "render_listing_json",
    "render_markdown",
    "render_problems",
    "render_problems_json",
    "render_problems_sarif",
    "render_review",
    "render_review_json",
    "render_review_markdown",
    "render_revoked",
    "render_revoked_json",
    "render_revoked_markdown",
    "render_status",
    "render_status_json",
    "render_targets",
    "render_targets_json",
    "render_text",
]
