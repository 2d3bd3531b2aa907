"""The kinds of model by name: how each is built from data, and how it comes back from a checkpoint.

In: a kind and its configuration, or a checkpoint's content. Out: a model.
"""

import torch
from torch import nn

from infer.errors import InputError
from infer.files import sha256
from train import checkpoint
from train.batches import Data
from train.bert import MiniBERT4Rec
from train.config import BertConfig, HybridConfig, MFConfig, TrainConfig
from train.hybrid import Hybrid
from train.mf import MF

CONFIGS: dict[str, type[TrainConfig]] = {"mf": MFConfig, "bert": BertConfig, "hybrid": HybridConfig}


def build(kind: str, data: Data, config: TrainConfig) -> tuple[nn.Module, dict[str, str]]:
    """A freshly initialised model, and the checksums of the checkpoints it starts from.

    Raises InputError if the options exclude each other or hybrid finds no fitting artifacts/mf.pt.
    """
    torch.manual_seed(config.seed)
    users, items = len(data.user_ids), len(data.item_ids)
    if kind == "mf":
        return MF(users, items, config), {}
    if kind == "bert":
        return MiniBERT4Rec(items, config), {}
    path = checkpoint.finished(config.artifacts, "mf")
    advice = f"run `python -m train mf --artifacts={config.artifacts}` first"
    mf = checkpoint.read(path, advice)
    if mf["origin"]["dataset_checksum"] != data.checksum:
        raise InputError(f"{path} was trained on another table ({mf['origin']['dataset']}): {advice}")
    return Hybrid(items, config, mf["model"]["items.weight"]), {path.name: sha256(path)}


def restore(state: dict) -> nn.Module:
    """The trained model in a checkpoint's content, in evaluation mode, on the CPU."""
    kind, users, items = state["origin"]["kind"], len(state["user_ids"]), len(state["item_ids"])
    config = CONFIGS[kind](**state["origin"]["config"])
    model = MF(users, items, config) if kind == "mf" else MiniBERT4Rec(items, config)
    model.load_state_dict(state["model"])
    return model.eval()
