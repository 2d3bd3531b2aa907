"""The floor: MACs counted by hand, and rates that scale as they must."""

from types import SimpleNamespace

import numpy as np
import pytest

from bench import rates as measuring
from bench.floor import encoder_macs, floor_seconds, head_macs
from bench.rates import Rates, measure_rates, product_rate
from infer.errors import InputError
from train.config import BertConfig, BestConfig, LinearConfig, MFConfig

# dim 4, feed-forward 8: a projection is 16, a feed-forward block 2 x 4 x 8 = 64.
SMALL = {"block": "transformer", "dim": 4, "heads": 2, "feedforward": 8, "max_length": 3}


def test_macs_by_hand() -> None:
    small = BertConfig(**SMALL, layers=1)
    # Length 2: query, key, value and output of one position 4 x 16, feed-forward 64, two heads' scores and sums over
    # both positions 2 x 2 x 2 x 4.
    assert encoder_macs(small, np.array([2])) == 64 + 64 + 32
    # A history beyond the window counts as the window, an empty one as nothing.
    three = 64 + 64 + 48
    assert encoder_macs(small, np.array([3, 90, 0])) == 2 * three
    # A second layer has every position: 3 x (4 x 16 + 64), attention twice 4 x (1 + 2 + 3), or twice 4 x 9.
    assert encoder_macs(BertConfig(**SMALL, layers=2), np.array([3])) == three + 384 + 48
    assert encoder_macs(BertConfig(**SMALL, layers=2, masking="last"), np.array([3])) == three + 384 + 72
    # An appended mask takes one of the three places: histories of 2 and of 5 both fill the window.
    # HSTU: value and key of three positions, gate, query and output of one; two sums over three. A layer before it has
    # five matrices for each, and six pairs.
    hstu = {**SMALL, "block": "hstu"}
    assert encoder_macs(BertConfig(**hstu, layers=1), np.array([3, 0])) == 6 * 16 + 3 * 16 + 2 * 3 * 4
    assert encoder_macs(BertConfig(**hstu, layers=2), np.array([3])) == 168 + 3 * 5 * 16 + 2 * 6 * 4
    masked = BertConfig(**SMALL, layers=1, masking="last", append_mask=True)
    assert encoder_macs(masked, np.array([2, 5])) == 2 * three
    # A chain of rank 5 sums over the two items of the history, and is as many columns of the head.
    chain = BertConfig(**SMALL, layers=1, chain=5)
    assert encoder_macs(chain, np.array([2])) == 64 + 64 + 32 + 2 * 5
    assert head_macs(chain, 5, 9) == 5 * (4 + 5) * 10
    assert encoder_macs(LinearConfig(max_length=3, neighbours=7), np.array([2, 5])) == 5 * 7
    assert encoder_macs(MFConfig(dim=4), np.array([2, 5])) == 0
    assert head_macs(small, 5, 9) == head_macs(MFConfig(dim=4), 5, 9) == 5 * 4 * 10
    with pytest.raises(InputError, match="members"):
        encoder_macs(BestConfig(), np.array([2]))


def test_seconds_by_hand() -> None:
    rates = Rates(peak=100.0, head=50.0, bandwidth=10.0, head_shape=(1, 4, 10), device="cpu", threads=1)
    found = floor_seconds(BertConfig(**SMALL, layers=1), np.array([2]), 9, rates)
    assert found.peak_seconds == (160 + 40) / 100
    assert found.head_seconds == found.seconds == 160 / 100 + 40 / 50
    assert found.memory_seconds == 2 * 4 * 10 / 10
    both = floor_seconds([BertConfig(**SMALL, layers=1), MFConfig(dim=4)], np.array([2]), 9, rates)
    assert both.seconds == pytest.approx(found.seconds + 40 / 50)


def test_a_rate_is_the_work_of_the_fastest_call(monkeypatch) -> None:
    # A call takes 4, 3, 2, 3, 4 seconds of this clock, besides the first, which warms up.
    took, now = iter([9.0, 4.0, 3.0, 2.0, 3.0, 4.0]), [0.0]
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(measuring, "product", lambda *_: lambda: now.__setitem__(0, now[0] + next(took)))
    assert product_rate(3, 5, 8, "cpu", 1, seconds=1.0) == 3 * 5 * 8 / 2.0


def test_this_machine_has_rates() -> None:
    found = measure_rates(batch=2, dim=8, items=100, seconds=0.01)
    assert found.head_shape == (2, 8, 101) and min(found.peak, found.head, found.bandwidth) > 0
    with pytest.raises(InputError, match="--device tpu"):
        product_rate(2, 2, 2, "tpu", 1, 0.01)
