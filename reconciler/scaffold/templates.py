"""The files that `init` writes, as text: read by people in reviews, so each says what it is for."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from reconciler.policy.sops_rules import ENCRYPTED_REGEX
from reconciler.policy.sources import FOLDER, RULES_FILE, TARGETS_FILE


PLACEHOLDER: Final = "change-me"
"""The first value: a scope file without one is refused, and a real one is not for this command to invent."""

HOOK_ID: Final = "reconciler-validate"
"""By which an existing configuration of pre-commit is known to have the hook."""

IGNORED: Final = (".reconciler/", "*.tfstate", "*.tfstate.*", ".*.new")
"""Lines of ``.gitignore``: the state of embedded workspaces, and that of Terraform from which somebody imports, hold
values as they are; and the ciphertext that a killed command leaves beside a file."""

ATTRIBUTES: Final = (
    f"{FOLDER}/**/*.yaml text eol=lf merge=reconciler",
    f"{FOLDER}/**/*.yml text eol=lf merge=reconciler",
    f"{TARGETS_FILE} !merge",
    f"{RULES_FILE} text eol=lf",
)
"""Lines of ``.gitattributes``. One line ending everywhere, as bytes are compared; merges by keys, as the MAC of a file
outlives no merge of its lines. Targets are plain text, which git merges by itself. Nothing that hides a change from a
review."""

GITIGNORE_NOTE: Final = (
    "# State of embedded workspaces, of Terraform: values as they are. .*.new: what a killed command left."
)
GITATTRIBUTES_NOTE: Final = (
    "# Encrypted files are merged key by key; each clone needs: reconciler merge-driver --install"
)

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9./@-]*(?:_[A-Za-z0-9./@-]+)*")
_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})


def scalar(text: str) -> str:
    """Return ``text`` as YAML reads it back: plain where that is beyond doubt, else in double quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


def rule(target: str, recipients: Sequence[str]) -> str:
    """Return the rule of ``.sops.yaml`` for the files of a target."""
    lines = [
        f"    - path_regex: ^{FOLDER}/{target}/",
        f"      encrypted_regex: {ENCRYPTED_REGEX}",
        "      age:",
        *(f"          - {scalar(recipient)}" for recipient in recipients),
    ]
    return "\n".join(lines) + "\n"


def sops_rules(target: str, recipients: Sequence[str], *, embedded: bool) -> str:
    """Return ``.sops.yaml``."""
    warning = f"    # Its identity stands in {FOLDER}/{target}/ for everybody: NOTHING THERE IS PROTECTED.\n"
    return (
        "# Who can open which files. The first rule whose path_regex matches decides; paths begin where this file is.\n"
        "# What was changed here reaches the files by: reconciler rekey\n"
        "creation_rules:\n" + (warning if embedded else "") + rule(target, recipients)
    )


def targets(owner: str, fields: str) -> str:
    """Return ``targets.yaml``.

    Args:
        owner: UUID.
        fields: of its targets: `target`.
    """
    return (
        "# Which workspaces there are. Plain text: reviewed like code, and holds no credential.\n"
        "# The owner says whose the written secrets are. It stays the same for good.\n"
        f"owner: {owner}\n"
        f"targets:\n{fields}"
    )


def embedded_target(name: str) -> str:
    """Return the lines of an embedded target."""
    return (
        f"    {scalar(name)}:\n"
        "        # A workspace in miniature that the reconciler runs itself, with its state in .reconciler/.\n"
        "        embedded: true\n"
        f"        age_key_file: {scalar(f'{name}/{name}.agekey')}\n"
    )


def remote_target(name: str, workspace: Mapping[str, str], operators: Sequence[str]) -> str:
    """Return the lines of a target.

    Args:
        name: of the target.
        workspace: field to text.
        operators: who may run it.
    """
    lines = [f"    {scalar(name)}:", "        workspace:"]
    lines += [f"            {field}: {_field(text)}" for field, text in workspace.items()]
    if operators:
        lines += ["        operators:", *(f"            - {scalar(operator)}" for operator in operators)]
    else:
        lines += ["        operators: []  # who may run this target; empty: whoever applies first, and nobody else"]
    return "\n".join(lines) + "\n"


def _field(text: str) -> str:
    """Return the text of a field; addresses need no quotes, and read better without."""
    return text if re.fullmatch(r"https?://[a-z0-9.:-]+", text) else scalar(text)


def scope_file(host_key: str, scope: str, key: str) -> str:
    """Return the first scope file, before it is encrypted."""
    return (
        "# Grants on the scope; readable, so that a review sees who gets what.\n"
        "acls:\n"
        "    - <WRITE admins>\n"
        "    - <READ users>\n"
        "# Below stand the host, the scope and its keys. To change values: reconciler set, rotate, edit.\n"
        "version: 1\n"
        "secrets:\n"
        f"    {scalar(host_key)}:\n"
        f"        {scalar(scope)}:\n"
        f"            {scalar(key)}: {PLACEHOLDER}\n"
    )


def hook(prefix: str = "") -> str:
    """Return the entry of a configuration of pre-commit.

    Args:
        prefix: path of the directory of the run from the top of the repository: empty, or ending in a slash.
    """
    entry = f"reconciler -C {scalar(prefix.removesuffix('/'))} validate" if prefix else "reconciler validate"
    return (
        "  - repo: local\n"
        "    hooks:\n"
        f"      - id: {HOOK_ID}\n"
        "        name: reconciler validate\n"
        f"        entry: {entry}\n"
        "        language: system\n"
        rf"        files: ^{re.escape(prefix)}({FOLDER}/|\.sops\.ya?ml$)" + "\n"
        "        pass_filenames: false  # rules span files\n"
    )


def pre_commit() -> str:
    """Return ``.pre-commit-config.yaml``."""
    return (
        "# For https://pre-commit.com: pre-commit install\n"
        "# The reconciler that is installed checks all that shows without a key before each commit.\n"
        "repos:\n" + hook()
    )


def key_file(identity: str, recipient: str, created: str, *, public: bool) -> bytes:
    """Return a key file of age.

    Args:
        identity: the private key.
        recipient: its public half.
        created: when, as ISO 8601 has it.
        public: it will be committed, and protects nothing.
    """
    note = "# Committed for everybody: WHAT IS ENCRYPTED TO THIS KEY IS NOT PROTECTED.\n" if public else ""
    return f"{note}# created: {created}\n# public key: {recipient}\n{identity}\n".encode()
