"""A program that takes the place of sops, and is not asked its version each time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.pysops.binary.wrapper import SopsBinary
from tests.support.fake_sops import FakeSops


def faked(
    folder: Path,
    environ: Mapping[str, str] | None = None,
    *,
    timeout_s: float = 20,
    **wishes: Any,  # noqa: ANN401  # of each wish its own kind
) -> tuple[SopsBinary, FakeSops]:
    """Make one, as `FakeSops` takes wishes; in an environment of nothing but ``environ``."""
    fake = FakeSops(folder, **wishes)
    binary = SopsBinary(
        path=fake.path, version=(3, 13, 3), environ={**(environ or {}), **fake.environ}, timeout_s=timeout_s
    )
    return binary, fake
