"""The sops program, as others use it: each command that we need, as narrow as possible.

How it is called, and whom it may ask: `calling`. How files are replaced: `changing`. What is believed of its answers:
`output`. Nothing leaves these methods with frames in which a value, a key or a file could be found, see `leaving`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from reconciler.pysops.binary.arguments import TextTree, TreePath, index_of, json_of
from reconciler.pysops.binary.calling import SopsProgram, absolute, admit, output_of
from reconciler.pysops.binary.changing import YAML_TO_YAML, Change, changed, encrypted, given_to_one, given_to_others
from reconciler.pysops.binary.key_sources import child_environment
from reconciler.pysops.binary.output import read_values
from reconciler.pysops.binary.places import check_encrypted_there, check_place, check_put, check_selected, node_at
from reconciler.pysops.document import Document
from reconciler.pysops.errors import BinaryError
from reconciler.pysops.files import read_file
from reconciler.pysops.leaves import check_encrypted
from reconciler.pysops.leaving import frameless
from reconciler.pysops.selectors import selector_of
from reconciler.pysops.sops_metadata import read_metadata
from reconciler.pysops.wrapped_keys import Recipient


@dataclass(frozen=True, slots=True, kw_only=True)
class SopsBinary(SopsProgram):
    """A sops program that is fit for use. Made by `find`; threads may share it."""

    @frameless
    def decrypt(self, document: Document, *, named: Collection[Recipient] = ()) -> dict[str, object]:
        """Decrypt a file, and read what comes out by the same rules as `crypt.decrypt` does.

        Args:
            document: what `parse` made of the file.
            named: whom ``.sops.yaml`` names for it; nobody else is asked, age identities aside unless they `asks`, or
                a command prints them.

        Raises:
            DocumentError: a value that must be encrypted is not, or another rule of `leaves` is broken.
            MetadataError: the metadata is missing, malformed, or has fields that we do not know.
            DecryptionError: it names somebody who is not ``named``; or what was printed is not what the file holds.
            NoIdentity: nobody gave the data key.
            TamperedValue: a value does not authenticate.
            MacMismatch: the MAC does not fit.
            BinaryError: the program failed for another reason.
        """
        admitted = admit(self, document, named)
        selector = None if admitted.metadata.selects_by_comment else selector_of(admitted.metadata)
        check_encrypted(document, selector)
        arguments = ("--indent", "0", "decrypt", "--input-type", "yaml", "--output-type", "json")

        def run(*further: str) -> bytes:
            return output_of(
                self,
                (*arguments, *further),
                stdin=document.data,
                environ=admitted.environ,
                size=len(document.data),
                metadata=admitted.metadata,
            )

        return read_values(document, selector, run(), lambda path: run("--extract", index_of(path)))

    @frameless
    def encrypt(self, plaintext: bytes, *, destination: Path, config: Path, named: Collection[Recipient]) -> bytes:
        """Encrypt a YAML text as a rule of ``.sops.yaml`` says. Nothing unencrypted touches the disk.

        Args:
            plaintext: the text.
            destination: where the result will be written, which decides on the rule. Need not exist.
            config: the ``.sops.yaml``.
            named: whom the rule names, as far as their key services need credentials.

        Returns:
            The encrypted file, read by our strict rules once: it has a MAC, every value that its selector wants
            encrypted is, and its recipients are those of the rule.

        Raises:
            ConfigError: no rule matches, or ``.sops.yaml`` cannot be used.
            DocumentError: the text is encrypted already, or is not what can be read again.
            BinaryError: the program failed.
        """
        return encrypted(self, plaintext, destination=destination, config=config, named=named)

    @frameless
    def set(
        self,
        path: Path,
        index: TreePath,
        value: TextTree,
        *,
        plain: bool = False,
        config: Path | None = None,
        named: Collection[Recipient] = (),
    ) -> bool:
        """Put a value into a file, with the keys above it as far as they are missing.

        Args:
            path: the file; see `changing` for how it is replaced.
            index: where in it. What stands there is replaced, whatever it is; so is a text above it.
            value: text, or a mapping or list of texts.
            plain: whether it may stand there in plain. If not, it is refused where the selector of the file does not
                want it encrypted, as below a misspelt key.
            config: the ``.sops.yaml`` that says how far to indent.
            named: as for `decrypt`, as the file has to be decrypted.

        Returns:
            Whether the file was changed.

        Raises:
            ArgumentError: there is no such place, the value is not of text, or would stand in plain.
            SopsError: as for `decrypt`; the file is then as it was.
        """
        where, text = index_of(index), json_of(value)
        arguments = ("set", *YAML_TO_YAML, "--idempotent", "--value-stdin", "--")

        def is_needed(document: Document) -> bool:
            check_place(document, index)
            metadata = read_metadata(document)
            if not plain and not metadata.selects_by_comment:  # which comments select is seen of what sops makes
                check_selected(selector_of(metadata), index, value)
            return True

        change = Change(
            arguments=lambda copy: (*arguments, copy, where),
            stdin=text,
            is_needed=is_needed,
            check_made=lambda document: (check_put if plain else check_encrypted_there)(document, index),
        )
        return changed(self, path, change, config=config, named=named)

    @frameless
    def unset(
        self, path: Path, index: TreePath, *, config: Path | None = None, named: Collection[Recipient] = ()
    ) -> bool:
        """Remove a value from a file; the same as `set` otherwise. Returns False when there is none."""
        where = index_of(index)
        arguments = ("unset", *YAML_TO_YAML, "--idempotent", "--")
        change = Change(
            arguments=lambda copy: (*arguments, copy, where),
            is_needed=lambda document: node_at(document, index) is not None,
        )
        return changed(self, path, change, config=config, named=named)

    @frameless
    def rotate(self, path: Path, *, config: Path | None = None, named: Collection[Recipient] = ()) -> None:
        """Give a file a new data key, for the same recipients; the same as `set` otherwise."""
        arguments = ("rotate", "--in-place", *YAML_TO_YAML, "--")
        changed(self, path, Change(arguments=lambda copy: (*arguments, copy)), config=config, named=named)

    @frameless
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
        return given_to_others(self, path, config=config, named=named)

    @frameless
    def give_to(self, document: Document, recipient: str, *, named: Collection[Recipient] = ()) -> bytes:
        """Encrypt the data key of a file to one recipient of age alone, in a copy; the file stays as it is.

        So whoever has that identity gets the data key, which the program never prints. The MAC is not checked.

        Args:
            document: the file.
            recipient: ``age1…``.
            named: as for `decrypt`, as the data key has to be decrypted.

        Returns:
            The copy.

        Raises:
            SopsError: as for `decrypt`.
        """
        return given_to_one(self, document, recipient, named=named)

    @frameless
    def filestatus(self, path: Path) -> bool:
        """Tell whether a file is encrypted, as sops sees it: it has metadata with a version and a MAC.

        Raises:
            DocumentError: it cannot be read, or is a link.
            BinaryError: the program failed, on malformed metadata for one.
        """
        read_file(path)
        printed = output_of(
            self,
            ("filestatus", "--input-type", "yaml", "--", absolute(path)),
            environ=child_environment(self.environ, ()),
        )
        answers = {b'{"encrypted":true}': True, b'{"encrypted":false}': False}
        answer = answers.get(printed.strip())
        if answer is None:
            raise BinaryError("the sops program did not say whether the file is encrypted")
        return answer
