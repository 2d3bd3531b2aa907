"""On a CUDA device: the same lists as on the CPU, in fp32 and in fp16. Skipped, with the reason, without one."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from export import exporter
from infer.scoring.lists import model_lists
from infer.scoring.options import ScoringConfig
from infer.scoring.task import prepare

pytestmark = pytest.mark.skipif(
    "CUDAExecutionProvider" not in ort.get_available_providers(),
    reason=f"onnxruntime {ort.__version__} here offers no CUDA provider: needs onnxruntime-gpu and a CUDA device",
)


@pytest.mark.parametrize("kind", ["mf", "bert", "hybrid"])
def test_lists_on_the_gpu_are_those_of_the_cpu(artifacts: Path, kind: str) -> None:
    lists = {}
    for device in ("cpu", "cuda"):
        task = prepare(ScoringConfig(model=artifacts / f"{kind}.onnx", device=device).job())
        assert task.model.session.get_providers()[0].lower().startswith(device)
        lists[device] = model_lists(task, 10, 16)
    # Products are rounded otherwise, so neighbours with near-equal scores may change places.
    np.testing.assert_allclose(lists["cuda"]["score"], lists["cpu"]["score"], atol=3e-2)
    assert (lists["cuda"]["item"] == lists["cpu"]["item"]).mean() > 0.95


def test_half_precision_runs_there(artifacts: Path) -> None:
    path, metadata = exporter.export("hybrid", artifacts, "fp16", largest_loss=1.0)
    task = prepare(ScoringConfig(model=path, device="cuda").job())
    lists = model_lists(task, 10, 16)
    assert metadata.precision == "fp16" and lists.group_by("user").len()["len"].to_list() == [10] * 40
    path.unlink()
