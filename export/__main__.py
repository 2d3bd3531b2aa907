"""Turn checkpoints into ONNX files that hold everything needed to recommend.

In: artifacts/KIND.pt. Out: artifacts/KIND.onnx: the graph with seen items dropped and top-k
inside, item ids, window length, configuration, data set and checksum, seed, validation metrics and
the measured difference from PyTorch. A model that differs is not written.

    python -m export [mf bert hybrid] [--artifacts=artifacts]
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import nn

from export.graph import export_graph
from export.parity import check_parity
from infer.cli import option, parse, run
from infer.errors import InputError
from infer.files import write_bytes
from infer.schema import INTERACTIONS_FILE, ITEMS_FILE, Metadata
from train import checkpoint
from train.models import CONFIGS, restore


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Options of `python -m export`."""

    artifacts: Path = option(Path("artifacts"), "folder with the checkpoints, and to write to")


def export(kind: str, artifacts: Path) -> tuple[Path, Metadata]:
    """Export one kind of model; returns the written file and its metadata.

    Raises InputError if there is no usable checkpoint or the graph fails the parity check.
    """
    state = checkpoint.read(
        checkpoint.finished(artifacts, kind), f"run `python -m train {kind} --artifacts={artifacts}` first"
    )
    model = restore(state)
    _refuse_broken_weights(kind, model)
    items = len(state["item_ids"])
    proto = export_graph(model, items)
    parity = check_parity(model, proto, items, len(state["user_ids"]))
    metadata = describe(state, model, parity)
    for name, text in metadata.to_properties().items():
        proto.metadata_props.add(key=name, value=text)
    proto.producer_name, proto.producer_version = "hybrid-recommender-onnx", ""
    path = artifacts / f"{kind}.onnx"
    write_bytes(path, proto.SerializeToString(deterministic=True))
    return path, metadata


def describe(state: dict, model: nn.Module, parity: dict[str, float]) -> Metadata:
    """What the file is to say of itself."""
    origin, last = state["origin"], state["history"][-1]
    return Metadata(
        kind=origin["kind"],
        item_ids=state["item_ids"],
        user_ids=state["user_ids"] if model.input_name == "user" else [],
        window=model.window,
        padding="left, index 0",
        dataset=origin["dataset"],
        dataset_checksum=origin["dataset_checksum"],
        interactions=INTERACTIONS_FILE,
        items=ITEMS_FILE,
        seed=origin["config"]["seed"],
        config=origin["config"],
        metrics={name: value for name, value in last.items() if name.startswith("validation") or name == "epoch"},
        parity=parity,
        versions={
            "python": sys.version.split()[0],
            "torch": torch.__version__.split("+")[0],
            "onnx": onnx.__version__,
            "onnxruntime": ort.__version__,
            "numpy": np.__version__,
        },
    )


def main(words: list[str]) -> None:
    """Parse, export, print."""
    kinds = []
    while words and words[0] in CONFIGS:
        kinds.append(words[0])
        words = words[1:]
    if words and not words[0].startswith("-") and "=" not in words[0]:
        raise InputError(f"no model is called '{words[0]}'; expected {', '.join(CONFIGS)}")
    config = parse(ExportConfig, words, __doc__)
    for kind in kinds or CONFIGS:
        print(f"{kind}: exporting ...", end=" ", flush=True)
        path, metadata = export(kind, config.artifacts)
        print(
            f"{path} ({path.stat().st_size / 1e6:.1f} MB), largest difference from PyTorch "
            f"{metadata.parity['largest_score_difference']:.1e} over {metadata.parity['users']} users"
        )


def _refuse_broken_weights(kind: str, model: nn.Module) -> None:
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise InputError(f"{kind}.pt holds values in {name} that are not finite numbers: train it again")


if __name__ == "__main__":
    raise SystemExit(run(main))
