"""The tables of the study's page, by hand."""

import polars as pl
import pytest

from bench.html.texts import NOTHING
from bench.study.page import shown
from bench.study.statistics.curves import CONVERGENCE, HISTORY
from bench.study.statistics.differences import SCHEMA


def test_epochs_of_both_are_means_over_the_seeds_that_get_there() -> None:
    rows = [("ials", "ials", 0, 1.0, 2, 4, 2.0, 4.0), ("ials", "ials", 1, 1.0, None, 100, None, 100.0)]
    curves = pl.DataFrame(rows, CONVERGENCE, orient="row")
    epochs = pl.DataFrame([dict.fromkeys(HISTORY) | {"experiment": "ials", "seconds": 1.0}], schema=HISTORY)
    (row,) = shown.convergence({"convergence": curves, "history": epochs})["rows"]
    assert row == ["ials", "1 of 2", "2.0", "4.0", "2.0", "4.0", "1.00"]
    (row,) = shown.convergence({"convergence": curves[1:], "history": epochs})["rows"]
    assert row == ["ials", "0 of 1", *[NOTHING] * 4, "1.00"]


@pytest.mark.parametrize(("epochs", "said"), [("as configured", "yes"), ("at most 6 epochs", NOTHING)])
def test_a_study_of_fewer_epochs_calls_nothing_significant(epochs: str, said: str) -> None:
    about = pl.DataFrame({"data": ["d"], "name": ["epochs of a transformer"], "value": [epochs]})
    found = {"split": "leave-one-out", "family": "primary", "one": "hybrid", "other": "scratch", "metric": "hit@10"}
    found |= {"value": 0.1, "low": 0.05, "high": 0.2, "p": 0.01, "p_corrected": 0.02, "significant": True, "seeds": 2}
    differences = pl.DataFrame([dict.fromkeys(SCHEMA) | found], schema=SCHEMA)
    scarce = differences.with_columns(
        data=pl.lit("d"), users=pl.lit(150), history=pl.lit(None), other_value=pl.lit(0.1)
    )
    tables = {"about": about, "differences": differences.with_columns(data=pl.lit("d")), "scarcity": scarce}
    for table in (shown.differences(tables), shown.scarcity(tables)):
        assert [row[-1] for row in table["rows"]] == [said] and table["header"][-1] == "significant"


def test_parts_of_the_curve_are_no_other_splits() -> None:
    names = {"protocol": "full", "metric": "hit@10", "value": 0.1, "low": 0.0, "high": 0.2}
    splits = {"scratch": ("leave-one-out", "time-split"), "hybrid-ials": ("leave-one-out", "users-150", "history-5")}
    rows = [names | {"experiment": e, "title": e, "split": split} for e, some in splits.items() for split in some]
    table = shown.variations({"summary": pl.DataFrame(rows)})
    assert [row[0] for row in table["rows"]] == ["scratch"] and table["header"][3:] == [
        "Hit@10, time split", "NDCG@10, time split",
    ]  # fmt: skip
