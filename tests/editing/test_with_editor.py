"""``edit``: a file in an editor and back, with stand-ins for what people and editors do."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from reconciler import pysops
from reconciler.editing.kept_edits import Kept
from reconciler.editing.private_folder import is_in_memory
from reconciler.editing.with_editor import IfInvalid, Outcome, edit
from reconciler.errors import (
    EXIT_CANNOT_DECRYPT,
    EXIT_INTERRUPTED,
    EXIT_INVALID_INPUT,
    EXIT_REFUSED,
    EXIT_USAGE,
    InvalidInput,
)
from reconciler.settings import Settings
from tests.support.age_keys import AgeKey
from tests.support.canaries import Canaries
from tests.support.cli import Cli, program
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool
from tests.support.terminal import Terminal, interrupt


FILE = "secrets/demo/app.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A repository, somebody who edits in it, and what must not be seen."""

    repo: SecretsRepo
    canaries: Canaries
    run: Cli

    @property
    def file(self) -> Path:
        """The file that is edited."""
        return self.repo.root / FILE

    def editor(self, body: str) -> dict[str, str]:
        """Return an environment with an editor that runs ``body`` on ``text``, the text of the file ``path``.

        How often it was started before is ``times``. What is given to ``save`` is the text afterwards. Where the text
        stands is noted for `folder`.
        """
        notes = self.repo.root.parent / "notes"
        script = self.repo.root.parent / "editor.py"
        script.write_text(
            dedent(f"""
            import os, pathlib, signal, sys, time
            notes, path = pathlib.Path({str(notes)!r}), pathlib.Path(sys.argv[1])
            times = len(notes.read_text().splitlines()) if notes.exists() else 0
            notes.open("a").write(f"{{path}}\\n")
            text, save = path.read_text(), path.write_text
            """)
            + dedent(body)
        )
        notes.unlink(missing_ok=True)
        return {"VISUAL": f"{sys.executable} {script}"}

    def edit(self, body: str, *options: str, file: str = FILE, exit_code: int = 0) -> str:
        """Edit a file, look for values in what was said, and return that."""
        result = self.run("edit", str(self.repo.root / file), *options, env=self.editor(body)).expect(exit_code)
        assert not self.canaries.found_in(result.stdout + result.stderr)
        assert not self.folder.exists()
        return result.stdout + result.stderr

    @property
    def folder(self) -> Path:
        """The private folder of the last edit."""
        noted = (self.repo.root.parent / "notes").read_text().splitlines()
        return Path(noted[-1]).parents[1]

    def values(self, file: str = FILE) -> object:
        """Return what is below ``secrets`` of a file."""
        identities = pysops.Identities.from_text(self.repo.key.identity, "test")
        return pysops.load(self.repo.root / file, identities)["secrets"]

    def seen_on_disk(self) -> list[str]:
        """Return canaries that stand in plain below the root."""
        files = (path for path in self.repo.root.rglob("*") if path.is_file() and ".git" not in path.parts)
        return [name for path in files for name in self.canaries.found_in(path.read_bytes())]


@pytest.fixture
def desk(tmp_path: Path, sops: SopsTool, age_key: AgeKey) -> Desk:
    """Provide a repository with two secrets."""
    root = tmp_path / "repo"
    root.mkdir()
    canaries = Canaries.make()
    repo = SecretsRepo(root, sops=sops, key=age_key)
    repo.targets({"demo": repo.embedded("demo")})
    repo.scope_file("demo/app.yaml", {"demo": {"app": {"first": canaries.text("text"), "second": "Two"}}})
    return Desk(repo=repo, canaries=canaries, run=Cli(cwd=root))


def test_what_was_typed_is_saved_and_the_rest_stays_as_it_was(desk: Desk) -> None:
    """Another value and a new one are written; one that is the same keeps its ciphertext."""
    before = desk.file.read_text()
    said = desk.edit("save(text.replace('Two', 'Three') + '            third: \"3\"\\n')")
    assert "written" in said
    assert desk.values() == {"demo": {"app": {"first": desk.canaries.text("text"), "second": "Three", "third": "3"}}}
    line = next(line for line in before.splitlines() if '"first"' in line or " first:" in line)
    assert line in desk.file.read_text().splitlines()
    assert not desk.seen_on_disk()


