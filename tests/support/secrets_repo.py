"""A small secrets repository in a temporary directory, encrypted by the real sops to a fresh key.

::

    repo = SecretsRepo(tmp_path, sops=sops, key=age_key)
    repo.targets({"demo": repo.embedded("demo")})
    repo.scope_file("demo/app.yaml", {"demo": {"app": {"password": "text", "key.p12": b"bytes", "none": ""}}},
                    acls=["<READ users>"], prune="all")
    repo.commit("first")

``.sops.yaml`` names whoever a file is encrypted to, until a test writes its own or takes it away. Each file costs one
start of sops (some 30 ms): put many keys and scopes into one file.
"""

import base64
import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Final, Self

from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


OWNER: Final = "123e4567-e89b-42d3-a456-426614174000"

ENCRYPTED_REGEX: Final = "^secrets$"

Value = str | bytes
"""What a test wants a secret to be. Empty of either kind becomes ``{empty: "yes"}``, bytes ``{base64: …}``."""

Secrets = Mapping[str, Mapping[str, Mapping[str, Value]]]
"""Host key to scope to key to value."""

Fields = bool | int | str | Sequence[str] | Mapping[str, "Fields"]

_ESCAPED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON leaves as it is and YAML takes for a line break or refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Raw:
    """Text that goes into the YAML as it stands."""

    text: str


class SecretsRepo:
    """Writes files below ``root``; every method returns the object, so that calls can be chained."""

    def __init__(self, root: Path, *, sops: SopsTool, key: AgeKey) -> None:
        self.root = root
        self.key = key
        self._sops = sops
        self._recipients: dict[str, tuple[str, ...]] = {}
        """Files below ``secrets/`` that are encrypted to others than everybody."""
        self._rules = self._rules_text()
        self.write(".sops.yaml", self._rules)

    def write(self, path: str, content: str | bytes) -> Self:
        """Write any file, relative to the root."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return self

    def read(self, path: str) -> bytes:
        """Return the bytes of a file, relative to the root."""
        return (self.root / path).read_bytes()

    def embedded(self, name: str) -> Mapping[str, Fields]:
        """Write our identity beside the files of an embedded target; return the fields of the target."""
        self.write(f"secrets/{name}/{name}.agekey", f"# A key for tests.\n{self.key.identity}\n")
        return {"embedded": True, "age_key_file": f"{name}/{name}.agekey"}

    def targets(self, targets: Mapping[str, Mapping[str, Fields]], *, owner: str | None = OWNER) -> Self:
        """Write ``secrets/targets.yaml``: target name to its fields, as they stand in the file."""
        content: dict[str, Fields] = {} if owner is None else {"owner": owner}
        return self.write("secrets/targets.yaml", yaml_of({**content, "targets": targets}))

    def scope_file(
        self,
        path: str,
        secrets: Secrets,
        *,
        acls: Sequence[str] | None = None,
        prune: str | None = None,
        rotation: Sequence[str] | None = None,
        recipients: Sequence[str] | None = None,
    ) -> Self:
        """Encrypt a scope file.

        Args:
            path: below ``secrets/``, such as ``demo/app.yaml``.
            secrets: host key to scope to key to value.
            acls: entries such as ``<READ users>``; None leaves the field out, and so with the others.
            prune: ``owned``, ``all`` or ``none``.
            rotation: entries such as ``<90d *>``.
            recipients: of age; None means the key of this repository.
        """
        plaintext = scope_text(secrets, acls=acls, prune=prune, rotation=rotation)
        return self.encrypt(path, plaintext, recipients=recipients)

    def encrypt(
        self, path: str, plaintext: str, *, recipients: Sequence[str] | None = None, regex: str = ENCRYPTED_REGEX
    ) -> Self:
        """Encrypt any YAML text to a file below ``secrets/``."""
        encrypted = self._sops.encrypt(plaintext.encode(), recipients or (self.key.recipient,), encrypted_regex=regex)
        return self.name(path, tuple(recipients or ())).write(f"secrets/{path}", encrypted)

    def name(self, path: str, recipients: tuple[str, ...]) -> Self:
        """Have ``.sops.yaml`` name who can open a file below ``secrets/``, unless a test has written one of its own."""
        file = self.root / ".sops.yaml"
        is_ours = file.is_file() and file.read_bytes() == self._rules.encode()
        if self._recipients.get(path, ()) == recipients or not is_ours:
            return self
        self._recipients[path] = recipients
        self._rules = self._rules_text()
        return self.write(".sops.yaml", self._rules)

    def _rules_text(self) -> str:
        special = [(f"^{re.escape(f'secrets/{path}')}$", names) for path, names in self._recipients.items() if names]
        rules: list[dict[str, Fields]] = [{"path_regex": regex, "age": list(names)} for regex, names in special]
        rules.append({"age": [self.key.recipient]})
        texts = (yaml_of(rule | {"encrypted_regex": ENCRYPTED_REGEX}) for rule in rules)
        return "creation_rules:\n" + "".join(f"    - {indent(text, '      ').lstrip()}" for text in texts)

    def git(self, *arguments: str) -> str:
        """Run git in the root without anybody's configuration, and return its output."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root / ".no-home"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
            "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
        }
        who = ("-c", "user.name=Tester", "-c", "user.email=tester@example.com", "-c", "init.defaultBranch=main")
        done = subprocess.run(
            ("git", *who, *arguments), cwd=self.root, env=environment, capture_output=True, check=True, timeout=60
        )
        return done.stdout.decode()

    def commit(self, message: str = "Change") -> str:
        """Commit everything, in a new repository if there is none yet, and return the hash."""
        if not (self.root / ".git").exists():
            self.git("init", "--quiet")
        self.git("add", "--all", "--force", "secrets", ".sops.yaml")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD").strip()


