"""The errors of pysops: one root, a child per stage of reading a SOPS file.

::

    SopsError
    ├── DocumentError     the bytes are not a document that we read: YAML, or one of the strict reading rules
    ├── MetadataError     the ``sops`` mapping is missing, malformed, or asks for what we do not support
    ├── IdentityError     an identity source cannot be used (shown only when no other source opened the file)
    ├── ArgumentError     the caller asks for what cannot be done: a value that is no text, a place that has no name
    ├── ConfigError       ``.sops.yaml`` is not what sops could follow, or not what it says to whoever reads it
    ├── BinaryError       the sops program is missing, unfit, hangs, or fails for a reason of its own
    └── DecryptionError   it does not unlock
        ├── NoIdentity    no identity opens the data key
        ├── TamperedValue a value does not authenticate: ciphertext, IV, tag or the keys above it were altered
        └── MacMismatch   the message authentication code of the file is wrong

No message quotes text from the file, a key or a decrypted value: what stands at ``line:column`` may be a secret.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Mark:
    """A place in a file."""

    line: int
    """From 1."""

    column: int
    """From 1, in characters."""


class SopsError(Exception):
    """Root of every error that pysops raises on purpose."""

    def __init__(
        self, what: str, *, mark: Mark | None = None, expected: str | None = None, advice: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        """What is wrong, as a sentence without a full stop."""
        self.mark = mark
        """Where in the file; None when the file as a whole is meant."""
        self.expected = expected
        """What should stand there."""
        self.advice = advice
        """What to do next."""


class DocumentError(SopsError):
    """The bytes are not a document that is read: not YAML, or against one of the strict reading rules."""


class MetadataError(SopsError):
    """The ``sops`` mapping is missing, malformed, or asks for what is not supported."""


class IdentityError(SopsError):
    """An identity source cannot be used."""


class ArgumentError(SopsError):
    """What the caller asks for cannot be done: a value that is no text or would stand in plain, a place without name.

    Raised before anything is changed.
    """


class ConfigError(SopsError):
    """``.sops.yaml`` cannot be used."""


class BinaryError(SopsError):
    """The sops program cannot be used: it is missing, unfit, did not finish, or failed for a reason of its own."""


class DecryptionError(SopsError):
    """The file does not unlock."""


class NoIdentity(DecryptionError):
    """None of the identities at hand opens the data key of the file."""


class TamperedValue(DecryptionError):
    """A value does not authenticate under the data key and the mapping keys above it."""


class MacMismatch(DecryptionError):
    """The MAC of the file does not fit its values."""
