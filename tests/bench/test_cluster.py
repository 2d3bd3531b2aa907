"""The simulated cluster: figures that can be worked out by hand."""

import pytest

from bench.cluster import ClusterBenchConfig, simulate
from infer.errors import InputError
from tests.helpers.told import bars_told


def config(**options) -> ClusterBenchConfig:
    calm = {"nodes": 2, "workers": 2, "part_users": 10, "part_seconds": 3.0, "spread": 0.0, "slow": 0.0, "losses": 0}
    return ClusterBenchConfig(**calm | {"driver_seconds": 0.0} | options)


def test_equal_machines_take_equal_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    told = bars_told(monkeypatch)
    found = simulate(config(users=75))  # 8 parts for 4 workers: two rounds of 3 seconds
    assert (found.parts, found.seconds, found.ideal) == (8, 6.0, 6.0)
    assert (found.again, found.fewest, found.most, found.driver) == (0, 2, 2, 0.0)
    assert [(bar.n, bar.total) for bar in told] == [(8, 8)]


def test_the_process_that_hands_out_is_a_bottleneck_if_it_is_slow() -> None:
    found = simulate(config(users=80, driver_seconds=3.0))  # one part every 3 seconds, and the last takes 3 more
    assert found.driver == 24.0 and found.seconds == 27.0


def test_a_slow_machine_takes_fewer_and_lost_parts_are_scored_again() -> None:
    found = simulate(config(nodes=10, users=4000, slow=0.3, seed=1))
    assert found.fewest * 2 < found.most and found.seconds < 1.15 * found.ideal
    lost = simulate(config(nodes=10, users=4000, losses=2, seed=1))
    assert 1 <= lost.again <= 4 + 20 and lost.seconds > 400 * 3.0 / 20


@pytest.mark.parametrize("seed", [0, 1])
def test_a_seed_gives_the_same_figures(seed: int) -> None:
    options = {"users": 2000, "spread": 0.5, "slow": 0.3, "losses": 1, "seed": seed}
    assert simulate(config(**options)) == simulate(config(**options))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nodes": 3, "losses": 5}, "--losses=5 of --nodes=3: one at least has to stay"),
        ({"nodes": 3, "losses": 3}, "--losses=3 of --nodes=3"),
        ({"part_seconds": 0.0}, "--part-seconds is a number above 0; found 0"),
        ({"part_seconds": float("nan")}, "--part-seconds is a number above 0; found nan"),
        ({"spread": 40.0}, "--spread is from 0 to 5; found 40"),
        ({"slow": 1.5}, "--slow is from 0 to 1; found 1.5"),
    ],
)
def test_a_run_that_would_never_end_is_refused(options: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        simulate(config(users=75, **options))


def test_all_machines_but_one_may_be_lost() -> None:
    assert simulate(config(nodes=3, users=75, losses=2, seed=1)).seconds > 6.0
