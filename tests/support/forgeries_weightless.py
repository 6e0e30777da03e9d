"""Forgeries with what neither is encrypted nor counts in the MAC: empty values, and the selector."""

from collections.abc import Mapping
from typing import Final

from tests.support.forgery import DECRYPTS, MAC, REFUSES, TAG, Forge, Forgery, Stage, edit, forgery, honest
from tests.support.workshop import behind


_SELECTOR: Final = "encrypted_regex: ^secrets$"
_NOT_TOLD: Final = "sops was not told to encrypt what stands below secrets, and nothing else"


def _selector(field: str) -> Forge:
    return edit(_SELECTOR, field)


_ADDED_3_11: Final = {"new: 5": 2, "first: ''": DECRYPTS, '"\\u0066irst": ""': DECRYPTS, "? [a]\n            : ''": TAG}
"""What sops 3.11.0 says of some added keys."""

EMPTY: Final[Mapping[str, Forgery]] = {
    "add an empty field": forgery(
        "`x: ''`", edit("version: 1\n", "version: 1\nx: ''\n"), DECRYPTS, Stage.POLICY, "unknown field 'x'"
    ),
    "add a field of null": forgery(
        "`owner:`", edit("version: 1\n", "version: 1\nowner:\n"), DECRYPTS, Stage.POLICY, "unknown field 'owner'"
    ),
    "add an empty grant": forgery(
        "`- ''` among the grants",
        edit("    - <READ users>\n", "    - <READ users>\n    - ''\n"),
        DECRYPTS,
        Stage.POLICY,
        "an entry of acls is not a grant",
    ),
    "add a grant of null": forgery(
        "`-` among the grants",
        edit("    - <READ users>\n", "    - <READ users>\n    -\n"),
        DECRYPTS,
        Stage.POLICY,
        "an entry of acls is not a grant",
    ),
    "add an empty rule": forgery(
        "`- {}` among the rules",
        edit("    - <180d *>", "    - <180d *>\n    - {}"),
        DECRYPTS,
        Stage.POLICY,
        "an entry of rotation is not a rule",
    ),
    **{
        f"add a key: {line}": forgery(
            f"`{line}` below a scope",
            honest(behind("first", line)),
            sops,
            stage,
            words,
            sops_3_11=_ADDED_3_11.get(line),
        )
        for line, sops, stage, words in (
            ("new: ''", DECRYPTS, Stage.POLICY, "a value is empty text"),
            ("new: null", DECRYPTS, Stage.POLICY, "a value is null"),
            ("new:", DECRYPTS, Stage.POLICY, "a value is null"),
            ("new: {}", DECRYPTS, Stage.POLICY, "a value is an empty mapping"),
            ("new: []", DECRYPTS, Stage.POLICY, "a value is a list"),
            ("new: {empty: ''}", DECRYPTS, Stage.POLICY, "a value is empty text"),
            ("new: {base64: ''}", DECRYPTS, Stage.POLICY, "a value is empty text"),
            ("new: {empty: }", DECRYPTS, Stage.POLICY, "a value is null"),
            ("new: {base64: '', empty: ''}", DECRYPTS, Stage.POLICY, "a value has two forms"),
            ("new: ['']", DECRYPTS, Stage.POLICY, "a value is a list"),
            ("new: 5", TAG, Stage.POLICY, "a value is a whole number"),
            ("new: plain", TAG, Stage.POLICY, "a value is not encrypted"),
            ("FIRST: ''", DECRYPTS, Stage.POLICY, "the key 'FIRST' is the same as 'first'"),
            ("'first ': ''", DECRYPTS, Stage.POLICY, "does not fit as a key"),
            ("fi\u200brst: ''", DECRYPTS, Stage.POLICY, "the character U+200B is invisible"),
            ("f\u0131rst: ''", DECRYPTS, Stage.POLICY, "does not fit as a key"),
            ("caf\u00e9: ''", DECRYPTS, Stage.POLICY, "does not fit as a key"),
            ("cafe\u0301: ''", DECRYPTS, Stage.POLICY, "does not fit as a key"),
            ("'': ''", DECRYPTS, Stage.POLICY, "does not fit as a key"),
            ("'a:b': ''", DECRYPTS, Stage.POLICY, "does not fit as a key"),
            ("sops: ''", DECRYPTS, Stage.POLICY, "a value is empty text"),
            ("'first\\n': ''", DECRYPTS, Stage.POLICY, "does not fit as a key"),
            ("first: ''", REFUSES, Stage.DOCUMENT, "a key that stands twice in its mapping"),
            ('"\\u0066irst": ""', REFUSES, Stage.DOCUMENT, "a key that stands twice in its mapping"),
            ("1: ''", TAG, Stage.DOCUMENT, "a key that is not text"),
            ("true: ''", TAG, Stage.DOCUMENT, "a key that is not text"),
            ("null: ''", TAG, Stage.DOCUMENT, "a key that is not text"),
            ("? [a]\n            : ''", REFUSES, Stage.DOCUMENT, "a key that is not text"),
        )
    },
    "add an empty scope": forgery(
        "`evil: {}` below the host",
        edit("        app:\n", "        evil: {}\n        app:\n"),
        DECRYPTS,
        Stage.POLICY,
        "the scope is an empty mapping",
    ),
    "add a scope of an empty value": forgery(
        "`evil: {k: ''}` below the host",
        edit("        app:\n", "        evil: {k: ''}\n        app:\n"),
        DECRYPTS,
        Stage.POLICY,
        "a value is empty text",
    ),
    "add a scope that differs by case": forgery(
        "`APP: {}` beside `app`",
        edit("        app:\n", "        APP: {}\n        app:\n"),
        DECRYPTS,
        Stage.POLICY,
        "the scope 'app' is the same as 'APP'",
    ),
    "add an empty host": forgery(
        "another target's host with an empty scope",
        edit("secrets:\n", "secrets:\n    test.cloud.databricks.com: {app: {}}\n"),
        DECRYPTS,
        Stage.POLICY,
        "the scope is an empty mapping",
    ),
}
"""Empty values are neither encrypted nor in the MAC."""

