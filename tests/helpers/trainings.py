"""Small trainings: every kind, and every branch of the sequence models that makes tensors of its own."""

from pathlib import Path
from typing import Any

import torch

from train.saved import checkpoint
from train.saved.places import Places

SMALL = {"epochs": 2, "dim": 8}
ENCODER = SMALL | {"max_length": 8, "stride": 4, "average": 0.9, "patience": 2}
PUBLISHED = {"epochs": 2, "max_length": 8, "negatives": 16, "dim": 8, "heads": 2}
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mf of ratings": ("mf", "paper", SMALL),
    "mf, solved": ("mf", "default", {}),
    "paper": ("hybrid", "paper", {"epochs": 3, "max_length": 8}),
    "bert": ("bert", "default", ENCODER),
    "hstu": ("bert", "default", ENCODER | {"block": "hstu"}),
    "softmax, sinusoidal": ("bert", "default", ENCODER | {"loss": "softmax", "positions": "sinusoidal"}),
    "cloze": ("bert", "default", ENCODER | {"masking": "cloze", "append_mask": True}),
    "ratings": ("bert", "default", ENCODER | {"ratings": "embedding"}),
    "hybrid": ("hybrid", "default", ENCODER),
    "chain trained": ("hybrid", "default", ENCODER | {"chain": 4, "chain_trained": True}),
    "sasrec": ("bert", "sasrec", PUBLISHED),
    "gsasrec": ("bert", "gsasrec", PUBLISHED),
    "bert4rec": ("bert", "bert4rec", {k: v for k, v in PUBLISHED.items() if k != "negatives"}),
    "ease": ("ease", "default", {}),
    "markov": ("markov", "default", {}),
    "knn": ("knn", "default", {}),
    "content": ("content", "default", {}),
}


def kept(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """The weights of a finished model."""
    return checkpoint.read(Places(folder, name).finished, "")["model"]
