"""One library's side of the comparison of training; runs in that library's own environment, without this project.

In: a name and a folder with work.npz and sizes.json (`bench.training.ways.write_sequences`). Out: a line of JSON when
ready (versions, losses, note), and one for each line read, {"loss": ..., "batch": ..., "least": ...}: how many targets
a pass over all sequences has, and its seconds of processor time, the mean of as many passes as take `least` seconds.
With "vectors": FILE instead of "least" it is one pass in a new order, making its batches included, after which the file
holds `users`, the states after the windows in work.npz, and `items`, the vectors whose products with them are scores.

    .venv-peers/rectools/bin/python bench/peers/training.py rectools FOLDER

A pass is `training_step` of the library's own module, the gradients and its own optimizer, on batches that its own code
made before. Lightning's loop and its logging are not in it.
"""

import ctypes
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

Batch = dict[str, Any]  # tensors, as the library's module reads them
FULL = "softmax"


@dataclass
class Prepared:
    """A model in training.  loss: of a batch, with gradients.  batches: those of all sequences, by how many are in
    each.  targets: how many positions of a batch are asked for and are no padding.  module: what is trained.
    states: (users, dim) after the newest item of windows (users, window) of our numbers of items, 0 being padding.
    vectors: (items + 1, dim) by our numbers."""

    loss: Callable[[Batch], Any]
    optimizer: Any
    batches: Callable[[int], Iterable[Batch]]
    targets: Callable[[Batch], int]
    module: Any
    states: Callable[[np.ndarray], Any]
    vectors: Callable[[], Any]


@dataclass
class Library:
    """prepared: by the name of a loss, each made when it is first asked for.  versions: of what decides its speed."""

    losses: tuple[str, ...]
    prepared: Callable[[str], Prepared]
    versions: dict[str, str]
    note: str


def windows(items: np.ndarray, offsets: np.ndarray, length: int, padding: int) -> np.ndarray:
    """(sequences, length) the items of each, at most `length` of them, padded on the left."""
    rows = np.full((len(offsets) - 1, length), padding, dtype=np.int64)
    for row, begin, end in zip(rows, offsets[:-1], offsets[1:], strict=True):
        row[length - (end - begin) :] = items[begin:end]
    return rows


