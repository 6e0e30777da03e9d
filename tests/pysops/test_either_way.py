"""Either way of opening a file gives the same values, and refuses the same."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import pysops
from reconciler.pysops.binary.wrapper import SopsBinary
from tests.pysops.conftest import Locksmith


ALL_SORTS = """
# above
text: "a < b & c > d \U0001f511 \\u2028 \\x85 \\\\ \\" '"
empty: ""
nothing: null
list: [one, 2, 3.5, true, null, "", [nested, [deeper]], {k: v}, {}, []]
map: {a: {b: {c: d}}, empty: {}, none: []}
commented:
  - first
  # between
  - second
  # at the end
numbers: [0, -0, 1, -1, 9223372036854775807, -9223372036854775808, 0x1F, 0o17, 1_000]
floats: [0.0, 1.0, 1.5, 1e22, 1e-7, 1.7976931348623157e308, 5e-324, 123456789012345678901234567890]
times: [2024-01-02, 2024-01-02T03:04:05Z, 2024-01-02T03:04:05.123456789+05:30, 2024-01-02 03:04:05]
bools: [true, false, yes, "true"]
"odd key: [x] ": {"": "no name", "a\\"b": 1}
kept_unencrypted: ["plain <&>", 16, 1.0, 1e22, 2024-01-02T03:04:05.5+01:00, true, null, {a: [b]}]
"""


@pytest.fixture(scope="module")
def binary(locksmith: Locksmith, tmp_path_factory: pytest.TempPathFactory) -> SopsBinary:
    """Find the real program, with the key of the locksmith."""
    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys.write_text(f"{locksmith.key.identity}\n")
    return SopsBinary.find({"SOPS_BINARY": str(locksmith.sops.binary), "SOPS_AGE_KEY_FILE": str(keys)})


@pytest.fixture(scope="module")
def identities(locksmith: Locksmith) -> pysops.Identities:
    """Make the identities of the locksmith."""
    return pysops.Identities.from_text(locksmith.key.identity, "test")


def _exact(value: object) -> object:
    """Return ``value`` so that ``==`` tells types apart, and 0.0 from -0.0."""
    match value:
        case dict():
            return [(key, _exact(below)) for key, below in value.items()]
        case list():
            return [_exact(item) for item in value]
        case _:
            return (type(value).__name__, repr(value))


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param((), id="default"),
        pytest.param(("--encrypted-regex", "^(list|map|a)$"), id="encrypted-regex"),
        pytest.param(("--unencrypted-regex", "^(list|floats|c)$"), id="unencrypted-regex"),
        pytest.param(("--encrypted-suffix", "s"), id="encrypted-suffix"),
        pytest.param(("--unencrypted-suffix", "s"), id="unencrypted-suffix"),
    ],
)
def test_the_program_gives_what_is_read_in_process(
    flags: tuple[str, ...], locksmith: Locksmith, binary: SopsBinary, identities: pysops.Identities
) -> None:
    """Value by value, with types, in order."""
    document = pysops.parse(locksmith.lock(ALL_SORTS.encode(), *flags))
    assert _exact(binary.decrypt(document)) == _exact(pysops.decrypt(document, identities))


_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON leaves as it is and YAML takes for a line break or refuses."""

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)
_TREES = st.recursive(
    _LEAVES,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(tree=st.dictionaries(st.text().filter(lambda key: key not in {"sops", "<<"}), _TREES, min_size=1, max_size=4))
def test_random_trees_come_out_the_same_either_way(
    tree: dict[str, object], locksmith: Locksmith, binary: SopsBinary, identities: pysops.Identities
) -> None:
    """Whatever text and numbers there are: JSON is YAML, as far as we read it."""
    text = _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(tree, ensure_ascii=False))
    data = locksmith.sops.encrypt(text.encode(), [locksmith.key.recipient])
    try:
        document = pysops.parse(data)
    except pysops.DocumentError:
        return  # what sops wrote is against a rule of strict reading, such as a key `<<` further down
    assert _exact(binary.decrypt(document)) == _exact(pysops.decrypt(document, identities))


def test_text_that_is_not_utf8_comes_out_exactly(
    locksmith: Locksmith, binary: SopsBinary, identities: pysops.Identities
) -> None:
    """JSON cannot hold it: it is fetched by itself."""
    text = b'a: !!binary /////w==\nlist: [x, !!binary /3g=]\n"b\\"c": {d: !!binary gICA}\nfine: "\\ufffd"\n'
    document = pysops.parse(locksmith.lock(text))
    expected = {"a": b"\xff" * 4, "list": ["x", b"\xffx"], 'b"c': {"d": b"\x80" * 3}, "fine": "\ufffd"}
    assert pysops.decrypt(document, identities) == expected
    assert binary.decrypt(document) == expected
