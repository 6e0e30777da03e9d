"""Drafting the files of what was found."""

import itertools
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.editing import Draft
from reconciler.importing.found import Asked, FoundScope, spelt_once
from reconciler.importing.placing import Placer, Wish, parts_of
from reconciler.model import KeyName, ScopeName, SecretValue
from reconciler.policy.sources import MAX_FILE_BYTES
from reconciler.settings import Settings
from tests.support.age_keys import AgeKey


_NUMBERS: Final = itertools.count()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def repository(root: Path, key: AgeKey) -> None:
    """Make a repository with a target and without a scope file."""
    (root / "secrets").mkdir(parents=True)
    (root / ".sops.yaml").write_text(
        f"creation_rules:\n    - age: {key.recipient}\n      encrypted_regex: ^secrets$\n", encoding="utf-8"
    )
    (root / "secrets" / "targets.yaml").write_text(
        "owner: 123e4567-e89b-42d3-a456-426614174000\n"
        "targets:\n    prod:\n        workspace:\n            host: https://adb-1.2.azuredatabricks.net\n",
        encoding="utf-8",
    )


def test_scope_is_cut_into_what_fits_into_files() -> None:
    """A full scope of the largest values is some 125 MB; base64 of base64, as its bytes are written, fits each time."""
    keys = {KeyName(f"k{number:03}"): SecretValue(b"\xff" * 131_072) for number in range(1_000)}
    parts = tuple(parts_of(keys))
    assert [key for part in parts for key in part] == list(keys)
    for part in parts:
        assert sum(len(value.reveal()) for value in part.values()) * 16 / 9 < MAX_FILE_BYTES * 0.95


def test_small_scope_is_one_part() -> None:
    """Nearly every scope is one file."""
    keys = {KeyName(f"k{number}"): SecretValue(b"x" * 1_000) for number in range(1_000)}
    assert tuple(parts_of(keys)) == (keys,)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.dictionaries(st.from_regex(r"[A-Za-z0-9_.-]{1,8}", fullmatch=True), st.binary() | st.text().map(_bytes))
)
def test_files_hold_what_was_found(values: dict[str, bytes], age_key: AgeKey, tmp_path: Path) -> None:
    """Whatever bytes and names: what is read from the files is what went in, or it is said to be left out."""
    root = tmp_path / str(next(_NUMBERS))
    repository(root, age_key)
    surroundings = Settings(root=root, environ={"SOPS_AGE_KEY": age_key.identity}, home=root)
    keys = {KeyName(key): SecretValue(value) for key, value in values.items()}
    found = spelt_once(FoundScope(scope=ScopeName("app"), keys=keys, acls=None))
    draft = Draft(surroundings)
    placer = Placer(draft, Wish(skip_unreadable=True))
    outcome = placer.place(draft.target("prod"), found, Asked())
    placer.draft()
    draft.save()
    held = {one.key: one.value for path in outcome.files for one in Draft(surroundings).held(path)}
    assert held == {key: value for key, value in keys.items() if key not in {flaw.key for flaw in found.flaws}}
