"""Seconds by stage, and the peak memory of one process."""

import subprocess
import sys

import numpy as np

from infer.system.stages import Stages
from tests.helpers.checkerboard import ROOT


def test_stages_add_up() -> None:
    stages = Stages()
    for name in ("read", "model", "read"):
        with stages(name):
            pass
    assert list(stages.as_dict()) == ["read", "model", "total"]
    assert sum(stages.seconds.values()) <= stages.elapsed
    assert str(stages).startswith("read 0.00 s, model 0.00 s, total") and "MiB" in str(stages)


def test_peak_memory_is_of_this_process_and_not_of_its_parent() -> None:
    held = np.ones(40_000_000)  # 320 MB, here
    script = "from infer.system.memory import peak_memory; a = peak_memory(); b'x' * 10**8; print(a, peak_memory())"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before < held.nbytes and 0.9e8 < after - before < 1.5e8
