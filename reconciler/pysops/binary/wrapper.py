"""The sops program: found, checked, and called so that it tells nobody anything.

What goes in that is secret goes in by stdin: arguments can be seen by every user of the machine. File names are
absolute and stand behind ``--``, so that none is taken for an option. What it reads of ``.sops.yaml`` it reads from
where it is told, never from a folder that it happens to run in. It gets an environment of what its key sources need,
never ``--keyservice``, and asks none that the caller has not named.

Commands that change a file work on a copy of the ciphertext in a private folder: sops writes in place, and when it is
killed between truncating and writing, the file would be gone. What it made of the copy is read by our own strict rules
and put in the place of the file by a rename, so that anybody sees the old or the new one, also after a power cut. Links
are refused, the mode stays, and a file that changed meanwhile is left as it is. When everything is killed at the wrong
moment, a file ``.NAME.….new`` of ciphertext is left beside it.
"""

import functools
import os
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, Self, TypeVar

from reconciler.pysops.binary.arguments import TextTree, TreePath, index_of, json_of
from reconciler.pysops.binary.failures import failure_of, unfinished
from reconciler.pysops.binary.key_sources import check_askable, child_environment
from reconciler.pysops.binary.output import check_encrypted, read_values
from reconciler.pysops.binary.program import Version, check_fit, locate, version_of
from reconciler.pysops.binary.replacing import replace_file, write_private
from reconciler.pysops.child import ChildFailed, Children, Finished
from reconciler.pysops.document import Document, parse
from reconciler.pysops.errors import BinaryError, ConfigError, DocumentError, SopsError
from reconciler.pysops.files import read_file
from reconciler.pysops.selectors import Selector, selector_of
from reconciler.pysops.sops_metadata import Metadata, read_metadata
from reconciler.pysops.wrapped_keys import Recipient


_VERSION_TIMEOUT_S: Final = 20.0

_YAML_TO_YAML: Final = ("--input-type", "yaml", "--output-type", "yaml")

_SMALL_OUTPUT: Final = 64 * 1024


_P = ParamSpec("_P")
_T = TypeVar("_T")
_S = TypeVar("_S")