def whole_catalogue(items: int, length: int) -> np.ndarray:
    """(n, length) sequences in which every item from 1 on stands, so that a library knows all of them."""
    number = -(-items // length)
    return np.resize(np.arange(1, items + 1), (number, length))


def rectools(items: np.ndarray, offsets: np.ndarray, sizes: dict[str, Any]) -> Library:
    """SASRecModel; every sequence is a user, and more users hold the whole catalogue, but are not in the batches."""
    import pandas
    import torch
    from pytorch_lightning import Trainer
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    count, length = len(offsets) - 1, sizes["window"] + 1
    others = whole_catalogue(sizes["items"], length)
    lengths = np.concatenate([np.diff(offsets), np.full(len(others), length)])
    frame = pandas.DataFrame({
        Columns.User: np.repeat(np.arange(len(lengths)), lengths),
        Columns.Item: np.concatenate([items, others.ravel()]),
        Columns.Weight: 1.0,
    })  # fmt: skip
    frame[Columns.Datetime] = pandas.to_datetime(np.arange(len(frame)) * 60, unit="s")
    dataset = Dataset.construct(frame)

    def trainer() -> Trainer:
        return Trainer(
            max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False,
        )  # fmt: skip

    def prepared(loss: str) -> Prepared:
        model = SASRecModel(
            n_blocks=sizes["layers"], n_heads=sizes["heads"], n_factors=sizes["dim"], session_max_len=sizes["window"],
            dropout_rate=sizes["dropout"], loss=loss, n_negatives=sizes["negatives"], batch_size=2,
            get_trainer_func=trainer,
        )  # fmt: skip
        model.fit(dataset)  # one step, which builds everything
        assert model.torch_model.item_model.n_items == sizes["items"] + 1, "the catalogue and padding"
        every = model.data_preparator.get_dataloader_train()
        ours = torch.utils.data.Subset(every.dataset, range(count))
        module = model.lightning_model

        def batches(size: int) -> Iterable[Batch]:
            return torch.utils.data.DataLoader(ours, batch_size=size, shuffle=True, collate_fn=every.collate_fn)

        network = model.torch_model
        own = np.concatenate(
            [[0], model.data_preparator.item_id_map.convert_to_internal(np.arange(sizes["items"]) + 1)]
        )

        def states(window: np.ndarray) -> torch.Tensor:
            vectors = network.item_model.get_all_embeddings()
            return network.encode_sessions({"x": torch.from_numpy(own[window])}, vectors)[:, -1]

        quiet(module)
        return Prepared(
            lambda batch: module.training_step(batch, 0), module.configure_optimizers(), batches,
            lambda batch: int((batch["y"] != 0).sum()),
            module, states, lambda: network.item_model.get_all_embeddings()[own],
        )  # fmt: skip

    note = (
        f"feed-forward block as wide as an item vector, ReLU; no item bias; Adam, no moving average of the weights; "
        f"always whole windows, padding computed like items; sampled_softmax draws {sizes['negatives']} items "
        "uniformly for each target, without logQ correction"
    )
    packages = {"rectools": "rectools", "torch": "torch", "lightning": "pytorch-lightning"}
    found = {name: version(package) for name, package in packages.items()}
    return Library((FULL, "sampled_softmax"), prepared, found, note)


def replay(items: np.ndarray, offsets: np.ndarray, sizes: dict[str, Any]) -> Library:
    """SasRec of `replay.nn`, which its authors recommend instead of that of `replay.models.nn`."""
    import torch
    from replay.data import FeatureHint, FeatureSource, FeatureType
    from replay.data.nn import TensorFeatureInfo, TensorFeatureSource, TensorSchema
    from replay.nn.lightning import LightningModule
    from replay.nn.loss import CE, CESampled
    from replay.nn.sequential import SasRec
    from replay.nn.transform import UniformNegativeSamplingTransform

    count, padding = sizes["items"], sizes["items"]
    feature = TensorFeatureInfo(
        name="item", is_seq=True, cardinality=count, padding_value=padding, embedding_dim=sizes["dim"],
        feature_type=FeatureType.CATEGORICAL, feature_hint=FeatureHint.ITEM_ID,
        feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, "item")],
    )  # fmt: skip
    schema = TensorSchema(feature)
    rows = torch.from_numpy(windows(items.astype(np.int64) - 1, offsets, sizes["window"] + 1, padding))
    drawn = UniformNegativeSamplingTransform(count, sizes["negatives"])

    def prepared(loss: str) -> Prepared:
        model = SasRec.from_params(
            schema, embedding_dim=sizes["dim"], num_heads=sizes["heads"], num_blocks=sizes["layers"],
            max_sequence_length=sizes["window"], dropout=sizes["dropout"],
        )  # fmt: skip
        kind = CE if loss == FULL else CESampled
        model = SasRec(model.body, kind(ignore_index=padding))
        module = LightningModule(model)
        optimizer = module.configure_optimizers()
        module.optimizers = lambda: optimizer  # which training_step asks for the learning rate

        def batches(size: int) -> Iterable[Batch]:
            for part in rows[torch.randperm(len(rows))].split(size):
                given, wanted = part[:, :-1], part[:, 1:]
                batch = {
                    "feature_tensors": {"item": given},
                    "padding_mask": given != padding,
                    "positive_labels": wanted[..., None],
                    "target_padding_mask": ((given != padding) & (wanted != padding))[..., None],
                }
                yield batch if loss == FULL else drawn(batch)

        def states(window: np.ndarray) -> torch.Tensor:
            given = torch.from_numpy(np.where(window, window - 1, padding))
            return model.body({"item": given}, given != padding)[:, -1]

        def vectors() -> torch.Tensor:
            return torch.nn.functional.pad(model.body.embedder.get_item_weights(None), (0, 0, 1, 0))

        quiet(module)
        targets = lambda batch: int(batch["target_padding_mask"].sum())  # noqa: E731
        return Prepared(module.training_step, optimizer, batches, targets, module, states, vectors)

    note = (
        f"feed-forward block as wide as an item vector, ReLU; no item bias; Adam, no moving average of the weights; "
        f"always whole windows, padding computed like items; sampled: {sizes['negatives']} items, drawn uniformly for "
        "a step and shared by its targets as ours are, without logQ correction"
    )
    packages = {"replay": "replay-rec", "torch": "torch", "lightning": "lightning"}
    return Library((FULL, "sampled"), prepared, {name: version(package) for name, package in packages.items()}, note)


