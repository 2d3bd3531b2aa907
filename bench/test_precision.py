"""int8 beside float32: seconds in alternation, size, and the metrics that each gives.

pytest --benchmark-only bench/test_precision.py
"""

import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bench.workloads.cases import K
from bench.workloads.workload import MAIN, OTHERS
from export.exporter import export
from infer.histories.windows import seen
from infer.model.session import open_model
from infer.model.signature import DROPPED
from infer.scoring.job import open_job
from infer.scoring.run import Settings, score_table

BATCH, ROUNDS = 256, 12
WORKLOADS = {"small catalogue": MAIN, "large catalogue": OTHERS["large catalogue"]}
METRICS = (f"hit@{K}", f"ndcg@{K}")


def int8_file(model: Path) -> Path:
    """The int8 file beside `model`, written by the command if it is not there, whatever it loses: that is shown."""
    path = model.with_suffix(".int8.onnx")
    if not path.is_file():
        export(model.stem, model.parent, "int8", largest_loss=1.0)
    return path


def metrics(model: Path, device: str, output: Path) -> dict[str, float]:
    """Of the test items, as the command measures them."""
    found = score_table(open_job(open_model(model, device)), output, Settings(k=K, restart=True))
    own = found.metrics[model.stem]
    return {name: own.row(by_predicate=pl.col("metric") == name, named=True)["value"] for name in METRICS}


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("kind", ["mf", "bert", "hybrid"])
def test_int8(benchmark, case, kind: str, device: str, workload: str, tmp_path: Path) -> None:
    benchmark.group = f"precision: batch of {BATCH}, {workload}"
    one = case(kind, device, WORKLOADS[workload])
    small = open_model(int8_file(one.model.path), device)
    rows = one.batch(BATCH)
    histories, users = one.part(rows)
    seconds = []

    def float32() -> None:
        began = time.perf_counter()
        whole[:] = one.model.top(histories, users, K)
        seconds.append(time.perf_counter() - began)

    whole = [None, None]
    items, scores = benchmark.pedantic(
        lambda: small.top(histories, users, K), setup=float32, rounds=ROUNDS, warmup_rounds=2
    )
    one.check(rows, *whole)
    assert (scores > DROPPED).all() and (np.diff(scores, axis=1) <= 0).all()
    assert not (items[:, :, None] == seen(histories)[:, None, :]).any(), "a list holds a seen item"
    own = np.array(benchmark.stats.stats.data)
    ratios = np.array(seconds[-len(own) :]) / own
    low, middle, high = (float(np.percentile(ratios, share)) for share in (25, 50, 75))
    shared = np.mean([len(set(a) & set(b)) / K for a, b in zip(items, whole[0], strict=True)])
    measured = {
        name: metrics(path, device, tmp_path / f"{name}.parquet")
        for name, path in (("float32", one.model.path), ("int8", small.path))
    }
    sizes = {"float32": one.model.path.stat().st_size / 1e6, "int8": small.path.stat().st_size / 1e6}
    benchmark.extra_info |= one.about(
        "precision", batch=BATCH, float32_ratio={"ratio": middle, "low": low, "high": high}, metrics=measured,
        megabytes=sizes, shared_items=float(shared),
    )  # fmt: skip
