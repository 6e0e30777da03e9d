"""Scope files that no key ever saw: whole envelopes of chosen kind and length around nonsense."""

import base64

from reconciler.policy import Sources


HOST = "adb-1.2.azuredatabricks.net"
PATH = "secrets/prod/app.yaml"

TARGETS = f"""\
owner: 123e4567-e89b-42d3-a456-426614174000
targets:
    prod:
        workspace:
            host: https://{HOST}
    test:
        workspace:
            host: https://test.cloud.databricks.com
    bare:
        workspace:
            host: https://bare.cloud.databricks.com
"""


def envelope(size: int = 5, kind: str = "str") -> str:
    """Return ``ENC[…]`` of a plaintext of ``size`` bytes."""
    data, nonce, tag = (base64.b64encode(b"x" * length).decode() for length in (size, 32, 16))
    return f"ENC[AES256_GCM,data:{data},iv:{nonce},tag:{tag},type:{kind}]"


ENC = envelope()

METADATA = f"""\
sops:
    age:
        - recipient: age1first
          enc: anything
    encrypted_regex: ^secrets$
    lastmodified: "2026-01-01T00:00:00Z"
    mac: {envelope(128)}
    version: 3.13.3
"""


def scope_yaml(keys: str = f"k: {ENC}", *, host: str = HOST, scope: str = "app", before: str = "") -> str:
    """Return a scope file whose keys stand in line 5 (after ``before``) and later, in column 13.

    Args:
        keys: lines below the scope.
        host: above the scope.
        scope: above the keys.
        before: what stands in front of ``version``, whole lines.
    """
    indented = "\n".join(f"            {line}" for line in keys.splitlines())
    return f"{before}version: 1\nsecrets:\n    {host}:\n        {scope}:\n{indented}\n{METADATA}"


def sources(files: dict[str, str] | None = None, *, targets: str = TARGETS) -> Sources:
    """Return what a work tree with these files below ``secrets/`` would hand in."""
    texts = {"secrets/targets.yaml": targets, **(files or {})}
    return Sources(files={path: text.encode() for path, text in texts.items()})
