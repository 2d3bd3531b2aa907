"""Which trials stand beside each other."""

import polars as pl

from bench.study.statistics.differences import differences, same_seeds


def test_a_model_with_one_seed_stands_beside_every_seed_of_another() -> None:
    tables = [pl.DataFrame({"n": [n]}) for n in range(4)]
    one, other = same_seeds({0: tables[0], 1: tables[1]}, {0: tables[2]})
    assert one == tables[:2] and other == [tables[2]] * 2
    one, other = same_seeds(dict(enumerate(tables)), {1: tables[0], 2: tables[3]})
    assert one == tables[1:3] and other == [tables[0], tables[3]]
    assert same_seeds({}, {0: tables[0]}) == ([], [])


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
