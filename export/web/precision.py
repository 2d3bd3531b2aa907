"""A model in fewer bytes, with what its lists lose measured as `python -m export` does.

In: a file of fp32, and beside it the checkpoint and the table that it came from. Out: the same in int8 or fp16, or
InputError with the reason.

    python -m export.web --model hybrid.onnx --precision=auto
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import onnx

from export.carried import Carried
from export.exporter import export, file_content
from export.graph import export_graph
from export.parity import check_parity
from export.quality import check_quality
from export.web.folding import FoldedIn
from infer.errors import InputError
from infer.model.metadata import Metadata
from infer.model.modelfile import load
from infer.model.session import Model
from infer.tables.columns import INTERACTIONS_FILE
from train.saved.places import Places

# What another precision does not change.
SAME = ("kind", "item_ids", "dataset_checksum", "seed", "config", "metrics")

Made = tuple[onnx.ModelProto, Metadata]


@dataclass(frozen=True)
class Source:
    """A model that a history can ask, as it is given and in other precisions.

    model, content: its file, open, and its bytes.  metadata: what the graph is to say; of `mf` without users.  solved:
    the model of `mf`, whose graph is another than the file's.
    """

    model: Model
    content: bytes
    metadata: Metadata
    solved: FoldedIn | None = None

    @cached_property
    def given(self) -> Made:
        """The graph and what it says, as they are given."""
        if self.solved is None:
            return onnx.load_model_from_string(self.content), self.metadata
        return _graph(self.solved, self.metadata, "fp32")

    def made(self, precision: str, largest_loss: float) -> Made:
        """The same in a precision; raises InputError if it cannot be had, or loses more NDCG@10 than `largest_loss`."""
        if precision == self.metadata.precision:
            return self.given
        if self.solved is None:
            return _exported(self.model.path, self.metadata, precision, largest_loss)
        proto, told = _graph(self.solved, self.metadata, precision)
        with tempfile.TemporaryDirectory() as folder:
            paths = Path(folder) / "fp32.onnx", Path(folder) / f"{precision}.onnx"
            for place, graph in zip(paths, (self.given[0], proto), strict=True):
                place.write_bytes(file_content(graph, told))
            loss = check_quality(*paths, self.model.path.parent / INTERACTIONS_FILE, largest_loss)
            loss |= {"size": paths[1].stat().st_size / paths[0].stat().st_size}
        return proto, replace(told, parity=told.parity | loss)


def _graph(model: FoldedIn, metadata: Metadata, precision: str) -> Made:
    """The graph of a model that solves its users, equal to PyTorch's."""
    items = len(metadata.item_ids)
    proto = export_graph(model, items, precision, chunk=metadata.chunk, retired=metadata.retired)
    parity = check_parity(model, proto, items, 0, exact=precision == "fp32", retired=metadata.retired)
    vectors = {} if precision == "int8" else model.vectors
    return proto, replace(metadata, precision=precision, parity=parity, vectors=vectors, probes=0)


def _exported(path: Path, metadata: Metadata, precision: str, largest_loss: float) -> Made:
    """A file's model in another precision, exported anew from the checkpoint beside it.

    Raises InputError if that is not there, or another, or if more than `largest_loss` of NDCG@10 is lost.
    """
    if metadata.precision != "fp32":
        raise InputError(f"{path.name} is in {metadata.precision} already: give the file in fp32")
    stored, table = Places(path.parent, path.stem).finished, path.parent / INTERACTIONS_FILE
    for needed in (stored, table):
        if not needed.is_file():
            raise InputError(f"{needed}, from which {path.name} would be made in {precision}, is not there")
    with _beside([stored, table]) as folder:
        carried = Carried(golden="made", users="drop", chunk_items=metadata.chunk)
        made, _ = export(path.stem, folder, precision, largest_loss, carried)
        content, other = load(made)
    if any(getattr(other, name) != getattr(metadata, name) for name in SAME):
        raise InputError(f"{stored} is not what {path.name} was exported from: export {path.stem} again")
    return onnx.load_model_from_string(content), other


@contextmanager
def _beside(files: list[Path]) -> Iterator[Path]:
    """A folder that holds these files, and may hold others for a while."""
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            try:
                os.link(file.resolve(), Path(folder) / file.name)
            except OSError:  # another file system, or one without links
                shutil.copy(file, folder)
        yield Path(folder)
