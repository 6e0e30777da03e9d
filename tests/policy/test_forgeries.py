"""What an attacker without a key can do to a file that sops still decrypts: each is seen without a key.

The MAC of sops covers the bytes of all leaves one after the other; names of plain keys, boundaries between plain
values, empty values and the selector are not in it. Every case first proves that the real binary accepts the forgery.
"""

import json
from collections.abc import Callable

import pytest

from reconciler.errors import InvalidInput
from reconciler.policy import load
from tests.policy.samples import HOST, sources
from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import scope_text
from tests.support.sops_tool import SopsTool


PATH = "secrets/prod/app.yaml"
KNOWN = "<MANAGE evil>"
"""The text of a secret that the attacker knows, as it is his own or was public."""


@pytest.fixture(scope="module")
def key() -> AgeKey:
    """One key for all cases: it is the files that differ."""
    return AgeKey.generate()


@pytest.fixture(scope="module")
def genuine(sops: SopsTool, key: AgeKey) -> str:
    """Encrypt the file that all cases forge."""
    plaintext = scope_text(
        {HOST: {"app": {"known": KNOWN, "other": "x"}}},
        acls=["<WRITE admins>", "<READ users>"],
        prune="all",
        rotation=["<90d known>"],
    )
    return sops.encrypt(plaintext.encode(), [key.recipient], encrypted_regex="^secrets$").decode()


def _swap(old: str, new: str) -> Callable[[str], str]:
    def swap(text: str) -> str:
        assert text.count(old) == 1
        return text.replace(old, new)

    return swap


def _line_behind(start: str, line: str) -> Callable[[str], str]:
    """Return a forgery that puts ``line`` behind the one that starts with ``start``."""

    def insert(text: str) -> str:
        lines = text.splitlines(keepends=True)
        (index,) = [index for index, each in enumerate(lines) if each.lstrip().startswith(start)]
        return "".join((*lines[: index + 1], line, *lines[index + 1 :]))

    return insert


