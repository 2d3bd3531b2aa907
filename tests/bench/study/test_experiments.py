"""The list of experiments is consistent."""

from bench.study.experiments import COHORT_PAIRS, EXPERIMENTS, PAIRS, PRIMARY, VARIATIONS
from train.presets import CONFIGS


def test_the_list_of_experiments_is_consistent() -> None:
    stages = {e.name: e.stage for e in EXPERIMENTS}
    assert len(stages) == len(EXPERIMENTS) and {n for pair in PAIRS + COHORT_PAIRS for n in pair} <= set(stages)
    for experiment in EXPERIMENTS:
        assert experiment.kind in CONFIGS
        assert all(stages[name] < experiment.stage for name in experiment.parents)
        # The short study, and the other splits, must hold what their models start from.
        parents = [e for e in EXPERIMENTS if e.name in experiment.parents]
        assert all(e.short for e in parents) or not experiment.short
        assert all(e.varied for e in parents) or not experiment.varied
    assert set(VARIATIONS) == {"random-ties", "time-split"}
    assert len(set(PAIRS)) == len(PAIRS) and set(PRIMARY) <= set(PAIRS)


def test_the_controls_differ_from_the_start_by_one_thing() -> None:
    by_name = {e.name: e for e in EXPERIMENTS}
    start = by_name["hybrid-ials"].changes
    assert by_name["hybrid-norms"].changes == start | {"initial": "norms"}
    assert by_name["hybrid-shuffled"].changes == start | {"initial": "shuffled"}
    assert by_name["scratch-markov"].parents == ["scratch", "markov"]
    assert by_name["ials-markov"].parents == ["hybrid-ials", "markov"]
    assert PRIMARY[0] == ("hybrid-ials", "scratch") and ("ials-markov", "scratch-markov") in PRIMARY


def test_what_needs_ratings_is_known() -> None:
    rated = ["mf-paper", "bert-paper", "hybrid-paper", "mf-ratings", "hybrid-mf"]
    assert [e.name for e in EXPERIMENTS if e.rated] == rated
