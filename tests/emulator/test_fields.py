"""The parameters of a request stay what they were."""

import pytest

from reconciler.emulator.fields import Fields


def test_parameters_cannot_be_changed() -> None:
    """Neither through the mapping they came in, nor afterwards."""
    given: dict[str, object] = {"scope": "app"}
    fields = Fields(values=given)
    given["scope"] = "other"

    assert fields.text("scope") == "app"
    with pytest.raises(TypeError):
        fields.values["scope"] = "other"  # type: ignore[index]  # that is the point