def _without(text: str, start: str) -> str:
    """Take the secret away whose text is then put elsewhere."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith(start))


def _after_known(forge: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: forge(_without(text, "known:"))


def _cut(text: str) -> str:
    """Put text behind the closing bracket of the first value."""
    return text.replace(",type:str]", ",type:str] and more", 1)


def test_the_genuine_file_is_accepted(genuine: str) -> None:
    """Or the cases below would prove nothing."""
    assert load(sources({PATH: genuine})).problems() == ()


@pytest.mark.parametrize(
    ("forge", "fragment"),
    [
        pytest.param(_swap("prune: all", "note: all"), "unknown field 'note'", id="rename-a-plain-key"),
        pytest.param(_swap("rotation:", "acls2:"), "unknown field 'acls2'", id="rename-a-list"),
        pytest.param(
            lambda text: text.replace("acls:", "x:", 1).replace("rotation:", "acls:", 1).replace("x:", "rotation:", 1),
            "an entry of acls is not a grant",
            id="exchange-two-names",
        ),
        pytest.param(
            _swap("- <WRITE admins>\n    - <READ users>", "- <WRITE admins><READ users>"),
            "an entry of acls is not a grant",
            id="join-two-grants",
        ),
        pytest.param(
            _swap("- <WRITE admins>\n    - <READ users>", "- <WRITE admins><READ\n    - ' users>'"),
            "an entry of acls is not a grant",
            id="move-the-boundary-between-grants",
        ),
        pytest.param(
            _swap("- <READ users>\nprune: all\n", "- <READ users>all\n"), "is not a grant", id="prune-into-a-grant"
        ),
        pytest.param(_swap("- <WRITE admins>\n", "- <WRITE admins\n    - '>'\n"), "is not a grant", id="split-a-grant"),
        pytest.param(
            _swap("    - <READ users>\nprune: all\nrotation:\n", "prune: <READ users>all\nrotation:\n"),
            "prune is none of the words",
            id="grant-into-prune",
        ),
        pytest.param(
            _swap("prune: all\nrotation:\n    - <90d known>\n", "prune: all<90d known>\n"),
            "prune is none of the words",
            id="rule-into-prune",
        ),
        pytest.param(
            _after_known(_swap("version: 1", f"version: 1{KNOWN}")),
            "the version is not 1",
            id="known-secret-into-version",
        ),
        pytest.param(
            _after_known(_swap("version: 1\n", f"version: 1\nacls2: {KNOWN}\n")),
            "unknown field 'acls2'",
            id="known-secret-into-a-field-of-its-own",
        ),
        pytest.param(
            lambda text: _without(text, "other:").replace("sops:\n", "evil: x\nsops:\n", 1),
            "unknown field 'evil'",
            id="known-secret-behind-the-secrets",
        ),
        pytest.param(_line_behind("known:", "            new: ''\n"), "a value is empty text", id="add-empty-text"),
        pytest.param(_line_behind("known:", "            new: null\n"), "a value is null", id="add-null"),
        pytest.param(_line_behind("known:", "            new:\n"), "a value is null", id="add-nothing"),
        pytest.param(_line_behind("known:", "            new: {}\n"), "a value is an empty mapping", id="add-mapping"),
        pytest.param(_line_behind("known:", "            new: []\n"), "a value is a list", id="add-list"),
        pytest.param(_line_behind("known:", "            new: {empty: ''}\n"), "a value is empty text", id="add-form"),
        pytest.param(
            _swap("version: 1\n", "version: 1\nextra: ''\n"), "unknown field 'extra'", id="add-an-empty-field"
        ),
        pytest.param(
            _swap("- <READ users>\n", "- <READ users>\n    - ''\n"), "is not a grant", id="add-an-empty-grant"
        ),
        pytest.param(
            _swap("encrypted_regex: ^secrets$", "encrypted_regex: ^(secrets|later)$"),
            "not told to encrypt",
            id="edit-the-selector",
        ),
        pytest.param(
            _swap("encrypted_regex: ^secrets$", "unencrypted_regex: ^(acls|prune|rotation|version)$"),
            "not told to encrypt",
            id="exchange-the-selector",
        ),
        pytest.param(lambda text: f"{text}---\nversion: ''\n", "", id="add-a-document"),
        pytest.param(_cut, "", id="text-behind-a-value"),
    ],
)
def test_forgeries_that_sops_decrypts_are_refused_without_a_key(
    forge: Callable[[str], str], fragment: str, genuine: str, key: AgeKey, sops: SopsTool
) -> None:
    """One by one: the binary takes it, the policy does not."""
    forged = forge(genuine)
    assert forged != genuine
    sops.decrypt(forged.encode(), key.identity)
    with pytest.raises(InvalidInput) as caught:
        load(sources({PATH: forged})).select(("prod",))
    assert fragment in str(caught.value)
    assert all(problem.line is not None for problem in caught.value.problems)


def test_a_copy_of_a_file_is_refused(genuine: str, key: AgeKey, sops: SopsTool) -> None:
    """It decrypts, as the path is in no MAC; but then two files feed the same keys."""
    policy = load(sources({PATH: genuine, "secrets/other/copy.yaml": genuine}))
    assert json.loads(sops.decrypt(genuine.encode(), key.identity, output_type="json"))["version"] == 1
    whats = [problem.what for problem in policy.problems()]
    assert any("is also fed by secrets/other/copy.yaml" in what for what in whats)
    with pytest.raises(InvalidInput):
        policy.select(("prod/app",))


def test_another_type_that_sops_accepts_is_refused(sops: SopsTool, key: AgeKey) -> None:
    """The type is not authenticated: "5" read as a number is the same bytes to the MAC."""
    plaintext = scope_text({HOST: {"app": {"port": "5"}}})
    forged = sops.encrypt(plaintext.encode(), [key.recipient], encrypted_regex="^secrets$").replace(
        b",type:str]", b",type:int]", 1
    )
    sops.decrypt(forged, key.identity)
    (problem,) = load(sources({PATH: forged.decode()})).problems()
    assert problem.what == "an encrypted value is a whole number, and secrets are text"
