"""Which keys are at hand, which files each opens, and whether the sops program is there where it is needed.

Files are opened, and what comes out is dropped at once. In-process that is the data key alone; a key service is asked
only where nothing else opens a file, and never offline.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.desired import Keys, keys_for, named_for
from reconciler.doctor.probing import Section
from reconciler.errors import EXIT_CANNOT_DECRYPT, some_of
from reconciler.policy import Policy, ScopeFile, Sources, Target
from reconciler.pysops import BinaryError, LockedFile, Recipient, SopsBinary, SopsError, Unlocker
from reconciler.pysops.key_groups import recover_data_key
from reconciler.report.checkup import Check
from reconciler.settings import Settings


_KEYS: Final = Section("keys")

_MOST_FILES: Final = 20
"""Files that do not open and are told one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """How one file was found."""

    file: ScopeFile
    error: SopsError | None = None
    """Why it does not open."""

    needs_sops: bool = False
    """Nothing opens it in-process, and it has key sources that the sops program knows."""

    untried: bool = False
    """Nobody was asked, as that would have needed a network."""


class KeyRing:
    """The keys of the targets, and what they open."""

    def __init__(self, policy: Policy, sources: Sources, settings: Settings, wanted: Sequence[Target]) -> None:
        self._settings = settings
        self._targets = {target.host_key: target for target in wanted}
        self._mine = {
            target.name: keys_for(target, sources, root=settings.root, environ=settings.environ, home=settings.home)
            for target in wanted
        }
        self._files = [
            (file, target)
            for file in policy.files
            if file.metadata is not None
            and (
                target := next(
                    (self._targets[feed.host_key] for feed in file.feeds if feed.host_key in self._targets), None
                )
            )
        ]
        self._opened: list[_Opened] = []

    def checks(self, *, offline: bool) -> Iterator[Check]:
        """Yield which keys there are, and what they open."""
        yield from _KEYS.probe("identities", self._identities)
        yield from _KEYS.probe("opens", lambda: self._opens(offline=offline))
        yield from _KEYS.probe("sops", self._sops)

    def _keys_at_hand(self) -> Iterator[tuple[str, Keys]]:
        """Yield whose keys there are: those of the user once, and those that stand beside the files of a target."""
        users = next((name for name, target in self._by_name() if not target.embedded), None)
        if users is not None:
            yield "", self._mine[users]
        for name, target in self._by_name():
            if target.embedded:
                yield name, self._mine[name]

    def _by_name(self) -> Iterator[tuple[str, Target]]:
        for target in self._targets.values():
            yield target.name, target

    def _identities(self) -> Iterator[Check]:
        for whose, keys in self._keys_at_hand():
            identities = keys.identities.look_everywhere()
            if identities.recipients:
                sources = ", ".join(identities.sources)
                yield _KEYS.ok("identities", f"{len(identities.recipients)} from {sources}", subject=whose)
            elif not identities.problems:
                text = "there is no age key where sops would look for one"
                advice = "set SOPS_AGE_KEY_FILE or SOPS_AGE_KEY, or put the key into sops/age/keys.txt of ~/.config"
                yield _KEYS.warn("identities", text, advice, subject=whose)
            for problem in identities.problems:
                yield _KEYS.warn("identities", problem.what, problem.advice, subject=whose)
            yield from self._recipients(whose, identities.recipients)

    def _recipients(self, whose: str, recipients: tuple[str, ...]) -> Iterator[Check]:
        """Yield by how many files each key at hand is named."""
        files = [file for file, target in self._files if (target.name if target.embedded else "") == whose]
        named = Counter(
            _bare(recipient.name)
            for file in files
            for recipient in (() if file.metadata is None else file.metadata.recipients)
        )
        for name in recipients:
            shown = Recipient(kind="age", name=name).shown_name or "a key with an unusual name"
            count = named[_bare(name)]
            yield _KEYS.ok("recipient", f"named by {count} of {_files(len(files))}", subject=shown)

    def _opens(self, *, offline: bool) -> Iterator[Check]:
        self._opened = [self._open(file, target, offline=offline) for file, target in self._files]
        wrong = [one for one in self._opened if one.error is not None]
        untried = [one for one in self._opened if one.untried]
        works = len(self._opened) - len(wrong) - len(untried)
        if works or not self._opened:
            yield _KEYS.ok("opens", f"{works} of {_files(len(self._opened))} open")
        for one in wrong[:_MOST_FILES]:
            yield _refusal(one)
        if (more := len(wrong) - _MOST_FILES) > 0:
            text = f"{more} more do not open"
            yield _KEYS.fail("opens", text, "put the first ones right", code=EXIT_CANNOT_DECRYPT)
        if untried:
            text = f"not tried offline: {some_of([one.file.path for one in untried])}"
            yield _KEYS.warn("opens", text, "run again without --offline: the sops program has to ask a key service")

    def _open(self, file: ScopeFile, target: Target, *, offline: bool) -> _Opened:
        if file.metadata is None:
            return _Opened(file=file)
        keys = self._mine[target.name]
        try:
            recover_data_key(file.metadata, keys.identities)
        except SopsError as error:
            why: SopsError = error
        else:
            return _Opened(file=file)
        named = named_for(file, target)
        asked = keys.identities.needs_sops or any(recipient.kind != "age" for recipient in named)
        if not asked:
            return _Opened(file=file, error=why)
        if offline:
            return _Opened(file=file, needs_sops=True, untried=True)
        unlocker = Unlocker(keys.identities, decryptor=self._settings.decryptor, environ=keys.environ)
        try:
            unlocker.unlock(LockedFile.read(file.document, named))
        except SopsError as error:
            return _Opened(file=file, error=error, needs_sops=True)
        return _Opened(file=file, needs_sops=True)

    def _sops(self) -> Iterator[Check]:
        needing = [one.file.path for one in self._opened if one.needs_sops]
        try:
            program = SopsBinary.find(self._settings.environ)
        except BinaryError as error:
            if needing:
                text = f"{error.what}, and {some_of(needing)} cannot be opened without it"
                yield _KEYS.fail("sops", text, error.advice, code=EXIT_CANNOT_DECRYPT)
            else:
                yield _KEYS.ok("sops", f"{error.what}; no file needs it, as age keys are used in-process")
            return
        version = ".".join(map(str, program.version))
        use = f"needed by {some_of(needing)}" if needing else "no file needs it"
        yield _KEYS.ok("sops", f"sops {version} at {program.path}; {use}")


def _refusal(one: _Opened) -> Check:
    error = one.error
    text = "it does not open" if error is None else error.what
    if error is not None and error.expected is not None:
        text += f"; expected {error.expected}"
    advice = "ask somebody whom .sops.yaml names to add your key there and to run reconciler rekey"
    if error is not None and error.advice is not None:
        advice = error.advice
    return _KEYS.fail("opens", text, advice, code=EXIT_CANNOT_DECRYPT, subject=one.file.path)


def _bare(name: str) -> str:
    """Return the name of an SSH key without the comment behind it."""
    return " ".join(name.split()[:2]) if name.startswith("ssh-") else name


def _files(number: int) -> str:
    return f"{number} file{'' if number == 1 else 's'}"
