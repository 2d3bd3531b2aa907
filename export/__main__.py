"""Turn checkpoints into ONNX files that hold everything needed to recommend.

In: artifacts/NAME.pt. Out: artifacts/NAME.onnx: the graph with seen items dropped and top-k
inside, item ids, window length, configuration, data set and checksum, seed, validation metrics and
the measured difference from PyTorch. A model that differs is not written.

    python -m export [NAME ...] [--artifacts=artifacts]

NAMEs are those of checkpoints; by default mf, bert and hybrid.
"""

import sys
from dataclasses import dataclass
from itertools import takewhile
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
from infer.session import LEVELS_INPUT, USER_INPUT
from train import checkpoint
from train.models import restore

DEFAULT = ("mf", "bert", "hybrid")


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Options of `python -m export`."""

    artifacts: Path = option(Path("artifacts"), "folder with the checkpoints, and to write to")


def export(name: str, artifacts: Path) -> tuple[Path, Metadata]:
    """Export one checkpoint; returns the written file and its metadata.

    Raises InputError if there is no usable checkpoint or the graph fails the parity check.
    """
    state = checkpoint.read(
        checkpoint.finished(artifacts, name), f"run `python -m train {name} --artifacts={artifacts}` first"
    )
    model = restore(state)
    _refuse_broken_weights(name, model)
    items = len(state["item_ids"])
    proto = export_graph(model, items)
    parity = check_parity(model, proto, items, len(state["user_ids"]))
    metadata = describe(state, model, parity)
    for key, text in metadata.to_properties().items():
        proto.metadata_props.add(key=key, value=text)
    proto.producer_name, proto.producer_version = "hybrid-recommender-onnx", ""
    path = artifacts / f"{name}.onnx"
    write_bytes(path, proto.SerializeToString(deterministic=True))
    return path, metadata


def describe(state: dict, model: nn.Module, parity: dict[str, float]) -> Metadata:
    """What the file is to say of itself."""
    origin, best = state["origin"], state["best"]
    return Metadata(
        kind=origin["kind"],
        item_ids=state["item_ids"],
        user_ids=state["user_ids"] if USER_INPUT in model.input_names else [],
        window=model.window,
        rating_levels=state["rating_levels"] if LEVELS_INPUT in model.input_names else [],
        padding="left, index 0",
        dataset=origin["dataset"],
        dataset_checksum=origin["dataset_checksum"],
        interactions=INTERACTIONS_FILE,
        items=ITEMS_FILE,
        seed=origin["config"]["seed"],
        config=origin["config"],
        metrics={name: value for name, value in best.items() if name.startswith("validation") or name == "epoch"},
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
    names = list(takewhile(lambda word: not word.startswith("-") and "=" not in word, words))
    config = parse(ExportConfig, words[len(names) :], __doc__)
    for name in names:
        if Path(name).name != name or not checkpoint.finished(config.artifacts, name).is_file():
            raise InputError(f"no model is called '{name}'; {config.artifacts} holds {_checkpoints(config.artifacts)}")
    for name in names or DEFAULT:
        print(f"{name}: exporting ...", end=" ", flush=True)
        path, metadata = export(name, config.artifacts)
        print(
            f"{path} ({path.stat().st_size / 1e6:.1f} MB), largest difference from PyTorch "
            f"{metadata.parity['largest_score_difference']:.1e} over {metadata.parity['users']} users"
        )


def _checkpoints(artifacts: Path) -> str:
    names = (path.stem for path in sorted(artifacts.glob("*.pt")))
    return ", ".join(name for name in names if not name.endswith(".partial")) or "none: run `python -m train` first"


def _refuse_broken_weights(name: str, model: nn.Module) -> None:
    for part, weight in model.state_dict().items():
        if not torch.isfinite(weight).all():
            raise InputError(f"{name}.pt holds values in {part} that are not finite numbers: train it again")


if __name__ == "__main__":
    raise SystemExit(run(main))
