"""When a model reaches the one from scratch, by hand."""

import polars as pl

from bench.study.statistics.curves import convergence


def test_convergence_asks_for_the_goal_of_the_same_seed() -> None:
    losses = {("scratch", 0): [8.0, 7.0, 7.5], ("scratch", 1): [6.0, 6.5], ("hybrid", 0): [6.9], ("hybrid", 1): [6.9]}
    rows = [
        {"experiment": name, "title": name, "seed": seed, "epoch": n + 1, "elapsed": 2.0 * n, "validation_loss": loss}
        for (name, seed), values in (losses | {("ials", 0): [0.1]}).items()
        for n, loss in enumerate(values)
    ]
    found = convergence(pl.DataFrame(rows)).select("experiment", "seed", "epochs", "goal_epochs", "seconds")
    expected = [
        ("scratch", 0, 2, 2, 2.0),
        ("scratch", 1, 1, 1, 0.0),
        ("hybrid", 0, 1, 2, 0.0),
        ("hybrid", 1, None, 1, None),
    ]
    assert found.rows() == expected


def test_nothing_converges_to_a_goal_without_validation_losses() -> None:
    row = {"title": "x", "seed": 0, "epoch": 1, "elapsed": 1.0, "validation_loss": None}
    rows = [row | {"experiment": name} for name in ("scratch", "hybrid")]
    assert convergence(pl.DataFrame(rows, schema_overrides={"validation_loss": pl.Float64})).is_empty()
