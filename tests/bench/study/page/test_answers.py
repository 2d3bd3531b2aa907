"""The study's sentences say what its numbers say."""

import polars as pl
import pytest

from bench.study.page.answers import (
    answers_cold,
    answers_convergence,
    answers_scarcity,
    answers_top,
    compared,
    paper_note,
)
from bench.study.statistics.curves import CONVERGENCE, speed
from bench.study.statistics.differences import SCHEMA

NOTHING = pl.DataFrame(schema={"data": pl.String, "experiment": pl.String, "metric": pl.String})
PLACED = {"data": pl.String, **SCHEMA}


def row(value: float, low: float, high: float, **more) -> dict:
    found = {
        "metric": "hit@10",
        "value": value,
        "low": low,
        "high": high,
        "p_corrected": 0.01,
        "users": 610,
        "seeds": 5,
    }
    return found | {"over": "users and seeds", "significant": True, "why": None, "data": "d"} | more


def table(*rows: dict) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in PLACED} for row in rows], schema=PLACED)


NOT = {"significant": False, "why": "the interval holds 0"}


def test_a_sentence_says_what_the_verdict_says() -> None:
    assert compared(row(0.02, 0.01, 0.03), "A", "B") == (
        "A is better than B: +2.00 points of Hit@10 [+1.00, +3.00], corrected p = 0.01 (610 users; 5 seeds)."
    )
    assert compared(row(0.02, -0.01, 0.05, **NOT), "A", "B").startswith(
        "A is not distinguishable from B, as the interval holds 0: +2.00 points"
    )
    one_seed = compared(row(-0.02, -0.03, -0.01, seeds=1, over="users"), "the A", "B")
    assert (
        one_seed.startswith("The A is worse than B, as trained with this seed: -2.00")
        and "; 1 seed, interval over users alone)" in one_seed
    )
    assert "10 against 17 hits of 610 users: z = 1.36, not significant" in paper_note()


def test_the_first_sentence_is_of_ials_alone_for_each_data_set() -> None:
    names = {"other": "scratch", "split": "leave-one-out"}
    rows = [
        row(0.03, 0.02, 0.04, one="hybrid", **names),
        row(0.01, -0.01, 0.03, one="hybrid-ials", **names, **NOT),
        row(0.02, 0.01, 0.03, one="hybrid-ials", **(names | {"split": "time-split"})),
        row(0.02, 0.01, 0.03, one="hybrid-ials", **names, data="e"),
        row(0.01, -0.01, 0.03, one="hybrid-ials", metric="ndcg@10", **names, **NOT, data="e"),
    ]
    found = answers_top({"differences": table(*rows)})
    assert [sentence.partition(": +")[0] for sentence in found] == [
        "d: Does matrix factorization help BERT? The transformer started from iALS alone is not distinguishable from "
        "the same transformer from scratch, as the interval holds 0",
        "d: Both together: The hybrid is better than the same transformer from scratch",
        "e: Does matrix factorization help BERT? The transformer started from iALS alone is better than the same "
        "transformer from scratch",
    ]


def test_both_metrics_are_told_where_they_differ() -> None:
    names = {"other": "markov", "split": "leave-one-out", "one": "hybrid"}
    rows = [row(0.006, 0.003, 0.009, **names), row(-0.001, -0.003, 0.001, metric="ndcg@10", **names, **NOT)]
    (found,) = answers_top({"differences": table(*rows)})
    assert "The hybrid is better than Markov: +0.60" in found
    told = " NDCG@10: -0.10 [-0.30, +0.10], corrected p = 0.01, not significant, as the interval holds 0."
    assert found.endswith(told)


def test_a_short_study_says_so_first_and_calls_nothing_better() -> None:
    about = pl.DataFrame({"data": ["d"], "name": ["epochs of a transformer"], "value": ["at most 6 epochs"]})
    better = row(0.02, 0.01, 0.03, one="hybrid-ials", other="scratch", split="leave-one-out", measured=9, history=None)
    scarce = pl.DataFrame([better])
    short = {"differences": table(better), "about": about, "scarcity": scarce}
    first, second = answers_top(short)
    assert first.startswith("This study trained for at most 6 epochs, fewer than configured")
    assert "minus the same transformer from scratch: +2.00" in second
    (curve,) = answers_scarcity(short)
    assert "better" not in second + curve
    whole = short | {"about": about.with_columns(value=pl.lit("as configured"))}
    assert "better than" in answers_top(whole)[0]
    (curve,) = answers_scarcity(whole)
    assert curve.startswith("610 users, whole histories: The transformer started") and "(9 users; 5 seeds)" in curve


