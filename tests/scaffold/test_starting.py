"""From answers to a repository that is in order, and from half of one to the whole."""

from pathlib import Path

import pytest
import yaml

from reconciler.errors import InvalidInput, UsageError
from reconciler.scaffold import Answers
from tests.scaffold.starts import HOST, HOST_KEY, RECIPIENT, Starter, git, real
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


FILES = {
    ".gitattributes",
    ".gitignore",
    ".pre-commit-config.yaml",
    ".sops.yaml",
    "secrets/prod/secrets.yaml",
    "secrets/targets.yaml",
}


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(real(), id="host-alone"),
        pytest.param(real(host=f"{HOST}/"), id="host-with-a-slash"),
        pytest.param(real(host="http://127.0.0.1:8080"), id="loopback"),
        pytest.param(real(target="123"), id="target-that-looks-like-a-number"),
        pytest.param(real(target="-"), id="target-that-looks-like-a-list"),
        pytest.param(real(scope="true", key="null"), id="names-that-look-like-words-of-yaml"),
        pytest.param(real(scope="..", key="."), id="names-that-look-like-folders"),
        pytest.param(real(workspace_id="123", auth_type="github-oidc", client_id="6f1c-2"), id="fields"),
        pytest.param(real(operators=("a b@example.com", "#1", 'it\'s "x"')), id="odd-operators"),
        pytest.param(real(age_keys=(RECIPIENT, AgeKey.ssh_ed25519().recipient)), id="two-recipients"),
        pytest.param(Answers(embedded=True), id="embedded"),
        pytest.param(Answers(embedded=True, target="on"), id="embedded-with-a-name-like-a-word-of-yaml"),
    ],
)
def test_validate_finds_nothing_in_what_was_written(start: Starter, answers: Answers) -> None:
    """No problem and no warning, whatever the answers."""
    start(answers)
    assert start.problems() == ()


def test_files_say_what_was_answered(start: Starter) -> None:
    """The rules name the recipient, the target its workspace and operators; there is an owner."""
    outcome = start(real(auth_type="github-oidc", client_id="6f1c", operators=("me@example.com",)))
    assert set(outcome.written) == set(start.everything()) == FILES
    assert yaml.safe_load(start.text(".sops.yaml")) == {
        "creation_rules": [{"path_regex": "^secrets/prod/", "encrypted_regex": "^secrets$", "age": [RECIPIENT]}]
    }
    targets = yaml.safe_load(start.text("secrets/targets.yaml"))
    assert targets["targets"] == {
        "prod": {
            "workspace": {"host": HOST, "auth_type": "github-oidc", "client_id": "6f1c"},
            "operators": ["me@example.com"],
        }
    }
    assert len(targets["owner"]) == 36


def test_each_repository_has_an_owner_of_its_own(start: Starter, tmp_path: Path) -> None:
    """Two repositories never take each other's secrets for theirs."""
    other = Starter(root=tmp_path / "other", home=start.home)
    other.root.mkdir()
    start(real())
    other(real())
    assert start.text("secrets/targets.yaml") != other.text("secrets/targets.yaml")


def test_first_file_is_opened_by_the_real_program(start: Starter, sops: SopsTool, age_key: AgeKey) -> None:
    """It holds the placeholder alone, and admins write what everybody reads."""
    start(real(age_keys=(age_key.recipient,), scope="payments", key="db-password"))
    data = (start.root / "secrets/prod/payments.yaml").read_bytes()
    assert b"change-me" not in data
    assert b"<WRITE admins>" in data
    assert b"<READ users>" in data
    opened = yaml.safe_load(sops.decrypt(data, age_key.identity))
    assert opened["secrets"] == {HOST_KEY: {"payments": {"db-password": "change-me"}}}


def test_second_run_asks_nothing_and_changes_nothing(start: Starter) -> None:
    """Whatever it is told, as long as that contradicts nothing."""
    start(real())
    before = start.everything()
    for answers in (Answers(), real(), Answers(target="prod")):
        outcome = start(answers, replies={})
        assert (outcome.written, outcome.completed, start.asked) == ([], [], [])
    assert start.everything() == before


@pytest.mark.parametrize("missing", sorted(FILES))
def test_run_goes_on_where_another_one_was_killed(start: Starter, missing: str) -> None:
    """Any one file missing, it is made again, and the others stay as they are."""
    start(real())
    before = start.everything()
    (start.root / missing).unlink()
    if missing == ".sops.yaml":
        (start.root / "secrets/prod/secrets.yaml").unlink()
    outcome = start(real())
    assert missing in outcome.written
    assert start.problems() == ()
    after = start.everything()
    assert set(after) == FILES
    assert {path for path in FILES if after[path] != before[path]} <= {missing, "secrets/prod/secrets.yaml"}


