"""What runs that were killed have left as plain text."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.editing.draft import Draft
from reconciler.editing.kept_edits import kept_edits, open_kept
from reconciler.editing.private_folder import About, PrivateFolder, make
from reconciler.editing.rescuing import rescue
from reconciler.settings import Settings
from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool


FILE = "secrets/demo/app.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A repository, and a place where folders are left."""

    draft: Draft
    repo: SecretsRepo
    place: Path
    said: list[str] = field(default_factory=list)
    detail: None = None

    def say(self, text: str) -> None:
        """Keep what is said."""
        self.said.append(text)

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Draw nothing."""
        yield lambda: None

    def leave(
        self, text: bytes | None, *, before: bytes | None = b"before", root: Path | None = None, file: str = FILE
    ) -> PrivateFolder:
        """Leave a folder, as a run does that is killed."""
        folder = make(About(root=str((root or self.repo.root).resolve()), file=file), (self.place,))
        if before is not None:
            folder.write_before(before)
        if text is not None:
            folder.write(text)
        folder.release()
        return folder

    def rescue(self) -> str:
        """Look for what was left, and return what was said."""
        rescue(self.draft, self, (self.place,))
        return " ".join(self.said)


@pytest.fixture
def scene(tmp_path: Path, sops: SopsTool, age_key: AgeKey) -> Scene:
    """Provide a repository with one file."""
    root, place = tmp_path / "repo", tmp_path / "place"
    root.mkdir()
    place.mkdir()
    repo = SecretsRepo(root, sops=sops, key=age_key)
    repo.targets({"demo": repo.embedded("demo")}).scope_file("demo/app.yaml", {"demo": {"app": {"a": "One"}}})
    return Scene(draft=Draft(Settings(root=root, environ={}, home=tmp_path)), repo=repo, place=place)


@pytest.mark.parametrize("file", [FILE, "secrets/demo/new.yaml"])
def test_what_was_typed_is_kept_encrypted_and_the_plain_text_removed(scene: Scene, file: str) -> None:
    """Also for a file that does not exist yet."""
    folder = scene.leave(b"typed", file=file)
    assert f"edit {file} --resume" in scene.rescue()
    assert not folder.path.exists()
    (kept,) = kept_edits(scene.draft, file)
    assert (open_kept(scene.draft, kept).before, open_kept(scene.draft, kept).edited) == (b"before", b"typed")


@pytest.mark.parametrize(
    ("before", "text"),
    [
        pytest.param(b"before", b"before", id="nothing-typed"),
        pytest.param(b"before", None, id="killed-before-it-was-shown"),
        pytest.param(None, None, id="killed-at-once"),
    ],
)
def test_where_nothing_was_typed_nothing_is_kept(scene: Scene, before: bytes | None, text: bytes | None) -> None:
    """The plain text goes all the same."""
    folder = scene.leave(text, before=before)
    assert "nothing had been typed" in scene.rescue()
    assert not folder.path.exists()
    assert kept_edits(scene.draft, FILE) == ()


def test_what_cannot_be_encrypted_is_left_and_told(scene: Scene) -> None:
    """It would be lost otherwise."""
    other = AgeKey.generate().recipient
    scene.repo.scope_file("demo/theirs.yaml", {"demo": {"theirs": {"a": "x"}}}, recipients=(other,))
    folder = scene.leave(b"typed", file="secrets/demo/theirs.yaml")
    settings = Settings(root=scene.repo.root, environ={}, home=scene.place)
    rescue(Draft(settings), scene, (scene.place,))
    assert str(folder.path) in scene.said[0]
    assert folder.read() == b"typed"


def test_an_edit_of_another_repository_is_only_told(scene: Scene, tmp_path: Path) -> None:
    """With the command that keeps it; or that it can go, where that repository is gone."""
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    folder = scene.leave(b"typed", root=elsewhere)
    gone = scene.leave(b"typed", root=tmp_path / "gone")
    said = scene.rescue()
    assert f"reconciler -C '{elsewhere}' edit {FILE}" in said
    assert "delete it" in said
    assert folder.path.exists()
    assert gone.path.exists()
