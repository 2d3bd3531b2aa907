"""The study's plots, by what their JSON holds."""

import json

import polars as pl

from bench.study.experiments import COHORT_PAIRS
from bench.study.page.plots import cohorts, curves, front, untimed


def test_of_published_results_the_lowest_and_the_highest_are_named() -> None:
    names = {"split": "leave-one-out", "protocol": "full", "metric": "ndcg@10", "low": 0.1, "high": 0.2}
    summary = pl.DataFrame([names | {"experiment": "scratch", "title": "from scratch", "value": 0.15}])
    costs = pl.DataFrame({"experiment": ["scratch"], "seconds": [60.0]})
    known = [("B", "paper", 0.17), ("A", "paper", 0.15), ("C", "paper", 0.18), ("from scratch", "ours", 0.2)]
    anchors = pl.DataFrame(known, schema=["name", "source", "ndcg"], orient="row")
    layout = json.loads(front({"summary": summary, "costs": costs, "anchors": anchors}))["layout"]
    assert [round(line["y0"]) for line in layout["shapes"]] == [15, 17, 18]
    assert [(note["text"], round(note["y"])) for note in layout["annotations"]] == [("A", 15), ("C", 18)]
    alone = json.loads(front({"summary": summary, "costs": costs, "anchors": anchors[:1]}))["layout"]
    assert [note["text"] for note in alone["annotations"]] == ["B"]


def test_models_whose_seconds_nobody_knows_are_left_out() -> None:
    names = {"split": "leave-one-out", "protocol": "full", "metric": "ndcg@10", "low": 0.1, "high": 0.2, "value": 0.15}
    summary = pl.DataFrame([names | {"experiment": name, "title": name} for name in ("scratch", "hybrid")])
    costs = pl.DataFrame({"experiment": ["scratch", "hybrid"], "seconds": [60.0, None]})
    anchors = pl.DataFrame(schema={"name": pl.String, "source": pl.String, "ndcg": pl.Float64})
    tables = {"summary": summary, "costs": costs.with_columns(title=pl.col("experiment")), "anchors": anchors}
    plot = json.loads(front(tables))
    assert [name for trace in plot["data"] for name in trace.get("text", [])] == ["scratch"]
    assert untimed(tables) == "; not drawn, since their seconds are not known: hybrid"
    assert untimed(tables | {"costs": tables["costs"][:1]}) == ""


def test_names_that_would_lie_on_each_other_stand_apart() -> None:
    names = {"split": "leave-one-out", "protocol": "full", "metric": "ndcg@10", "low": 0.1, "high": 0.2}
    near = {"markov": (0.149, 1.0), "the hybrid": (0.151, 62.0), "best.onnx": (0.152, 64.0)}
    summary = pl.DataFrame([names | {"experiment": n, "title": n, "value": value} for n, (value, _) in near.items()])
    costs = pl.DataFrame({"experiment": list(near), "seconds": [seconds for _, seconds in near.values()]})
    anchors = pl.DataFrame(schema={"name": pl.String, "source": pl.String, "ndcg": pl.Float64})
    drawn = json.loads(front({"summary": summary, "costs": costs, "anchors": anchors}))["data"][0]
    assert drawn["hovertext"] == drawn["text"] == list(near) and drawn["cliponaxis"] is False
    assert drawn["textposition"] == ["top right", "bottom left", "top left"]


def test_cohorts_show_the_models_that_are_compared_in_them() -> None:
    names = {
        "by": "target count",
        "cohort": "1-5",
        "metric": "hit@10",
        "users": 9,
        "value": 0.1,
        "low": 0.0,
        "high": 0.2,
    }
    asked = [name for pair in COHORT_PAIRS if "paper" not in pair[0] for name in pair]
    rows = pl.DataFrame([names | {"experiment": name, "title": name} for name in dict.fromkeys(asked)])
    drawn = json.loads(cohorts({"cohorts": rows}, "target count", "hit@10"))["data"]
    assert sorted(trace["name"] for trace in drawn) == sorted(set(asked))


def test_epochs_of_a_short_study_have_whole_ticks() -> None:
    names = {"experiment": "scratch", "title": "from scratch", "seed": 0, "train_loss": 7.0}
    rows = pl.DataFrame([names | {"epoch": epoch, "elapsed": 2.5 * epoch} for epoch in (1, 2)])
    by_epoch, by_second = (json.loads(curves({"history": rows}, "train_loss", axis)) for axis in ("epoch", "elapsed"))
    assert by_epoch["layout"]["xaxis"]["dtick"] == 1 and "dtick" not in by_second["layout"]["xaxis"]
