"""The list of experiments is consistent."""

from bench.study.experiments import COHORT_PAIRS, EXPERIMENTS, PAIRS, VARIATIONS
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