def scope_text(
    secrets: Secrets,
    *,
    acls: Sequence[str] | None = None,
    prune: str | None = None,
    rotation: Sequence[str] | None = None,
) -> str:
    """Return the plaintext of a scope file, see `SecretsRepo.scope_file`."""
    content: dict[str, object] = {}
    if acls is not None:
        content["acls"] = acls
    if prune is not None:
        content["prune"] = prune
    if rotation is not None:
        content["rotation"] = rotation
    content["version"] = _Raw(text="1")
    content["secrets"] = {
        host: {scope: {key: _form(value) for key, value in keys.items()} for scope, keys in scopes.items()}
        for host, scopes in secrets.items()
    }
    return yaml_of(content)


def yaml_of(content: object) -> str:
    """Return ``content`` as block YAML, every text in double quotes."""
    return "\n".join(_lines(content, "")).lstrip("\n") + "\n"


def _form(value: Value) -> object:
    if not value:
        return {"empty": "yes"}
    return value if isinstance(value, str) else {"base64": base64.b64encode(value).decode()}


def _lines(content: object, indent: str) -> list[str]:
    """Return a node as lines, the first of which continues the line that it hangs on."""
    match content:
        case _Raw(text=text):
            return [f" {text}"]
        case str():
            return [f" {_quoted(content)}"]
        case bool() | int():
            return [f" {json.dumps(content)}"]
        case Mapping():
            inner = f"{indent}    "
            found = [""]
            for key, value in content.items():
                first, *rest = _lines(value, inner)
                found += [f"{indent}{key if _is_plain(key) else _quoted(key)}:{first}", *rest]
            return found if content else [" {}"]
        case Sequence():
            found = [""]
            for item in content:
                first, *rest = _lines(item, f"{indent}  ")
                found += [f"{indent}-{first}", *rest]
            return found if content else [" []"]
        case _:
            raise TypeError(f"no YAML for {type(content).__name__}")


def _is_plain(key: str) -> bool:
    return re.fullmatch(r"[a-z][a-z0-9_]{0,40}", key) is not None and key not in {"true", "false", "null"}


def _quoted(text: str) -> str:
    raw = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", raw)
