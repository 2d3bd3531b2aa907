"""Published results beside ours: which data set is meant, the ratios, and what ours cost."""

import json
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from bench.study.experiments import EXPERIMENTS, LEAVE_ONE_OUT
from bench.study.page import plots, shown
from bench.study.statistics.anchors import ANCHORED, PUBLISHED, anchors
from bench.study.statistics.costs import costs
from bench.study.study import StudyConfig, chosen
from infer.errors import InputError

ML_1M = (6040, 3416, 999_611)


def tables() -> dict[str, pl.DataFrame]:
    values = {"markov": (0.27, 0.157), "hybrid": (0.33, 0.1953), "scratch": (0.3, 0.15)}
    rows = [
        (name, name.upper(), metric, "full", LEAVE_ONE_OUT, 3, value, value - 0.01, value + 0.01)
        for name, pair in values.items()
        for metric, value in zip(("hit@10", "ndcg@10"), pair, strict=True)
    ]
    names = ["experiment", "title", "metric", "protocol", "split", "seeds", "value", "low", "high"]
    spent = [("markov", "", 0, 10.0, 100.0, 5), ("hybrid", "", 0, 100.0, 300.0, 7), ("hybrid", "", 1, 300.0, 500.0, 7)]
    spent += [("scratch", "", 0, 90.0, None, None)]
    names_of_costs = ["experiment", "title", "seed", "seconds", "peak_mib", "parameters"]
    return {
        "summary": pl.DataFrame(rows, schema=names, orient="row"),
        "costs": pl.DataFrame(spent, schema=names_of_costs, orient="row"),
    }


def test_published_and_own_results_stand_by_ndcg_with_ratios_and_costs() -> None:
    found = anchors(tables(), ML_1M)
    assert found["ndcg"].is_sorted() and found.height == 3 + len(PUBLISHED[ML_1M])
    best = found.row(-1, named=True)
    assert best["name"] == "HYBRID" and best["ratio"] == pytest.approx(0.1953 / 0.189)
    assert (best["seconds"], best["peak_mib"], best["parameters"], best["seeds"]) == (200, 400, 7, 3)
    (large,) = found.filter(pl.col("name") == "HSTU-large").to_dicts()
    assert large["ratio"] == 1 and large["seconds"] is None and large["source"] == "Zhai et al. 2024"


def test_another_data_set_has_none() -> None:
    assert anchors(tables(), (6040, 3416, 999_610)).is_empty()


def test_table_and_front_show_both() -> None:
    both = tables() | {"anchors": anchors(tables(), ML_1M)}
    rows = {row[0]: row for row in shown.anchors(both)["rows"]}
    assert rows["HYBRID"][1:] == ["ours, 3 seeds", "33.00", "19.53 [18.53, 20.53]", "1.03", "200", "400", "7"]
    assert rows["FuXi-α"][1:5] == ["Ye et al. 2025", "31.60", "18.10", "0.96"] and rows["FuXi-α"][5:] == ["–"] * 3
    plot = json.loads(plots.front(both))
    on, off = plot["data"]
    # From scratch is slower than the chain and worse.
    assert on["text"] == ["MARKOV", "HYBRID"] and off["hovertext"] == ["SCRATCH"]
    assert {shape["y0"] for shape in plot["layout"]["shapes"]} == {p.ndcg * 100 for p in PUBLISHED[ML_1M]}
    assert plots.front({name: table.clear() for name, table in both.items()}) is None


def test_costs_count_what_a_trial_starts_from(tmp_path: Path) -> None:
    def trial(name: str, *parents: str, **said: float) -> SimpleNamespace:
        marker = tmp_path / f"{name}.trial.json"
        marker.write_text(json.dumps(said))
        files = {parent: tmp_path / f"{parent}.pt" for parent in parents}
        names = SimpleNamespace(name=name, title=name.upper())
        return SimpleNamespace(marker=marker, experiment=names, seed=1, parents=lambda: files)

    one = trial("a", seconds=2.0, peak_bytes=3 * 2**20, parameters=5)
    other = trial("b", "a", "gone", seconds=1.0, peak_bytes=2**20, parameters=9)
    old = trial("old", seconds=4.0)
    assert costs([one, other, old]).rows() == [
        ("a", "A", 1, 2.0, 3.0, 5), ("b", "B", 1, 3.0, 3.0, 9), ("old", "OLD", 1, 4.0, None, None),
    ]  # fmt: skip


def test_anchors_are_experiments_with_all_that_they_start_from() -> None:
    found = chosen(StudyConfig(anchors=True))
    names = {experiment.name for experiment in found}
    assert names == set(ANCHORED) and all(set(experiment.parents) <= names for experiment in found)
    assert names <= {experiment.name for experiment in EXPERIMENTS}
    with pytest.raises(InputError, match="--anchors names its experiments itself"):
        chosen(StudyConfig(anchors=True, only="scratch"))
