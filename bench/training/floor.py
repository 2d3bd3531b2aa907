"""The floor (roofline) of training: the least seconds of a step, from its MACs and the bytes of its optimizer.

In: a model's configuration, the batches of some steps, rates measured now. Out: seconds that no code for the same
arithmetic on the same machine should be below.

    python -m bench training

A step has every product of the forward pass three times: once forward, once for the gradient of each factor. Padding is
not counted, nor positions of the last layer at which nothing is asked. The encoder counts at the rate of its widest
product, the head at that of its own shape, each measured with both of its gradients, by PyTorch. The optimizer reads
and writes each weight, both of its moments and its average. Layer norms, softmax, activations, dropout and lookups are
not in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bench.rates import bandwidth, training_rate
from infer.errors import InputError
from infer.histories.vocabulary import PAD
from train.config import BertConfig
from train.models.masking import SequenceBatch

NUMBER_BYTES = 4
PASSES = 3  # of a product: forward, and the gradients of both factors


@dataclass(frozen=True)
class StepWork:
    """What a step has to do: MACs of encoder and head in all passes, and bytes of the optimizer.

    shapes: rows, inner and columns of the product that stands for each.
    """

    encoder: float
    head: float
    optimizer_bytes: float
    encoder_shape: tuple[int, int, int]
    head_shape: tuple[int, int, int]


@dataclass(frozen=True)
class StepRates:
    """MACs a second of both products, bytes a second of a copy as large as what the optimizer holds."""

    encoder: float
    head: float
    bandwidth: float


def forward_macs(config: BertConfig, batch: SequenceBatch, items: int) -> tuple[int, int]:
    """MACs of encoder and head on one batch, forward.

    config: with all sizes.  Raises InputError for SASRec's own blocks, which nobody has counted.
    """
    if config.norm == "query":
        raise InputError("no MACs are known of --norm=query; expected pre or post")
    dim, length, targets = config.dim, batch.window.shape[1], len(batch)
    real = batch.window != PAD
    read, row = real.sum(1), batch.place // length
    causal = config.masking == "causal"
    # What a position reads: itself and those before it, or all.
    seen = real.cumsum(1) if causal else read[:, None].expand_as(real)
    pairs, asked = int(seen[real].sum()), int(seen[row, batch.place % length].sum())
    positions, earlier = int(read.sum()), config.layers - 1
    if config.block == "hstu":
        keys, rest = 2 * dim * dim, 3 * dim * dim  # key and value; gate, query and output
    else:
        keys, rest = 2 * dim * dim, 2 * dim * dim + 2 * dim * config.feedforward  # ...; query, output, feed-forward
    encoder = earlier * (positions * (keys + rest) + 2 * pairs * dim)
    encoder += positions * keys + targets * rest + 2 * asked * dim
    encoder += targets * dim * dim * config.transform
    width = dim + config.chain * config.chain_trained
    encoder += asked * config.chain * config.chain_trained
    scored = items + 1 if config.loss == "softmax" else 1 + config.negatives
    return encoder, targets * scored * width


def step_work(config: BertConfig, batches: Sequence[SequenceBatch], items: int, weights: int) -> StepWork:
    """The mean step of these batches.  weights: how many numbers are trained."""
    counted = [forward_macs(config, batch, items) for batch in batches]
    encoder, head = (PASSES * sum(macs) / len(batches) for macs in zip(*counted, strict=True))
    positions = round(sum(int((batch.window != PAD).sum()) for batch in batches) / len(batches))
    targets = round(sum(map(len, batches)) / len(batches))
    wide = 4 * config.dim if config.block == "hstu" else config.feedforward
    scored = items + 1 if config.loss == "softmax" else config.negatives
    held = 3 + bool(config.average)
    return StepWork(
        encoder, head, 2 * held * NUMBER_BYTES * weights, (positions, config.dim, wide), (targets, config.dim, scored)
    )


def step_rates(work: StepWork, threads: int = 1, seconds: float = 0.5) -> StepRates:
    """Measure for about seven times `seconds`."""
    encoder, head = (training_rate(*shape, threads, seconds) for shape in (work.encoder_shape, work.head_shape))
    return StepRates(encoder, head, bandwidth(seconds, copied=int(work.optimizer_bytes) // 2))


def step_floor(work: StepWork, rates: StepRates) -> dict[str, float]:
    """Least seconds of a step: of its products, of its optimizer's memory, and of both after one another."""
    products = work.encoder / rates.encoder + work.head / rates.head
    memory = work.optimizer_bytes / rates.bandwidth
    return {"products": products, "memory": memory, "floor": products + memory}


def trained_weights(model: torch.nn.Module) -> int:
    """How many numbers the optimizer changes."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
