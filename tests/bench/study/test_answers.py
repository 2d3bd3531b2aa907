"""The study's sentences say what its numbers say."""

import polars as pl

from bench.study.answers import answers_cold, answers_convergence, compared, paper_note
from bench.study.curves import CONVERGENCE, speed
from bench.study.differences import SCHEMA

NOTHING = pl.DataFrame(schema={"experiment": pl.String, "metric": pl.String})


def row(value: float, low: float, high: float, **more) -> dict:
    return {"metric": "hit@10", "value": value, "low": low, "high": high, "p": 0.01, "users": 610, "seeds": 5} | more


def test_an_interval_with_zero_is_not_distinguishable() -> None:
    assert compared(row(0.02, 0.01, 0.03, seeds_low=0.005, seeds_high=0.035), "A", "B") == (
        "A is better than B: +2.00 points of Hit@10 [+1.00, +3.00], p = 0.0100 (610 users; 5 seeds: [+0.50, +3.50])."
    )
    assert compared(row(0.02, -0.01, 0.05), "A", "B").startswith("A is not distinguishable from B: +2.00")
    assert compared(row(0.0, 0.0, 0.0), "A", "B").startswith("A is not distinguishable from B: +0.00")
    assert compared(row(-0.02, -0.03, -0.01, seeds=1), "the A", "B").startswith("The A is worse than B: -2.00")
    assert "10 against 17 hits of 610 users: z = 1.36, not significant" in paper_note()


def test_cold_start_in_words() -> None:
    cold = row(0.1, -0.01, 0.2, metric="hit@100", by="target_count", cohort="0", one="hybrid", other="scratch")
    differences = pl.DataFrame([{name: cold.get(name) for name in SCHEMA}], schema=SCHEMA)
    (sentence,) = answers_cold({"differences": differences, "newcomers": NOTHING})
    assert sentence.startswith("Held-out items rated 0 times before: The hybrid is not distinguishable from")


def test_convergence_in_words() -> None:
    rows = [("hybrid", "hybrid", 0, 7.4, 1, 5, 4.0, 16.0), ("hybrid", "hybrid", 1, 7.4, 2, 5, 8.0, 17.0)]
    rows.append(("hybrid", "hybrid", 2, 7.4, 1, 5, 30.0, 16.0))
    table, no_speed = pl.DataFrame(rows, CONVERGENCE, orient="row"), pl.DataFrame()
    (sentence,) = answers_convergence({"convergence": table, "speed": no_speed})
    assert "training from scratch sooner in epochs and at a time not distinguishable in seconds: 1.3 inst" in sentence
    never = table.with_columns(epochs=pl.when(pl.col("seed") == 0).then(pl.col("epochs")))
    (sentence,) = answers_convergence({"convergence": never, "speed": no_speed})
    assert "does not reach" in sentence and "for 2 of 3 seeds" in sentence
    measured = pl.DataFrame({"loss": ["sampled", "softmax"] * 2, "round": [0, 0, 1, 1]})
    equal = speed(measured.with_columns(pl.Series("seconds_per_epoch", [1.0, 1.1, 1.1, 1.0])))
    (sentence,) = answers_convergence({"convergence": table.clear(), "speed": equal})
    assert sentence.startswith("An epoch with sampled softmax is not distinguishable in length: 1.05 s against 1.05 s")
