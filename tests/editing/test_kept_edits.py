"""Edits that wait, encrypted, for somebody to go on with them."""

import stat
from pathlib import Path

import pytest

from reconciler import pysops
from reconciler.editing.draft import Draft
from reconciler.editing.kept_edits import Edit, Kept, drop, keep, kept_edits, open_kept
from reconciler.errors import InputError, ReconcilerError, Refused
from reconciler.settings import Settings
from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsFailed, SopsTool


FILE = "secrets/prod/app.yaml"
EDIT = Edit(before=b"before\n", edited=b'a: "Canary.7kTq"\r\n\tno yaml: [\x00\xff')
HOST = "adb-1.2.azuredatabricks.net"


@pytest.fixture
def repo(tmp_path: Path, sops: SopsTool, age_key: AgeKey) -> SecretsRepo:
    """Provide a repository with one file."""
    repo = SecretsRepo(tmp_path, sops=sops, key=age_key)
    repo.targets({"prod": {"workspace": {"host": f"https://{HOST}"}}})
    return repo.scope_file("prod/app.yaml", {HOST: {"app": {"a": "One"}}})


def _draft(repo: SecretsRepo, key: AgeKey) -> Draft:
    return Draft(Settings(root=repo.root, environ={"SOPS_AGE_KEY": key.identity}, home=repo.root / "no-home"))


def _keep(draft: Draft, edit: Edit = EDIT, *, instead: Kept | None = None, file: str = FILE) -> Kept:
    locked = draft.locked(file) if draft.bytes_of(file) is not None else None
    return keep(draft, file, edit, locked=locked, instead=instead)


@pytest.mark.parametrize("file", [FILE, "secrets/prod/new.yaml"])
def test_what_is_kept_comes_back_byte_for_byte(repo: SecretsRepo, file: str) -> None:
    """No text is unfit, be it YAML or not; nothing of it is to be seen, and nobody else may look."""
    draft = _draft(repo, repo.key)
    kept = _keep(draft, file=file)
    assert [one.place for one in kept_edits(draft, file)] == [kept.place]
    assert open_kept(draft, kept) == EDIT
    assert b"Canary" not in kept.place.read_bytes()
    assert stat.S_IMODE(kept.place.stat().st_mode) == 0o600
    drop(kept)
    drop(kept)
    assert kept_edits(draft, file) == ()


def test_who_can_open_the_file_and_nobody_else_can_open_the_edit(repo: SecretsRepo, sops: SopsTool) -> None:
    """Whatever ``.sops.yaml`` names by then; the program opens it, too."""
    other = AgeKey.generate()
    repo.write(".sops.yaml", repo.read(".sops.yaml").replace(repo.key.recipient.encode(), other.recipient.encode()))
    kept = _keep(_draft(repo, repo.key))
    data = kept.place.read_bytes()
    assert pysops.recipients(data) == pysops.recipients(repo.read(FILE))
    sops.decrypt(data, repo.key.identity)
    with pytest.raises(SopsFailed):
        sops.decrypt(data, other.identity)
    with pytest.raises(InputError):
        open_kept(_draft(repo, other), kept)


def test_no_edit_takes_the_place_of_another(repo: SecretsRepo) -> None:
    """But for the one that it goes on with."""
    draft = _draft(repo, repo.key)
    first, second = _keep(draft), _keep(draft, Edit(before=b"", edited=b"second"))
    assert len(kept_edits(draft, FILE)) == 2
    again = _keep(draft, Edit(before=b"", edited=b"more"), instead=first)
    assert {one.place for one in kept_edits(draft, FILE)} == {first.place, second.place}
    assert open_kept(draft, again).edited == b"more"
    assert open_kept(draft, second).edited == b"second"


def test_files_of_the_same_name_are_kept_apart(repo: SecretsRepo) -> None:
    """Those of another target are others."""
    draft = _draft(repo, repo.key)
    _keep(draft)
    assert kept_edits(draft, "secrets/other/app.yaml") == ()


def test_what_would_stand_in_plain_is_not_written(repo: SecretsRepo) -> None:
    """The file says that something else is encrypted: the edit must not get to a disk like that."""
    repo.encrypt("prod/app.yaml", "version: 1\nsecrets: {a: b}\nother: x\n", regex="^other$")
    draft = _draft(repo, repo.key)
    with pytest.raises(ReconcilerError):
        _keep(draft)
    assert not [path for path in (repo.root / ".reconciler").rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", [".reconciler", ".reconciler/edits"])
def test_a_link_is_not_followed(repo: SecretsRepo, tmp_path: Path, name: str) -> None:
    """A branch may have committed one that leads anywhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (repo.root / name).parent.mkdir(exist_ok=True)
    (repo.root / name).symlink_to(elsewhere)
    with pytest.raises((Refused, ReconcilerError), match="link"):
        _keep(_draft(repo, repo.key))
    assert not list(elsewhere.iterdir())


def test_another_file_in_its_place_is_no_edit(repo: SecretsRepo) -> None:
    """It is named, and not quoted."""
    draft = _draft(repo, repo.key)
    kept = _keep(draft)
    kept.place.write_bytes(repo.read(FILE))
    with pytest.raises(InputError, match="no edit that was kept here"):
        open_kept(draft, kept)
