"""The kinds of model by name: an entry each, which is all that a new kind needs beside its own module.

In: nothing. Out: KINDS, from which the command's kinds, their configurations and their models follow. It names the
modules and does not import them, so that whoever asks for a configuration does not wait for PyTorch.

    python -m train markov
"""

from dataclasses import dataclass, field
from typing import Any

from train.config import BertConfig, BestConfig, HybridConfig, LinearConfig, MFConfig, TrainConfig


@dataclass(frozen=True)
class Kind:
    """One kind of model.

    about: what it is, in a line.  config: the class of its options.  values: where it differs from that class's
    defaults.  module: where it is made, by two functions (`train.models.registry.Maker`).  continues: whether it can
    start from an earlier model of its kind, by a third function.
    """

    about: str
    config: type[TrainConfig]
    module: str
    values: dict[str, Any] = field(default_factory=dict)
    continues: bool = False


def _linear(kind: str, about: str, **values: Any) -> Kind:
    return Kind(about, LinearConfig, "train.models.linear", {"kind": kind, **values})


KINDS = {
    "mf": Kind(
        "a vector for each user and item, by implicit ALS or from ratings", MFConfig, "train.models.mf", continues=True
    ),
    "bert": Kind(
        "a transformer over the latest items that reads only backwards by default",
        BertConfig,
        "train.models.hybrid",
        continues=True,
    ),
    "hybrid": Kind(
        "the transformer started from matrix factorization, beside a Markov chain",
        HybridConfig,
        "train.models.hybrid",
        continues=True,
    ),
    "knn": _linear("knn", "items that the same users rated", decay=0.6),
    "markov": _linear("markov", "items that follow within a few steps"),
    "ease": _linear("ease", "EASE (Steck 2019) on co-occurrence that fades with distance"),
    "content": _linear("content", "rarely rated items by genres, year and title words", neighbours=50),
    "best": Kind("a weighted sum of other models' scores", BestConfig, "train.models.blend"),
}
