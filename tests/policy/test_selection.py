"""All of secrets/ together: rules between files, and which part a run is about."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import EXIT_USAGE, InvalidInput, Problem, UsageError
from reconciler.model import MAX_KEYS_PER_SCOPE, Permission, Prune
from reconciler.policy import Sources, load
from tests.policy.samples import ENC, HOST, METADATA, TARGETS, scope_yaml, sources


TEST_HOST = "test.cloud.databricks.com"
ACLS = "acls:\n    - <READ users>\n"


def _problems(files: dict[str, str]) -> list[str]:
    return [f"{each.where}: {each.what}" for each in load(sources(files)).problems()]


def _refused(files: dict[str, str], *selectors: str) -> list[str]:
    """Return the paths of the problems with which the selection is refused; none when it is not."""
    try:
        load(sources(files)).select(selectors)
    except InvalidInput as error:
        return [problem.path for problem in error.problems]
    return []


def test_a_selection_holds_what_files_say_about_each_scope() -> None:
    """Two files feed one scope; the policy of the one that has any holds for the keys of both."""
    files = {
        "secrets/prod/a.yaml": scope_yaml(f"b: {ENC}\nD: {ENC}", before=f"{ACLS}prune: all\n"),
        "secrets/prod/b.yml": scope_yaml(f"c: {ENC}\na: {ENC}", scope="APP"),
        "secrets/prod/c.yaml": scope_yaml(scope="other"),
        "secrets/test/a.yaml": scope_yaml(host=TEST_HOST),
        "secrets/README.md": "not YAML",
    }
    selection = load(sources(files)).select(("prod",))
    (selected,) = selection.targets
    assert selection.owner == "123e4567-e89b-42d3-a456-426614174000"
    assert (selected.target.name, selected.whole) == ("prod", True)
    app, other = selected.scopes
    assert (app.scope, app.keys, app.prune) == ("app", ("a", "b", "c", "D"), Prune.ALL)
    assert [acl.permission for acl in app.acls or ()] == [Permission.READ]
    assert [file.path for file in app.files] == ["secrets/prod/a.yaml", "secrets/prod/b.yml"]
    assert (other.scope, other.acls, other.prune, other.rotation) == ("other", None, Prune.OWNED, ())


def test_one_file_may_feed_two_workspaces() -> None:
    """Each target sees its own part of the file."""
    text = (
        f"version: 1\nsecrets:\n    {HOST}: {{a: {{x: '{ENC}'}}}}\n    {TEST_HOST}: {{b: {{y: '{ENC}'}}}}\n{METADATA}"
    )
    selection = load(sources({"secrets/both.yaml": text})).select((), everything=True)
    seen = [(each.target.name, scope.scope, scope.keys) for each in selection.targets for scope in each.scopes]
    assert seen == [("prod", "a", ("x",)), ("test", "b", ("y",))]


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        pytest.param(("prod",), [("prod", ["app", "other"], True)], id="target"),
        pytest.param(("prod/app",), [("prod", ["app"], False)], id="scope"),
        pytest.param(("prod/APP",), [("prod", ["app"], False)], id="scope-in-another-case"),
        pytest.param(("prod/app", "prod/other"), [("prod", ["app", "other"], False)], id="two-scopes"),
        pytest.param(("prod/app", "prod"), [("prod", ["app", "other"], True)], id="target-includes-its-scope"),
        pytest.param(("prod", "prod/app"), [("prod", ["app", "other"], True)], id="in-either-order"),
        pytest.param(("test", "prod"), [("prod", ["app", "other"], True), ("test", ["app"], True)], id="two-targets"),
        pytest.param(("bare",), [("bare", [], True)], id="target-without-files-is-contacted-when-named"),
        pytest.param(
            (), [("prod", ["app", "other"], True), ("test", ["app"], True)], id="everything-leaves-bare-targets-out"
        ),
    ],
)
def test_selectors(selectors: tuple[str, ...], expected: list[tuple[str, list[str], bool]]) -> None:
    """Targets and scopes by name, whatever the order, in that of targets.yaml."""
    files = {
        "secrets/a.yaml": scope_yaml(),
        "secrets/b.yaml": scope_yaml(scope="other"),
        "secrets/c.yaml": scope_yaml(host=TEST_HOST),
    }
    selection = load(sources(files)).select(selectors, everything=not selectors)
    seen = [(each.target.name, [scope.scope for scope in each.scopes], each.whole) for each in selection.targets]
    assert seen == expected


@pytest.mark.parametrize(
    ("selector", "message", "advice"),
    [
        pytest.param("prd", "unknown target 'prd'", "did you mean 'prod'?", id="target"),
        pytest.param("zzz", "unknown target 'zzz'", "known: prod, test, bare", id="nothing-close"),
        pytest.param("prod/ap", "unknown scope 'prod/ap'", "did you mean 'prod/app'?", id="scope"),
        pytest.param("prod/", "unknown scope 'prod/'", "did you mean 'prod/app'?", id="empty-scope"),
        pytest.param("bare/app", "unknown scope 'bare/app'", "did you mean 'prod/app'?", id="scope-of-another"),
        pytest.param("", "unknown target of unusual text (not shown)", "known: prod, test, bare", id="empty"),
    ],
)
def test_unknown_selectors_are_errors_of_usage(selector: str, message: str, advice: str) -> None:
    """With the closest name that there is."""
    with pytest.raises(UsageError) as caught:
        load(sources({"secrets/a.yaml": scope_yaml()})).select((selector,))
    assert (str(caught.value), caught.value.advice, caught.value.exit_code) == (message, advice, EXIT_USAGE)


@pytest.mark.parametrize(("selectors", "everything"), [((), False), (("prod",), True)])
def test_nothing_and_both_are_errors_of_usage(selectors: tuple[str, ...], *, everything: bool) -> None:
    """Somebody has to say what is meant, and only once."""
    with pytest.raises(UsageError):
        load(sources()).select(selectors, everything=everything)


def test_a_key_fed_by_two_files_names_both_places() -> None:
    """Whichever came last would win, so neither does."""
    files = {
        "secrets/a.yaml": scope_yaml(f"x: {ENC}\nk: {ENC}"),
        "secrets/b.yaml": scope_yaml(f"K: {ENC}", scope="App"),
    }
    assert _problems(files) == [
        "secrets/b.yaml:5:13: the key 'K' of scope 'App' is also fed by secrets/a.yaml:6:13",
    ]
    assert [problem.scope for problem in load(sources(files)).problems()] == ["prod/app"]


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [
        pytest.param(ACLS, "prune: all\n", True, id="acls-and-prune"),
        pytest.param("prune: none\n", "prune: none\n", True, id="the-same-in-both"),
        pytest.param("rotation:\n    - <9d *>\n", ACLS, True, id="rotation-and-acls"),
        pytest.param(f"{ACLS}prune: all\n", "", False, id="all-in-one"),
    ],
)
def test_only_one_file_of_a_scope_has_policy(first: str, second: str, *, refused: bool) -> None:
    """Who may read a scope is said in one place, for everybody to see."""
    files = {
        "secrets/a.yaml": scope_yaml(f"a: {ENC}", before=first),
        "secrets/b.yaml": scope_yaml(f"b: {ENC}", before=second),
    }
    expected = ["secrets/b.yaml:1:1: acls, prune or rotation of scope 'app' stand in secrets/a.yaml:1:1 too"]
    assert _problems(files) == (expected if refused else [])


def test_more_keys_than_a_scope_takes_are_counted_over_all_files() -> None:
    """1,000 in two files are fine, one more is reported where it stands."""
    half = MAX_KEYS_PER_SCOPE // 2
    keys = [f"k{number}: {ENC}" for number in range(MAX_KEYS_PER_SCOPE + 1)]
    files = {
        "secrets/a.yaml": scope_yaml("\n".join(keys[:half])),
        "secrets/b.yaml": scope_yaml("\n".join(keys[half:-1])),
    }
    assert _problems(files) == []
    files["secrets/b.yaml"] = scope_yaml("\n".join(keys[half:]))
    assert _problems(files) == ["secrets/b.yaml:505:13: the scope 'app' gets 1,001 keys"]


@pytest.mark.parametrize(
    ("host", "advice"),
    [
        pytest.param("adb-1.3.azuredatabricks.net", f"did you mean '{HOST}'?", id="typo"),
        pytest.param("prod", f"write the host of target 'prod': '{HOST}'", id="name-of-the-target"),
        pytest.param(f"{HOST}?o=5", f"did you mean '{HOST}'?", id="id-that-the-target-has-not"),
        pytest.param("zzz", None, id="nothing-close"),
    ],
)
def test_unknown_hosts_are_reported_once_in_each_file(host: str, advice: str | None) -> None:
    """A misspelt host would take keys away from a workspace without anybody noticing: it touches every selection."""
    text = f"version: 1\nsecrets:\n    {host}:\n        a: {{k: '{ENC}'}}\n        b: {{k: '{ENC}'}}\n{METADATA}"
    policy = load(sources({"secrets/a.yaml": text}))
    (problem,) = policy.problems()
    assert (problem.where, problem.what) == ("secrets/a.yaml:3:5", f"no target has the host '{host}'")
    assert problem.advice == advice
    with pytest.raises(InvalidInput):
        policy.select(("test",))


def test_the_ledger_scope_of_a_target_is_fed_by_no_file() -> None:
    """What the reconciler knows of a workspace would be overwritten."""
    targets = TARGETS.replace("    test:", "        ledger_scope: Team-B\n    test:")
    files = {"secrets/a.yaml": scope_yaml(scope="team-b"), "secrets/b.yaml": scope_yaml(host=TEST_HOST, scope="team-b")}
    (problem,) = load(sources(files, targets=targets)).problems()
    assert problem.where == "secrets/a.yaml:4:9"
    assert problem.what == "the scope 'team-b' is reserved for the ledger of target 'prod'"


BAD_VALUE = scope_yaml("k: 5")
"""One bad value; hosts and scopes are clear."""

CLEAR = {"secrets/good.yaml": scope_yaml(host=TEST_HOST, scope="fine")}


@pytest.mark.parametrize(
    ("files", "selector", "refused"),
    [
        pytest.param({"secrets/a.yaml": BAD_VALUE}, "prod", True, id="bad-value-of-the-target"),
        pytest.param({"secrets/a.yaml": BAD_VALUE}, "prod/app", True, id="bad-value-of-the-scope"),
        pytest.param({"secrets/a.yaml": BAD_VALUE}, "test", False, id="bad-value-of-another-target"),
        pytest.param({"secrets/a.yaml": "a: [\n"}, "test", True, id="no-document"),
        pytest.param({"secrets/a.yaml": "<<<<<<< HEAD\n"}, "test/fine", True, id="conflict-markers"),
        pytest.param({"secrets/a.yaml": scope_yaml(scope="a b")}, "test", True, id="unclear-scope"),
        pytest.param({"secrets/a.yaml": scope_yaml(host="Test")}, "test", True, id="unclear-host"),
        pytest.param({"secrets/a.yaml": f"version: 1\n{METADATA}"}, "test", True, id="no-secrets"),
        pytest.param({"secrets/a.yaml": "version: 1\nsecrets: {}\n"}, "test", True, id="empty-secrets"),
        pytest.param({"secrets/targets.yml": TARGETS}, "test", True, id="misnamed-targets"),
    ],
)
def test_a_selection_is_refused_for_what_it_touches(files: dict[str, str], selector: str, *, refused: bool) -> None:
    """Other teams go on working; what could be about anybody's scope stops everybody."""
    expected = set(files) if refused else set()
    assert set(_refused({**CLEAR, **files}, selector)) == expected