@pytest.mark.parametrize(
    "answers", [pytest.param(real(), id="real"), pytest.param(Answers(embedded=True), id="embedded")]
)
def test_run_that_was_killed_behind_any_file_is_completed(start: Starter, answers: Answers) -> None:
    """What was written by then stays as it is, the rest is written, and it is in order."""
    written = start(answers).written
    for done in range(len(written)):
        for path in written[done:]:
            (start.root / path).unlink()
        before = start.everything()
        assert start(answers).written == written[done:]
        assert before.items() <= start.everything().items()
        assert start.problems() == ()


def test_embedded_run_goes_on_with_the_identity_that_is_there(start: Starter) -> None:
    """A run that was killed after its first file is completed; the key is not made twice."""
    start(Answers(embedded=True))
    key = start.text("secrets/demo/demo.agekey")
    for path in FILES & set(start.everything()):
        (start.root / path).unlink()
    (start.root / "secrets/demo/secrets.yaml").unlink()
    start(Answers(embedded=True))
    assert start.text("secrets/demo/demo.agekey") == key
    assert start.problems() == ()


def test_only_what_is_missing_is_asked_for(start: Starter) -> None:
    """On a terminal, in an order that makes sense; what flags say is not asked."""
    start(Answers(operators=("me@example.com",)), replies={"--host": HOST, "--age-key": RECIPIENT})
    assert start.asked == ["--host", "TARGET", "--auth-type", "--scope", "--key", "--age-key"]
    assert start.problems() == ()


def test_empty_host_means_an_embedded_workspace(start: Starter) -> None:
    """Whoever only wants to have a look answers with return alone."""
    start(Answers(), replies={})
    assert start.asked == ["--host", "TARGET", "--scope", "--key"]
    assert yaml.safe_load(start.text("secrets/targets.yaml"))["targets"] == {
        "demo": {"embedded": True, "age_key_file": "demo/demo.agekey"}
    }


@pytest.mark.parametrize(
    ("answers", "named"),
    [
        pytest.param(Answers(), "--host is missing", id="no-host"),
        pytest.param(Answers(host=""), "--host is missing", id="empty-host"),
        pytest.param(Answers(host=HOST), "--age-key", id="no-identity"),
        pytest.param(Answers(host=HOST, age_keys=("existing",)), "no identity of age was found", id="none-exists"),
        pytest.param(real(host="https://evil.example"), "--host: the host 'evil.example'", id="foreign-host"),
        pytest.param(real(host="https://user:pw@x.azuredatabricks.net"), "--host: the host has a user", id="password"),
        pytest.param(real(target="Prod"), "TARGET: a target is", id="target"),
        pytest.param(real(target="../x"), "TARGET: a target is", id="target-that-leaves-the-folder"),
        pytest.param(real(scope="reconciler-ledger"), "--scope: that one is kept", id="ledger"),
        pytest.param(real(scope="a/../b"), "--scope: a scope is", id="scope"),
        pytest.param(real(key="a b"), "--key: a key is", id="key"),
        pytest.param(real(auth_type="azure-cli"), "--auth-type: that one cannot be chosen", id="program"),
        pytest.param(real(client_id="a b"), "--client-id: expected", id="client-id"),
        pytest.param(real(operators=("a:b",)), "--operator: expected", id="operator"),
        pytest.param(real(operators=("me", "ME")), "--operator: one of them stands there twice", id="twin-operators"),
        pytest.param(real(age_keys=("age1qqqq",)), "--age-key: one of them is no recipient", id="recipient"),
        pytest.param(real(embedded=True), "--embedded does not go with --host, --age-key", id="both"),
    ],
)
def test_answers_that_do_not_do_are_refused_before_anything_is_written(
    start: Starter, answers: Answers, named: str
) -> None:
    """Without a terminal, naming the flag."""
    with pytest.raises(UsageError) as refused:
        start(answers)
    assert named in refused.value.with_advice()
    assert start.everything() == {}
    assert list(start.home.rglob("*")) == []


def test_private_key_for_a_recipient_is_refused_and_not_repeated(start: Starter, age_key: AgeKey) -> None:
    """It may stand in a shell's history by then, but in no log of ours."""
    with pytest.raises(UsageError, match="that is a private key") as refused:
        start(real(age_keys=(age_key.identity,)))
    assert age_key.identity not in refused.value.with_advice()
    assert start.everything() == {}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        pytest.param(Answers(target="test"), "names no target 'test', but prod", id="another-target"),
        pytest.param(real(target="prod", host="https://adb-9.9.azuredatabricks.net"), "another workspace", id="host"),
        pytest.param(Answers(target="prod", embedded=True), "another workspace", id="embedded"),
    ],
)
def test_answers_that_contradict_what_is_there_are_refused(start: Starter, answers: Answers, said: str) -> None:
    """Files are never overwritten, and nobody is left to believe that they were."""
    start(real())
    before = start.everything()
    with pytest.raises(UsageError, match=said):
        start(answers)
    assert start.everything() == before


