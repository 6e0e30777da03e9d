"""What a run is asked to do, in which surroundings, about which targets, and whom it tells: plain data.

Filled in by `cli`, read by whoever takes part in a run.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote, urlsplit

from reconciler.errors import UsageError
from reconciler.policy import SelectedTarget, Sources
from reconciler.pysops.decryptor import Decryptor


DEFAULT_TARGET: Final = "demo"

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_LONGEST_URL: Final = 2_048
"""Characters; what is longer is no page of a run."""


class Observer(Protocol):
    """Whom a run tells how it goes. Never told a value."""

    def say(self, text: str) -> None:
        """Tell people something that is not part of the report."""
        ...

    @property
    def detail(self) -> Callable[[str], None] | None:
        """What tells people who asked for it (``-v``) what the workspace said, values masked; None if nobody did."""
        ...

    def progress(self, what: str, total: int) -> contextlib.AbstractContextManager[Callable[[], None]]:
        """Show that ``total`` steps of work begin; call what it yields after each, from any thread."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run is asked to do, and in which surroundings."""

    root: Path
    """Directory that has ``secrets/``."""

    selectors: tuple[str, ...] = ()
    """``TARGET`` or ``TARGET/SCOPE``; none means the default target, unless ``everything``."""

    everything: bool = False
    """All targets that have files."""

    environ: Mapping[str, str]
    home: Path
    concurrency: int = 16
    timeout_s: float = 60.0
    """How long one request is retried, and an ACL waited for."""

    allow_dirty: bool = False
    """Use the files of the work tree for every target, not those of the commit."""

    decryptor: Decryptor = Decryptor.AUTO
    """Which way files are opened."""

    verify_values: bool = False
    """Read every value, also those that the ledger knows."""

    allow_deletes: int | None = None
    """How many keys the run may delete in all; None leaves it to the guards of each scope."""

    allow_rollback: bool = False
    """Apply a commit that is no descendant of the one that was applied last."""

    adopt: bool = False
    """Take charge of scopes that exist and are not ours."""

    take_over: bool = False
    """Take charge of scopes that another owner's entry is about."""

    delete_scopes: bool = False
    """Delete scopes that are ours and that git no longer names."""

    expect_plan: str | None = None
    """Digest of the plan that was approved; any other one is refused."""

    def wanted(self) -> tuple[str, ...]:
        """Return the selectors, with the default filled in.

        Raises:
            UsageError: Nothing is named in a pipeline, where a default would hide a mistake.
        """
        if self.selectors or self.everything:
            return self.selectors
        if named := self.environ.get("RECONCILER_TARGET"):
            return (named,)
        if self.environ.get("CI"):
            raise UsageError("no target is named", advice="name one, set RECONCILER_TARGET, or give --all")
        return (DEFAULT_TARGET,)

    @property
    def run_url(self) -> str | None:
        """The page of the pipeline run, from the variables of whatever CI runs this; None elsewhere."""
        return next(filter(_is_page, _run_pages(self.environ)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A target that the run is about, with the files that were read for it."""

    selected: SelectedTarget
    sources: Sources
    owner: str | None = None
    """UUID of who owns what is written; None only for embedded targets."""

    dirty: tuple[str, ...] = ()
    """Files whose state in the work tree is not that of the commit which is applied."""

    @property
    def name(self) -> str:
        """Name of the target."""
        return self.selected.target.name


def _run_pages(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what each CI calls the page of the run at hand, as far as its variables are there.

    GitHub Actions: https://docs.github.com/en/actions/reference/workflows-and-actions/variables. GitLab:
    https://docs.gitlab.com/ci/variables/predefined_variables/. Azure DevOps:
    https://learn.microsoft.com/azure/devops/pipelines/build/variables. Buildkite:
    https://buildkite.com/docs/pipelines/configure/environment-variables. CircleCI:
    https://circleci.com/docs/reference/variables/. Jenkins: https://www.jenkins.io/doc/book/pipeline/jenkinsfile/.
    """

    def joined(template: str, *names: str) -> Iterator[str]:
        values = [environ.get(name, "") for name in names]
        if all(values):
            # Names of projects may have blanks; the first part is a URL as it stands.
            yield template.format(values[0].rstrip("/"), *(quote(value, safe="/") for value in values[1:]))

    yield from joined("{}/{}/actions/runs/{}", "GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    yield from joined("{}", "CI_JOB_URL")
    yield from joined("{}", "CI_PIPELINE_URL")
    yield from joined("{}/{}/_build/results?buildId={}", "SYSTEM_COLLECTIONURI", "SYSTEM_TEAMPROJECT", "BUILD_BUILDID")
    yield from joined("{}#{}", "BUILDKITE_BUILD_URL", "BUILDKITE_JOB_ID")
    yield from joined("{}", "BUILDKITE_BUILD_URL")
    yield from joined("{}", "CIRCLE_BUILD_URL")
    yield from joined("{}", "BUILD_URL")


def _is_page(url: str) -> bool:
    """Tell whether ``url`` is fit for a report that is kept: https, or http on loopback; no credential, plain ASCII."""
    if len(url) > _LONGEST_URL or not (url.isascii() and url.isprintable()) or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    return is_safe and bool(host) and "@" not in parts.netloc