def without_frames(error: SopsError) -> SopsError:
    """Return ``error`` without what a crash reporter could find values in: the frames below, and what it came from."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _frameless(method: Callable[Concatenate[_S, _P], _T]) -> Callable[Concatenate[_S, _P], _T]:
    """Let errors of ours leave a method without its frames and its arguments."""

    @functools.wraps(method)
    def call(self: _S, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return method(self, *args, **kwargs)
        except SopsError as error:
            failure = without_frames(error)
        del args, kwargs
        raise failure

    return call


@dataclass(frozen=True, slots=True, kw_only=True)
class SopsBinary:
    """A sops program that is fit for use. Made by `find`; threads may share it."""

    path: Path
    """Absolute."""

    version: Version
    environ: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The environment of whoever runs us; see `child_environment` for what of it is passed on."""

    timeout_s: float = 60.0
    """How long one call may take."""

    in_terminal: bool = False
    """Whether it may ask for a passphrase at our terminal."""

    children: Children = field(default_factory=Children, repr=False, compare=False)
    """What runs at the moment; `stop` it when a run is interrupted."""

    @classmethod
    def find(
        cls,
        environ: Mapping[str, str],
        *,
        timeout_s: float = 60.0,
        in_terminal: bool = False,
        children: Children | None = None,
    ) -> Self:
        """Return the program that SOPS_BINARY names or, without it, the first on PATH. Contacts nobody.

        Args:
            environ: the environment. Relative entries of PATH are passed over: what stands in the folder of a
                repository must not be run.
            timeout_s: how long each call may take.
            in_terminal: whether it may ask for a passphrase at our terminal.
            children: where to note what runs; None makes a new one.

        Raises:
            BinaryError: there is none, or it is older than `MIN_VERSION`, or does not say its version.
        """
        path = locate(environ)
        children = Children() if children is None else children
        child = _run_to_its_end(
            children,
            (str(path), "--disable-version-check", "--version"),
            stdin=b"",
            environ=child_environment(environ, ()),
            timeout_s=min(timeout_s, _VERSION_TIMEOUT_S),
            max_stdout=_SMALL_OUTPUT,
        )
        version = version_of(child.stdout if child.exit_code == 0 else b"")
        return cls(
            path=path,
            version=version,
            environ=environ,
            timeout_s=timeout_s,
            in_terminal=in_terminal,
            children=children,
        )

    def stop(self) -> None:
        """End whatever runs, and let nothing start any more."""
        self.children.stop()

    @_frameless
    def decrypt(
        self, data: bytes, *, named: Collection[Recipient] = (), document: Document | None = None
    ) -> dict[str, object]:
        """Decrypt a file, and read what comes out by the same rules as `crypt.decrypt` does.

        Args:
            data: the file.
            named: whom ``.sops.yaml`` names for it; nobody else is asked, age identities aside.
            document: what `parse` made of ``data``, where that is known.

        Raises:
            DocumentError: the file breaks a rule of strict reading.
            MetadataError: the metadata is missing, malformed, or has fields that we do not know.
            DecryptionError: it names somebody who is not ``named``; or what was printed is not what the file holds.
            NoIdentity: nobody gave the data key.
            TamperedValue: a value does not authenticate.
            MacMismatch: the MAC does not fit.
            BinaryError: the program failed for another reason.
        """
        document = parse(data) if document is None else document
        metadata = self._admitted(document, named)
        environ = self._environ(metadata)
        selector = _selector(metadata)
        if selector is not None:
            check_encrypted(document, selector)
        arguments = ("--indent", "0", "decrypt", "--input-type", "yaml", "--output-type", "json")

        def run(*further: str) -> bytes:
            done = self._run((*arguments, *further), stdin=data, environ=environ, max_stdout=_bound(len(data)))
            if done.exit_code != 0:
                raise failure_of(done, metadata)
            return done.stdout

        return read_values(document, selector, run(), lambda path: run("--extract", index_of(path)))

    @_frameless
    def encrypt(self, plaintext: bytes, *, destination: Path, config: Path, named: Collection[Recipient]) -> bytes:
        """Encrypt a YAML text as a rule of ``.sops.yaml`` says. Nothing unencrypted touches the disk.

        Args:
            plaintext: the text.
            destination: where the result will be written, which decides on the rule. Need not exist.
            config: the ``.sops.yaml``.
            named: whom the rule names, as far as their key services need credentials.

        Returns:
            The encrypted file, read by our strict rules once: it has a MAC and a selector that is valid.

        Raises:
            ConfigError: no rule matches, or ``.sops.yaml`` cannot be used.
            DocumentError: the text is encrypted already, or is not what can be read again.
            BinaryError: the program failed.
        """
        environ = child_environment(self.environ, named)
        override = f"--filename-override={_absolute(destination)}"
        arguments = ("encrypt", *_YAML_TO_YAML, override)
        done = self._run(
            arguments, stdin=plaintext, environ=environ, max_stdout=_bound(len(plaintext)), config=_absolute(config)
        )
        if done.exit_code != 0:
            raise failure_of(done, None)
        _check_result(done.stdout)
        return done.stdout

    @_frameless
    def set(
        self,
        path: Path,
        index: TreePath,
        value: TextTree,
        *,
        config: Path | None = None,
        named: Collection[Recipient] = (),
    ) -> bool:
        """Put a value into a file, with the keys above it as far as they are missing.

        Args:
            path: the file; see above for how it is replaced.
            index: where in it. What stands there is replaced, whatever it is.
            value: text, or a mapping or list of texts.
            config: the ``.sops.yaml`` that says how far to indent.
            named: as for `decrypt`, as the file has to be decrypted.

        Returns:
            Whether the file was changed.

        Raises:
            SopsError: as for `decrypt`; the file is then as it was.
        """
        where = index_of(index)
        text = json_of(value)
        arguments = ("set", *_YAML_TO_YAML, "--idempotent", "--value-stdin", "--")
        return self._replace(path, lambda copy: (*arguments, copy, where), stdin=text, config=config, named=named)

    @_frameless
    def unset(
        self, path: Path, index: TreePath, *, config: Path | None = None, named: Collection[Recipient] = ()
    ) -> bool:
        """Remove a value from a file; the same as `set` otherwise. Returns False when there is none."""
        where = index_of(index)
        arguments = ("unset", *_YAML_TO_YAML, "--idempotent", "--")
        return self._replace(path, lambda copy: (*arguments, copy, where), config=config, named=named)

    @_frameless
    def rotate(self, path: Path, *, config: Path | None = None, named: Collection[Recipient] = ()) -> None:
        """Give a file a new data key, for the same recipients; the same as `set` otherwise."""
        self._replace(
            path, lambda copy: ("rotate", "--in-place", *_YAML_TO_YAML, "--", copy), config=config, named=named
        )

    @_frameless
    def updatekeys(self, path: Path, *, config: Path, named: Collection[Recipient] = ()) -> bool:
        """Encrypt the data key of a file, which stays, to whom ``.sops.yaml`` names now.

        The MAC is not checked. Whoever could read the file so far, and has kept it, can go on doing so.

        Args:
            path: the file, below the folder of ``config``.
            config: the ``.sops.yaml``.
            named: whom it names now, and whoever may be asked of those whom the file names.

        Returns:
            Whether the file was changed.

        Raises:
            ConfigError: no rule matches, or ``.sops.yaml`` cannot be used.
            SopsError: as for `decrypt`; the file is then as it was.
        """
        return self._replace(
            path,
            lambda copy: ("updatekeys", "--yes", "--input-type", "yaml", "--", copy),
            config=config,
            named=named,
            mirrored=True,
        )

    @_frameless
    def filestatus(self, path: Path) -> bool:
        """Tell whether a file is encrypted, as sops sees it: it has metadata with a version and a MAC.

        Raises:
            DocumentError: it cannot be read, or is a link.
            BinaryError: the program failed, on malformed metadata for one.
        """
        read_file(path)
        done = self._run(
            ("filestatus", "--input-type", "yaml", "--", _absolute(path)),
            environ=child_environment(self.environ, ()),
            max_stdout=_SMALL_OUTPUT,
        )
        if done.exit_code != 0:
            raise failure_of(done, None)
        answers = {b'{"encrypted":true}': True, b'{"encrypted":false}': False}
        answer = answers.get(done.stdout.strip())
        if answer is None:
            raise BinaryError("the sops program did not say whether the file is encrypted")
        return answer

    def _run(
        self,
        arguments: Sequence[str],
        *,
        stdin: bytes = b"",
        environ: Mapping[str, str],
        max_stdout: int,
        config: str = os.devnull,
    ) -> Finished:
        """Run a command.

        ``config`` is always given: sops would otherwise look for ``.sops.yaml`` in the current directory and above, and
        fail on one that it cannot read. An empty one leaves everything as it is.
        """
        return _run_to_its_end(
            self.children,
            (str(self.path), "--config", config, *arguments),
            stdin=stdin,
            environ=environ,
            timeout_s=self.timeout_s,
            max_stdout=max_stdout,
            in_terminal=self.in_terminal,
        )

    def _admitted(self, document: Document, named: Collection[Recipient]) -> Metadata:
        """Return the metadata of a file that may be given to the program."""
        metadata = read_metadata(document)
        check_askable(document, metadata, named)
        check_fit(self.version, document)
        return metadata

    def _environ(self, metadata: Metadata, *, also: Collection[Recipient] = ()) -> dict[str, str]:
        """Return the environment for a file; with what ``also`` needs, to whom the key will be given."""
        return child_environment(self.environ, (*metadata.recipients, *also))

    def _replace(
        self,
        path: Path,
        command: Callable[[str], tuple[str, ...]],
        *,
        stdin: bytes = b"",
        config: Path | None,
        named: Collection[Recipient],
        mirrored: bool = False,
    ) -> bool:
        """Let a command change a copy of a file, and put the copy in its place; return whether it differs.

        Args:
            path: the file.
            command: the arguments, given the copy.
            stdin: for the command.
            config: as for the command.
            named: who may be asked.
            mirrored: the command looks up the rule for the path of the file: the copy stands below a copy of
                ``config`` as the file does below ``config``.
        """
        before = read_file(path)
        document = parse(before)
        metadata = self._admitted(document, named)
        environ = self._environ(metadata, also=named if mirrored else ())
        with tempfile.TemporaryDirectory(prefix="sops-") as folder:  # 0700
            place, rules = Path(folder) / "file.yaml", None if config is None else _absolute(config)
            if mirrored and config is not None:
                place, rules = _mirror(path, config, Path(folder))
            write_private(place, before)
            done = self._run(
                command(str(place)),
                stdin=stdin,
                environ=environ,
                max_stdout=_bound(len(before)),
                config=os.devnull if rules is None else rules,
            )
            if done.exit_code != 0:
                raise failure_of(done, metadata)
            after = read_file(place)
        if after == before:
            return False
        _check_result(after)
        replace_file(path, before, after)
        return True


