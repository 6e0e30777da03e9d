"""Files that the reconciler does not read and that decide all the same what it does, or who looks at it."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from reconciler.policy.sources import FOLDER, MISNAMED_RULES_FILE, RULES_FILE
from reconciler.report.reviewed import FILE_STATES, Difference, Kind, Rank, Sight


_SIGHTS: Final = (
    (
        Sight.PIPELINE,
        re.compile(
            r"""(?x)
            \.github/(?:workflows|actions)/.* | (?:.*/)?action\.ya?ml
            | \.gitlab-ci\.yml | \.gitlab/ci/.* | (?:.*/)?azure-pipelines[^/]*\.ya?ml | \.azure-?pipelines/.*
            | \.circleci/.* | (?:.*/)?Jenkinsfile[^/]* | bitbucket-pipelines\.yml | \.buildkite/.* | \.ci/.*
            | \.drone\.yml
            """,
            re.IGNORECASE,
        ),
    ),
    (
        Sight.REVIEWERS,
        re.compile(
            r"(?:|docs/|\.github/|\.gitlab/)CODEOWNERS|\.github/(?:settings|dependabot|rulesets/.*)\.?[a-z]*|"
            r"\.mergify\.yml|\.github/mergify\.yml|\.kodiak\.toml",
            re.IGNORECASE,
        ),
    ),
    (Sight.ATTRIBUTES, re.compile(r"(?:.*/)?(?:\.gitattributes|\.gitmodules|\.lfsconfig)", re.IGNORECASE)),
    (
        Sight.TOOLING,
        re.compile(
            r"""(?x)
            (?:.*/)?(?: (?:GNU)?Makefile | [^/]*\.mk | justfile | Taskfile\.ya?ml | Dockerfile[^/]* | tox\.ini
                | noxfile\.py | pyproject\.toml | setup\.(?:py|cfg)
                | requirements[^/]*\.(?:txt|in) | constraints[^/]*\.txt
                | uv\.lock | poetry\.lock | Pipfile(?:\.lock)? | \.pre-commit-(?:config|hooks)\.yaml | \.envrc
                | \.tool-versions | mise\.toml | [^/]*\.sh )
            """,
            re.IGNORECASE,
        ),
    ),
    (
        Sight.RULES,
        re.compile(rf"(?:.*/)?(?:{re.escape(RULES_FILE)}|{re.escape(MISNAMED_RULES_FILE)})", re.IGNORECASE),
    ),
)
"""Why a file matters, to what its path from the top of the repository looks like; the first that fits.

Case is passed over: some file systems do so, too.
"""


def outside_differences(
    changes: Iterable[tuple[str, str, str]], read: Collection[str]
) -> tuple[tuple[Difference, ...], int]:
    """Return what matters among files outside, and how many others changed.

    Args:
        changes: of each file that changed its path from the top of the repository, the same from the directory of the
            run, and what became of it by the letter that git gives it.
        read: paths, from the directory of the run, of the files that the reconciler reads; these are told elsewhere.
    """
    found: list[Difference] = []
    others = 0
    for top, path, state in changes:
        if path in read:
            continue
        sight = _sight_of(top, path)
        if sight is None:
            others += 1
            continue
        found.append(
            Difference(
                kind=Kind.OTHER_FILE,
                rank=Rank.ALSO,
                path=path,
                subject=FILE_STATES.get(state, FILE_STATES["M"]),
                sight=sight,
            )
        )
    return tuple(_by_sight(found)), others


def _sight_of(top: str, path: str) -> Sight | None:
    if path.startswith(f"{FOLDER}/"):
        return Sight.BESIDE
    # Without line breaks, which a dot does not match: they would hide a file.
    flat = re.sub(r"\s", " ", top)
    return next((sight for sight, pattern in _SIGHTS if pattern.fullmatch(flat)), None)


def _by_sight(found: list[Difference]) -> Iterator[Difference]:
    for sight in Sight:
        yield from (one for one in found if one.sight is sight)