def test_an_edit_that_changes_nothing_writes_nothing(desk: Desk) -> None:
    """The file keeps its bytes, and that is said; also that an editor ended at once."""
    before = desk.file.read_bytes()
    said = desk.edit("")
    assert "no changes" in said
    assert "ended at once" in said
    assert desk.file.read_bytes() == before


@pytest.mark.parametrize(
    ("body", "place"),
    [
        pytest.param("save(text.replace('secrets:', 'secrets: ['))", ":", id="no-yaml"),
        pytest.param("save(text + '            third: 5\\n')", f"{FILE}:7:20", id="no-text"),
        pytest.param("save('acls:\\n    - <READ>\\n' + text)", f"{FILE}:2:7", id="a-grant"),
        pytest.param("save(text + '            sec ond: \"x\"\\n')", f"{FILE}:7:13", id="a-name"),
        pytest.param(
            "save(text + '            third: |\\n                a\\n                b\\n            x y: \"x\"\\n')",
            f"{FILE}:10:13",
            id="below-a-long-value",
        ),
        pytest.param("save(text + 'sops: {}\\n')", f"{FILE}:7:1", id="metadata"),
    ],
)
def test_an_invalid_edit_is_told_by_the_lines_of_the_text_and_kept_encrypted(desk: Desk, body: str, place: str) -> None:
    """Nothing is written, and what was typed is there for ``--resume``."""
    before = desk.file.read_bytes()
    said = desk.edit(body, exit_code=EXIT_INVALID_INPUT)
    assert place in said, said
    assert "--resume" in said
    assert desk.file.read_bytes() == before
    assert not desk.seen_on_disk()
    shown = desk.edit("save(text + '#')", "--resume", exit_code=EXIT_INVALID_INPUT)
    assert "--resume" in shown


def test_a_kept_edit_is_resumed_as_it_was_left(desk: Desk) -> None:
    """Without saying so the next edit is refused; afterwards nothing is kept any more."""
    desk.edit("save(text.replace('Two', 'Three') + 'oops')", exit_code=EXIT_INVALID_INPUT)
    refused = desk.run("edit", str(desk.file), env=desk.editor("")).expect(EXIT_USAGE)
    assert "--resume" in refused.stderr
    assert "--drop-kept" in refused.stderr
    desk.edit("save(text.replace('oops', ''))", "--resume")
    assert desk.values() == {"demo": {"app": {"first": desk.canaries.text("text"), "second": "Three"}}}
    assert "no changes" in desk.edit("")


def test_a_kept_edit_can_be_forgotten(desk: Desk) -> None:
    """The editor then shows the file."""
    desk.edit("save(text + 'oops')", exit_code=EXIT_INVALID_INPUT)
    assert "no changes" in desk.edit("assert 'oops' not in text", "--drop-kept")
    assert "no changes" in desk.edit("")


def test_an_editor_may_be_wrong_twice(desk: Desk) -> None:
    """With ``--if-invalid again`` it is shown what it left, until that is fit."""
    body = "save([text.replace('Two', 'Three') + 'oops', text + 'oh', text.replace('oopsoh', '')][times])"
    desk.edit(body, "--if-invalid", "again")
    assert desk.values() == {"demo": {"app": {"first": desk.canaries.text("text"), "second": "Three"}}}


def test_an_editor_that_is_wrong_for_ever_is_not_asked_for_ever(desk: Desk) -> None:
    """The same text a second time is kept."""
    said = desk.edit("save(text.replace('oops', '') + 'oops')", "--if-invalid", "again", exit_code=EXIT_INVALID_INPUT)
    assert "--resume" in said


