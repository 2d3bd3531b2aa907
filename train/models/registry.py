"""Models by kind: how each is made from data, and how it comes back from a checkpoint.

In: a kind and its configuration, or a checkpoint's content. Out: a model.

    model, parents = build("bert", load(Path("artifacts")), configuration("bert"))
"""

from importlib import import_module
from typing import Any, Protocol, cast

import torch

from infer.errors import InputError, first_line
from train.config import TrainConfig
from train.data.dataset import Data
from train.kinds import KINDS
from train.models.base import ScoringModel
from train.sizing import sized_for


class Maker(Protocol):
    """What the module of a kind has."""

    def build(self, data: Data, config: TrainConfig) -> tuple[ScoringModel, dict[str, str]]:
        """A fresh model, and the checksum of each checkpoint that it starts from, by file name."""

    def empty(self, state: dict[str, Any], config: TrainConfig) -> ScoringModel:
        """The model that the weights in a checkpoint's content fit into."""

    def continued(
        self, data: Data, config: TrainConfig, earlier: dict[str, Any]
    ) -> tuple[ScoringModel, dict[str, str]]:
        """As `build`, with what the content of an earlier checkpoint says of the same items; of kinds that continue."""


def build(
    kind: str, data: Data, config: TrainConfig, earlier: dict[str, Any] | None = None
) -> tuple[ScoringModel, dict[str, str]]:
    """A freshly initialised model, and the checksums of the checkpoints it starts from.

    earlier: content of a checkpoint of the same kind and sizes, whose weights it gets instead of fresh ones.
    Raises InputError if the options exclude each other or the data or files they need are not there.
    """
    config = sized_for(config, data)
    config.check()
    torch.manual_seed(config.seed)
    maker = _maker(kind)
    return maker.build(data, config) if earlier is None else maker.continued(data, config, earlier)


def unsolved(kind: str, data: Data, config: TrainConfig) -> ScoringModel:
    """A model that trains as that of `build`, but with random weights, and solved for nothing.

    config: with all sizes (`train.sizing`).
    """
    state = {"item_ids": data.item_ids, "user_ids": data.trained_ids, "rating_levels": data.rating_levels}
    return _maker(kind).empty(state | {"counts": data.counts}, config)


def restore(state: dict[str, Any]) -> ScoringModel:
    """The trained model in a checkpoint's content, in evaluation mode, on the CPU.

    Raises InputError if its configuration and weights are not those of one model.
    """
    try:
        model = empty(state)
        model.load_state_dict(state["model"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise InputError(f"a checkpoint does not hold one model ({first_line(error)[:80]}): train it again") from None
    return model.eval()


def empty(state: dict[str, Any]) -> ScoringModel:
    """The model of a checkpoint's kind and configuration, without its weights."""
    kind = state["provenance"]["kind"]
    return _maker(kind).empty(state, KINDS[kind].config(**state["provenance"]["config"]))


def _maker(kind: str) -> Maker:
    return cast(Maker, import_module(KINDS[kind].module))