def test_rules_that_are_there_count_and_are_not_changed(start: Starter) -> None:
    """A `.sops.yaml` with a rule for the file decides who can open it; nobody is asked."""
    rules = f"creation_rules:\n  - encrypted_regex: ^secrets$\n    age: {RECIPIENT}\n"
    (start.root / ".sops.yaml").write_text(rules)
    outcome = start(Answers(host=HOST), replies={})
    assert "--age-key" not in start.asked
    assert ".sops.yaml" in outcome.left
    assert start.text(".sops.yaml") == rules
    assert start.problems() == ()


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        pytest.param("{path_regex: ^other/, age: MINE}", "has no rule for secrets/prod/secrets.yaml", id="no-rule"),
        pytest.param("path_regex: ^secrets/", "names others for secrets/prod/secrets.yaml", id="others"),
    ],
)
def test_rules_that_do_not_fit_are_left_and_the_lines_are_shown(start: Starter, rules: str, said: str) -> None:
    """With what to put there, ready to be copied."""
    mine = AgeKey.generate().recipient
    text = f"creation_rules:\n  - {rules}\n    encrypted_regex: ^secrets$\n    age: {mine}\n"
    if rules.startswith("{"):
        text = f"creation_rules: [{rules.replace('MINE', mine)}]\n"
    (start.root / ".sops.yaml").write_text(text)
    with pytest.raises(UsageError, match=said) as refused:
        start(real())
    assert f"          - {RECIPIENT}" in str(refused.value.advice)
    assert set(start.everything()) == {".sops.yaml"}


def test_rules_further_up_count(start: Starter) -> None:
    """Where the folder lies in a repository that has rules at its top, none are made below, which would hide them."""
    git(start.root, "init", "--quiet")
    rules = f"creation_rules:\n  - path_regex: ^infra/secrets/\n    encrypted_regex: ^secrets$\n    age: {RECIPIENT}\n"
    (start.root / ".sops.yaml").write_text(rules)
    below = Starter(root=start.root / "infra", home=start.home)
    below.root.mkdir()
    outcome = below(Answers(host=HOST))
    assert below.problems() == ()
    assert not (below.root / ".sops.yaml").exists()
    assert any("../.pre-commit-config.yaml is left as it is" in notice for notice in outcome.notices)
    assert any(r"files: ^infra/(secrets/|\.sops\.ya?ml$)" in notice for notice in outcome.notices)


def test_files_in_disorder_are_left_alone(start: Starter) -> None:
    """What breaks a rule already is said, and nothing is written."""
    (start.root / "secrets").mkdir()
    (start.root / "secrets/targets.yaml").write_text("targets: {x: {token: abc}}\n")
    with pytest.raises(InvalidInput, match="'token' is a secret"):
        start(real())
    assert set(start.everything()) == {"secrets/targets.yaml"}


def test_plain_file_in_place_of_the_first_one_is_said(start: Starter) -> None:
    """Somebody's unencrypted file is neither overwritten nor passed over."""
    (start.root / "secrets/prod").mkdir(parents=True)
    (start.root / "secrets/prod/secrets.yaml").write_text("password: hunter2-canary\n")
    with pytest.raises(InvalidInput, match="not encrypted") as refused:
        start(real())
    assert "hunter2" not in str(refused.value)
    assert set(start.everything()) == {"secrets/prod/secrets.yaml"}


def test_next_target_of_existing_ones_gets_its_first_file(start: Starter) -> None:
    """Whoever added a target and a rule by hand gets the rest by running it again."""
    start(real())
    targets = start.text("secrets/targets.yaml")
    (start.root / "secrets/targets.yaml").write_text(
        targets + "    test:\n        workspace:\n            host: https://adb-3.4.azuredatabricks.net\n"
    )
    rules = start.text(".sops.yaml")
    (start.root / ".sops.yaml").write_text(rules + rules.partition("creation_rules:\n")[2].replace("prod", "test"))
    outcome = start(Answers())
    assert outcome.written == ["secrets/test/secrets.yaml"]
    assert start.problems() == ()


def test_next_steps_lead_to_a_first_plan(start: Starter) -> None:
    """Outside git with what makes it a repository; in one without."""
    steps = start(real()).next_steps
    assert steps[0] == "git init"
    assert steps[-1] == "reconciler plan prod"
    assert any(step.startswith("reconciler set prod/secrets secret-name") for step in steps)
    git(start.root, "init", "--quiet")
    assert start(real()).next_steps == ("reconciler plan prod",)


def test_scopes_that_exist_are_imported_instead_of_a_first_one(start: Starter) -> None:
    """No file feeds the target yet, and that is all that `validate` has to say."""
    outcome = start(real(without_scope=True))
    assert set(outcome.written) == FILES - {"secrets/prod/secrets.yaml"}
    assert outcome.next_steps[2] == "reconciler import prod"
    (problem,) = start.problems()
    assert "no file feeds the target 'prod'" in problem


def test_what_git_ignores_is_said(start: Starter) -> None:
    """Many a .gitignore has a line for a folder of this name, and `git add` would leave it out in silence."""
    git(start.root, "init", "--quiet")
    (start.root / ".gitignore").write_text("secrets/\n")
    outcome = start(real())
    assert any("git ignores secrets/targets.yaml, secrets/prod/secrets.yaml" in notice for notice in outcome.notices)
