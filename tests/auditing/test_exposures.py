"""Random histories of two files, without any cryptography: what is listed against what somebody could really read."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from reconciler.auditing.archive import Archive, Version
from reconciler.auditing.exposures import Exposures
from reconciler.auditing.lineages import DataKey, Opener
from reconciler.auditing.versions import Contents, Place, Sealed
from reconciler.git import Commit
from reconciler.model import fold
from reconciler.policy.scope_values import Form
from reconciler.pysops import Envelope, Mark, Metadata, Recipient, WrappedKey
from reconciler.report.revoked import Exposure


MARK = Mark(line=1, column=1)
ADMIN = Recipient(kind="age", name="age1admin")
LEAVER = Recipient(kind="age", name="age1leaver")
KEYS = ("a", "b", "c")
VALUES = ("one", "two", "six", "three", "seven")
"""Of two lengths: only some changes show by that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One version of a file, with what nobody sees: its values and its data key."""

    data_key: int
    leaver: bool
    values: Mapping[str, str]
    tokens: Mapping[str, int]
    """Key to what its ciphertext is; random each time that it is encrypted."""

    wrapping: int
    """What the data key as it is encrypted to everybody is."""


class Known(DataKey):
    """A data key that opens by looking it up."""

    def __init__(self, number: int, plain: Mapping[bytes, str]) -> None:
        super().__init__(bytes(32), b"pepper")
        self.mark = number.to_bytes(4)
        self._plain = plain

    def digest(self, sealed: Sealed) -> bytes | None:
        """Look up a value."""
        assert sealed.envelope is not None
        return self._plain[sealed.envelope.iv].encode()


class Knowing(Opener):
    """Opens everything."""

    def __init__(self, keys: Mapping[str, int], plain: Mapping[bytes, str]) -> None:
        super().__init__(())
        self._keys = keys
        self._plain = plain

    def data_key(self, metadata: Metadata) -> DataKey | None:
        """Look up a data key."""
        return Known(self._keys[metadata.wrapped_keys[0].enc], self._plain)


STEPS = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.tuples(st.just("unset"), st.sampled_from(KEYS)),
    st.tuples(st.just("names"), st.booleans()),
    st.just(("rotate",)),
    st.just(("rekey",)),
    st.tuples(st.just("slip"), st.sampled_from(VALUES)),
)
"""What people do to a file. The slip: every value is changed and the leaver taken off, and the data key stays."""

COMMITS = st.lists(st.tuples(st.integers(0, 1), st.lists(STEPS, min_size=1, max_size=3)), min_size=1, max_size=8)


class World:
    """Two files that change, as sops changes them."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.history: list[tuple[int, File]] = []
        for path in (0, 1):
            values = {"a": "one", "b": "two"} if path == 0 else {"b": "six"}
            self._keep(path, self._anew(File(data_key=0, leaver=True, values=values, tokens={}, wrapping=0)))

    def _keep(self, path: int, file: File) -> None:
        self.history.append((path, file))

    def now(self, path: int) -> File:
        """Return the newest version."""
        return next(file for place, file in reversed(self.history) if place == path)

    def _anew(self, file: File) -> File:
        tokens = {key: next(self._numbers) for key in file.values}
        return replace(file, data_key=next(self._numbers), tokens=tokens, wrapping=next(self._numbers))

    def commit(self, path: int, steps: list[tuple[object, ...]]) -> bool:
        """Make changes and commit them; return False for one that nobody can judge without a key."""
        before = file = self.now(path)
        for step in steps:
            match step:
                case ("set", str(key), str(value)):
                    # An equal value keeps its ciphertext.
                    if file.values.get(key) != value:
                        tokens = {**file.tokens, key: next(self._numbers)}
                        file = replace(file, values={**file.values, key: value}, tokens=tokens)
                case ("unset", str(key)):
                    values = {name: value for name, value in file.values.items() if name != key}
                    file = replace(file, values=values)
                case ("names", bool(leaver)):
                    file = replace(file, leaver=leaver, wrapping=next(self._numbers))
                case ("rotate",):
                    file = self._anew(file)
                case ("slip", str(value)):
                    tokens = {key: next(self._numbers) for key in file.values}
                    values = dict.fromkeys(file.values, value)
                    file = replace(file, values=values, tokens=tokens, leaver=False, wrapping=next(self._numbers))
                case _:  # rekey
                    file = self._anew(replace(file, leaver=False))
        if file == before:
            return True
        self._keep(path, file)
        # All values changed, and the names exchanged, in one commit: it looks as if there were another data key.
        common = {file.tokens[key] for key in file.values} & {before.tokens[key] for key in before.values}
        return file.data_key != before.data_key or bool(common) or file.wrapping == before.wrapping

    def archive(self) -> Archive:
        """Return what git has of it."""
        versions = [(path, file, self._contents(path, file)) for path, file in self.history]
        last = {path: position for position, (path, _, _) in enumerate(versions)}
        commit = Commit(name="0" * 40, at="", author="")
        return Archive(
            versions=tuple(Version(path=f"{path}.yaml", contents=each, commit=commit) for path, _, each in versions),
            now=tuple(last.values()),
            unread=(),
        )

    def _contents(self, path: int, file: File) -> Contents:
        names = (ADMIN, LEAVER) if file.leaver else (ADMIN,)
        wrapped = tuple(WrappedKey(recipient=name, enc=f"{file.wrapping} {name}", mark=MARK) for name in names)
        values = {place_of(path, key): self._sealed(path, key, file) for key in file.values}
        tokens = {sealed.envelope.iv for sealed in values.values() if sealed.envelope is not None}
        return Contents(
            metadata=replace(METADATA, key_groups=(wrapped,)),
            values=values,
            tokens=frozenset(tokens | {key.enc.encode() for key in wrapped}),
        )

    def _sealed(self, path: int, key: str, file: File) -> Sealed:
        data = bytes(len(file.values[key]))
        envelope = Envelope(data=data, iv=file.tokens[key].to_bytes(4), tag=b"", kind="str")
        return Sealed(names=("secrets", f"host-{path}", "app", key), form=Form.TEXT, envelope=envelope)

    def opener(self) -> Opener:
        """Return what opens everything."""
        keys = {f"{file.wrapping} {ADMIN}": file.data_key for _, file in self.history}
        plain = {file.tokens[key].to_bytes(4): value for _, file in self.history for key, value in file.values.items()}
        return Knowing(keys, plain)

    def could_read(self) -> frozenset[int]:
        """Return the data keys that the leaver could get."""
        return frozenset(file.data_key for _, file in self.history if file.leaver)


