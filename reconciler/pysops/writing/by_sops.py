"""What only the sops program can write: for recipients other than age, and where comments select what is encrypted."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import assert_never

from reconciler.pysops.binary import SopsBinary
from reconciler.pysops.binary.arguments import TextTree
from reconciler.pysops.binary.replacing import write_private
from reconciler.pysops.decryptor import LockedFile
from reconciler.pysops.document import parse
from reconciler.pysops.errors import ArgumentError, BinaryError
from reconciler.pysops.files import read_file
from reconciler.pysops.writing.editing import check_path
from reconciler.pysops.writing.edits import Edit, Put, Remove, Rename


def changed_by_sops(program: SopsBinary, file: LockedFile, edits: Sequence[Edit]) -> bytes:
    """Apply edits one by one to a copy of the ciphertext in a private folder; the file itself stays as it is.

    A renamed key moves to the end of its mapping.

    Raises:
        SopsError: as for the commands of `SopsBinary`.
    """
    for edit in edits:
        check_path(edit.path)
    try:
        with tempfile.TemporaryDirectory(prefix="sops-", ignore_cleanup_errors=True) as folder:  # 0700
            copy = Path(folder) / "file.yaml"
            write_private(copy, file.document.data)
            for edit in edits:
                _apply(program, copy, file, edit)
            return read_file(copy)
    except OSError:
        pass
    raise BinaryError("there is no place for a private copy of the file", advice="check TMPDIR, and the disk")


def _apply(program: SopsBinary, copy: Path, file: LockedFile, edit: Edit) -> None:
    match edit:
        case Put():
            program.set(copy, edit.path, edit.value, plain=edit.plain, named=file.named)
        case Remove():
            _remove(program, copy, file, edit.path)
        case Rename():
            _rename(program, copy, file, edit)
        case _:
            assert_never(edit)


def _remove(program: SopsBinary, copy: Path, file: LockedFile, path: tuple[str, ...]) -> None:
    # With the mappings above that would be left empty.
    above: object = _values(program, copy, file)
    shortest = path
    for length, part in enumerate(path):
        if not isinstance(above, dict) or part not in above:
            return
        if len(above) > 1 or not length:
            shortest = path[: length + 1]
        above = above[part]
    if len(shortest) == 1 < len(path):
        raise ArgumentError("no value would be left below a field at the top of the file")
    program.unset(copy, shortest, named=file.named)


def _rename(program: SopsBinary, copy: Path, file: LockedFile, edit: Rename) -> None:
    above: object = _values(program, copy, file)
    for part in edit.path[:-1]:
        above = above.get(part) if isinstance(above, dict) else None
    if not isinstance(above, dict) or edit.path[-1] not in above:
        raise ArgumentError("there is no such key in the file", expected="a key that stands there")
    if edit.name in above:
        raise ArgumentError("the new name is taken by another key", expected="a name that is free")
    value = _text_tree(above[edit.path[-1]])
    program.set(copy, (*edit.path[:-1], edit.name), value, named=file.named)
    program.unset(copy, edit.path, named=file.named)


def _values(program: SopsBinary, copy: Path, file: LockedFile) -> dict[str, object]:
    return program.decrypt(parse(read_file(copy)), named=file.named)


def _text_tree(value: object) -> TextTree:
    match value:
        case str():
            return value
        case Mapping():
            return {str(key): _text_tree(below) for key, below in value.items()}
        case list():
            return [_text_tree(item) for item in value]
        case _:
            raise ArgumentError("a value that is not text cannot be renamed", advice="edit the file with sops")
