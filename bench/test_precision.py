"""int8 beside float32: seconds in alternation, size, and the metrics that each gives.

pytest --benchmark-only bench/test_precision.py
"""

import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bench.ratios import ROUNDS, paired_ratio
from bench.workloads.cases import BATCH, K
from bench.workloads.workload import MAIN, OTHERS
from export.exporter import export
from infer.histories.windows import seen
from infer.model.session import open_model
from infer.model.signature import DROPPED
from infer.scoring.job import open_job
from infer.scoring.plan import Settings
from infer.scoring.run import score_table

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
    result = score_table(open_job(open_model(model, device)), output, Settings(k=K, restart=True))
    assert result.metrics is not None, "the workload has test items"
    table = result.metrics[model.stem]
    return {name: table.row(by_predicate=pl.col("metric") == name, named=True)["value"] for name in METRICS}


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("kind", ["mf", "bert", "hybrid"])
def test_int8(benchmark, case, kind: str, device: str, workload: str, tmp_path: Path) -> None:
    benchmark.group = f"precision: batch of {BATCH}, {workload}"
    whole = case(kind, device, WORKLOADS[workload])
    small = open_model(int8_file(whole.model.path), device)
    rows = whole.batch(BATCH)
    histories, users = whole.part(rows)
    seconds: list[float] = []
    lists: list[tuple[np.ndarray, np.ndarray]] = []

    def float32() -> None:
        began = time.perf_counter()
        lists[:] = [whole.model.top(histories, users, K)]
        seconds.append(time.perf_counter() - began)

    items, scores = benchmark.pedantic(
        lambda: small.top(histories, users, K), setup=float32, rounds=ROUNDS, warmup_rounds=2
    )
    ((whole_items, whole_scores),) = lists
    whole.check(rows, whole_items, whole_scores)
    assert (scores > DROPPED).all() and (np.diff(scores, axis=1) <= 0).all()
    assert not (items[:, :, None] == seen(histories)[:, None, :]).any(), "a list holds a seen item"
    shared = np.mean([len(set(a) & set(b)) / K for a, b in zip(items, whole_items, strict=True)])
    measured = {
        name: metrics(path, device, tmp_path / f"{name}.parquet")
        for name, path in (("float32", whole.model.path), ("int8", small.path))
    }
    sizes = {"float32": whole.model.path.stat().st_size / 1e6, "int8": small.path.stat().st_size / 1e6}
    benchmark.extra_info |= whole.about(
        "precision", batch=BATCH, float32_ratio=paired_ratio(seconds, benchmark.stats.stats.data),
        metrics=measured, megabytes=sizes, shared_items=float(shared),
    )  # fmt: skip
