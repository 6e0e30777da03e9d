"""What only validate says: rules of .sops.yaml that no file reaches, targets that none feeds."""

import pytest

from reconciler.errors import Problem, Severity
from reconciler.policy import Sources, load
from reconciler.policy.sources import RulesFile, misnamed_rules
from tests.policy.samples import PATH, TARGETS, scope_yaml, sources


TEST_PATH = "secrets/test/app.yaml"
FILES = {PATH: scope_yaml(), TEST_PATH: scope_yaml(host="test.cloud.databricks.com")}
FED = TARGETS.partition("    bare:")[0]


def _quoted(text: str) -> str:
    return f"'{text}'"


def _lint(
    *path_regexes: str | None,
    files: dict[str, str] = FILES,
    prefix: str = "",
) -> list[tuple[int | None, str, Severity]]:
    """Return line, rule and severity of each problem; the rules stand in lines 2, 3, …."""
    lines = (f"  - {{pgp: A, path_regex: {'~' if regex is None else _quoted(regex)}}}\n" for regex in path_regexes)
    rules = RulesFile(path=".sops.yaml", data=("creation_rules:\n" + "".join(lines)).encode(), prefix=prefix)
    handed_in = Sources(files=sources(files, targets=FED).files, rules=rules)
    return [(problem.line, problem.rule, problem.severity) for problem in load(handed_in).lint()]


def _shadowed(line: int, severity: Severity = Severity.ERROR) -> tuple[int, str, Severity]:
    return line, "shadowed-rule", severity


def _unused(line: int) -> tuple[int, str, Severity]:
    return line, "unused-rule", Severity.ERROR


@pytest.mark.parametrize(
    ("path_regexes", "expected"),
    [
        pytest.param(("^secrets/prod/", "^secrets/test/"), [], id="fine"),
        pytest.param(("^secrets/prod/", None), [], id="special-before-general"),
        pytest.param((None, "^secrets/prod/"), [_shadowed(3)], id="behind-a-catch-all"),
        pytest.param((None, None, "^x"), [_shadowed(3), _shadowed(4)], id="each-once"),
        pytest.param(("^secrets/[a-z]+/", "^secrets/[a-z]+/"), [_shadowed(3)], id="the-same-twice"),
        pytest.param(("^secrets/", "^secrets/prod/[a-z]+"), [_shadowed(3)], id="a-folder-before-one-in-it"),
        pytest.param(("^secrets/.*", r"^secrets/prod/.*\.yaml$"), [_shadowed(3)], id="with-anything-behind"),
        pytest.param(("secrets/", r"^secrets\/prod"), [_shadowed(3)], id="anywhere-in-the-path"),
        pytest.param(("^secrets/prod/", "^secrets/"), [], id="the-other-way-round"),
        pytest.param(("^secrets/prod/", "^secrets/test", "^secrets/"), [_shadowed(4, Severity.WARNING)], id="by-files"),
        pytest.param(("^secrets/[pt]", "^secrets/(prod|test)/"), [_shadowed(3, Severity.WARNING)], id="by-files-too"),
        pytest.param(("^secrets/prod/", "^secrets/test/", None), [], id="a-last-resort-is-not-judged"),
        pytest.param((None, "^secrets/prdo/"), [_shadowed(3)], id="misspelt-behind-a-catch-all"),
        pytest.param(("^secrets/prdo/", None), [_unused(2)], id="misspelt"),
        pytest.param(("secrets/prdo/", None), [], id="in-any-folder-of-that-name"),
        pytest.param((r".*secrets/prdo/", None), [], id="likewise-behind-anything"),
        pytest.param(("^config/", None), [], id="somebody-elses-business"),
        pytest.param((r"\.env\.enc$", None), [], id="files-that-git-ignores"),
        pytest.param((r"^secrets/.*\.agekey$", None), [_unused(2)], id="no-file-of-that-kind"),
        pytest.param(("[.]yaml$", "(a|b).yaml$"), [], id="elsewhere-it-may-take-some"),
        pytest.param(("^team-[[:alpha:](]+/|^secrets/",), [], id="alternatives-behind-odd-brackets"),
        pytest.param(("^secrets/prdo[[:alpha:](]+/|^x", None), [], id="the-same-misspelt"),
        pytest.param(("^sec", None), [], id="takes-some"),
        pytest.param(("^secrets/prdo|^config/", None), [], id="alternatives-may-be-elsewhere"),
        pytest.param(("^(secrets|config)/prdo", None), [], id="or-in-parentheses"),
    ],
)
def test_rules_that_no_file_reaches(path_regexes: tuple[str | None, ...], expected: list[object]) -> None:
    """For sure by what stands in them; or by the files that there are, if they are about our folder."""
    assert _lint(*path_regexes) == expected


