"""Identities: made where sops looks for them, for the user alone, and never over another one."""

import stat
from pathlib import Path

import pytest

from reconciler.errors import ReconcilerError, Refused, UsageError
from reconciler.pysops import Identities
from reconciler.scaffold import Answers, Outcome, Question, Surroundings, init, render
from reconciler.scaffold.identities import NewIdentity, OwnKeys, put
from tests.scaffold.starts import HOST, NOW, Starter
from tests.support.age_keys import AgeKey


GENERATE = Answers(host=HOST, age_keys=("generate",))


def key_file(home: Path) -> Path:
    """Return where sops looks for the key of the user, on Linux."""
    return home / ".config" / "sops" / "age" / "keys.txt"


def with_keys(home: Path, *keys: AgeKey) -> None:
    """Give a user identities."""
    key_file(home).parent.mkdir(parents=True)
    key_file(home).write_text("".join(f"{key.identity}\n" for key in keys))


def test_new_identity_is_found_by_whoever_looks_where_sops_looks(start: Starter) -> None:
    """And the rules name its recipient."""
    outcome = start(GENERATE)
    found = Identities.from_environment({}, start.home)
    assert outcome.new_key is not None
    assert found.recipients == (outcome.new_key.recipient,)
    assert outcome.new_key.recipient in start.text(".sops.yaml")


def test_new_identity_is_for_the_user_alone(start: Starter) -> None:
    """The file, and the folders that were made for it; nothing else is left beside it."""
    start(GENERATE)
    assert stat.S_IMODE(key_file(start.home).stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file(start.home).parent.stat().st_mode) == 0o700
    assert [path.name for path in key_file(start.home).parent.iterdir()] == ["keys.txt"]


def test_key_is_shown_nowhere(start: Starter) -> None:
    """What is told has the recipient, and says to keep a copy; no file of the repository has the key."""
    outcome = start(GENERATE)
    (secret,) = (line for line in key_file(start.home).read_text().splitlines() if line.startswith("AGE-SECRET-KEY-1"))
    told = render(outcome)
    assert "keep a copy" in told
    assert secret not in told + repr(outcome)
    assert all(secret.encode() not in data for data in start.everything().values())
    assert secret not in repr(NewIdentity.make(NOW))


def test_second_run_takes_the_identity_of_the_first(start: Starter) -> None:
    """A run that was killed behind its first step is completed with the same key."""
    put(key_file(start.home), NewIdentity.make(NOW).data)
    before = key_file(start.home).read_bytes()
    outcome = start(GENERATE)
    assert outcome.new_key is None
    assert key_file(start.home).read_bytes() == before
    assert Identities.from_environment({}, start.home).recipients[0] in start.text(".sops.yaml")


@pytest.mark.parametrize("answers", [Answers(host=HOST), Answers(host=HOST, age_keys=("existing",))])
def test_identity_at_hand_is_taken(start: Starter, age_key: AgeKey, answers: Answers) -> None:
    """Asked for, or by default."""
    start.environ = {"SOPS_AGE_KEY": age_key.identity}
    start(answers)
    assert age_key.recipient in start.text(".sops.yaml")
    assert not key_file(start.home).exists()


def test_one_of_several_identities_has_to_be_named(start: Starter) -> None:
    """Nobody guesses which; their recipients are shown."""
    keys = AgeKey.generate(), AgeKey.generate()
    with_keys(start.home, *keys)
    for answers in (Answers(host=HOST, age_keys=("existing",)), GENERATE, Answers(host=HOST)):
        with pytest.raises(UsageError, match=r"2 identities|--age-key is missing"):
            start(answers)
    assert start.everything() == {}


def test_key_file_that_cannot_be_used_is_left_alone(start: Starter) -> None:
    """It may be encrypted with a passphrase, and be the only copy."""
    key_file(start.home).parent.mkdir(parents=True)
    key_file(start.home).write_text("-----BEGIN AGE ENCRYPTED FILE-----\n")
    with pytest.raises(UsageError, match="is there already, and is left as it is"):
        start(GENERATE)
    assert key_file(start.home).read_text() == "-----BEGIN AGE ENCRYPTED FILE-----\n"


def test_new_identity_is_told_of_when_the_rest_goes_wrong(start: Starter) -> None:
    """Somebody puts a file there meanwhile: it is left alone, and the key that was made by then is said."""
    outcome = Outcome()

    def ask(question: Question) -> str:
        (start.root / "secrets").mkdir(exist_ok=True)
        (start.root / "secrets/targets.yaml").write_text("theirs")
        return question.default or ""

    here = Surroundings(root=start.root, environ={}, home=start.home, now=NOW, ask=ask)
    with pytest.raises(Refused, match=r"targets\.yaml exists by now"):
        init(here, GENERATE, outcome)
    assert start.everything() == {"secrets/targets.yaml": b"theirs"}
    assert outcome.is_something()
    assert "made an identity in" in render(outcome)
    assert "nothing to do" not in render(outcome)


def test_nothing_is_put_over_a_file_or_a_link(tmp_path: Path) -> None:
    """Not even over a link that leads nowhere."""
    for name in ("file", "link"):
        path = tmp_path / name
        if name == "file":
            path.write_text("theirs")
        else:
            path.symlink_to("nowhere")
        with pytest.raises(UsageError, match="is there by now"):
            put(path, b"ours")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]
    assert (tmp_path / "file").read_text() == "theirs"


def test_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """With why, and what to do."""
    (tmp_path / "sops").write_text("a file in the way")
    with pytest.raises(ReconcilerError, match="could not be written: Not a directory") as failed:
        put(tmp_path / "sops" / "age" / "keys.txt", b"AGE-SECRET-KEY-1CANARY")
    assert "CANARY" not in failed.value.with_advice()


def test_user_without_a_place_for_keys_is_told(tmp_path: Path) -> None:
    """As where XDG_CONFIG_HOME is no absolute path."""
    keys = OwnKeys({"XDG_CONFIG_HOME": "relative"}, tmp_path, platform="linux")
    with pytest.raises(UsageError, match="XDG_CONFIG_HOME is not an absolute path"):
        keys.resolve("generate", NOW)


def test_identity_of_an_embedded_target_says_that_it_protects_nothing(start: Starter) -> None:
    """It stands in git for everybody; no key of the user is made or looked for."""
    outcome = start(Answers(embedded=True))
    assert "NOT PROTECTED" in start.text("secrets/demo/demo.agekey")
    assert "NOTHING THERE IS PROTECTED" in start.text(".sops.yaml")
    assert outcome.new_key is None
    assert list(start.home.rglob("*")) == []
