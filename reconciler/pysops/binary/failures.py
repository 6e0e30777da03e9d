"""What the exit codes of the sops program mean, in our own words: what it says itself may quote values."""

from collections.abc import Mapping, Sequence
from typing import Final, assert_never

from reconciler.pysops.child import Finished, WhyFailed
from reconciler.pysops.errors import (
    BinaryError,
    ConfigError,
    DocumentError,
    MacMismatch,
    Mark,
    NoIdentity,
    SopsError,
    TamperedValue,
)
from reconciler.pysops.sops_metadata import Metadata


_FAILURES: Final[Mapping[int, str]] = {
    1: "the sops program failed",
    2: "the sops program could not read what it was given",
    3: "the sops program could not write its result",
    4: "a value cannot be had from the sops program: a number that is not finite, for one",
    5: "the sops program cannot read its configuration",
    6: "the encryption context of a KMS key is malformed",
    7: "there is no such place in the file, or its name cannot be given to the sops program",
    8: "the sops program does not take these options together",
    21: "the sops program could not encrypt the MAC",
    23: "the sops program could not encrypt a value",
    91: "the name of a value cannot be given to the sops program",
    92: "the file holds no document",
    100: "the sops program does not find the file",
    112: "SOPS_DECRYPTION_ORDER names a kind of key twice",
}
"""Exit codes of cmd/sops/codes/codes.go that are not dealt with otherwise."""

_PHRASES: Final[Sequence[tuple[bytes, type[SopsError], str]]] = (
    (b"no matching creation rules found", ConfigError, "no rule of .sops.yaml matches the file"),
    (b"could not read config file", ConfigError, ".sops.yaml cannot be read"),
    (b"error loading config", ConfigError, ".sops.yaml is not what sops can use"),
    (b"Key not found", DocumentError, "there is no such value in the file"),
)
"""What to look for in stderr after the all-purpose exit code 1, and our words for it."""

_REASONS: Final[Sequence[tuple[bytes, str]]] = (
    (b"No secret key", "gpg has no secret key for it"),
    (b"Allowlist does not allow", "SOPS_HC_VAULT_ALLOWLIST does not allow it"),
    (b"connection refused", "a key service refused the connection"),
    (b"no such host", "the name of a key service is not known"),
    (b"x509:", "the certificate of a key service was not accepted"),
    (b"permission denied", "a key service denied permission"),
    (b"AccessDenied", "a key service denied permission"),
    (b"missing client token", "there is no token for Vault"),
    (b"get credentials", "there are no credentials for a key service"),
    (b"obtain credentials", "there are no credentials for a key service"),
    (b"deadline exceeded", "a key service did not answer in time"),
    (b"i/o timeout", "a key service did not answer in time"),
    (b"failed to load age identities", "sops found no age identity"),
    (b"no identity matched", "no age identity fits"),
)
"""Likewise after 128, why no data key could be had."""


def unfinished(reason: WhyFailed) -> BinaryError:
    """Return, in our own words, why the program did not come to its end by itself."""
    by_hand = "run `sops decrypt FILE` by hand, which may show what it waits for"
    match reason:
        case WhyFailed.NOT_STARTED:
            return BinaryError(
                "the sops program cannot be started", advice="check that SOPS_BINARY or PATH leads to a program"
            )
        case WhyFailed.TOO_SLOW:
            return BinaryError("the sops program did not end in time", advice=by_hand)
        case WhyFailed.LEFT_RUNNING:
            return BinaryError("the sops program left a program running", advice=by_hand)
        case WhyFailed.TOO_MUCH:
            return BinaryError("the sops program wrote far more than the file can hold")
        case WhyFailed.STOPPED:
            return BinaryError("the sops program was stopped, as the run was interrupted")
        case _:
            assert_never(reason)


def failure_of(done: Finished, metadata: Metadata | None) -> SopsError:
    """Return what an exit code means, in our own words.

    Args:
        done: how the program ended.
        metadata: of the file that it was given, for places.
    """
    code = done.exit_code
    mark = None if metadata is None else metadata.mark
    error: SopsError
    match code:
        case 128:
            error = NoIdentity(
                "nobody whom the file names gave sops its data key",
                mark=mark,
                advice=_reasons(done.stderr) or "run `sops decrypt FILE` by hand, which says why",
            )
        case 25:
            error = TamperedValue(
                "a value does not authenticate, or one is not encrypted that should be: it was altered, or stands "
                "below other keys than it was encrypted for",
                mark=mark,
                advice="restore the file from git, or set the value again with sops",
            )
        case 51:
            error = MacMismatch(
                "the MAC does not fit the values, or does not authenticate: the file was altered without sops",
                mark=None if metadata is None else metadata.mac_mark,
                advice="restore the file from git, and make changes with sops",
            )
        case 203:
            error = DocumentError("the text is encrypted already, or has a field named sops", mark=mark)
        case _:
            error = _other(done, mark)
    return error


def _other(done: Finished, mark: Mark | None) -> SopsError:
    code = done.exit_code
    if code < 0:
        return BinaryError(f"the sops program was ended by signal {-code}", mark=mark)
    for phrase, kind, words in _PHRASES if code == 1 else ():
        if phrase in done.stderr:
            return kind(words)
    return BinaryError(
        f"{_FAILURES.get(code, 'the sops program failed in an unknown way')} (exit code {code})",
        mark=mark,
        advice="run the command by hand, which says more; mind that it may quote values",
    )


def _reasons(stderr: bytes) -> str:
    said = b" ".join(stderr.replace(b"|", b" ").split())  # it is wrapped and indented
    return "; ".join(dict.fromkeys(words for phrase, words in _REASONS if phrase in said))