def test_an_invalid_edit_can_be_dropped(desk: Desk) -> None:
    """Nothing is kept then."""
    desk.edit("save(text + 'oops')", "--if-invalid", "drop", exit_code=EXIT_INVALID_INPUT)
    assert "no changes" in desk.edit("")


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", id="killed"),
        pytest.param("sys.exit(1)", id="exit-code"),
    ],
)
def test_an_editor_that_fails_writes_nothing_and_loses_nothing(desk: Desk, end: str) -> None:
    """What it had saved until then is kept."""
    before = desk.file.read_bytes()
    said = desk.edit(f"save(text.replace('Two', 'Three')); {end}", exit_code=1)
    assert "--resume" in said
    assert desk.file.read_bytes() == before
    desk.edit("", "--resume")
    assert desk.values() == {"demo": {"app": {"first": desk.canaries.text("text"), "second": "Three"}}}


def test_an_editor_that_took_the_text_away_loses_nothing(desk: Desk) -> None:
    """The file stays as it is."""
    before = desk.file.read_bytes()
    assert "left no text" in desk.edit("path.unlink()", exit_code=1)
    assert desk.file.read_bytes() == before


def test_what_an_editor_leaves_beside_the_text_goes(desk: Desk) -> None:
    """Swap files, backups, undo files."""
    desk.edit("[path.with_name(name).write_text(text) for name in ('.app.yaml.swp', 'app.yaml~', '.app.yaml.un~')]")


def test_a_file_that_somebody_else_changed_meanwhile_is_left_and_both_edits_are_joined(desk: Desk) -> None:
    """Exit code 6; ``--resume`` puts the edit on top of what is there now."""
    scopes = {"demo": {"app": {"first": desk.canaries.text("text"), "second": "Two", "zulu": "from elsewhere"}}}
    ours = desk.file.read_bytes()
    theirs = desk.repo.scope_file("demo/app.yaml", scopes).read(FILE)
    desk.file.write_bytes(ours)
    other = desk.repo.root.parent / "theirs"
    other.write_bytes(theirs)
    body = f"""
    save(text.replace('first:', 'alpha: "a"\\n            first:', 1))
    pathlib.Path({str(desk.file)!r}).write_bytes(pathlib.Path({str(other)!r}).read_bytes())
    """
    said = desk.edit(body, exit_code=EXIT_REFUSED)
    assert "--resume" in said
    assert desk.file.read_bytes() == theirs
    assert "put on top of it" in desk.edit("", "--resume")
    expected = {"alpha": "a", "first": desk.canaries.text("text"), "second": "Two", "zulu": "from elsewhere"}
    assert desk.values() == {"demo": {"app": expected}}


def test_two_edits_of_one_line_are_shown_beside_each_other(desk: Desk) -> None:
    """What both changed cannot be saved before somebody has chosen."""
    desk.edit("save(text.replace('Two', 'Ours') + 'oops')", exit_code=EXIT_INVALID_INPUT)
    desk.run("set", "demo/app", "second", stdin="Theirs").expect()
    said = desk.edit("save(text.replace('oops', ''))", "--resume", exit_code=EXIT_INVALID_INPUT)
    assert "the same lines in 1 place" in said
    desk.edit(
        """
        ours, theirs = text.index('<<<<<<<'), text.index('=======')
        end = text.index('>>>>>>>')
        save(text[:ours] + text[ours:theirs].split('\\n', 1)[1] + text[end:].split('\\n', 1)[1])
        """,
        "--resume",
    )
    assert desk.values() == {"demo": {"app": {"first": desk.canaries.text("text"), "second": "Ours"}}}


def test_a_file_that_no_identity_opens_is_not_shown(desk: Desk) -> None:
    """Exit code 5, before any editor is started."""
    other = AgeKey.generate()
    desk.repo.scope_file("demo/app.yaml", {"demo": {"app": {"first": "x"}}}, recipients=(other.recipient,))
    desk.run("edit", FILE, env=desk.editor("")).expect(EXIT_CANNOT_DECRYPT)
    assert not (desk.repo.root.parent / "notes").exists()


def test_comments_and_order_are_the_users(desk: Desk) -> None:
    """A comment below ``secrets`` is encrypted, and there again the next time."""
    desk.edit("save(text.replace('            second', '            # from the vendor\\n            second'))")
    assert b"vendor" not in desk.file.read_bytes()
    assert "no changes" in desk.edit("assert '# from the vendor' in text")