@pytest.mark.parametrize("first", ["d", "e"])
def test_of_two_data_sets_the_one_cut_short_calls_nothing_better(first: str) -> None:
    names = {"other": "scratch", "split": "leave-one-out", "one": "hybrid-ials"}
    rows = [row(0.02, 0.01, 0.03, **names, data=data, metric=m) for data in "de" for m in ("hit@10", "ndcg@10")]
    epochs = {"d": "at most 6 epochs", "e": "as configured"}
    order = [first, *(data for data in "de" if data != first)]
    about = pl.DataFrame({"data": order, "name": "epochs of a transformer", "value": [epochs[d] for d in order]})
    scarce = pl.DataFrame([found | {"measured": 9, "history": None} for found in rows])
    tables = {"differences": table(*rows), "about": about, "scarcity": scarce}
    note, *told = answers_top(tables)
    assert note == (
        "This study trained for at most 6 epochs on d, fewer than configured: there it says nothing about which model "
        "is better."
    )
    for sentences in (told, answers_scarcity(tables)):
        assert {found[0]: " is better than " in found for found in sentences} == {"d": False, "e": True}
    assert {found[0]: found.endswith(", significant.") for found in told} == {"d": False, "e": True}


def test_of_several_parts_it_is_first_said_on_which_there_is_a_difference() -> None:
    names = {"one": "hybrid-ials", "other": "scratch", "measured": 9}

    def told(scarce: pl.DataFrame) -> list[str]:
        return answers_scarcity({"differences": table(row(0, 0, 0)), "scarcity": scarce})

    rows = [
        row(0.001, -0.01, 0.02, history=None, **names, **(NOT | {"users": 150})),
        row(0.0146, 0.007, 0.02, history=5, **names | {"users": 6040}),
    ]
    first, *parts = told(pl.DataFrame(rows, infer_schema_length=None))
    assert first == (
        "Where data are scarce: of 2 parts of the data, the transformer started from iALS alone is distinguishable "
        "from the same transformer from scratch on 1; better with 6,040 users, the latest 5 events of each "
        "(+1.46 points of Hit@10)."
    )
    assert len(parts) == 2
    first, *_ = told(pl.DataFrame(rows[:1] * 2, infer_schema_length=None))
    assert first.endswith("on none.")
    worse = row(-0.02, -0.03, -0.01, history=5, **names)
    assert "on 2; worse with" in told(pl.DataFrame([worse, worse]))[0]


def test_cold_start_in_words() -> None:
    cold = row(0.1, -0.01, 0.2, metric="hit@100", by="target_count", cohort="0", one="hybrid", other="scratch", **NOT)
    (sentence,) = answers_cold({"differences": table(cold), "newcomers": NOTHING})
    assert sentence.startswith("Held-out items rated 0 times before: The hybrid is not distinguishable from")


def test_what_no_model_can_list_is_not_compared() -> None:
    never = row(0.0, 0.0, 0.0, metric="hit@100", by="target_count", cohort="0", one="hybrid", other="scratch", **NOT)
    rare = never | {"cohort": "1-5", "low": -0.1, "high": 0.2}
    (sentence,) = answers_cold({"differences": table(never, rare), "newcomers": NOTHING})
    assert sentence.startswith("Held-out items rated 1-5 times before")


def test_convergence_in_words() -> None:
    rows = [("hybrid", "hybrid", 0, 7.4, 1, 5, 4.0, 16.0), ("hybrid", "hybrid", 1, 7.4, 2, 5, 8.0, 17.0)]
    rows.append(("hybrid", "hybrid", 2, 7.4, 1, 5, 30.0, 16.0))
    curves = pl.DataFrame(rows, CONVERGENCE, orient="row").with_columns(data=pl.lit("d"))
    rest = {"differences": table(row(0.0, 0.0, 0.0)), "speed": pl.DataFrame({"data": []}, schema={"data": pl.String})}
    (sentence,) = answers_convergence(rest | {"convergence": curves})
    assert "training from scratch sooner in epochs and at a time not distinguishable in seconds: 1.3 inst" in sentence
    never = curves.with_columns(epochs=pl.when(pl.col("seed") == 0).then(pl.col("epochs")))
    (sentence,) = answers_convergence(rest | {"convergence": never})
    assert "does not reach" in sentence and "for 2 of 3 seeds" in sentence
    measured = pl.DataFrame({"loss": ["sampled", "softmax"] * 2, "round": [0, 0, 1, 1]})
    equal = speed(measured.with_columns(pl.Series("seconds_per_epoch", [1.0, 1.1, 1.1, 1.0])))
    (sentence,) = answers_convergence(
        rest | {"convergence": curves.clear(), "speed": equal.with_columns(data=pl.lit("d"))}
    )
    assert sentence.startswith("An epoch with sampled softmax is not distinguishable in length: 1.05 s against 1.05 s")
