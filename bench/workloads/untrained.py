"""Model files with random weights, for any table: as large and as slow as trained ones, made in seconds.

In: a kind (bert, hybrid or mf), its configuration and a table. Out: the torch model and its exported file.

    model, path = write_untrained("bert", BertConfig(), Path("32m.parquet"), Path("/tmp/folder"))
"""

import copy
from dataclasses import replace
from pathlib import Path

import polars as pl
import torch

from export.cells.searching import in_order, probes_of
from export.chunks import chunk_of
from export.exporter import describe, file_content
from export.graph import export_graph
from export.parity import check_parity
from infer.errors import InputError
from infer.model.session import open_model
from infer.system.files import write_bytes
from infer.system.fingerprints import sha256
from infer.tables.columns import ITEM, USER
from train.config import BertConfig, MFConfig, TrainConfig
from train.models.bert import MiniBERT4Rec
from train.models.mf import MF
from train.sizing import sized


def write_untrained(
    kind: str,
    config: TrainConfig,
    table: Path,
    folder: Path,
    compared: bool = True,
    chunk_items: int | None = None,
    items: int | None = None,
) -> tuple[MF | MiniBERT4Rec, Path]:
    """Export a freshly initialised model of the table's users and items to folder/KIND.onnx.

    Sizes that the configuration leaves open follow from the table, all of which counts as training items.
    compared: whether the graph's scores are compared with PyTorch's, which of a million items takes many gigabytes.
    chunk_items: as of `python -m export`.  items: the model knows the items 1 to so many, whichever the table has;
    None: those of the table.
    Raises InputError if the exported graph differs from PyTorch, or if the configuration is of another kind.
    """
    ids = pl.scan_parquet(table)
    known = pl.Series(range(1, items + 1)) if items else ids.select(pl.col(ITEM).unique().sort()).collect()[ITEM]
    item_ids = known.to_list()
    users = ids.group_by(USER).len().sort(USER).collect()
    user_ids, config = users[USER].to_list(), sized(config, users["len"].to_numpy())
    torch.manual_seed(config.seed)
    model: MF | MiniBERT4Rec
    if isinstance(config, MFConfig):
        model = MF(len(user_ids), len(item_ids), config)
    elif isinstance(config, BertConfig):
        model = MiniBERT4Rec(len(item_ids), config)
    else:
        raise InputError(f"{type(config).__name__} cannot be left untrained; expected one of bert, hybrid, mf")
    chunk = chunk_of(len(item_ids), chunk_items)
    path = folder / f"{kind}.onnx"
    proto = export_graph(model.eval(), len(item_ids), chunk=chunk, beside=path)
    parity = check_parity(model, proto, len(item_ids), len(user_ids), folder=folder) if compared else {}
    state = {
        "item_ids": item_ids,
        "user_ids": user_ids,
        "rules": {},
        "rating_levels": [],
        "best": {},
        "provenance": {
            "kind": kind,
            "dataset": f"{table.name}, untrained",
            "dataset_checksum": sha256(table),
            "config": {"seed": config.seed},
        },
    }
    write_bytes(path, file_content(proto, describe(state, model, parity, chunk=chunk)), owned=True)
    return model, path


def write_searched(model: MF | MiniBERT4Rec, path: Path, table: Path, number: int) -> Path:
    """The same model in a file that searches so many cells, beside that which scores all items; returns its path.

    model, path: of `write_untrained`.  table: by whose users cells are found.
    """
    metadata, found = open_model(path).metadata, path.with_name(f"{path.stem}.ivf.onnx")
    probes, other = probes_of(path, table, number), copy.deepcopy(model)
    ordered = in_order({"model": model.state_dict(), "item_ids": metadata.item_ids}, model, probes)
    other.load_state_dict(ordered["model"])
    proto = export_graph(other.eval(), len(metadata.item_ids), chunk=metadata.chunk, beside=found, probes=probes)
    write_bytes(found, file_content(proto, replace(metadata, probes=number)), owned=True)
    return found