def test_a_file_that_does_not_exist_is_begun(desk: Desk) -> None:
    """The editor shows host and scope by its name; left as it is, nothing is written."""
    new = "secrets/demo/payments.yaml"
    assert "no changes" in desk.edit("", file=new)
    assert not (desk.repo.root / new).exists()
    desk.edit("save(text + '            token: \"abc\"\\n')", file=new)
    assert desk.values(new) == {"demo": {"payments": {"token": "abc"}}}
    assert desk.run("validate").expect().exit_code == 0


def test_an_invalid_new_file_is_kept_as_well(desk: Desk) -> None:
    """Encrypted to whom it would be for."""
    new = "secrets/demo/payments.yaml"
    desk.edit("save(text + '            token: 5\\n')", file=new, exit_code=EXIT_INVALID_INPUT)
    desk.edit("save(text.replace(': 5', ': \"5\"'))", "--resume", file=new)
    assert desk.values(new) == {"demo": {"payments": {"token": "5"}}}


@pytest.mark.parametrize(
    ("file", "word"),
    [
        pytest.param("secrets/targets.yaml", "not encrypted", id="targets"),
        pytest.param(".sops.yaml", "any editor", id="rules"),
        pytest.param("secrets/nowhere/app.yaml", "no target", id="unknown-target"),
        pytest.param("secrets/app.yaml", "TARGET/SCOPE", id="no-target"),
        pytest.param("../elsewhere.yaml", "below secrets/", id="elsewhere"),
    ],
)
def test_other_files_are_an_error_of_usage(desk: Desk, file: str, word: str) -> None:
    """Which says what to do with them; no editor is started."""
    done = desk.run("edit", str(desk.repo.root / file), env=desk.editor("")).expect(EXIT_USAGE)
    assert word in done.stderr


