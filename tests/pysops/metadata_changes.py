"""Changes to the metadata of an encrypted file."""

import re
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.pysops.changes import BASE64, Change, Weighted, pick, replace


_FIELD: Final = re.compile(r"^    ([a-z_]+):(.*)$", re.MULTILINE)
"""A field of the metadata; values nested one level below the top look the same."""

_SELECTOR_LINES: Final = (
    *("unencrypted_suffix: _unencrypted", "unencrypted_suffix: _x", "encrypted_suffix: s", "encrypted_suffix: ''"),
    *("encrypted_regex: ^secrets$", "encrypted_regex: .", "unencrypted_regex: .", "unencrypted_regex: ^k"),
    *("encrypted_regex: '['", "unencrypted_regex: (?!x)", "encrypted_regex: null", "encrypted_regex: 5"),
    *("encrypted_comment_regex: note", "unencrypted_comment_regex: nowhere", "unencrypted_suffix: []"),
    *("encrypted_regex: ''", "unencrypted_regex: '(?i)PASS'", "encrypted_regex: true", "unencrypted_suffix: 1.50"),
)

_METADATA_LINES: Final = (
    *_SELECTOR_LINES,
    *(
        f"mac_only_encrypted: {value}"
        for value in ("true", "false", "1", '"1"', '"yes"', "yes", "null", "''", "2", "t")
    ),
    *(f"mac_only_encrypted: {value}" for value in ("0x1", "1.0", "1.5", "0", "[]", "TRUE", '"TRUE"', "-1", "00", "01")),
    *(f"shamir_threshold: {value}" for value in ("0", "1", "2", "9", "null", '"2"', "-1", "''", "1.5", "0x2", "true")),
    *(
        f"{name}: {value}"
        for name in ("kms", "pgp", "hckms", "age")
        for value in ("[]", "null", "''", "{}", "x", "[x]")
    ),
    *("pgp: [{fp: x}]", "kms: [{}]", "key_groups: []", "key_groups: [{}]", "key_groups: null", "key_groups: ''"),
    *("unknown: 1", "unknown: [1, {a: b}]", "hc_vault: []", "azure_kv: [null]", "age: [null]", "key_groups: [null]"),
    *("5: x", "Unknown: x", "version: 3.9", "version: ''", "lastmodified: ''", "mac: ''"),
)

_VERSIONS: Final = (
    *("3.13.3", "v3.9.0", "3.9", "99.0.0", "1.14", "x", "''", "null", "3.9.0-rc1", "3.9.0+b", "3", "-1.0.0", "3.9.0 "),
    *(
        '"3.9.0"',
        "03.9.0",
        "3.9.0.1",
        "3.9.0-",
        "V3.9.0",
        "3.9.0-01",
        "[3]",
        "3.9.0-é",
        "1_0.2.3",
        "18446744073709551616.0.0",
    ),
)

_TIMES: Final = (
    *("2024-01-02T03:04:05Z", "2024-01-02T03:04:05", "2024-01-02", "0000-00-00T00:00:00Z", "''", "null", "x", "5"),
)


def _lastmodified(draw: DrawFn, text: str) -> str:
    match = re.search(r'(?<=    lastmodified: ")([^"]*)(?=")', text)
    if match is None:
        return text
    now = match[0]
    kind = draw(st.integers(0, 3))
    if kind == 0 and now:
        at = draw(st.integers(0, len(now) - 1))
        return replace(text, match.span(), now[:at] + draw(st.sampled_from("0123456789-:TtZz+., ")) + now[at + 1 :])
    if kind == 1:
        return replace(
            text, (match.start() - 1, match.end() + 1), draw(st.sampled_from((now, f"'{now}'", f"!!str {now}")))
        )
    bare, hour = now.removesuffix("Z"), now[11:13]
    same = (
        *(
            f"{bare}.5Z",
            f"{bare},5Z",
            f"{bare}.Z",
            f"{bare}.000000000001Z",
            f"{bare}+00:00",
            f"{bare}-00:00",
            f"{bare}z",
        ),
        *(
            now.replace("T", "t"),
            now.replace("T", " "),
            f" {now}",
            f"{now} ",
            f"{bare}+0000",
            f"{bare}+00",
            f"{bare}.5+00:00",
        ),
        *(
            f"{now[:11]}{hour.lstrip('0')}{now[13:]}",
            f"{bare}+24:00",
            f"{bare}+23:60",
            f"{bare}+99:00",
            bare,
            f"{bare}+01:00",
        ),
        *(
            f"{now[:17]}60Z",
            f"{now[:11]}24{now[13:]}",
            f"1{now}",
            f"+{now}",
            now.replace("-0", "-"),
            f"{now}\\n",
            *_TIMES,
        ),
    )
    return replace(text, match.span(), draw(st.sampled_from(same)))


def _field(name: str, values: tuple[str, ...]) -> Change:
    def mutate(draw: DrawFn, text: str) -> str:
        match = re.search(rf"(?<=^    {name}: ).*$", text, re.MULTILINE)
        return text if match is None else replace(text, match.span(), draw(st.sampled_from(values)))

    return mutate


def _add_to_metadata(draw: DrawFn, text: str) -> str:
    line = draw(st.sampled_from(_METADATA_LINES))
    name = line.partition(":")[0]
    if draw(st.booleans()):  # instead of what is there
        text = re.sub(rf"^    {name}:.*\n(?:     .*\n)*", "", text, flags=re.MULTILINE)
    return re.sub(r"^sops:\n", lambda match: f"{match[0]}    {line}\n", text, flags=re.MULTILINE)


def _metadata_name(draw: DrawFn, text: str) -> str:
    match = pick(draw, _FIELD, text[text.rfind("\nsops:") + 1 :])
    if match is None:
        return text
    name = match[1]
    new = draw(
        st.sampled_from(
            (
                name.upper(),
                name.title(),
                name[0].upper() + name[1:],
                f'"{name}"',
                f"'{name}'",
                f"{name}x",
                f"? {name}\n    ",
                name.replace("s", "\u017f"),
            )
        )
    )
    start = text.rfind("\nsops:") + 1 + match.start(1)
    return replace(text, (start, start + len(name)), new)


def _drop_field(draw: DrawFn, text: str) -> str:
    start = text.rfind("\nsops:") + 1
    match = pick(draw, re.compile(r"^    [a-z_]+:.*\n(?:     .*\n)*", re.MULTILINE), text[start:])
    return text if match is None else text[:start] + replace(text[start:], match.span(), "")


def _armor(draw: DrawFn, text: str) -> str:
    match = re.search(r"-----BEGIN AGE ENCRYPTED FILE-----[\s\S]*?-----END AGE ENCRYPTED FILE-----", text)
    if match is None:
        return text
    at = draw(st.integers(0, len(match[0]) - 1))
    return replace(text, (match.start() + at, match.start() + at + 1), draw(st.sampled_from(f"{BASE64}=- \n")))


METADATA_CHANGES: Final[tuple[Weighted, ...]] = (
    ("lastmodified", 5, _lastmodified),
    ("version", 2, _field("version", _VERSIONS)),
    ("metadata", 6, _add_to_metadata),
    ("metadata name", 2, _metadata_name),
    ("metadata field dropped", 1, _drop_field),
    ("armor", 2, _armor),
)
