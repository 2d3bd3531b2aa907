"""The kinds of model by name: how each is built from data, and how it comes back from a checkpoint.

In: a kind and its configuration, or a checkpoint's content. Out: a model.
"""

import torch
from torch import nn

from train.batches import Data
from train.bert import MiniBERT4Rec
from train.config import TrainConfig
from train.hybrid import item_vectors, start_from
from train.mf import MF
from train.presets import CONFIGS


def build(kind: str, data: Data, config: TrainConfig) -> tuple[nn.Module, dict[str, str]]:
    """A freshly initialised model, and the checksums of the checkpoints it starts from.

    Raises InputError if the options exclude each other or the data or files they need are not there.
    """
    config.check()
    torch.manual_seed(config.seed)
    users, items = len(data.user_ids), len(data.item_ids)
    if kind == "mf":
        return MF(users, items, config), {}
    model = MiniBERT4Rec(items, config, data.counts, len(data.rating_levels))
    if config.initial == "random":
        return model, {}
    vectors, parents = item_vectors(data, config)
    start_from(model, vectors)
    return model, parents


def restore(state: dict) -> nn.Module:
    """The trained model in a checkpoint's content, in evaluation mode, on the CPU."""
    kind, users, items = state["origin"]["kind"], len(state["user_ids"]), len(state["item_ids"])
    config = CONFIGS[kind](**state["origin"]["config"])
    if kind == "mf":
        model = MF(users, items, config)
    else:
        model = MiniBERT4Rec(items, config, levels=len(state["rating_levels"]))
    model.load_state_dict(state["model"])
    return model.eval()
