"""The floor (roofline): how fast this machine could score at best, a model's MACs at the rates measured here.

In: a model's configuration, history lengths, the size of the catalogue, rates of the same run. Out: seconds that
no code for the same arithmetic on the same machine should be below.

    python -m bench.floor

Encoders are counted on the real lengths, not on padding. Two rates are used, both measured (`bench.rates`): of a
large square product, and of the head's own skinny shape. Memory is a third bound: the scores are written once
and read once to take the top k.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.rates import SQUARE, Rates, measure_rates
from infer.cli import option, parse, run
from infer.errors import InputError
from infer.model.session import PROVIDERS
from train.config import BertConfig, LinearConfig, MFConfig, TrainConfig
from train.sizing import sized

SCORE_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class FloorConfig:
    """Options of `python -m bench.floor`."""

    batch_size: int = option(256, "users scored at once", minimum=1)
    dim: int = option(64, "length of item vectors", minimum=1)
    items: int = option(9_724, "size of the catalogue", minimum=1)
    device: str = option("cpu", "cpu or cuda")
    threads: int = option(0, "threads of ONNX Runtime; 0 means one for each core", minimum=0)


@dataclass(frozen=True)
class Floor:
    """Least seconds for some users, by three bounds.

    peak_seconds: every MAC at the rate of a large square product.  head_seconds: the head at the rate
    of its own shape, the rest at peak.  memory_seconds: writing and reading every score at the copying rate.
    """

    peak_seconds: float
    head_seconds: float
    memory_seconds: float

    @property
    def seconds(self) -> float:
        """The floor that reports use: `head_seconds`, the largest one that counts the model's own arithmetic."""
        return self.head_seconds


def encoder_macs(config: TrainConfig, lengths: np.ndarray) -> int:
    """MACs of everything but the scores of the items, on the latest `window` of each user's items.

    lengths: (users,) items in each history. In the last layer of an encoder only the newest position is computed: of a
    transformer its query, carried over to what the others hold, and the sum of that, projected; of HSTU also values
    and keys of all. Layer norms and activations are not counted. An item-item model adds `neighbours` numbers an item.
    Raises InputError for other models.
    """
    if isinstance(config, MFConfig):
        return 0
    if isinstance(config, LinearConfig):
        return int(np.minimum(lengths, config.max_length).sum()) * config.neighbours
    if not isinstance(config, BertConfig):
        raise InputError(f"no MACs are known of {type(config).__name__}: give the configurations of its members")
    config = sized(config)
    dim, inner = config.dim, config.feedforward
    chain = int(np.minimum(lengths, config.max_length).sum()) * config.chain
    read = (np.minimum(lengths, config.max_length - config.append_mask) + config.append_mask).astype(np.int64)
    pairs = read * (read + 1) // 2 if config.masking == "causal" else read * read
    if config.block == "hstu":
        whole = read * 5 * dim * dim + 2 * pairs * dim  # gate, query, value, key, output; both products of attention
        newest = (2 * read + 3) * dim * dim + 2 * read * dim
        newest[read == 0] = 0
        return int((config.layers - 1) * whole.sum() + newest.sum()) + chain
    whole = read * (4 * dim * dim + 2 * dim * inner) + 2 * pairs * dim  # query, key, value, output; both attentions
    newest = 4 * dim * dim + 2 * dim * inner + 2 * config.heads * read * dim
    newest[read == 0] = 0
    return int((config.layers - 1) * whole.sum() + newest.sum()) + chain


def head_width(config: TrainConfig) -> int:
    """Length of what scores an item by a dot product: its vector, and its part of a chain; 64 without one."""
    return getattr(sized(config), "dim", 64) + getattr(config, "chain", 0)


def head_macs(config: TrainConfig, users: int, items: int) -> int:
    """MACs of scoring every item by a dot product; 0 for item-item models, which have no head."""
    if isinstance(config, LinearConfig):
        return 0
    return users * head_width(config) * (items + 1)


def floor_seconds(
    config: TrainConfig | Sequence[TrainConfig], lengths: np.ndarray, items: int, rates: Rates | None = None
) -> Floor:
    """The floor for these users: of one model, or the sum over the members of a blend.

    lengths: (users,) items in each history, unpadded.  items: without padding.  rates: as measured in the same
    run; by default measured now, at the head's own shape for a batch of 256.
    """
    configs = [config] if isinstance(config, TrainConfig) else list(config)
    rates = rates or measure_rates(min(256, len(lengths)), head_width(configs[0]), items)
    return at(work(configs, lengths, items), rates.peak, rates.head, rates.bandwidth)


def work(configs: Sequence[TrainConfig], lengths: np.ndarray, items: int) -> dict[str, int]:
    """What there is to do: MACs of the encoders and of the heads, and bytes of scores written and read."""
    return {
        "encoder": sum(encoder_macs(config, lengths) for config in configs),
        "head": sum(head_macs(config, len(lengths), items) for config in configs),
        "score_bytes": 2 * SCORE_BYTES * len(lengths) * (items + 1) * len(configs),
    }


def at(work: dict[str, int], peak: float, head: float, bandwidth: float) -> Floor:
    """The floor of some work at these rates."""
    encoder = work["encoder"] / peak
    return Floor(encoder + work["head"] / peak, encoder + work["head"] / head, work["score_bytes"] / bandwidth)


def main(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    config = parse(FloorConfig, argv, __doc__)
    if config.device not in PROVIDERS:
        raise InputError(f"--device is one of {', '.join(PROVIDERS)}; found '{config.device}'")
    rates = measure_rates(config.batch_size, config.dim, config.items, config.device, config.threads)
    shape = " x ".join(map(str, rates.head_shape))
    print(f"peak {rates.peak / 1e9:.1f} GMAC/s ({SQUARE} x {SQUARE} x {SQUARE})")
    print(f"head {rates.head / 1e9:.1f} GMAC/s ({shape}), memory {rates.bandwidth / 1e9:.1f} GB/s")


if __name__ == "__main__":
    raise SystemExit(run(main))
