"""Making and changing files by the sops program, so that what comes out is what was meant, or nothing is written.

Commands that change a file work on a copy of the ciphertext in a private folder: sops writes in place, and when it is
killed between truncating and writing, the file would be gone. What it made of the copy is read by our own strict rules
and put in the place of the file by a rename, so that anybody sees the old or the new one, also after a power cut. Links
are refused, the mode stays, and a file that changed meanwhile is left as it is. When everything is killed at the wrong
moment, a file ``.NAME.….new`` of ciphertext is left beside it.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reconciler.pysops.binary.calling import Admitted, SopsProgram, absolute, admit, output_of
from reconciler.pysops.binary.key_sources import child_environment
from reconciler.pysops.binary.replacing import replace_file, write_private
from reconciler.pysops.config.creation_rules import CreationRule, parse_config
from reconciler.pysops.document import Document, parse
from reconciler.pysops.errors import BinaryError, ConfigError, DocumentError, SopsError
from reconciler.pysops.files import read_file
from reconciler.pysops.leaves import check_encrypted
from reconciler.pysops.selectors import selector_of
from reconciler.pysops.sops_metadata import Metadata, read_metadata
from reconciler.pysops.wrapped_keys import Recipient


YAML_TO_YAML: Final = ("--input-type", "yaml", "--output-type", "yaml")

Groups = Iterable[frozenset[Recipient]]
"""Recipients by key group."""

Expected = Callable[[Metadata], Groups]
"""Returns to whom a file should be encrypted, given what was made of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A command that changes a file, and what is checked of that."""

    arguments: Callable[[str], tuple[str, ...]]
    """Of the program, given the name of a copy of the file."""

    stdin: bytes = field(default=b"", repr=False)
    is_needed: Callable[[Document], bool] = lambda _: True
    """Tells whether there is anything to do; or raises why the command cannot do it, which is then not started."""

    check_made: Callable[[Document], None] = lambda _: None
    """Raises what else is wrong with what was made, which is then not written."""


def encrypted(
    program: SopsProgram, plaintext: bytes, *, destination: Path, config: Path, named: Collection[Recipient]
) -> bytes:
    """Encrypt a text, see `SopsBinary.encrypt`."""
    rule = _rule_for(destination, config)
    made = output_of(
        program,
        ("encrypt", *YAML_TO_YAML, f"--filename-override={absolute(destination)}"),
        stdin=plaintext,
        environ=child_environment(program.environ, named),
        size=len(plaintext),
        config=absolute(config),
    )
    _check_made(made, lambda metadata: rule.groups_for(metadata.recipients))
    return made


def changed(
    program: SopsProgram,
    path: Path,
    change: Change,
    *,
    config: Path | None,
    named: Collection[Recipient],
) -> bool:
    """Let a command change the values or the data key of a file, for the same recipients; return whether it did.

    Args:
        program: the program.
        path: the file.
        change: the command.
        config: the ``.sops.yaml`` that says how far to indent; None for none.
        named: who may be asked.
    """
    before = read_file(path)
    document = parse(before)
    admitted = admit(program, document, named)
    if not change.is_needed(document):
        return False
    rules = os.devnull if config is None else absolute(config)

    def work(folder: Path) -> bytes:
        return _made_of(program, folder / "file.yaml", before, admitted, change, config=rules)

    return _put(path, before, _in_private(work), lambda _: _groups_of(admitted.metadata), change)


def given_to_others(program: SopsProgram, path: Path, *, config: Path, named: Collection[Recipient]) -> bool:
    """Encrypt the data key of a file to whom the rules name, see `SopsBinary.updatekeys`.

    The rule is looked up for the path of the file: the copy stands below a copy of ``config`` as the file does below
    ``config``.
    """
    before = read_file(path)
    admitted = admit(program, parse(before), named, also=named)
    relative = os.path.relpath(absolute(path), os.path.dirname(absolute(config)))  # noqa: PTH120
    if os.pardir in Path(relative).parts or Path(relative).is_absolute():
        raise ConfigError("the file is not below the folder of .sops.yaml", advice="name the .sops.yaml above it")
    rule = _rule_for(path, config)
    rules = read_file(config)
    change = Change(arguments=lambda copy: ("updatekeys", "--yes", "--input-type", "yaml", "--", copy))

    def work(folder: Path) -> bytes:
        mirrored, place = folder / ".sops.yaml", folder / relative
        write_private(mirrored, rules)
        place.parent.mkdir(parents=True, exist_ok=True)
        return _made_of(
            program,
            place,
            before,
            admitted,
            change,
            config=str(mirrored),
        )

    return _put(path, before, _in_private(work), lambda metadata: rule.groups_for(metadata.recipients), change)


def given_to_one(program: SopsProgram, document: Document, recipient: str, *, named: Collection[Recipient]) -> bytes:
    """Encrypt the data key of a file to one recipient of age, see `SopsBinary.give_to`."""
    admitted = admit(program, document, named)
    change = Change(arguments=lambda copy: ("updatekeys", "--yes", "--input-type", "yaml", "--", copy))

    def work(folder: Path) -> bytes:
        rules = folder / ".sops.yaml"
        write_private(rules, f"creation_rules: [{{age: {recipient}}}]\n".encode())
        return _made_of(program, folder / "file.yaml", document.data, admitted, change, config=str(rules))

    return _in_private(work)


def _rule_for(path: Path, config: Path) -> CreationRule:
    """Return the rule for a file.

    Raises:
        ConfigError: there is none, or ``.sops.yaml`` cannot be used.
    """
    try:
        rules = parse_config(read_file(config))
    except DocumentError as error:
        raise ConfigError(f".sops.yaml: {error.what}", mark=error.mark, expected=error.expected) from None
    folder = os.path.join(os.path.dirname(absolute(config)), "")  # noqa: PTH118, PTH120  # with a slash behind it
    rule = rules.rule_for(absolute(path).removeprefix(folder).replace(os.sep, "/"))
    if rule is None:
        raise ConfigError("no rule of .sops.yaml matches the file", advice="add one whose path_regex is found in it")
    return rule


def _in_private(work: Callable[[Path], bytes]) -> bytes:
    """Return what is made in a folder that nobody else can read, and that is gone afterwards.

    Raises:
        BinaryError: there cannot be such a folder, or the disk is full.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="sops-", ignore_cleanup_errors=True) as folder:  # 0700
            return work(Path(folder))
    except OSError:
        pass
    raise BinaryError(
        "there is no place for a private copy of the file",
        expected="a folder for temporary files in which there is room",
        advice="check TMPDIR, its permissions, and the disk",
    )


