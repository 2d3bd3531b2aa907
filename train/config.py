"""Frozen configurations whose defaults are the paper's models.

In: nothing. Out: MFConfig, BertConfig, HybridConfig; `python -m train bert --help` lists them.

The paper gives k, epochs, losses and optimizers. What it leaves open (learning rates, batch and
window sizes, dropout, initial scales) is set here and was chosen on validation data.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infer.cli import option


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What every model has."""

    artifacts: Path = option(Path("artifacts"), "folder with interactions.parquet, and to write to")
    seed: int = option(0, "seed of initial weights, order, masks and dropout", minimum=0)
    device: Literal["cpu", "cuda"] = option("cpu", "where training runs")
    validation_users: int = option(10_000, "users measured after each epoch, a seeded sample beyond", minimum=1)


@dataclass(frozen=True, kw_only=True)
class MFConfig(TrainConfig):
    """Matrix factorization: two embedding tables, dot product, mean squared error, Adam."""

    dim: int = option(32, "length k of user and item vectors", minimum=1)
    epochs: int = option(30, "passes over the training ratings", minimum=1)
    batch_size: int = option(1024, "ratings in a step", minimum=1)
    learning_rate: float = option(1e-3, "of Adam", minimum=0)
    weight_decay: float = option(0.0, "L2 penalty of Adam", minimum=0)
    initial_std: float = option(0.1, "standard deviation of the initial vectors", minimum=0)


@dataclass(frozen=True, kw_only=True)
class BertConfig(TrainConfig):
    """MiniBERT4Rec: item embeddings without positions, post-norm encoder, ReLU, separate head."""

    dim: int = option(32, "length of item vectors and hidden states", minimum=1)
    layers: int = option(2, "encoder layers", minimum=1)
    heads: int = option(4, "attention heads; divides dim", minimum=1)
    feedforward: int = option(2048, "hidden width of the feed-forward blocks", minimum=1)
    dropout: float = option(0.1, "in the encoder, below 1", minimum=0)
    window: int = option(10, "recent items that the model reads", minimum=1)
    epochs: int = option(20, "passes over the users", minimum=1)
    batch_size: int = option(32, "sequences in a step", minimum=1)
    learning_rate: float = option(1e-3, "of AdamW", minimum=0)
    weight_decay: float = option(0.01, "of AdamW", minimum=0)


@dataclass(frozen=True, kw_only=True)
class HybridConfig(BertConfig):
    """MiniBERT4Rec whose item embeddings start from the item vectors of artifacts/mf.pt."""

    perturbation: float = option(0.01, "standard deviation of the noise added to the MF vectors", minimum=0)
    frozen_epochs: int = option(2, "first epochs in which the item embeddings stay fixed", minimum=0)
