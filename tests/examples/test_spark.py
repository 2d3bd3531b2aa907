"""The example for Spark gives the scorer's lists, and opens the model once in each Python worker."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

from tests.helpers.checkerboard import HANGS, ROOT
from tests.helpers.nights import write_night


@pytest.mark.skipif(
    find_spec("pyspark") is None or shutil.which("java") is None, reason="needs pyspark and a Java runtime"
)
def test_lists_are_those_of_the_batch_scorer(tmp_path: Path, run) -> None:
    model = write_night(tmp_path) / "m.onnx"
    table = tmp_path / "events.parquet"
    rows = pl.read_parquet(tmp_path / "interactions.parquet").select("user", "item", "timestamp")
    rows.sample(fraction=1, shuffle=True, seed=1).write_parquet(table)
    words = ["--conf", "spark.ui.enabled=false", "--conf", "spark.sql.shuffle.partitions=2", "--driver-memory", "1g"]
    environment = os.environ | {
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    code = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    environment["PYSPARK_SUBMIT_ARGS"] = " ".join(["--master", "local[2]", *words, "pyspark-shell"])
    words_of = (model, table, tmp_path / "lists", 5)
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, (ROOT / "examples/spark/recommend.py", *words_of))],
        env=environment, capture_output=True, text=True, timeout=HANGS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = pl.read_parquet(tmp_path / "lists" / "*.parquet").sort("user", "rank")
    output = tmp_path / "own.parquet"
    done = run("infer.batch", f"--model={model}", f"--interactions={table}", f"--output={output}", "--k=5")
    assert done.returncode == 0, done.stderr
    own = pl.read_parquet(output / "*.parquet").sort("user", "rank")
    assert own.height and found.equals(own.cast(dict(found.schema)))


def test_the_model_is_opened_once_in_a_process(tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "spark"))
    import histories

    histories.opened.cache_clear()
    batch = pl.DataFrame({"user": [2, 1], "items": [[1, 3], [2, 4]]}).to_arrow().to_batches()[0]
    lists = histories.lists_of(str(write_night(tmp_path) / "m.onnx"), 3)
    for _ in range(2):
        (found,) = lists(iter([batch.slice(0, 0), batch]))
        assert pl.from_arrow(found)["user"].to_list() == [1, 1, 1, 2, 2, 2]
    assert histories.opened.cache_info().misses == 1


def test_users_without_an_item_are_passed_over(tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "spark"))
    import histories

    schema = {"user": pl.Int64, "items": pl.List(pl.Int64)}
    batches = [
        pl.DataFrame({"user": users, "items": items}, schema=schema).to_arrow().to_batches()[0]
        for users, items in (([7], [[]]), ([8], [[None]]), ([1], [[2, 4]]))
    ]
    found = list(histories.lists_of(str(write_night(tmp_path) / "m.onnx"), 3)(iter(batches)))
    assert [pl.from_arrow(each)["user"].to_list() for each in found] == [[1, 1, 1]]
