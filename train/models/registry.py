"""The kinds of model by name: how each is built from data, and how it comes back from a checkpoint.

In: a kind and its configuration, or a checkpoint's content. Out: a model.
"""

from typing import Any

import torch
from torch import nn

from infer.errors import InputError, first_line
from infer.system.fingerprints import sha256
from train import checkpoint
from train.config import BestConfig, TrainConfig
from train.data.dataset import Data
from train.models.bert import MiniBERT4Rec
from train.models.blend import Blend, names
from train.models.hybrid import chain_factors, item_vectors, start_chain, start_from
from train.models.linear import SOLVERS, Neighbours
from train.models.mf import MF
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
    if kind in SOLVERS:
        return Neighbours(items, config), {}
    if kind == "best":
        found = [_member(name, data, config) for name in names(config)]
        model = Blend([restore(state) for state, _ in found], items, config)
        model.provenances = [state["provenance"] for state, _ in found]
        return model, {f"{name}.pt": digest for name, (_, digest) in zip(names(config), found, strict=True)}
    model = MiniBERT4Rec(items, config, data.counts, len(data.rating_levels))
    parents: dict[str, str] = {}
    if config.initial != "random":
        vectors, parents = item_vectors(data, config)
        start_from(model, vectors)
    if model.rank and config.chain_initial == "transitions":
        start_chain(model, chain_factors(data, config), data)
    return model, parents


def restore(state: dict[str, Any]) -> nn.Module:
    """The trained model in a checkpoint's content, in evaluation mode, on the CPU.

    Raises InputError if its configuration and weights are not those of one model.
    """
    try:
        model = _empty(state)
        model.load_state_dict(state["model"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise InputError(f"a checkpoint does not hold one model ({first_line(error)[:80]}): train it again") from None
    return model.eval()


def _empty(state: dict[str, Any]) -> nn.Module:
    """The model that a checkpoint's weights fit into."""
    kind, users, items = state["provenance"]["kind"], len(state["user_ids"]), len(state["item_ids"])
    config = CONFIGS[kind](**state["provenance"]["config"])
    if kind == "mf":
        return MF(users, items, config)
    if kind in SOLVERS:
        return Neighbours(items, config)
    if kind == "best":
        shared = {name: state[name] for name in ("user_ids", "item_ids", "rating_levels")}
        return Blend([_empty(shared | {"provenance": provenance}) for provenance in state["members"]], items, config)
    return MiniBERT4Rec(items, config, levels=len(state["rating_levels"]))


def _member(name: str, data: Data, config: BestConfig) -> tuple[dict[str, Any], str]:
    """A finished checkpoint of the same table, and its checksum."""
    path = checkpoint.finished(config.artifacts, name)
    state = checkpoint.read(path, f"train {name} first, or leave it out of --members")
    if state["provenance"]["dataset_checksum"] != data.checksum:
        raise InputError(f"{path} was trained on another table ({state['provenance']['dataset']}): train it again")
    if state["provenance"]["kind"] == "best":
        raise InputError(f"--members: {name} is a blend itself; name its members")
    return state, sha256(path)
