"""From the wrapped keys of a file to its data key: what the one group wraps, or the parts of several put together.

Written from ``GetDataKeyWithKeyServices`` of sops.go. No key service is ever asked: groups that only a KMS, a Vault or
PGP could open stay closed, and the others may suffice.
"""

from typing import Final

from reconciler.pysops.errors import DecryptionError, NoIdentity
from reconciler.pysops.identities import Identities
from reconciler.pysops.shamir import MIN_PARTS, combine
from reconciler.pysops.sops_metadata import Metadata
from reconciler.pysops.wrapped_keys import KeyGroup, KeyKind


_IN_WORDS: Final[dict[KeyKind, str]] = {
    "age": "an age key",
    "pgp": "a PGP key",
    "kms": "AWS KMS",
    "gcp_kms": "GCP KMS",
    "hckms": "HuaweiCloud KMS",
    "azure_kv": "Azure Key Vault",
    "hc_vault": "HashiCorp Vault",
}
"""For what is not quoted: names of other kinds may hold anything."""


def recover_data_key(metadata: Metadata, identities: Identities) -> bytes:
    """Open what identities at hand can open of the data key, and put it together.

    Every group that opens adds its part, also beyond the threshold: as in sops, one wrong part spoils it then.

    Raises:
        NoIdentity: too little of it could be opened.
        DecryptionError: what was opened does not make a secret.
    """
    if len(metadata.key_groups) == 1:
        data_key = identities.open_group(metadata.key_groups[0])
        if data_key is None:
            raise _no_identity(metadata, identities)
        return data_key
    opened = [identities.open_group(group) for group in metadata.key_groups]
    parts = [part for part in opened if part is not None]
    needed = max(metadata.shamir_threshold, MIN_PARTS)
    if len(parts) < needed:
        closed = [group for group, part in zip(metadata.key_groups, opened, strict=True) if part is None]
        raise _too_few_groups(metadata, identities, closed, needed)
    try:
        return combine(parts)
    except ValueError as error:
        problem = str(error)
    raise DecryptionError(f"the key groups do not make a data key: {problem}", mark=metadata.mark)


def _no_identity(metadata: Metadata, identities: Identities) -> NoIdentity:
    whose = _whose(metadata.key_groups[0])
    return NoIdentity(
        "no identity at hand opens the file"
        if identities.look_everywhere().recipients
        else "there is no identity to open the file with",
        mark=metadata.mark,
        expected=f"the key of {whose}" if whose.startswith(("age1", "ssh-")) else whose,
        advice=_advice(identities),
    )


def _too_few_groups(metadata: Metadata, identities: Identities, closed: list[KeyGroup], needed: int) -> NoIdentity:
    groups = len(metadata.key_groups)
    opened = groups - len(closed)
    named = "; ".join(dict.fromkeys(_whose(group) for group in closed))
    return NoIdentity(
        f"{opened or 'none'} of the {groups} key groups of the file opened, and {needed} are needed",
        mark=metadata.mark,
        expected=f"keys of {needed - opened} more of these groups: {named}",
        advice=_advice(identities),
    )


def _whose(group: KeyGroup) -> str:
    """Return whose keys open a group: age recipients by name, others by kind."""
    recipients = tuple(dict.fromkeys(key.recipient for key in group))
    names = [(one.kind, one.shown_name if one.kind == "age" else None) for one in recipients]
    quoted = [name for _, name in names if name is not None]
    others = [_IN_WORDS[kind] for kind, name in names if name is None]
    return " or ".join(dict.fromkeys((*quoted, *others))) or "a group without keys"


def _advice(identities: Identities) -> str:
    hints = [problem.what for problem in identities.look_everywhere().problems]
    if identities.recipients:
        hints.insert(0, f"the keys at hand are those of {', '.join(identities.recipients)}")
    elif not hints:
        hints.append("put a key into SOPS_AGE_KEY or SOPS_AGE_KEY_FILE, or into the file sops/age/keys.txt of the user")
    return "; ".join(hints)
