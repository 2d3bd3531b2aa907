"""Named configurations: published models and our own, as differences from the defaults.

In: the name of a preset and a kind of model. Out: its configuration.

    python -m train bert --preset=sasrec

    paper     Enhance Recommender Systems with Hybrid BERT and Matrix Factorization Embeddings
    bert4rec  Sun et al. 2019, values for MovieLens 1M: bidirectional, cloze, learned positions, tied head
    sasrec    Kang & McAuley 2018, values for MovieLens 1M: causal, tied head, binary cross-entropy
    gsasrec   Petrov & Macdonald 2023, values for MovieLens 1M: SASRec with many negatives and a calibrated loss
    default   ours, and what is trained without a preset: the best of each kind on validation data

The paper does not state, and we guess: mf's initial_std of 0.1; the encoder's max_length 10, layers 2 and heads 4;
the hybrid's perturbation 0.01 and frozen_epochs 2.

Where the three published models still differ from their authors' code, and why:

    all       Full ranking on validation after every pass chooses the epoch; theirs measure among sampled items, less
              often, or not at all. The epsilons of layer norms and Adam are PyTorch's; both are far below what is added
              to them.
    bert4rec  1,000 passes, at most, instead of 400,000 steps, which would be some 10,000 on MovieLens 1M: weeks on a
              CPU. The learning rate falls to 0 over these. Masks are drawn anew in every pass, each item with
              mask_ratio, where theirs are ten fixed copies that hide exactly that share; one sequence in eleven hides
              the last item only, as there. The further windows begin at a random place. There is no token type
              embedding, which adds the same to every item.
    sasrec    Up to 1,000 passes instead of 201, so that patience, of 20 passes as the paper has it, ends training.
              Dropout also follows the second layer of the feed-forward block, as the paper has it and the code has not.
              The loss is halved, the mean over a positive and a negative, which Adam does not see.
    gsasrec   An epoch is a pass, also where that is more than 100 batches; of MovieLens 1M it is 48 there, too. The
              patience of their configuration ends training, which their script does not read. The feed-forward blocks
              have the ReLU of SASRec, which the repository's lack. A negative that is the target counts for nothing.
"""

from dataclasses import asdict, fields, replace
from typing import Any

from train.config import TrainConfig
from train.kinds import KINDS

# The class of each kind's options.
CONFIGS: dict[str, type[TrainConfig]] = {name: kind.config for name, kind in KINDS.items()}

PAPER: dict[str, Any] = {
    "block": "transformer", "dim": 32,
    "layers": 2, "heads": 4, "feedforward": 2048, "activation": "relu", "norm": "post", "dropout": 0.1,
    "input_dropout": 0.0, "positions": "none", "head": "separate", "max_length": 10, "stride": 0, "masking": "one",
    "loss": "softmax", "epochs": 20, "patience": 0, "batch_size": 32, "learning_rate": 1e-3, "beta2": 0.999,
    "clip": 0.0, "initial_std": 1.0, "average": 0.0,
}  # fmt: skip
BERT4REC: dict[str, Any] = {
    "block": "transformer", "dim": 64, "layers": 2, "heads": 2, "dropout": 0.2, "input_dropout": 0.2,
    "norm": "post", "input_norm": True, "transform": True, "max_length": 200, "stride": 100,
    "masking": "cloze", "mask_ratio": 0.2, "last_share": 1 / 11, "append_mask": True, "loss": "softmax",
    "initial_weights": "truncated", "initial_std": 0.02, "epochs": 1000, "patience": 100, "batch_size": 256,
    "learning_rate": 1e-4, "schedule": "linear", "warm_up": 100, "decay_all": False, "beta2": 0.999, "average": 0.0,
}  # fmt: skip
SASREC: dict[str, Any] = {
    "block": "transformer", "dim": 50, "dropout": 0.2, "input_dropout": 0.2,
    "layers": 2, "heads": 1, "feedforward": 50, "activation": "relu", "norm": "query",
    "scale_embeddings": True, "item_bias": False, "max_length": 200, "stride": 0, "loss": "gbce", "negatives": 1,
    "unseen_negatives": True, "calibration": 0.0, "initial_weights": "glorot", "epochs": 1000, "patience": 20,
    "batch_size": 128, "optimizer": "adam", "learning_rate": 1e-3, "weight_decay": 0.0, "clip": 0.0, "average": 0.0,
}  # fmt: skip
GSASREC = SASREC | {
    "dim": 128, "feedforward": 128, "dropout": 0.5, "input_dropout": 0.5, "scale_embeddings": False,
    "head": "separate", "negatives": 256, "unseen_negatives": False, "calibration": 0.75, "initial_weights": "normal",
    "initial_std": 1.0, "epochs": 10_000, "patience": 200, "beta2": 0.999,
}  # fmt: skip
# What a preset changes of a kind; a kind that is not named is the same as by default.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {
        "mf": {"objective": "ratings", "dim": 32, "epochs": 30},
        "bert": PAPER,
        "hybrid": PAPER | {"initial": "mf", "initial_std": 0.0, "perturbation": 0.01, "frozen_epochs": 2, "chain": 0},
    },
    "bert4rec": {"bert": BERT4REC, "hybrid": BERT4REC | {"chain": 0}},
    "sasrec": {"bert": SASREC, "hybrid": SASREC | {"chain": 0}},
    "gsasrec": {"bert": GSASREC, "hybrid": GSASREC | {"chain": 0}},
    "default": {},
}
DEFAULT = "default"


def configuration(kind: str, preset: str = DEFAULT, **changes: Any) -> TrainConfig:
    """The configuration of a kind of model in a preset, with further changes by field name."""
    return replace(KINDS[kind].config(), **(KINDS[kind].values | PRESETS[preset].get(kind, {}) | changes))


def differences(config: TrainConfig) -> dict[str, Any]:
    """The fields in which a configuration differs from its class's defaults."""
    values = asdict(config)
    return {f.name: values[f.name] for f in fields(config) if values[f.name] != f.default}
