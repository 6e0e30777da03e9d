"""Trees that no key ever saw, to be compared: each value is an envelope of its own around nonsense."""

import base64
import hashlib
from collections.abc import Mapping, Sequence

from reconciler import policy
from reconciler.policy import Sources
from reconciler.policy.sources import RulesFile
from reconciler.report.reviewed import Difference, Kind, Rank
from reconciler.review.compare import Comparison, GitFacts, Tree, compare


HOST = "adb-1.2.azuredatabricks.net"
OTHER_HOST = "adb-3.4.azuredatabricks.net"
OWNER = "123e4567-e89b-42d3-a456-426614174000"

ADA = "age1" + "a" * 58
EVE = "age1" + "e" * 58

RULES = f"""\
creation_rules:
    - encrypted_regex: ^secrets$
      age: {ADA}
"""

Secrets = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Host to scope to key to what stands there: see `sealed` and `plain`."""


def sealed(name: str, size: int = 5, *, data: bytes = b"") -> str:
    """Return ``ENC[…]`` that is like no other one of another name."""
    nonce = hashlib.sha256(name.encode()).digest()
    tag = hashlib.md5(name.encode(), usedforsecurity=False).digest()
    parts = (base64.b64encode(part).decode() for part in (data or b"x" * size, nonce, tag))
    return "ENC[AES256_GCM,data:{},iv:{},tag:{},type:str]".format(*parts)


def scope_file(  # all of what a file can say
    secrets: Secrets,
    *,
    data_key: str = "one",
    recipients: Sequence[str] = (ADA,),
    acls: Sequence[str] = (),
    prune: str = "",
    rotation: Sequence[str] = (),
    modified: str = "2026-01-01T00:00:00Z",
) -> str:
    """Return the text of a scope file.

    Args:
        secrets: what stands in it.
        data_key: name of its data key: with another one, the key is wrapped otherwise.
        recipients: to whom it is wrapped.
        acls: such as ``<READ users>``.
        prune: none when empty.
        rotation: such as ``<90d *>``.
        modified: when it was written.
    """
    lines = ["acls:", *(f"    - {entry}" for entry in acls)] if acls else []
    lines += [f"prune: {prune}"] if prune else []
    lines += ["rotation:", *(f"    - {entry}" for entry in rotation)] if rotation else []
    lines += ["version: 1", "secrets:"]
    for host, scopes in secrets.items():
        lines.append(f"    {host}:")
        for scope, keys in scopes.items():
            lines += [f"        {scope}:", *(f"            {key}: {value}" for key, value in keys.items())]
    lines += ["sops:", "    age:"]
    for recipient in recipients:
        lines += [f"        - recipient: {recipient}", f"          enc: {data_key} for {recipient}"]
    mac = sealed("\n".join(lines), 128)
    lines += ["    encrypted_regex: ^secrets$", f'    lastmodified: "{modified}"', f"    mac: {mac}"]
    return "\n".join([*lines, "    version: 3.13.3", ""])


def targets_file(targets: Mapping[str, Mapping[str, str | Sequence[str]]] | None = None, *, owner: str = OWNER) -> str:
    """Return the text of targets.yaml: target to its fields; those of ``workspace`` and its host among them."""
    lines = [f"owner: {owner}", "targets:"]
    for name, fields in ({"prod": {"host": f"https://{HOST}"}} if targets is None else targets).items():
        lines.append(f"    {name}:")
        lists = {field: value for field, value in fields.items() if not isinstance(value, str)}
        texts = {field: value for field, value in fields.items() if isinstance(value, str)}
        beside = {field: value for field, value in texts.items() if field == "ledger_scope"}
        within = {field: text for field, text in texts.items() if field not in beside}
        lines += ["        workspace:", *(f"            {field}: {text}" for field, text in within.items())]
        lines += [f"        {field}: {text}" for field, text in beside.items()]
        lines += [f"        {field}: [{', '.join(value)}]" for field, value in lists.items()]
    return "\n".join([*lines, ""])


def tree(
    files: Mapping[str, str] | None = None,
    *,
    targets: str | None = None,
    rules: str | None = RULES,
    rules_path: str = ".sops.yaml",
) -> Tree:
    """Return a tree with files below ``secrets/``."""
    texts = {"targets.yaml": targets_file() if targets is None else targets, **(files or {})}
    sources = Sources(
        files={f"secrets/{path}": text.encode() for path, text in texts.items()},
        rules=None if rules is None else RulesFile(path=rules_path, data=rules.encode()),
    )
    return Tree(sources=sources, policy=policy.load(sources))


def compared(base: Tree, head: Tree, **facts: object) -> Comparison:
    """Compare two trees."""
    return compare(base, head, GitFacts(**facts))  # type: ignore[arg-type]


def kinds(found: Comparison, rank: Rank | None = None) -> list[Kind]:
    """Return the kinds of differences in the order in which they are shown."""
    return [one.kind for one in found.differences if rank is None or one.rank is rank]


def only(found: Comparison, kind: Kind) -> Difference:
    """Return the one difference of a kind."""
    (one,) = (one for one in found.differences if one.kind is kind)
    return one
