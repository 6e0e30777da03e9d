"""What somebody who left could read, and what of it changed since: stories of real files in a real repository."""

import pytest

from reconciler.errors import EXIT_DONE, EXIT_PENDING, Refused, UsageError
from reconciler.report import render_revoked, render_revoked_json, render_revoked_markdown
from tests.auditing.leaving import HOST, OTHER_HOST, Story, listed
from tests.support.age_keys import AgeKey
from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool


KEYLESS = [pytest.param(False, id="with a key"), pytest.param(True, id="without a key")]


@pytest.fixture
def story(repo: SecretsRepo, sops: SopsTool) -> Story:
    """Begin a story."""
    return Story(repo, sops)


@pytest.mark.parametrize("keyless", KEYLESS)
def test_whoever_the_file_names_can_read_it(story: Story, *, keyless: bool) -> None:
    """They did not leave yet, as far as the file goes."""
    story.file({"a": "first", "b": "second"})
    found = story.audit(keyless=keyless)
    assert listed(found) == {"prod/app/a": "readable", "prod/app/b": "readable"}
    assert found.open_files == ("secrets/prod/app.yaml",)
    assert found.values[0].step == "reconciler rotate prod/app a"
    assert found.exit_code == EXIT_PENDING


@pytest.mark.parametrize("keyless", KEYLESS)
def test_taking_a_name_off_leaves_the_data_key(story: Story, *, keyless: bool) -> None:
    """Also a value that is set afterwards can be read by whoever kept the data key."""
    story.file({"a": "first", "b": "second"})
    story.take_off()
    story.repo.commit()
    story.set("a", "third")
    story.repo.commit()
    found = story.audit(keyless=keyless)
    assert listed(found) == {"prod/app/a": "readable", "prod/app/b": "readable"}
    assert "data key" in found.values[0].detail
    assert found.open_files == ()


def test_a_rekeyed_file_has_the_same_values(story: Story) -> None:
    """Every ciphertext is new, and nothing has changed: with a key that is known, without one it cannot be told."""
    story.file({"a": "first", "b": "second"})
    story.rekey()
    assert listed(story.audit()) == {"prod/app/a": "unchanged", "prod/app/b": "unchanged"}
    found = story.audit(keyless=True)
    assert listed(found) == {"prod/app/a": "unknown", "prod/app/b": "unknown"}
    assert found.without_key == 2


def test_what_changed_after_the_rekeying_is_not_listed(story: Story) -> None:
    """A key tells it; without one a new ciphertext of the same length may be the same value, set again."""
    story.file({"a": "first", "b": "second"})
    story.rekey()
    story.set("a", "third")
    story.repo.commit()
    found = story.audit()
    assert list(listed(found)) == ["prod/app/b"]
    assert found.changed == 1
    assert listed(story.audit(keyless=True)) == {"prod/app/a": "unknown", "prod/app/b": "unknown"}
    story.set("b", "of another length")
    story.repo.commit()
    done = story.audit()
    assert (done.values, done.changed, done.exit_code) == ((), 2, EXIT_DONE)
    assert list(listed(story.audit(keyless=True))) == ["prod/app/a"]


def test_what_changed_with_the_rekeying_is_known_by_a_key_or_by_its_length(story: Story) -> None:
    """Rotated and rekeyed in one commit."""
    story.file({"a": "first", "b": "second", "c": "stays"})
    story.set("a", "other")
    story.set("b", "of another length")
    story.rekey()
    assert listed(story.audit()) == {"prod/app/c": "unchanged"}
    assert list(listed(story.audit(keyless=True))) == ["prod/app/a", "prod/app/c"]


def test_a_value_that_went_back_is_one_that_they_could_read(story: Story) -> None:
    """It changed since, and changed back; only a key tells."""
    story.file({"a": "first", "b": "second"})
    story.rekey()
    story.set("a", "third")
    story.repo.commit()
    story.set("a", "first")
    story.repo.commit()
    assert listed(story.audit())["prod/app/a"] == "unchanged"


def test_the_only_value_of_a_file_may_have_changed_with_the_names_alone(story: Story) -> None:
    """Set and updatekeys in one commit leave no ciphertext, and the data key that they know: only a key can tell."""
    story.file({"a": "first"})
    story.set("a", "third")
    story.take_off()
    story.repo.commit()
    story.set("a", "fourth")
    story.repo.commit()
    assert listed(story.audit()) == {"prod/app/a": "readable"}
    assert listed(story.audit(keyless=True)) == {"prod/app/a": "unknown"}