def test_problems_between_files_stop_only_their_scope() -> None:
    """Two files quarrel about prod/app; prod/other goes on."""
    files = {
        "secrets/a.yaml": scope_yaml(),
        "secrets/b.yaml": scope_yaml(),
        "secrets/c.yaml": scope_yaml(scope="other"),
    }
    assert _refused(files, "prod") == ["secrets/b.yaml"]
    assert _refused(files, "prod/other") == []


def test_problems_of_targets_yaml_and_of_collecting_stop_every_selection() -> None:
    """Without targets no selector means anything; a link may hide any file."""
    with pytest.raises(InvalidInput) as caught:
        load(sources({"secrets/a.yaml": BAD_VALUE}, targets=TARGETS + "x: 1\n")).select(("nonsense",))
    assert [problem.path for problem in caught.value.problems] == ["secrets/a.yaml", "secrets/targets.yaml"]
    linked = Problem(path="secrets/x", what="this is a symbolic link")
    handed_in = Sources(files=sources().files, problems=(linked,))
    with pytest.raises(InvalidInput) as caught:
        load(handed_in).select(("prod",))
    assert caught.value.problems == (linked,)


def test_unknown_hosts_are_not_guessed_while_targets_yaml_is_broken() -> None:
    """One mistake there would otherwise bring a false one from every file."""
    targets = TARGETS.replace(f"https://{HOST}", f"https://{HOST}/")
    (problem,) = load(sources({"secrets/a.yaml": scope_yaml()}, targets=targets)).problems()
    assert problem.path == "secrets/targets.yaml"


