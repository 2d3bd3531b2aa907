"""Which trials stand beside each other."""

import polars as pl

from bench.study.statistics.differences import differences, same_seeds


def test_a_model_without_randomness_stands_beside_every_seed_of_another() -> None:
    tables = [pl.DataFrame({"n": [n]}) for n in range(6)]
    ranks = {("a", "scratch", 0): tables[0], ("a", "scratch", 2): tables[1], ("a", "markov", 0): tables[2]}
    ranks |= {("a", "hybrid", 1): tables[3], ("a", "hybrid", 2): tables[4], ("a", "ease", 0): tables[5]}
    assert same_seeds(ranks, "a", "scratch", "markov") == ([tables[0], tables[1]], [tables[2]] * 2)
    assert same_seeds(ranks, "a", "markov", "scratch") == ([tables[2]] * 2, [tables[0], tables[1]])
    assert same_seeds(ranks, "a", "hybrid", "scratch") == ([tables[4]], [tables[1]]), "of random ones, the shared seeds"
    assert same_seeds(ranks, "a", "markov", "ease") == ([tables[2]], [tables[5]])
    del ranks["a", "scratch", 2]
    assert same_seeds(ranks, "a", "scratch", "hybrid") == ([], []), "its only seed stands for no other"
    assert same_seeds(ranks, "b", "scratch", "markov") == same_seeds(ranks, "a", "bert4rec", "markov") == ([], [])


def test_primary_questions_are_a_family_of_their_own_and_other_splits_are_not_primary() -> None:
    tables = [
        pl.DataFrame({"user": range(40), "item": 1, "rank": rank, "target_count": 3, "history_length": 4})
        for rank in (1, 200)
    ]
    names = ("hybrid-ials", "scratch", "hybrid-norms")
    ranks = {(split, n, 0): tables[n != "hybrid-ials"] for split in ("leave-one-out", "time-split") for n in names}
    found = differences(ranks)
    primary = found.filter(pl.col("family") == "primary")
    assert set(primary.select("split", "one", "other", "metric").rows()) == {
        ("leave-one-out", one, "scratch", metric) for one in names[::2] for metric in ("hit@10", "ndcg@10")
    }
    assert (found["low"].filter(found["significant"]) > 0).all() and found["significant"].any()
    placebo = found.filter(pl.col("one") == "hybrid-norms")
    assert not placebo["significant"].any() and (placebo["p"] == 1).all()
    assert (found["p_corrected"] >= found["p"]).all() and (found["over"] == "users").all()
    assert found.filter(pl.col("family") == "cohorts")["cohort"].unique().sort().to_list() == ["0-5", "1-5"]
