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
from dataclasses import replace
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
from infer.tables.columns import INTERACTIONS_FILE
from train import checkpoint

# What another precision does not change.
SAME = ("kind", "item_ids", "dataset_checksum", "seed", "config", "metrics")

Made = tuple[onnx.ModelProto, Metadata]


def exported(path: Path, metadata: Metadata, precision: str, largest_loss: float) -> Made:
    """A file's model in another precision, exported anew from the checkpoint beside it.

    Raises InputError if that is not there, or another, or if more than `largest_loss` of NDCG@10 is lost.
    """
    if metadata.precision != "fp32":
        raise InputError(f"{path.name} is in {metadata.precision} already: give the file in fp32")
    stored, table = checkpoint.finished(path.parent, path.stem), path.parent / INTERACTIONS_FILE
    for needed in (stored, table):
        if not needed.is_file():
            raise InputError(f"{needed}, from which {path.name} would be made in {precision}, is not there")
    with _beside([stored, table]) as folder:
        made, _ = export(path.stem, folder, precision, largest_loss, Carried(golden="made", users="drop"))
        content, other = load(made)
    if any(getattr(other, name) != getattr(metadata, name) for name in SAME):
        raise InputError(f"{stored} is not what {path.name} was exported from: export {path.stem} again")
    return onnx.load_model_from_string(content), other


def folded_in(path: Path, model: FoldedIn, metadata: Metadata, precision: str, largest_loss: float) -> Made:
    """The graph of a model that solves its users, and what its file says; errors as of `exported`.

    metadata: what the file says in fp32.
    """
    items = len(metadata.item_ids)
    proto = export_graph(model, items, precision)
    parity = check_parity(model, proto, items, 0, exact=precision == "fp32")
    told = replace(metadata, precision=precision, parity=parity, vectors={} if precision == "int8" else model.vectors)
    if precision == "fp32":
        return proto, told
    exact, _ = folded_in(path, model, metadata, "fp32", largest_loss)
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "fp32.onnx", Path(folder) / f"{precision}.onnx"
        for place, graph in zip(paths, (exact, proto), strict=True):
            place.write_bytes(file_content(graph, told))
        loss = check_quality(*paths, path.parent / INTERACTIONS_FILE, largest_loss)
        loss |= {"size": paths[1].stat().st_size / paths[0].stat().st_size}
    return proto, replace(told, parity=parity | loss)


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
