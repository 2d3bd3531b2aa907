"""What a training step costs under each loss, on a catalogue of MovieLens' small size.

pytest --benchmark-only -k losses
"""

import numpy as np
import pytest
import torch

from bench.workloads.tail import long_tailed
from train.config import BertConfig
from train.data.dataset import Data
from train.models.bert import MiniBERT4Rec
from train.models.masking import batches
from train.presets import configuration
from train.sizing import sized_for

ITEMS, USERS, LENGTH, STEPS = 9_724, 200, 160, 20


@pytest.fixture(scope="module")
def data() -> Data:
    """Histories of long-tailed random items."""
    return long_tailed(ITEMS, np.full(USERS, LENGTH))


@pytest.mark.parametrize("loss", ["softmax", "sampled", "gbce"])
@pytest.mark.benchmark(group="losses")
def test_losses(benchmark, one_thread, loss: str, data: Data) -> None:
    """STEPS steps of the default model; every weight must have moved and stayed finite."""
    torch.manual_seed(0)
    negatives = {"gbce": 256}.get(loss, 512)  # as published, and the default
    config = sized_for(configuration("bert", loss=loss, negatives=negatives), data)
    assert isinstance(config, BertConfig)
    model = MiniBERT4Rec(ITEMS, config, data.counts).train()
    optimizer = model.optimizer()
    drawn = batches(data, config, model.mask, torch.Generator().manual_seed(0))
    steps = [batch for batch, _ in zip(drawn, range(STEPS), strict=False)]
    before = [weight.detach().clone() for weight in model.parameters()]

    def run() -> None:
        for batch in steps:
            optimizer.zero_grad(set_to_none=True)
            model.loss(batch).backward()
            optimizer.step()

    benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    targets = sum(len(batch) for batch in steps)
    benchmark.extra_info |= {"loss": loss, "targets_per_second": targets / benchmark.stats.stats.min, "items": ITEMS}
    for weight, start in zip(model.parameters(), before, strict=True):
        assert torch.isfinite(weight).all() and not torch.equal(weight, start)