@pytest.mark.parametrize("keyless", KEYLESS)
def test_what_is_in_no_file_any_more_is_listed_apart(story: Story, *, keyless: bool) -> None:
    """It may go on being valid at its source; there is nothing to rotate here."""
    story.file({"a": "first", "b": "second", "c": "third"})
    story.file({"b": "not the second", "c": "not the third"}, alone=True)
    found = story.audit(keyless=keyless)
    assert listed(found) == {"prod/app/a": "removed"}
    assert found.values[0].step is None


def test_a_copy_elsewhere_is_found_by_a_key(story: Story) -> None:
    """The same value under another key of another workspace, in a file that they never could read."""
    story.file({"a": "first", "b": "second"})
    story.file({"copy": "first", "own": "x"}, path="stage/app.yaml", host=OTHER_HOST, alone=True)
    story.rekey()
    found = {f"{each.target}/{each.key}": each for each in story.audit().values}
    assert found["stage/copy"].exposure.value == "unchanged"
    assert f"{HOST}/app/a" in found["stage/copy"].detail
    assert "stage/own" not in found


def test_a_value_that_moved_is_listed_where_it_went(story: Story) -> None:
    """By a key as the same; without one as perhaps the same, where key and length are."""
    story.file({"a": "first", "b": "second"})
    (story.repo.root / "secrets" / "prod" / "app.yaml").unlink()
    story.file({"a": "first", "b": "of another length"}, path="stage/app.yaml", host=OTHER_HOST, alone=True)
    gone = {"prod/app/a": "removed", "prod/app/b": "removed"}
    assert listed(story.audit()) == {"stage/app/a": "unchanged", **gone}
    assert listed(story.audit(keyless=True)) == {"stage/app/a": "unknown", **gone}


@pytest.mark.parametrize("keyless", KEYLESS)
def test_the_form_of_a_value_does_not_hide_it(story: Story, *, keyless: bool) -> None:
    """The same bytes as text, and as base64; what is empty is no secret."""
    story.file({"a": b"first bytes", "b": "second", "none": ""})
    story.file({"a": "first bytes", "b": "another value", "none": ""}, alone=True)
    assert listed(story.audit(keyless=keyless)) == {"prod/app/a": "unknown" if keyless else "unchanged"}


@pytest.mark.parametrize("keyless", KEYLESS)
def test_what_stood_there_in_plain_everybody_could_read(story: Story, *, keyless: bool) -> None:
    """Committed before it was encrypted: in the history for good."""
    story.repo.write("secrets/prod/app.yaml", f'version: 1\nsecrets:\n  {HOST}:\n    app:\n      a: "first"\n').commit()
    story.file({"a": "first", "b": "second"}, alone=True)
    found = listed(story.audit(who=story.repo.key.recipient if keyless else None, keyless=keyless))
    assert found["prod/app/a"] in {"unchanged", "readable"}


def test_side_branches_that_were_merged_count(story: Story) -> None:
    """A version that stood only on a branch, and that the merge did not keep."""
    story.file({"a": "first", "b": "second"}, alone=True)
    git = story.repo.git
    main = git("branch", "--show-current").strip()
    git("checkout", "--quiet", "-b", "side")
    story.file({"a": "of the branch", "b": "second of it"})
    git("checkout", "--quiet", main)
    git("merge", "--quiet", "--strategy", "ours", "--no-edit", "side")
    story.file({"a": "of the branch", "b": "other"}, alone=True)
    assert listed(story.audit()) == {"prod/app/a": "unchanged"}


def test_other_branches_count_when_asked_for(story: Story) -> None:
    """What was never merged is in the repository that they had."""
    story.file({"a": "first", "b": "second"}, alone=True)
    story.repo.git("checkout", "--quiet", "-b", "side")
    story.file({"a": "first", "b": "second"})
    story.repo.git("checkout", "--quiet", "-")
    assert story.audit(who=story.leaver.recipient).values == ()
    assert set(listed(story.audit(all_refs=True))) == {"prod/app/a", "prod/app/b"}