def test_validate_sees_the_problems_of_all_files_at_once() -> None:
    """Sorted by place, whatever they are about."""
    files = {
        "secrets/b.yaml": scope_yaml("k: 5\nl: ''"),
        "secrets/a.yaml": "a: [\n",
        "secrets/c.yaml": scope_yaml(host="nowhere"),
    }
    policy = load(sources(files, targets=TARGETS))
    assert [problem.where for problem in policy.problems()] == [
        "secrets/a.yaml:2:1",
        "secrets/b.yaml:5:16",
        "secrets/b.yaml:6:16",
        "secrets/c.yaml:3:5",
    ]


_NAMES = st.text(alphabet="ab-.", min_size=1, max_size=3)


@given(st.dictionaries(st.sampled_from(["app", "b", "c.d"]), st.sets(_NAMES, min_size=1), min_size=1), st.randoms())
def test_how_keys_are_spread_over_files_is_irrelevant(scopes: dict[str, set[str]], random: Random) -> None:
    """Team folders are a convenience: the selection is the same, however many files feed a scope."""
    files: dict[str, dict[str, list[str]]] = {}
    for scope, keys in scopes.items():
        for key in keys:
            files.setdefault(f"secrets/{random.randrange(3)}.yaml", {}).setdefault(scope, []).append(key)
    texts = {
        path: f"version: 1\nsecrets:\n    {HOST}:\n"
        + "".join(
            f"        {scope}:\n" + "".join(f"            '{key}': {ENC}\n" for key in keys)
            for scope, keys in content.items()
        )
        + METADATA
        for path, content in files.items()
    }
    (selected,) = load(sources(texts)).select(("prod",)).targets
    assert {scope.scope: set(scope.keys) for scope in selected.scopes} == scopes