METADATA = Metadata(
    mark=MARK,
    lastmodified="2026-01-01T00:00:00Z",
    mac=Envelope(data=b"", iv=b"", tag=b"", kind="str"),
    mac_mark=MARK,
    version="3.13.3",
    key_groups=(),
    shamir_threshold=0,
    unencrypted_suffix=None,
    encrypted_suffix=None,
    unencrypted_regex=None,
    encrypted_regex="^secrets$",
    unencrypted_comment_regex=None,
    encrypted_comment_regex=None,
    selector_mark=MARK,
    mac_only_encrypted=False,
)


def place_of(path: int, key: str) -> Place:
    """Return where a value is."""
    return Place(host=f"host-{path}", scope=fold("app"), key=fold(key))


def listed(world: World, opener: Opener) -> set[Place]:
    """Return what is listed of files as they are now."""
    found = Exposures(world.archive(), frozenset({LEAVER}), opener).values({}, lambda _: True)
    return {
        Place(host=each.host, scope=fold(each.scope), key=fold(each.key))
        for each in found
        if each.exposure is not Exposure.REMOVED
    }


@given(commits=COMMITS)
@settings(max_examples=25)
def test_with_a_key_exactly_what_they_could_read_is_listed(commits: list[tuple[int, list[tuple[object, ...]]]]) -> None:
    """What they can read now, and every value that is equal to one that they could read anywhere; nothing else."""
    world = World()
    for path, steps in commits:
        world.commit(path, steps)
    theirs = world.could_read()
    values = {value for _, file in world.history if file.data_key in theirs for value in file.values.values()}
    expected = {
        place_of(path, key)
        for path in (0, 1)
        for key, value in world.now(path).values.items()
        if world.now(path).data_key in theirs or value in values
    }
    assert listed(world, world.opener()) == expected


@given(commits=COMMITS)
@example(commits=[(0, [("rekey",)]), (0, [("unset", "a"), ("set", "a", "one")])])
@example(commits=[(0, [("rekey",)]), (0, [("unset", "a")]), (0, [("set", "a", "one")])])
@example(commits=[(0, [("rekey",)]), (0, [("set", "a", "two"), ("set", "a", "one")])])
@settings(max_examples=25)
def test_without_a_key_nothing_is_missing_that_did_not_change(
    commits: list[tuple[int, list[tuple[object, ...]]]],
) -> None:
    """What they can read now, and what has had one value ever since they could read it last."""
    world = World()
    judgeable = [world.commit(path, steps) for path, steps in commits]
    assume(all(judgeable))
    theirs = world.could_read()
    found = listed(world, Opener(()))
    for path in (0, 1):
        versions = [file for place, file in world.history if place == path]
        last = max(number for number, file in enumerate(versions) if file.data_key in theirs)
        for key, value in versions[-1].values.items():
            if {file.values.get(key) for file in versions[last:]} == {value}:
                assert place_of(path, key) in found
