"""A sops program that is fit for use: which it is, how it is called, and whom it may be asked about.

What goes in that is secret goes in by stdin: arguments can be seen by every user of the machine. What it reads of
``.sops.yaml`` it reads from where it is told, never from a folder that it happens to run in. It gets an environment of
what its key sources need, never ``--keyservice``, and asks none that the caller has not named.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from reconciler.pysops.binary.failures import failure_of, unfinished
from reconciler.pysops.binary.key_sources import check_askable, child_environment
from reconciler.pysops.binary.program import Version, check_fit, locate, version_of
from reconciler.pysops.child import ChildFailed, Children, Finished, has_terminal
from reconciler.pysops.document import Document
from reconciler.pysops.leaving import frameless
from reconciler.pysops.sops_metadata import Metadata, read_metadata
from reconciler.pysops.wrapped_keys import Recipient


ASKING_TIMEOUT_S: Final = 300.0
"""How long somebody may take to type a passphrase or to find the token."""

_VERSION_TIMEOUT_S: Final = 20.0

_SMALL_OUTPUT: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A file that may be given to the program."""

    metadata: Metadata
    environ: Mapping[str, str] = field(repr=False)
    """What the program gets for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SopsProgram:
    """A program that was found and checked. Made by `find`; threads may share it."""

    path: Path
    """Absolute."""

    version: Version
    environ: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The environment of whoever runs us, a read-only copy; see `child_environment` for what of it is passed on."""

    timeout_s: float = 60.0
    """How long one call may take."""

    asks: bool = False
    """Whether age identities at hand may belong to plugins, or be protected by a passphrase. If so, age recipients
    have to be named like any others."""

    in_terminal: bool = False
    """Whether it may ask for a passphrase at our terminal."""

    children: Children = field(default_factory=Children, repr=False, compare=False)
    """What runs at the moment: to be stopped when a run is interrupted."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "environ", MappingProxyType(dict(self.environ)))

    @classmethod
    @frameless
    def find(
        cls,
        environ: Mapping[str, str],
        *,
        timeout_s: float = 60.0,
        asks: bool = False,
        children: Children | None = None,
    ) -> Self:
        """Return the program that SOPS_BINARY names or, without it, the first on PATH. Contacts nobody.

        Args:
            environ: the environment. Relative entries of PATH are passed over: what stands in the folder of a
                repository must not be run.
            timeout_s: how long each call may take; at least `ASKING_TIMEOUT_S` where it may ask at a terminal.
            asks: whether age identities may belong to plugins or be protected, see `Identities.needs_sops`.
            children: where to note what runs; None makes a new one.

        Raises:
            BinaryError: there is none, or it is older than `MIN_VERSION`, or does not say its version.
        """
        path = locate(environ)
        children = Children() if children is None else children
        child = _to_its_end(
            lambda: children.run(
                (str(path), "--disable-version-check", "--version"),
                stdin=b"",
                environ=child_environment(environ, ()),
                timeout_s=min(timeout_s, _VERSION_TIMEOUT_S),
                max_stdout=_SMALL_OUTPUT,
            )
        )
        version = version_of(child.stdout if child.exit_code == 0 else b"")
        in_terminal = asks and has_terminal()
        return cls(
            path=path,
            version=version,
            environ=environ,
            timeout_s=max(timeout_s, ASKING_TIMEOUT_S) if in_terminal else timeout_s,
            asks=asks,
            in_terminal=in_terminal,
            children=children,
        )


def admit(
    program: SopsProgram, document: Document, named: Collection[Recipient], *, also: Collection[Recipient] = ()
) -> Admitted:
    """Return what the program gets for a file, if it may be given that.

    Args:
        program: the program.
        document: the file.
        named: whom ``.sops.yaml`` names for it.
        also: to whom the key will be given besides, whose key services may need credentials for that.

    Raises:
        MetadataError: the metadata is missing, malformed, or has fields that we do not know.
        DecryptionError: it names somebody who is not ``named``.
        BinaryError: the version of the program has a fault that matters for the file.
    """
    metadata = read_metadata(document)
    environ = child_environment(program.environ, (*metadata.recipients, *also))
    check_askable(document, metadata, named, environ, age_too=program.asks)
    check_fit(program.version, document)
    return Admitted(metadata=metadata, environ=environ)


def output_of(
    program: SopsProgram,
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str],
    stdin: bytes = b"",
    size: int = 0,
    config: str = os.devnull,
    metadata: Metadata | None = None,
) -> bytes:
    """Run a command, and return what it prints.

    Args:
        program: the program.
        arguments: the command. File names are absolute and stand behind ``--``, so that none is taken for an option.
        environ: all that it gets.
        stdin: likewise.
        size: bytes of the file that it is about, which bounds what it may print.
        config: always given: sops would otherwise look for ``.sops.yaml`` in the current directory and above, and fail
            on one that it cannot read. An empty one leaves everything as it is.
        metadata: of the file, for places in messages.

    Raises:
        SopsError: it does not end, or not with 0: see `failure_of`.
    """
    done = _to_its_end(
        lambda: program.children.run(
            (str(program.path), "--config", config, *arguments),
            stdin=stdin,
            environ=environ,
            timeout_s=program.timeout_s,
            max_stdout=16 * size + _SMALL_OUTPUT,  # six bytes for each character as JSON, some for every bracket
            in_terminal=program.in_terminal,
        )
    )
    if done.exit_code != 0:
        raise failure_of(done, metadata)
    return done.stdout


def absolute(path: Path) -> str:
    """Return a path as the program is told it. Not resolved: a rule is about the path as it was given."""
    return os.path.abspath(path)  # noqa: PTH100


def _to_its_end(run: Callable[[], Finished]) -> Finished:
    """Run the program, and say in our own words why if it does not come to its end.

    Raises:
        BinaryError: it does not.
    """
    try:
        return run()
    except ChildFailed as failed:
        reason = failed.reason
    # Raised outside the handler: the frames of the other one hold what was given to the program.
    raise unfinished(reason)
