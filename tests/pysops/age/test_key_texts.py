"""Texts of age identities: where one ends and the next begins."""

from pathlib import Path

import pytest

from tests.support.age_judge import AgeJudge
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


@pytest.mark.parametrize(
    ("space", "parts"),
    [
        *((space, True) for space in " \t\v\f\x85\xa0\u1680\u2003\u2028\u202f\u205f\u3000"),
        *((space, False) for space in "\x1c\x1d\x1e\x1f\u180e\u200b\ufeff"),
    ],
)
def test_words_are_parted_where_sops_parts_them(
    sops: SopsTool, age_key: AgeKey, tmp_path: Path, space: str, *, parts: bool
) -> None:
    """By the white space of Go, which is not that of Python."""
    file = sops.encrypt(b"a: x\n", [age_key.recipient])
    keys = AgeKey.generate().identity + space + age_key.identity
    assert AgeJudge(sops=sops, home=tmp_path).opens(file, {"SOPS_AGE_KEY": keys}) is parts