def _made_of(
    program: SopsProgram,
    place: Path,
    before: bytes,
    admitted: Admitted,
    change: Change,
    *,
    config: str,
) -> bytes:
    """Return what a command makes of a copy that is written to ``place``."""
    write_private(place, before)
    output_of(
        program,
        change.arguments(str(place)),
        stdin=change.stdin,
        environ=admitted.environ,
        size=len(before),
        config=config,
        metadata=admitted.metadata,
    )
    return read_file(place)


def _put(path: Path, before: bytes, after: bytes, expected: Expected, change: Change) -> bool:
    """Put what was made in the place of a file, if it is another and as it should be; return whether it is another."""
    if after == before:
        return False
    change.check_made(_check_made(after, expected))
    replace_file(path, before, after)
    return True


def _check_made(data: bytes, expected: Expected) -> Document:
    """Return what the program made, if it can be read again, is encrypted, and for whom it should be.

    A selector that is no regular expression is one reason: sops ignores it and writes everything in plain.

    Raises:
        DocumentError: it cannot be read again, or values stand in plain; with the place in what was made.
        BinaryError: it is for others.
    """
    try:
        document = parse(data)
        metadata = read_metadata(document)
        check_encrypted(document, None if metadata.selects_by_comment else selector_of(metadata))
    except SopsError as error:
        raise DocumentError(
            f"what sops made of it could not be read again: {error.what}",
            mark=error.mark,
            expected=error.expected,
            advice="nothing was written; docs/pysops.md says what is read",
        ) from None
    if Counter(_groups_of(metadata)) != Counter(expected(metadata)):
        raise BinaryError(
            "what sops made of it is encrypted to others than it should be",
            mark=metadata.mark,
            expected="those of the rule in .sops.yaml, or those who could open the file before",
            advice="nothing was written; check which program SOPS_BINARY or PATH leads to",
        )
    return document


def _groups_of(metadata: Metadata) -> Groups:
    return tuple(frozenset(key.recipient for key in group) for group in metadata.key_groups)
