"""Which trials stand beside each other."""

import polars as pl

from bench.study.differences import _same_seeds


def test_a_model_with_one_seed_stands_beside_every_seed_of_another() -> None:
    tables = [pl.DataFrame({"n": [n]}) for n in range(4)]
    one, other = _same_seeds({0: tables[0], 1: tables[1]}, {0: tables[2]})
    assert one == tables[:2] and other == [tables[2]] * 2
    one, other = _same_seeds(dict(enumerate(tables)), {1: tables[0], 2: tables[3]})
    assert one == tables[1:3] and other == [tables[0], tables[3]]
    assert _same_seeds({}, {0: tables[0]}) == ([], [])