def quiet(module: Any) -> None:
    """Put a module of Lightning into training without what it logs to a trainer."""
    module.log = lambda *_, **__: None
    module.train()


def one_pass(prepared: Prepared, batches: Iterable[Batch], clock: Callable[[], float] = time.process_time) -> float:
    """Take a step on each batch; returns the seconds.  Raises FloatingPointError if a loss is not finite."""
    losses = []
    began = clock()
    for batch in batches:
        prepared.optimizer.zero_grad()
        loss = prepared.loss(batch)
        loss.backward()
        prepared.optimizer.step()
        losses.append(loss.detach())
    seconds = clock() - began
    if not np.isfinite([float(loss) for loss in losses]).all():
        raise FloatingPointError("a loss is not finite")
    return seconds


def mean_of(once: Callable[[], float], least: float) -> float:
    """Mean seconds of calls, of as many as take at least so many seconds together, so that short ones are not measured
    by their luckiest moments."""
    taken = [once()]
    while sum(taken) < least:
        taken.append(once())
    return sum(taken) / len(taken)


def an_epoch(prepared: Prepared, size: int, windows: np.ndarray, file: str) -> dict[str, Any]:
    """Train for a pass, and write what the model then is; returns its seconds and targets."""
    import torch

    counted = 0

    def batches() -> Iterator[Batch]:
        nonlocal counted
        for batch in prepared.batches(size):
            counted += prepared.targets(batch)
            yield batch

    seconds = one_pass(prepared, batches())
    prepared.module.eval()
    with torch.no_grad():
        states = [prepared.states(windows[first : first + 256]).numpy() for first in range(0, len(windows), 256)]
        np.savez(file, users=np.concatenate(states), items=prepared.vectors().numpy())
    prepared.module.train()
    return {"seconds": seconds, "targets": counted}


def serve(library: Library, windows: np.ndarray) -> None:
    """Say what it is, then answer each line that is read. Batches of a size are made when it is first asked for.

    windows: (users, window), whose states are asked for.  Each loss and batch size of an epoch has a model of its own.
    """
    import torch

    print(json.dumps({"versions": library.versions, "losses": library.losses, "note": library.note}), flush=True)
    known: dict[Any, Prepared] = {}
    made: dict[tuple[str, int], list[Batch]] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        loss, size = asked["loss"], asked["batch"]
        if "vectors" in asked:
            if (loss, size) not in known:
                torch.manual_seed(asked["seed"])
                known[loss, size] = library.prepared(loss)
            print(json.dumps(an_epoch(known[loss, size], size, windows, asked["vectors"])), flush=True)
            continue
        if loss not in known:
            known[loss] = library.prepared(loss)
        if (loss, size) not in made:
            made[loss, size] = list(known[loss].batches(size))
        seconds = mean_of(partial(one_pass, known[loss], made[loss, size]), asked["least"])
        targets = sum(map(known[loss].targets, made[loss, size]))
        print(json.dumps({"seconds": seconds, "targets": targets}), flush=True)


def keep_freed_memory() -> None:
    """As our own training does (`infer.system.memory`), so that both sides get memory alike."""
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(-3, 32 * 2**20)
        library.mallopt(-1, 256 * 2**20)


LIBRARIES: dict[str, Callable[[np.ndarray, np.ndarray, dict[str, Any]], Library]] = {
    "rectools": rectools,
    "replay": replay,
}


def main(name: str, folder: Path) -> None:
    """Prepare on one thread, then serve."""
    import torch

    keep_freed_memory()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with np.load(folder / "work.npz") as file:
        items, offsets, given = file["items"], file["offsets"], file["windows"]
    serve(LIBRARIES[name](items, offsets, json.loads((folder / "sizes.json").read_bytes())), given)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
