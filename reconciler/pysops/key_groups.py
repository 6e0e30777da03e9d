"""From the wrapped keys of a file to its data key: one group, or the parts of several put together."""

import re
from typing import Final

from reconciler.pysops.errors import MetadataError, NoIdentity
from reconciler.pysops.identities import Identities
from reconciler.pysops.sops_metadata import Metadata


_RECIPIENT: Final = re.compile(r"age1[02-9ac-hj-np-z]{50,2500}")
"""What may be quoted from a file as a recipient: Bech32, X25519 or longer."""


def recover_data_key(metadata: Metadata, identities: Identities) -> bytes:
    """Open what identities at hand can open of the data key, and put it together.

    Raises:
        NoIdentity: too little of it could be opened.
    """
    if len(metadata.key_groups) > 1:
        raise MetadataError("key groups are not supported yet", mark=metadata.mark)
    data_key = identities.open_group(metadata.key_groups[0])
    if data_key is None:
        raise _no_identity(metadata, identities)
    return data_key


def _no_identity(metadata: Metadata, identities: Identities) -> NoIdentity:
    named = [recipient.name for recipient in metadata.recipients if _RECIPIENT.fullmatch(recipient.name)]
    hints = [problem.what for problem in identities.problems]
    if len(identities):
        hints.insert(0, f"the keys at hand are those of {', '.join(identities.recipients)}")
    elif not hints:
        hints.append("put a key into SOPS_AGE_KEY or SOPS_AGE_KEY_FILE, or into the file sops/age/keys.txt of the user")
    return NoIdentity(
        "no identity at hand opens the file" if len(identities) else "there is no identity to open the file with",
        mark=metadata.mark,
        expected=f"the key of {' or '.join(named)}" if named else None,
        advice="; ".join(hints),
    )
