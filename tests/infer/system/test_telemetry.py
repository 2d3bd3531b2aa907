"""Libraries that report what is called are told not to, in words that they understand."""

import subprocess
import sys

import pytest

from tests.helpers.checkerboard import ROOT

SAID = "from infer.system.telemetry import send_nothing; send_nothing(); "


@pytest.mark.parametrize(
    ("library", "asked"),
    [
        ("mlflow", "from mlflow.telemetry.utils import is_telemetry_disabled as off; print(off())"),
        ("huggingface_hub", "from huggingface_hub.constants import HF_HUB_DISABLE_TELEMETRY as off; print(off)"),
        ("ray", "from ray._common.usage.usage_lib import usage_stats_enabled as on; print(not on())"),
    ],
)
def test_the_library_itself_says_that_it_sends_nothing(library: str, asked: str) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed")
    found = subprocess.run([sys.executable, "-c", SAID + asked], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.strip() == "True", found.stderr