SELECTOR: Final[Mapping[str, Forgery]] = {
    **{
        f"selector: {field}": forgery(f"`{field}`", _selector(field), sops, stage, words)
        for field, sops, stage, words in (
            ("encrypted_regex: ^(secrets|later)$", DECRYPTS, Stage.POLICY, _NOT_TOLD),
            ("encrypted_regex: ^secrets|^x$", DECRYPTS, Stage.POLICY, _NOT_TOLD),
            ("encrypted_regex: ^secrets", DECRYPTS, Stage.POLICY, _NOT_TOLD),
            ("encrypted_regex: secrets", DECRYPTS, Stage.POLICY, _NOT_TOLD),
            ("encrypted_regex: (?i)^secrets$", DECRYPTS, Stage.POLICY, _NOT_TOLD),
            ("encrypted_regex: '^secrets$ '", MAC, Stage.POLICY, _NOT_TOLD),
            ('encrypted_regex: "(?m)^secrets$\\n?"', DECRYPTS, Stage.POLICY, _NOT_TOLD),
            ("encrypted_regex: ^secrets$(?!x)", MAC, Stage.POLICY, _NOT_TOLD),
            ("encrypted_regex: ''", TAG, Stage.POLICY, _NOT_TOLD),
            ("encrypted_regex: [^secrets$]", REFUSES, Stage.METADATA, "encrypted_regex is not text"),
            ("encrypted_regex: {a: ^secrets$}", REFUSES, Stage.METADATA, "encrypted_regex is not text"),
            ("encrypted_suffix: ets", DECRYPTS, Stage.POLICY, _NOT_TOLD),
            ("unencrypted_regex: ^(acls|prune|rotation|version)$", DECRYPTS, Stage.POLICY, _NOT_TOLD),
            ("unencrypted_regex: ^secrets$", TAG, Stage.POLICY, _NOT_TOLD),
            ("unencrypted_suffix: s", TAG, Stage.POLICY, _NOT_TOLD),
            ("encrypted_comment_regex: x", MAC, Stage.POLICY, _NOT_TOLD),
            ("unencrypted_comment_regex: x", TAG, Stage.POLICY, _NOT_TOLD),
            ("encrypted-regex: ^secrets$", TAG, Stage.POLICY, _NOT_TOLD),
            (f"{_SELECTOR}\n    {_SELECTOR}", REFUSES, Stage.DOCUMENT, "a key that stands twice in its mapping"),
        )
    },
    "selector by another name": forgery(
        "`Encrypted_Regex:` instead of `encrypted_regex:`",
        edit("encrypted_regex:", "Encrypted_Regex:"),
        DECRYPTS,
        Stage.HARMLESS,
        "the case of such names means nothing to sops",
        sops_3_11=TAG,
    ),
    **{
        f"beside the selector: {field}": forgery(
            f"`{field}` beside the selector",
            _selector(f"{_SELECTOR}\n    {field}"),
            sops,
            stage,
            words,
            sops_3_11=older,
        )
        for field, sops, older, stage, words in (
            ("ENCRYPTED_REGEX: ^x$", DECRYPTS, DECRYPTS, Stage.METADATA, "encrypted_regex stands twice in sops"),
            ("unencrypted_suffix: s", REFUSES, REFUSES, Stage.METADATA, "more than one selector"),
            ("Unencrypted_Suffix: s", REFUSES, DECRYPTS, Stage.METADATA, "more than one selector"),
            ("unencrypted_\u017fuffix: s", REFUSES, DECRYPTS, Stage.METADATA, "more than one selector"),
            ("unencrypted_suffix: ''", DECRYPTS, DECRYPTS, Stage.HARMLESS, "empty text is no selector"),
            ("unencrypted_suffix: null", DECRYPTS, DECRYPTS, Stage.HARMLESS, "null is no selector"),
            (
                "mac_only_encrypted: true",
                MAC,
                MAC,
                Stage.POLICY,
                "mac_only_encrypted leaves grants and rules without any protection",
            ),
            (
                "mac_only_encrypted: 't'",
                MAC,
                REFUSES,
                Stage.POLICY,
                "mac_only_encrypted leaves grants and rules without any protection",
            ),
            (
                "mac_only_encrypted: 1",
                MAC,
                REFUSES,
                Stage.POLICY,
                "mac_only_encrypted leaves grants and rules without any protection",
            ),
            (
                "Mac_Only_Encrypted: true",
                MAC,
                DECRYPTS,
                Stage.POLICY,
                "mac_only_encrypted leaves grants and rules without any protection",
            ),
            ("mac_only_encrypted: 'yes'", REFUSES, MAC, Stage.METADATA, "mac_only_encrypted is neither true nor false"),
            ("mac_only_encrypted: false", DECRYPTS, DECRYPTS, Stage.HARMLESS, "it says what holds without it"),
        )
    },
}
"""The selector is in no MAC."""
