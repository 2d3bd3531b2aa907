"""Each of the tiny models, as the exports write them."""

from pathlib import Path

import pytest

NAMES = ("mf", "hybrid", "mf.k4", "hybrid.k3")


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest, models: Path) -> Path:
    """Its file."""
    return models / f"{request.param}.onnx"