def test_a_rule_may_be_for_other_files_below_our_folder() -> None:
    """An identity of a demo, say, is none that has scopes."""
    assert _lint(r"^secrets/.*\.agekey$", None, files={**FILES, "secrets/demo.agekey": ""}) == []


def test_rules_above_the_directory_of_the_run_are_about_paths_from_there() -> None:
    """The folder is team/secrets then, and ^secrets/ is somebody else's."""
    assert _lint("^team/secrets/prdo/", None, prefix="team/") == [_unused(2)]
    assert _lint("^secrets/prdo/", None, prefix="team/") == []


def test_without_scope_files_nothing_is_unused() -> None:
    """Rules are written before files are."""
    assert ("unused-rule" in {rule for _, rule, _ in _lint("^secrets/prod/", files={})}) is False


def test_recipients_that_sops_ignores_are_a_warning() -> None:
    """A reader of the rule takes them for people who can open the files."""
    rules = RulesFile(path=".sops.yaml", data=b"creation_rules: [{age: age1somebody, key_groups: [{pgp: [A]}]}]\n")
    (problem,) = load(Sources(files=sources(FILES, targets=FED).files, rules=rules)).lint()
    assert (problem.rule, problem.severity) == ("ignored-recipients", Severity.WARNING)
    assert problem.what == "sops ignores age of a rule that has key_groups"


@pytest.mark.parametrize("rules", [None, RulesFile(path=".sops.yaml", data=b"stores: {}\n")], ids=["none", "empty"])
def test_without_rules_there_is_one_warning(rules: RulesFile | None) -> None:
    """Plan and apply go on: who may open a file is then whatever it says."""
    policy = load(Sources(files=sources(FILES, targets=FED).files, rules=rules))
    assert policy.problems() == ()
    assert [(p.path, p.rule, p.severity) for p in policy.lint()] == [
        (".sops.yaml", "sops-config-missing", Severity.WARNING)
    ]


def test_a_file_that_cannot_be_used_is_not_missing() -> None:
    """What is wrong with it has been said."""
    rules = RulesFile(path=".sops.yaml", data=b"creation_rules: [\n")
    policy = load(Sources(files=sources(FILES, targets=FED).files, rules=rules))
    assert [problem.rule for problem in policy.problems()] == ["sops-config"]
    assert policy.lint() == ()


def test_targets_without_files_are_found_where_they_stand() -> None:
    """Unless a file cannot be read, and may feed them."""
    policy = load(sources(FILES))
    (problem,) = [problem for problem in policy.lint() if problem.rule == "unused-target"]
    assert (problem.where, problem.what) == ("secrets/targets.yaml:9:5", "no file feeds the target 'bare'")
    assert policy.select(("prod",)).targets
    unclear = load(sources({**FILES, "secrets/x.yaml": "a: [\n"}))
    assert "unused-target" not in {problem.rule for problem in unclear.lint()}


@pytest.mark.parametrize(
    ("host", "rules"),
    [
        pytest.param("baer.cloud.databricks.com", {"unknown-host"}, id="misspelt"),
        pytest.param("bare", {"unknown-host"}, id="name-of-the-target"),
        pytest.param("zzz", {"unknown-host", "unused-target"}, id="something-else"),
    ],
)
def test_a_misspelt_host_is_one_mistake(host: str, rules: set[str]) -> None:
    """What no file feeds is the target of that host: nothing is gained by saying it of both."""
    policy = load(sources({**FILES, "secrets/bare.yaml": scope_yaml(host=host)}))
    found = {problem.rule for problem in (*policy.problems(), *policy.lint())}
    assert found - {"sops-config-missing"} == rules


def test_remarks_of_collecting_are_shown() -> None:
    """Such as a file that sops ignores, because its name ends in .yml."""
    remark: Problem = misnamed_rules(".sops.yml", found=False)
    assert (remark.rule, remark.severity) == ("sops-config-name", Severity.ERROR)
    assert misnamed_rules(".sops.yml", found=True).severity is Severity.WARNING
    policy = load(Sources(files=sources(FILES, targets=FED).files, remarks=(remark,)))
    assert remark in policy.lint()
    assert remark not in policy.problems()
