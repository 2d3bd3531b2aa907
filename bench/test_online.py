"""One user at a time through the Python API, under rules; `python -m bench.latency` measures larger catalogues.

pytest --benchmark-only bench/test_online.py
"""

import pytest

from bench.latency import KINDS, check, histories, rules_of, untrained
from bench.records.records import about, ran_on
from bench.workloads.cases import K, percentiles
from infer import Recommender

ITEMS, ROUNDS = 10_000, 200
RULES = ("no rules", "100 allowed", "half allowed", "1% excluded", "10 boosts")


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory):
    """An open untrained model of a kind and its rules."""
    folder, made = tmp_path_factory.mktemp("online"), {}

    def get(kind: str):
        if kind not in made:
            model = Recommender(untrained(kind, ITEMS, folder), threads=1)
            made[kind] = model, rules_of(model)
        return made[kind]

    return get


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_one_history(benchmark, opened, kind: str, rule: str) -> None:
    """Another history in each round."""
    benchmark.group = f"online: one history, {ITEMS} items, {rule}"
    model, rules = opened(kind)
    asked = histories(ITEMS, ROUNDS + 3)
    check(model, rules[rule], asked[0], model.recommend(asked[0], K, rules=rules[rule]))
    order = iter(asked)
    benchmark.pedantic(
        lambda history: model.recommend(history, K, rules=rules[rule]),
        setup=lambda: ((next(order),), {}),
        rounds=ROUNDS,
        warmup_rounds=2,
    )
    seconds = percentiles(benchmark.stats.stats.data)
    sizes = {"items": ITEMS, "k": K, "batch": 1, "rule": rule, "latency_seconds": seconds}
    benchmark.extra_info |= about("online", kind, "cpu", session_threads=1, ran_on=ran_on(model.model)) | sizes
