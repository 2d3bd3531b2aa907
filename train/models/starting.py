"""What published models start from, how their steps are sized, and which of their weights decay.

In: a model, its options. Out: the same model with initial weights, groups of weights for an optimizer, or the share of
the learning rate at a step.

    python -m train bert --initial-weights=truncated --schedule=linear --warm-up=100 --no-decay-all
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from infer.histories.vocabulary import PAD
from train.config import BertConfig

CUT = 2.0  # standard deviations, beyond which a truncated normal distribution is drawn again


@torch.no_grad()
def initialise(model: nn.Module, config: BertConfig) -> None:
    """Draw every weight of `model` anew as `config.initial_weights` says; "ours" leaves them as they are.

    truncated: matrices and tables from a normal distribution of standard deviation initial_std, cut at two of them
    (BERT, Devlin et al. 2019).  glorot: from the uniform distribution of Glorot & Bengio 2010, the default of
    TensorFlow.  In both biases are 0.  normal: tables of items and positions, and a separate head, with initial_std,
    all else as PyTorch has it. The row of padding is 0 in all.
    """
    for name, weight in model.named_parameters():
        if config.initial_weights == "normal":
            if name in ("items.weight", "positions", "head.weight"):
                nn.init.normal_(weight, std=config.initial_std)
        elif config.initial_weights != "ours":
            if not is_matrix(weight):
                if name.endswith("bias"):
                    nn.init.zeros_(weight)
            elif config.initial_weights == "glorot":
                nn.init.xavier_uniform_(weight)
            else:
                cut = CUT * config.initial_std
                nn.init.trunc_normal_(weight, std=config.initial_std, a=-cut, b=cut)
    for table in model.modules():
        if isinstance(table, nn.Embedding) and table.padding_idx == PAD:
            table.weight[PAD] = 0


def groups(model: nn.Module, config: BertConfig) -> list[dict[str, Any]]:
    """All weights, or those that decay and those that do not: biases and layer norms, as in BERT."""
    weights = list(model.parameters())
    if config.decay_all:
        return [{"params": weights}]
    fixed = [weight for weight in weights if not is_matrix(weight)]
    return [{"params": [weight for weight in weights if is_matrix(weight)]}, {"params": fixed, "weight_decay": 0.0}]


def is_matrix(weight: Tensor) -> bool:
    """Whether a weight is a matrix or a table, not a bias, nor of a layer norm."""
    return weight.dim() > 1


def rate_share(schedule: str, warm_up: int, step: int, steps: int) -> float:
    """Share of the learning rate at a step, which counts from 0, of `steps`.

    It grows in proportion to the step for the first `warm_up`; afterwards it is what the schedule has, which runs from
    step 0 as in BERT (google-research/bert, optimization.py): constant 1, linear to 0, or half a cosine to 0.
    """
    if step < warm_up:
        return (step + 1) / warm_up
    done = min(step / max(steps, 1), 1.0)
    return {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}[schedule]
