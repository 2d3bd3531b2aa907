"""The latency benchmark: its record, and that a wrong list is noticed."""

import json
from pathlib import Path

import polars as pl
import pytest

from bench import latency
from infer import Recommender
from infer.errors import InputError
from tests.helpers.told import bars_told


def test_the_record_holds_percentiles_of_every_rule(tmp_path: Path, capsys, monkeypatch) -> None:
    told = bars_told(monkeypatch)
    words = ["--items=300", "--kinds=bert", "--rounds=3", f"--folder={tmp_path}", f"--record={tmp_path / 'r.json'}"]
    latency.main(words)
    [record] = json.loads((tmp_path / "r.json").read_text())["records"]
    assert record["items"] == 300 and record["rounds"] == 3 and record["threads"]["onnxruntime"] == 1
    assert list(record["seconds"]) == ["no rules", "100 allowed", "half allowed", "1% excluded", "10 boosts"]
    assert all(0 < taken["p50"] <= taken["p95"] <= taken["p99"] for taken in record["seconds"].values())
    assert "bert, 300 items: p50/p99 ms: no rules " in capsys.readouterr().out
    assert [(bar.desc, bar.n) for bar in told] == [("bert.onnx", 2 + 3)], "two are checked"
    model = Recommender(tmp_path / "300" / "bert.onnx", threads=1)
    rules, history = latency.rules_of(model)["half allowed"], latency.histories(300, 1)[0]
    found = model.recommend(history, rules=rules)
    latency.check(model, rules, history, found)
    with pytest.raises(AssertionError, match="misses a better item"):
        latency.check(model, rules, history, found.with_columns(pl.col("score") - 1))
    with pytest.raises(AssertionError, match="misses a better item"):
        latency.check(model, rules, history, model.recommend(history))


def test_sizes_and_kinds_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(InputError, match="--items takes whole numbers from 200"):
        latency.main(["--items=10,x"])
    with pytest.raises(InputError, match="--items takes whole numbers from 200"):
        latency.main(["--items=30²"])
    with pytest.raises(InputError, match="--kinds are among bert, hybrid; found 'mf'"):
        latency.main(["--items=300", "--kinds=mf"])
