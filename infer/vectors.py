"""Vectors of items or users, whose products are the model's scores, as a file that other programs read.

In: a model file with vectors (mf, bert or hybrid in fp32 or fp16), and for users a table. Out: one file, of the kind
that its ending says (`infer.publishing.vector_files`): .parquet, .npy, or an index .faiss of items.

    python -m infer.vectors --model hybrid.onnx --output items.parquet
    python -m infer.vectors --model hybrid.onnx --of users --interactions tonight.csv --output users.npy

The users' vectors are of whole histories. A bias is a dimension, in which every user has a 1.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Literal

from infer.cli import option, parse, run, say
from infer.errors import InputError
from infer.histories.vocabulary import vocabulary
from infer.model.session import Model, open_model
from infer.model.vectors import check_vectors, item_vectors
from infer.publishing.vector_files import INDEX, check_output, ids_beside, write_vectors
from infer.scoring.job import open_job, typed
from infer.scoring.user_vectors import vectors_by_part
from infer.sources.source import open_source
from infer.system.scratch import scratch
from infer.tables.columns import ITEM
from infer.tables.config import TableConfig


@dataclass(frozen=True, kw_only=True)
class VectorsConfig(TableConfig):
    """Options of `python -m infer.vectors`."""

    model: Path = option(MISSING, "model file; looked for as given, then in artifacts/")
    output: Path = option(MISSING, "file to write: .parquet, .npy or .faiss")
    of: Literal["items", "users"] = option("items", "whose vectors: of items, or of a table's users")
    interactions: Path | None = option(
        None, "table of the users: a file, folder or address (default: the one the model was trained on)", address=True
    )
    batch_size: int = option(256, "users in one run of the graph", minimum=1, only={"of": ("users",)})
    device: Literal["cpu", "cuda"] = option("cpu", "device to run on; fails if it is unavailable")
    threads: int = option(0, "threads of ONNX Runtime; 0 means one for each core", minimum=0)


OF_USERS = [f for f in fields(VectorsConfig) if f.name == "interactions" or f in fields(TableConfig)]


def main(argv: Sequence[str]) -> None:
    """Parse, write, print."""
    config = parse(VectorsConfig, argv, __doc__)
    if config.of == "users" and config.output.suffix == INDEX:
        raise InputError(f"{config.output}: an index is of items, in which users' vectors look: write .npy")
    stated = next((f.name for f in OF_USERS if getattr(config, f.name) != f.default), None)
    if config.of == "items" and stated is not None:
        name = stated.replace("_", "-")
        raise InputError(f"--{name} says whose histories --of=users reads, or how; the items' vectors are in the model")
    check_output(config.output, [config.model, config.interactions])
    model = open_model(config.model, config.device, config.threads)
    check_vectors(model)
    dim = sum(model.metadata.vectors.values())
    written = _items(config, model, dim) if config.of == "items" else _users(config, model, dim)
    parts = ", ".join(f"{name} {size}" for name, size in model.metadata.vectors.items())
    beside = "" if config.output.suffix == ".parquet" else f", ids in {ids_beside(config.output)}"
    gone = len(model.metadata.retired) if config.of == "items" else 0
    retired = f"; {gone:,} of them are retired, and nobody may get them" if gone else ""
    what = f"{model.path.name}: {written:,} {config.of}, {dim} numbers each ({parts})"
    say(f"{what} -> {config.output}{beside}{retired}")


def _items(config: VectorsConfig, model: Model, dim: int) -> int:
    ids = vocabulary(model.metadata.item_ids, ITEM)[ITEM]
    return write_vectors(config.output, dim, [(ids, item_vectors(model))])


def _users(config: VectorsConfig, model: Model, dim: int) -> int:
    job = open_job(model, config.interactions, config.table_options, split=None)
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        source = open_source(job.table, job.options, Path(folder), optional=job.optional, known=job.known)
        return write_vectors(config.output, dim, vectors_by_part(typed(job, source), source, config.batch_size))


if __name__ == "__main__":
    raise SystemExit(run(main))
