"""`validate`: everything that shows without a key, in three forms, offline."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import fastjsonschema
import pytest

from reconciler.errors import escaped
from reconciler.policy.rules import RULES
from tests.support.audit import watched
from tests.support.cli import PACKAGE_ROOT, Cli
from tests.support.secrets_repo import SecretsRepo


CANARY: Final = "c4n4ry-of-a-forgotten-encryption"

FORMS: Final = ("text", "json", "sarif")


@pytest.fixture
def fed(run: Cli, repo: SecretsRepo) -> Cli:
    """Feed one scope of an embedded target, with nothing wrong; return the command line."""
    repo.targets({"demo": repo.embedded("demo")})
    repo.scope_file("demo/app.yaml", {"demo": {"app": {"a": "1"}}})
    return run


def results(document: Any) -> Any:  # noqa: ANN401  # JSON
    """Return the results of a SARIF document, its only run."""
    (run,) = document["runs"]
    return run["results"]


def uri_of(result: Any) -> str:  # noqa: ANN401  # JSON
    """Return where a result is."""
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert isinstance(uri, str)
    return uri


@pytest.mark.parametrize("form", FORMS)
def test_files_in_order_pass(fed: Cli, form: str) -> None:
    """Exit 0, and nothing on stderr."""
    done = fed("validate", "-o", form).expect()
    assert done.stderr == ""
    assert done.stdout


def test_the_three_forms_tell_the_same(fed: Cli, repo: SecretsRepo) -> None:
    """Each problem has one rule, place and severity, however it is written; exit 4 each time."""
    repo.write("secrets/plain.yaml", f"version: 1\nsecrets: {{demo: {{other: {{key: {CANARY}}}}}}}\nmore: 1\n")
    repo.write("secrets/broken.yaml", "secrets: [")
    text = fed("validate").expect(4).stdout.splitlines()
    found = fed("validate", "-o", "json").expect(4).json
    shown = results(fed("validate", "-o", "sarif").expect(4).json)
    assert len(found["problems"]) == len(shown) == len(text) - 1 >= 3
    for line, problem, result in zip(text, found["problems"], shown, strict=False):
        assert problem["rule"] in RULES
        assert result["ruleId"] == problem["rule"]
        assert result["level"] == problem["severity"] == "error"
        assert uri_of(result) == problem["path"]
        assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == (problem["line"] or 1)
        assert line.startswith(problem["path"])
        assert line.endswith(f"  [{problem['rule']}]")
        assert problem["what"] in line
        assert problem["what"].replace("{", "{{").replace("}", "}}") in result["message"]["text"]


def test_warnings_are_marked_and_let_the_files_pass(fed: Cli, repo: SecretsRepo) -> None:
    """They are worth a look and no reason to stop: exit 0."""
    (repo.root / ".sops.yaml").unlink()
    lines = fed("validate").expect(0).stdout.splitlines()
    assert len(lines) == 2
    assert ": warning: " in lines[0]
    assert lines[1] == "no problems, 1 warning in 2 files"
    (problem,) = fed("validate", "-o", "json").expect(0).json["problems"]
    assert problem["severity"] == "warning"
    (result,) = results(fed("validate", "-o", "sarif").expect(0).json)
    assert result["level"] == "warning"


@pytest.mark.parametrize("form", FORMS)
def test_no_secret_text_is_shown_and_nobody_is_asked(fed: Cli, repo: SecretsRepo, form: str) -> None:
    """What somebody forgot to encrypt, or wrote in the place of a name, is in no report."""
    repo.write("secrets/a.yaml", f"version: 1\nsecrets: {{demo: {{other: {{key: {CANARY}}}}}}}\n")
    repo.write("secrets/b.yaml", f'version: 1\nsecrets: {{demo: {{other: {{key: {{"{CANARY} {{": 1}}}}}}}}\n')
    repo.write("secrets/c.yaml", f"version: {CANARY}\nsecrets: !!{CANARY} {{}}\n")
    repo.write("secrets/d.yaml", f"version: 1\nsecrets: '{CANARY}\n")
    with watched() as deeds:
        done = fed("validate", "-o", form).expect(4)
    assert CANARY not in done.stdout + done.stderr
    assert deeds.contacts == []


def test_guide_lists_every_rule_as_the_program_does() -> None:
    """Whoever meets a name in brackets finds it there."""
    guide = (PACKAGE_ROOT / "docs" / "validate.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", guide.partition("## Rules")[2], re.MULTILINE))
    assert listed == dict(RULES)


HOSTILE_NAMES: Final = [
    pytest.param("a b.yaml", id="blank"),
    pytest.param("100%25.yaml", id="percent"),
    pytest.param("a#b?c=d&e.yaml", id="fragment-and-query"),
    pytest.param("ümläut-名前.yaml", id="unicode"),
    pytest.param("[click](https:evil.example).yaml", id="link"),
    pytest.param("a\\b.yaml", id="backslash"),
    pytest.param("a\nb.yaml", id="line-break"),
    pytest.param("a\x1b[2Jb.yaml", id="escape"),
    pytest.param("a\u202eb.yaml", id="direction"),
    pytest.param("a\udcff.yaml", id="not-utf-8"),
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_name_of_a_file_does_no_harm(fed: Cli, repo: SecretsRepo, name: str) -> None:
    """One line for one problem; ASCII for programs; the URI leads to the file, whatever it is called."""
    repo.write(f"secrets/{name}", "secrets: [")
    lines = fed("validate").expect(4).stdout.splitlines()
    assert all(line.isprintable() for line in lines)
    assert all(line.startswith("secrets/") for line in lines[:-1])
    found = fed("validate", "-o", "json").expect(4)
    assert found.stdout.isascii()
    shown = fed("validate", "-o", "sarif").expect(4)
    assert shown.stdout.isascii()
    for result, problem in zip(results(shown.json), found.json["problems"], strict=True):
        assert uri_of(result).isascii()
        assert set(uri_of(result)).isdisjoint(" #?\\[]()")
        path = unquote(uri_of(result), errors="surrogateescape")
        assert (repo.root / path).exists()
        assert escaped(path) == problem["path"]
        assert "](" not in result["message"]["text"].replace("\\](", "")


def test_sarif_of_real_problems_is_valid(fed: Cli, repo: SecretsRepo) -> None:
    """The official schema takes what the command prints."""
    repo.write("secrets/plain.yaml", f"version: 1\nsecrets: {{demo: {{other: {{key: {CANARY}}}}}}}\n")
    schema = PACKAGE_ROOT / "tests" / "data" / "sarif" / "sarif-schema-2.1.0.json"
    judge = fastjsonschema.compile(json.loads(schema.read_text(encoding="utf-8")))
    judge(fed("validate", "-o", "sarif").expect(4).json)


def test_sarif_starts_at_the_top_of_the_repository(repo: SecretsRepo, run: Cli) -> None:
    """Code scanning looks for files from there, wherever ``secrets/`` lies."""
    inner = SecretsRepo(repo.root / "teams" / "data", sops=repo._sops, key=repo.key)
    inner.targets({"demo": inner.embedded("demo")})
    inner.write("secrets/broken.yaml", "secrets: [")
    repo.git("init", "--quiet")
    repo.git("add", "--all", "--force", ".")
    shown = results(run("validate", "-o", "sarif", cwd=inner.root).expect(4).json)
    assert {uri_of(result) for result in shown} == {"teams/data/secrets/broken.yaml"}
    assert "\nsecrets/broken.yaml" in "\n" + run("validate", cwd=inner.root).expect(4).stdout


def test_rules_of_sops_above_the_directory_are_found_by_everybody(repo: SecretsRepo, run: Cli) -> None:
    """Their place is right for the shell, for code scanning, and as a PATH."""
    inner = SecretsRepo(repo.root / "data", sops=repo._sops, key=repo.key)
    inner.targets({"demo": inner.embedded("demo")})
    inner.scope_file("demo/app.yaml", {"demo": {"app": {"a": "1"}}})
    (inner.root / ".sops.yaml").unlink()
    repo.write(".sops.yaml", "creation_rules: [")
    repo.git("init", "--quiet")
    repo.git("add", "--all", "--force", ".")
    assert run("validate", cwd=inner.root).expect(4).stdout.startswith("../.sops.yaml:")
    shown = results(run("validate", "-o", "sarif", cwd=inner.root).expect(4).json)
    assert [uri_of(result) for result in shown] == [".sops.yaml"]
    found = run("validate", str(repo.root / ".sops.yaml"), "-o", "json", cwd=inner.root).expect(4).json
    assert [problem["path"] for problem in found["problems"]] == ["../.sops.yaml"]
    assert run("validate", "-o", "json", str(inner.root / "secrets"), cwd=inner.root).expect().json["problems"] == []


_MODULES: Final = """
import sys
from reconciler.cli import cli
cli.main(["validate"], standalone_mode=False)
print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def test_nothing_that_could_unlock_a_file_is_loaded(fed: Cli) -> None:
    """It has no key and needs none; and it starts the quicker."""
    done = subprocess.run(
        (sys.executable, "-c", _MODULES),
        cwd=fed.cwd,
        env=fed.environ(),
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "reconciler" in loaded
    assert loaded & {"cryptography", "pyrage", "databricks", "rich", "starlette", "uvicorn"} == set()


def test_output_file_gets_sarif_and_people_the_text(fed: Cli, repo: SecretsRepo, tmp_path: Path) -> None:
    """A pipeline uploads the one and shows the other, in one run, and fails all the same."""
    repo.write("secrets/broken.yaml", "secrets: [")
    file = tmp_path / "reconciler.sarif"
    done = fed("validate", "-o", "sarif", "--output-file", str(file)).expect(4)
    assert done.stdout.startswith("secrets/broken.yaml:")
    assert [uri_of(result) for result in results(json.loads(file.read_text()))] == ["secrets/broken.yaml"]


def test_output_file_must_be_writable_before_anything_is_read(fed: Cli) -> None:
    """A wish that cannot be fulfilled is a usage error; one that fails late is said after the text."""
    done = fed("validate", "--output-file", "/no/such/folder/report").expect(2)
    assert done.stdout == ""
    done = fed("validate", "--output-file", "/dev/full").expect(1)
    assert done.stdout.startswith("no problems")
    assert "could not be written" in done.stderr


@pytest.mark.parametrize(
    ("paths", "files", "shown"),
    [
        pytest.param((), 5, {"one/a.yaml", "two/b.yaml"}, id="all"),
        pytest.param((".",), 5, {"one/a.yaml", "two/b.yaml"}, id="directory-of-the-run"),
        pytest.param(("secrets",), 4, {"one/a.yaml", "two/b.yaml"}, id="secrets"),
        pytest.param(("secrets/one",), 1, {"one/a.yaml"}, id="folder"),
        pytest.param(("secrets/one/a.yaml", "secrets/two"), 2, {"one/a.yaml", "two/b.yaml"}, id="two"),
        pytest.param(("secrets/on",), None, None, id="part-of-a-name"),
        pytest.param(("secrets/demo/app.yaml",), 1, set(), id="in-order"),
        pytest.param((".sops.yaml",), 1, set(), id="rules-of-sops"),
        pytest.param(("secrets/none.yaml",), None, None, id="not-there"),
        pytest.param(("README.md",), None, None, id="elsewhere"),
        pytest.param(("..",), None, None, id="above"),
    ],
)
def test_paths_limit_what_is_shown(
    fed: Cli, repo: SecretsRepo, paths: tuple[str, ...], files: int | None, shown: set[str] | None
) -> None:
    """A path that is none of ours is a usage error, so that a hook with a misspelt one does not pass for success."""
    repo.write("secrets/one/a.yaml", "secrets: [").write("secrets/two/b.yaml", "secrets: [").write("README.md", "")
    arguments = [str(repo.root / path) for path in paths]
    if shown is None:
        assert "no such file" in fed("validate", *arguments).expect(2).stderr
        return
    found = fed("validate", *arguments, "-o", "json").expect(4 if shown else 0).json
    assert found["files"] == files
    assert {problem["path"].removeprefix("secrets/") for problem in found["problems"]} == shown