def _run_to_its_end(
    children: Children,
    command: Sequence[str],
    *,
    stdin: bytes,
    environ: Mapping[str, str],
    timeout_s: float,
    max_stdout: int,
    in_terminal: bool = False,
) -> Finished:
    """Run the program, and say in our own words why if it does not come to its end; see `Children.run`.

    Raises:
        BinaryError: it does not.
    """
    try:
        return children.run(
            command,
            stdin=stdin,
            environ=environ,
            timeout_s=timeout_s,
            max_stdout=max_stdout,
            in_terminal=in_terminal,
        )
    except ChildFailed as failed:
        reason = failed.reason
    # Raised outside the handler: the frames of the other one hold what was given to the program.
    raise unfinished(reason)


def _absolute(path: Path) -> str:
    # Not resolved: a rule of .sops.yaml is about the path as it was given.
    return os.path.abspath(path)  # noqa: PTH100


def _selector(metadata: Metadata) -> Selector | None:
    """Return the selector of a file; None where it goes by comments, which only the program reads."""
    by_comment = metadata.encrypted_comment_regex is not None or metadata.unencrypted_comment_regex is not None
    return None if by_comment else selector_of(metadata)


def _bound(size: int) -> int:
    """Return how many bytes a file of ``size`` bytes can make: six per character as JSON, some for every bracket."""
    return 16 * size + _SMALL_OUTPUT


def _mirror(path: Path, config: Path, folder: Path) -> tuple[Path, str]:
    root = os.path.dirname(_absolute(config))  # noqa: PTH120
    relative = os.path.relpath(_absolute(path), root)
    if relative.startswith(os.pardir):
        raise ConfigError("the file is not below the folder of .sops.yaml", advice="name the .sops.yaml above it")
    rules = folder / ".sops.yaml"
    write_private(rules, read_file(config))
    place = folder / relative
    place.parent.mkdir(parents=True, exist_ok=True)
    return place, str(rules)


def _check_result(data: bytes) -> None:
    """Make sure that what the program wrote is an encrypted file that can be read again.

    A selector that is no regular expression is one reason: sops ignores it and writes everything in plain.
    """
    try:
        _selector(read_metadata(parse(data)))
    except SopsError as error:
        reason = error.what
    else:
        return
    raise DocumentError(
        f"what sops made of it could not be read again: {reason}",
        advice="nothing was written; docs/pysops.md says what is read",
    )