def test_what_is_not_committed_is_said(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    """It was rotated, and does not count yet."""
    story.file({"a": "first", "b": "second"})
    story.rekey()
    story.set("a", "third")
    assert listed(story.audit())["prod/app/a"] == "unchanged"
    assert "not committed: secrets/prod/app.yaml" in capsys.readouterr().err


def test_selectors_limit_the_answer(story: Story) -> None:
    """By target and scope."""
    story.file({"a": "first"})
    story.file({"a": "first"}, path="stage/app.yaml", host=OTHER_HOST)
    assert set(listed(story.audit("stage/APP"))) == {"stage/app/a"}
    with pytest.raises(UsageError, match="unknown target 'nowhere'"):
        story.audit("nowhere")


def test_a_scope_that_no_version_had_is_refused(story: Story) -> None:
    """A slip of the pen is no all-clear; a scope that is gone can be asked for."""
    story.file({"a": "first"}, scope="payments")
    story.file({"a": "first"})
    with pytest.raises(UsageError, match="no version of any file has a scope 'prod/paymets'") as caught:
        story.audit("prod/paymets")
    assert caught.value.advice == "did you mean 'prod/payments'?"
    assert set(listed(story.audit("prod/Payments"))) == {"prod/payments/a"}


def test_a_recipient_is_named_by_its_beginning(story: Story) -> None:
    """As far as that is only one; a slip of the pen is no all-clear."""
    story.file({"a": "first"})
    assert story.audit(who=story.leaver.recipient[:12]).recipient == f"age {story.leaver.recipient}"
    with pytest.raises(UsageError, match="too short"):
        story.audit(who="age1")
    with pytest.raises(UsageError, match="no version"):
        story.audit(who=story.leaver.recipient[:-1] + "!")
    assert story.audit(who=AgeKey.generate().recipient).exit_code == EXIT_DONE


def test_an_ssh_recipient_is_named_with_its_comment_or_without(story: Story) -> None:
    """As it stands in a file of public keys."""
    story.leaver = AgeKey.ssh_ed25519()
    story.file({"a": "first"})
    assert listed(story.audit(who=f"{story.leaver.recipient} somebody@example.com")) == {"prod/app/a": "readable"}


def test_what_cannot_be_read_is_said(story: Story) -> None:
    """A version that names them, and that is no document: nobody knows what they could read in it."""
    story.repo.write("secrets/prod/app.yaml", f"a: [{story.leaver.recipient}\n").commit()
    story.file({"a": "first"}, alone=True)
    found = story.audit()
    assert [(one.path, one.versions) for one in found.unread] == [("secrets/prod/app.yaml", 1)]
    assert found.exit_code == EXIT_PENDING


def test_a_shallow_clone_is_refused(story: Story, repo: SecretsRepo) -> None:
    """What it leaves out they could read, too."""
    story.file({"a": "first"})
    story.rekey()
    repo.git("clone", "--quiet", "--depth", "1", f"file://{repo.root}", str(repo.root.parent / "shallow"))
    repo.root = repo.root.parent / "shallow"
    with pytest.raises(Refused, match="shallow"):
        story.audit()


def test_no_value_shows_in_any_report(story: Story, run: Cli) -> None:
    """Nor do names from git do harm; the command exits with 3, and writes what it was asked to."""
    story.file({"a": "Canary-4711", "b": "second"})
    story.rekey()
    found = story.audit()
    reports = (render_revoked(found, color=True), render_revoked_markdown(found), render_revoked_json(found))
    assert "Canary" not in "".join((*reports, repr(found)))
    shown = run("audit", "--revoked", story.leaver.recipient, "-o", "json").expect(3)
    assert shown.json["summary"] == {
        "readable": 0,
        "unchanged": 2,
        "unknown": 0,
        "removed": 0,
        "changed": 0,
        "without_key": 0,
    }
    assert (
        "2 values to change or revoke (2 unchanged)"
        in run("audit", "--revoked", story.leaver.recipient).expect(3).stdout
    )
    assert run("audit", "--revoked", "age1nobody", "-o", "json").expect(2).json["error"].startswith("no version")
    run("audit", "--all-refs").expect(2)


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(("--within", "14"), id="within"),
        pytest.param(("--all-keys",), id="all-keys"),
        pytest.param(("--all",), id="all"),
        pytest.param(("--concurrency", "16"), id="concurrency"),
        pytest.param(("--timeout", "60"), id="timeout"),
    ],
)
def test_what_is_about_ages_is_refused_with_a_recipient(run: Cli, option: tuple[str, ...]) -> None:
    """Also where it says what holds anyway: an option that does nothing is misunderstood."""
    done = run("audit", "--revoked", AgeKey.generate().recipient, *option).expect(2)
    assert f"{option[0]} does nothing with --revoked" in done.stderr
