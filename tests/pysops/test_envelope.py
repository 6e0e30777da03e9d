"""``ENC[…]`` taken apart without a key."""

import pytest

from reconciler.pysops import Envelope, parse_envelope


IV = "MyIDYbT718JRr11QtBkcj3Dwm4k1aCGZBVeZf0EyV8o="
TAG = "t5z2Z023Up0kxwCgw1gNxg=="
WHOLE = f"ENC[AES256_GCM,data:oYyi,iv:{IV},tag:{TAG},type:str]"


def test_a_whole_envelope_is_taken_apart() -> None:
    """Kind and size show without a key."""
    envelope = parse_envelope(WHOLE)
    assert isinstance(envelope, Envelope)
    assert (envelope.kind, envelope.size, len(envelope.iv), len(envelope.tag)) == ("str", 3, 32, 16)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("hunter2", id="plain text"),
        pytest.param(f" {WHOLE}", id="blank in front"),
        pytest.param(f"{WHOLE} trailing", id="text behind"),
        pytest.param(f"{WHOLE}\n", id="line break behind"),
        pytest.param(WHOLE[:-1], id="cut off"),
        pytest.param(WHOLE.replace("AES256_GCM", "AES128_GCM"), id="other cipher"),
        pytest.param(WHOLE.replace("oYyi", ""), id="no data"),
        pytest.param(WHOLE.replace("oYyi", "oYy"), id="data without padding"),
        pytest.param(WHOLE.replace("oYyi", "oYyi="), id="data with surplus padding"),
        pytest.param(WHOLE.replace("oYyi", "o\nYyi"), id="line break in data"),
        pytest.param(WHOLE.replace("oYyi", "oY-_"), id="other alphabet"),
        pytest.param(WHOLE.replace(TAG, "t5z2Z023Up0kxwCgw1gN"), id="short tag"),
        pytest.param(WHOLE.replace(TAG, f"{'A' * 24}"), id="long tag"),
        pytest.param(WHOLE.replace(IV, "AAAA"), id="short iv"),
        pytest.param(WHOLE.replace(IV, "A" * 400), id="long iv"),
        pytest.param(WHOLE.replace("type:str", "type:bytes"), id="type that sops never writes"),
        pytest.param(WHOLE.replace("type:str", "type:text"), id="unknown type"),
        pytest.param(WHOLE.replace("type:str", "type:str,x:y"), id="further field"),
        pytest.param(WHOLE.lower(), id="lower case"),
    ],
)
def test_anything_else_is_no_envelope(text: str) -> None:
    """What is not one whole envelope is none, even where sops would take it."""
    assert parse_envelope(text) is None
