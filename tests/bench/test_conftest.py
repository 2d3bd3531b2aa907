"""The benchmarks' own options."""

import pytest

from bench.records.records import cuda_is_there


def test_a_missing_gpu_ends_the_benchmarks_in_one_line(typed) -> None:
    if cuda_is_there():
        pytest.skip("a GPU is here")
    done = typed("pytest", "--benchmark-only", "--device=cuda", "bench/test_topk.py")
    assert done.returncode != 0 and "Traceback" not in done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert lines == ["ERROR: --device cuda: no such device here for both onnxruntime and PyTorch"]