def test_a_path_may_be_that_from_the_directory_of_the_run(desk: Desk) -> None:
    """As ``-C`` says, wherever the user stands."""
    desk.run("edit", FILE, env=desk.editor("save(text.replace('Two', 'Three'))")).expect()
    assert "Three" in str(desk.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listener:
    """Keeps what is said."""

    said: list[str]
    detail: None = None

    def say(self, text: str) -> None:
        self.said.append(text)

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        yield lambda: None


class _Nobody:
    """Nobody decides: there is nothing to ask."""

    def if_invalid(self, error: InvalidInput, *, same: bool) -> IfInvalid:
        raise AssertionError(str(error))

    def if_kept(self, kept: Kept) -> None:
        raise AssertionError(str(kept))


def test_text_that_gets_to_a_disk_is_warned_of(desk: Desk, tmp_path: Path) -> None:
    """Where no folder is in memory."""
    place = tmp_path / "place"
    place.mkdir()
    settings = Settings(root=desk.repo.root, environ=desk.editor("save(text.replace('Two', 'Three'))"), home=tmp_path)
    listener = _Listener(said=[])
    outcome = edit(settings, listener, Path(FILE), asking=_Nobody(), has_terminal=False, where=(place,))
    assert outcome is Outcome.WRITTEN
    assert any("perhaps on a disk" in text for text in listener.said) is not is_in_memory(place.resolve())
    assert desk.folder.parent == place
    assert not list(place.iterdir())


def test_nothing_that_others_can_see_holds_a_value(desk: Desk) -> None:
    """Not the arguments of the editor, nor its environment, nor the private folder to others, nor the root."""
    note = desk.repo.root.parent / "seen"
    body = f"""
    seen = [*sys.argv, *map(str, os.environ.items()), oct(path.parents[1].stat().st_mode), oct(path.stat().st_mode)]
    pathlib.Path({str(note)!r}).write_text(repr(seen))
    save(text + 'oops')
    """
    desk.edit(body, exit_code=EXIT_INVALID_INPUT)
    seen = note.read_text()
    assert not desk.canaries.found_in(seen)
    assert desk.repo.key.identity not in seen
    assert "0o40700', '0o100600'" in seen
    assert not desk.seen_on_disk()


def _until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _start(desk: Desk, body: str) -> "subprocess.Popen[bytes]":
    env = desk.run.environ(desk.editor(body))
    command = program("edit", FILE)
    with (desk.repo.root.parent / "said").open("wb") as said:  # no pipe: an editor that is left behind would hold it
        return subprocess.Popen(command, cwd=desk.repo.root, env=env, stderr=said, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_end_keeps_what_was_typed(desk: Desk, number: signal.Signals) -> None:
    """The editor is ended, the text is kept encrypted, the plain text is gone; exit code 130."""
    saved = desk.repo.root.parent / "saved"
    body = f"save(text.replace('Two', 'Three')); pathlib.Path({str(saved)!r}).touch(); time.sleep(60)"
    process = _start(desk, body)
    _until(saved.exists)
    process.send_signal(number)
    assert process.wait(20) == EXIT_INTERRUPTED
    said = (desk.repo.root.parent / "said").read_text()
    assert "--resume" in said
    assert not desk.folder.exists()
    assert not desk.canaries.found_in(said)
    desk.edit("", "--resume")
    assert "Three" in str(desk.values())


def test_what_a_killed_run_has_left_is_rescued_by_the_next_one(desk: Desk) -> None:
    """Once the editor has ended as well: then the text is kept encrypted, and the plain text removed."""
    saved, go = desk.repo.root.parent / "saved", desk.repo.root.parent / "go"
    body = f"""
    save(text.replace('Two', 'Three')); pathlib.Path({str(saved)!r}).touch()
    while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)
    """
    process = _start(desk, body)
    _until(saved.exists)
    process.kill()
    process.wait(20)
    left = desk.folder
    assert left.exists()
    assert "no changes" in desk.edit("")
    assert left.exists()
    go.touch()
    env = desk.editor("")

    def rescued() -> bool:
        return "kept encrypted" in desk.run("edit", FILE, env=env).stderr

    _until(rescued)
    assert not left.exists()
    desk.edit("", "--resume")
    assert "Three" in str(desk.values())


def test_on_a_terminal_somebody_is_asked_and_edits_again(desk: Desk) -> None:
    """What is wrong is shown; ``e`` leads back to what was typed, and Ctrl-C keeps it."""
    body = "save([text.replace('Two', 'Three') + 'oops', text.replace('oops', ''), text + 'oops'][times])"
    env = {**desk.run.environ(desk.editor(body))}
    with Terminal(program("edit", FILE), cwd=desk.repo.root, env=env) as terminal:
        terminal.wait_for("drop it (d)?")
        assert f"{FILE}:" in terminal.said
        terminal.type("e\n")
        assert terminal.end() == 0
        assert "written" in terminal.said
        assert not desk.canaries.found_in(terminal.said)
    with Terminal(program("edit", FILE), cwd=desk.repo.root, env=env) as terminal:
        terminal.wait_for("drop it (d)?")
        interrupt(terminal.process)
        assert terminal.end() == EXIT_INVALID_INPUT
        assert "--resume" in terminal.said
    with Terminal(program("edit", FILE), cwd=desk.repo.root, env={**env, "VISUAL": "true"}) as terminal:
        terminal.wait_for("delete it (d)?")
        terminal.type("d\n")
        assert terminal.end() == 0
    assert not list((desk.repo.root / ".reconciler/edits").iterdir())


def test_a_terminal_is_as_before_after_an_editor_that_was_killed(desk: Desk) -> None:
    """What is asked or said then can be read, and is typed with an echo."""
    body = """
    import termios
    raw = termios.tcgetattr(0)
    raw[1] &= ~termios.OPOST
    raw[3] &= ~termios.ECHO
    termios.tcsetattr(0, termios.TCSANOW, raw)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    env = desk.run.environ(desk.editor(body))
    command = ("sh", "-c", 'before=$(stty -g); "$@"; test "$before" = "$(stty -g)" && echo as before', "sh")
    with Terminal((*command, *program("edit", FILE)), cwd=desk.repo.root, env=env) as terminal:
        assert terminal.end() == 0
        assert "as before" in terminal.said
