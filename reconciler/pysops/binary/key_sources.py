"""Which key sources of a file may be asked, and what the sops program is told for it.

A file can name any Vault or KMS, and sops would log in there with the token of whoever runs it: hence whom
``.sops.yaml`` does not name is not asked. A file that names somebody else beside them is refused as a whole, as sops
tries one after the other.
"""

import os
from collections.abc import Collection
from collections.abc import Mapping as AbstractMapping
from typing import Final

from reconciler.pysops.document import Document, Entry, Mapping, Node, Sequence
from reconciler.pysops.errors import DecryptionError, MetadataError
from reconciler.pysops.sops_metadata import METADATA_FIELDS, METADATA_KEY, Metadata
from reconciler.pysops.weak_types import REPAIR
from reconciler.pysops.wrapped_keys import KEY_KINDS, KeyKind, Recipient, is_age_recipient, item_fields


_ALWAYS: Final = frozenset(
    {
        *("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "APPDATA", "AppData", "LOCALAPPDATA"),  # configuration of the user
        *("TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "SOPS_DECRYPTION_ORDER"),
    }
)

_AGENT: Final = ("GPG_TTY", "GPG_AGENT_INFO", "XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY", "TERM")
"""How an agent asks for a passphrase: of a PGP key, or of an age identity."""

_COMMANDS: Final = ("SOPS_AGE_KEY_CMD", "SOPS_AGE_SSH_PRIVATE_KEY_CMD")
"""Variables with commands that print age identities; each is told a recipient, in ``SOPS_AGE_RECIPIENT``."""

_NAMES: Final[AbstractMapping[KeyKind, tuple[str, ...]]] = {
    # Not SOPS_AGE_RECIPIENTS, SOPS_PGP_FP, SOPS_KMS_ARN and the like: they would overrule .sops.yaml on encryption.
    "age": (
        *("SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE"),
        *_COMMANDS,
        *_AGENT,
    ),
    "pgp": ("GNUPGHOME", "SOPS_GPG_EXEC", *_AGENT),
    "kms": (),
    "gcp_kms": ("SOPS_GCP_KMS_ENDPOINT", "SOPS_GCP_KMS_UNIVERSE_DOMAIN", "SOPS_GCP_KMS_CLIENT_TYPE"),
    "hckms": (),
    "azure_kv": ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET"),
    "hc_vault": ("SOPS_HC_VAULT_ALLOWLIST",),
}
_PREFIXES: Final[AbstractMapping[KeyKind, tuple[str, ...]]] = {
    "age": (),
    "pgp": (),
    "kms": ("AWS_",),
    "gcp_kms": ("GOOGLE_", "CLOUDSDK_"),
    "hckms": ("HUAWEICLOUD_",),
    "azure_kv": ("AZURE_",),
    "hc_vault": ("VAULT_",),
}
"""What the client of each service reads; see "Usage" in https://getsops.io/docs/."""


def check_askable(
    document: Document,
    metadata: Metadata,
    named: Collection[Recipient],
    environ: AbstractMapping[str, str],
    *,
    age_too: bool = False,
) -> None:
    """Make sure that sops, given the file, asks nobody but whom ``.sops.yaml`` names.

    Args:
        document: the file.
        metadata: what `read_metadata` made of it.
        named: whom the matching rule of ``.sops.yaml`` names, at the commit of the file.
        environ: what the program will get, see `child_environment`.
        age_too: age recipients have to be named as well. They are nobody that could be contacted, but an identity may
            belong to a plugin, which is a program, or need a passphrase, which is asked for. So they have to wherever
            a variable holds a command that prints identities: sops tells it what the file calls its recipients.

    Raises:
        DecryptionError: the file names somebody else, or calls an age recipient what a command must not be told.
        MetadataError: it has a field that we do not know, which to another version of sops may be a key source.
    """
    _check_fields(document)
    command = next((name for name in _COMMANDS if name in environ), None)
    for wrapped in metadata.wrapped_keys:
        recipient = wrapped.recipient
        if recipient.kind == "age":
            if command is not None and not is_age_recipient(recipient.name):
                raise DecryptionError(
                    f"the file names a recipient that is none of age, and sops would tell it to what {command} names",
                    mark=wrapped.mark,
                    expected="age1…, ssh-ed25519 … or ssh-rsa …",
                    advice="do not trust the file: restore it from git",
                )
            if command is None and not age_too:
                continue
        if recipient not in named:
            raise DecryptionError(
                f"the file names {recipient.shown}, .sops.yaml does not, so nobody is asked for the key",
                mark=wrapped.mark,
                expected="recipients that .sops.yaml names for this file, at the same commit",
                advice="if it is meant, put it into the rule; if not, do not trust the file: restore it from git",
            )


def _check_fields(document: Document) -> None:
    # sops takes a field by whatever spelling folds to its name, and a later version may know more kinds of key sources:
    # an allow-list of exact names holds for both.
    root = next((entry.value for entry in document.root.entries if entry.key.text == METADATA_KEY), None)
    for entry in _entries(root, METADATA_FIELDS):
        if entry.key.text == "key_groups":
            for group in _items(entry.value):
                for below in _entries(group, KEY_KINDS):
                    _check_items(below)
        else:
            _check_items(entry)


def _check_items(entry: Entry) -> None:
    for kind in KEY_KINDS:
        if kind == entry.key.text:
            for item in _items(entry.value):
                _entries(item, item_fields(kind))


def _items(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, Sequence) else ()


def _entries(node: Node | None, known: Collection[str]) -> tuple[Entry, ...]:
    if not isinstance(node, Mapping):
        return ()
    for entry in node.entries:
        if entry.key.text not in known:
            raise MetadataError(
                "a field of sops that is not known here: the sops program might ask whom it names",
                mark=entry.key.mark,
                expected=f"one of {', '.join(sorted(known))}",
                advice=REPAIR,
            )
    return node.entries


def child_environment(environ: AbstractMapping[str, str], asked: Collection[Recipient]) -> dict[str, str]:
    """Return what of ``environ`` the sops program gets.

    Args:
        environ: the environment of whoever runs us.
        asked: who may be asked for a key: only credentials for their kinds are passed on. Where sops is new enough to
            listen (3.13), it is told to limit itself to the Vaults among them.

    Returns:
        Always with ``PATH``, of which only absolute entries are kept: what is run must not depend on the directory.
    """
    kinds = {recipient.kind for recipient in asked}
    names = _ALWAYS.union(*(_NAMES[kind] for kind in kinds))
    prefixes = tuple(prefix for kind in kinds for prefix in _PREFIXES[kind])
    passed = {name: value for name, value in environ.items() if name in names or name.startswith(prefixes)}
    passed["PATH"] = os.pathsep.join(search_path(environ))
    passed["SOPS_DISABLE_VERSION_CHECK"] = "1"
    addresses = {vault.name.partition("/v1/")[0] for vault in asked if vault.kind == "hc_vault"}
    if addresses and "SOPS_HC_VAULT_ALLOWLIST" not in passed:
        passed["SOPS_HC_VAULT_ALLOWLIST"] = ",".join(sorted(addresses))
    return passed


def search_path(environ: AbstractMapping[str, str]) -> tuple[str, ...]:
    """Return the folders of PATH, relative ones left out."""
    return tuple(entry for entry in environ.get("PATH", "").split(os.pathsep) if os.path.isabs(entry))  # noqa: PTH117


def with_age_file_only(environ: AbstractMapping[str, str], key_file: str) -> dict[str, str]:
    """Return an environment in which sops finds one age identity and nothing else of the user.

    Args:
        environ: the environment of whoever runs us.
        key_file: absolute path. A file, so that no private key stands in an environment.
    """
    kept = {"PATH", "SOPS_BINARY", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LANG", "LC_ALL"}
    return {**{name: value for name, value in environ.items() if name in kept}, "SOPS_AGE_KEY_FILE": key_file}
