"""A checkpoint to one ONNX file, proven equal to PyTorch before it is written.

In: NAME.pt in the artifacts folder. Out: NAME.onnx, and NAME.contract.json beside it, which says the same as JSON; or
InputError and no file.

    export("hybrid", Path("artifacts"))
"""

import copy
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from types import MappingProxyType
from typing import Any

import onnx

from export.apart import clean
from export.carried import Carried, golden_vectors, titles, windows_of, with_users
from export.cells.searching import in_order, probes_of, refuse
from export.chunks import chunk_of
from export.graph import export_graph, in_chunks
from export.limits import refuse_broken_weights, refuse_large_graph, refuse_large_weights
from export.parity import check_fixed, check_parity
from export.quality import check_quality
from infer.errors import InputError
from infer.model.beside import folder_of
from infer.model.beside import stated as said_of
from infer.model.contract import contract, sidecar, sidecar_of
from infer.model.metadata import PREFIX, Metadata, id_type
from infer.model.modelfile import with_checksum
from infer.model.signature import LEVELS_INPUT, USER_INPUT
from infer.system.files import write_bytes, write_text
from infer.system.locks import alone
from infer.system.ownership import claim
from infer.system.project import PROJECT
from infer.system.versions import versions
from infer.tables.columns import INTERACTIONS_FILE, ITEMS_FILE
from train.models.base import ScoringModel
from train.models.registry import restore
from train.saved import checkpoint
from train.saved.places import Places

# Of what makes the file.
LIBRARIES = ("torch", "onnx", "onnxruntime", "numpy")


def export(
    name: str, artifacts: Path, precision: str = "fp32", largest_loss: float = 0.02, carried: Carried = Carried()
) -> tuple[Path, Metadata]:
    """Export one checkpoint; returns the written file, beside which lies its JSON, and its metadata.

    Raises InputError if there is no usable checkpoint or the graph fails the parity check or, in
    another precision than fp32, loses more than `largest_loss` of NDCG@10; if what is to be carried is not there; or if
    another process exports the same file.
    """
    stored, fixed = Places(artifacts, name).finished, carried.fixed_k
    ends = {precision: precision != "fp32", "ivf": carried.probes > 0, f"k{fixed}": fixed is not None}
    parts = [name, *(end for end, there in ends.items() if there), "onnx"]
    path = artifacts / ".".join(parts)
    claim([path, sidecar_of(path)], inputs=[stored, artifacts / INTERACTIONS_FILE])
    # Read once it is locked: an older checkpoint would take the place of what another exported of a newer one.
    with alone(artifacts / "locks" / f"{path.name}.lock"):
        state = checkpoint.read(stored, f"run `python -m train {name} --artifacts={quote(str(artifacts))}` first")
        model = _restored(state)
        refuse_broken_weights(name, model)
        refuse_large_weights(name, model, precision)
        if carried.probes:
            table, offered = artifacts / INTERACTIONS_FILE, len(state["item_ids"]) - len(state.get("retired", []))
            refuse(carried.probes, model, offered, precision, fixed, table)
        try:
            return path, _written(path, state, model, precision, largest_loss, carried)
        finally:
            clean(path)


def _restored(state: dict) -> ScoringModel:
    """The model as a file has it."""
    model = restore(state)
    model.spare()
    return model


def _written(
    path: Path, state: dict, model: ScoringModel, precision: str, largest_loss: float, carried: Carried
) -> Metadata:
    """Write the file and its JSON; returns what they say."""
    artifacts, items, users, fixed = path.parent, len(state["item_ids"]), len(state["user_ids"]), carried.fixed_k
    chunk, table = chunk_of(items, carried.chunk_items), artifacts / INTERACTIONS_FILE
    proto, parity = _checked(state, model, precision, chunk, path)
    if carried.chunk_items and chunk and not in_chunks(proto):
        kind = state["provenance"]["kind"]
        raise InputError(
            f"--chunk-items is for models whose scores are products of vectors, and those of {kind} are none"
        )
    if precision != "fp32":
        parity |= _loss(state, model, proto, precision, table, largest_loss, chunk)
    chunk = chunk if in_chunks(proto) else 0
    if carried.probes:
        proto, parity = _searched(state, model, proto, parity, carried.probes, table, largest_loss, chunk, path)
    metadata = describe(state, model, parity, precision, chunk, carried.probes)
    shown = with_users(metadata, carried)
    extras = {"titles": json.dumps(titles(metadata, artifacts), ensure_ascii=False)} if carried.titles else {}
    real = carried.golden == "real" and carried.users == "keep"
    whole, folder = file_content(proto, metadata), folder_of(path)
    base, origin = windows_of(
        whole, metadata, table if real else None, model.user_count, folder if said_of(proto) else None
    )
    if fixed is not None:
        asked, proto = proto, export_graph(model, items, precision, fixed, chunk, path, metadata.retired)
        refuse_large_graph(proto)
        check_fixed(model, asked, proto, items, users, fixed, folder)
    extras["golden"] = json.dumps(golden_vectors(proto, metadata, base, origin, model.user_count, folder))
    content = file_content(proto, shown, extras)
    write_bytes(path, content, owned=True)
    write_text(sidecar_of(path), sidecar(path, content), owned=True)
    return shown


def _checked(
    state: dict, model: ScoringModel, precision: str, chunk: int, beside: Path | None = None
) -> tuple[onnx.ModelProto, dict[str, float]]:
    """The graph, and how far it is from PyTorch.  beside: as of `export_graph`."""
    gone = state.get("retired", [])
    proto = export_graph(model, len(state["item_ids"]), precision, chunk=chunk, beside=beside, retired=gone)
    refuse_large_graph(proto)
    sizes = len(state["item_ids"]), len(state["user_ids"])
    folder = None if beside is None else folder_of(beside)
    return proto, check_parity(model, proto, *sizes, exact=precision == "fp32", folder=folder, retired=gone)


def _loss(
    state: dict,
    model: ScoringModel,
    proto: onnx.ModelProto,
    precision: str,
    table: Path,
    largest_loss: float,
    chunk: int,
) -> dict[str, float]:
    """What the graph in another precision loses against the one in fp32, and its share of the size."""
    exact, parity = _checked(state, model, "fp32", chunk)
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "fp32.onnx", Path(folder) / f"{precision}.onnx"
        for path, graph in zip(paths, (exact, proto), strict=True):
            path.write_bytes(file_content(graph, describe(state, model, parity, chunk=chunk)))
        loss = check_quality(*paths, table, largest_loss)
        return loss | {"size": paths[1].stat().st_size / paths[0].stat().st_size}


def _searched(
    state: dict,
    model: ScoringModel,
    exact: onnx.ModelProto,
    parity: dict[str, float],
    number: int,
    table: Path,
    largest_loss: float,
    chunk: int,
    beside: Path,
) -> tuple[onnx.ModelProto, dict[str, float]]:
    """The graph that searches some cells, how far it is from PyTorch, and what its lists lose."""
    items, gone = len(state["item_ids"]), state.get("retired", [])
    with tempfile.TemporaryDirectory() as temporary:
        # Beside the data file, if there is one; what a killed export left has these names, too.
        folder = Path(temporary) if said_of(exact) is None else folder_of(beside)
        paths = [folder / f".{beside.name}.{name}.onnx" for name in ("exact", "searched")]
        try:
            paths[0].write_bytes(file_content(copy.deepcopy(exact), describe(state, model, parity, chunk=chunk)))
            probes = probes_of(paths[0], table, number)
            ordered = in_order(state, model, probes)
            proto = export_graph(
                _restored(ordered), items, chunk=chunk, beside=beside, retired=ordered["retired"], probes=probes
            )
            refuse_large_graph(proto)
            sizes = items, len(state["user_ids"])
            told = check_parity(model, proto, *sizes, folder=folder, retired=gone, searched=True)
            content = file_content(copy.deepcopy(proto), describe(state, model, told, chunk=chunk, probes=number))
            paths[1].write_bytes(content)
            loss = check_quality(paths[0], paths[1], table, largest_loss)
            return proto, told | loss | {"size": paths[1].stat().st_size / paths[0].stat().st_size}
        finally:
            for path in paths:
                path.unlink(missing_ok=True)


def file_content(proto: onnx.ModelProto, metadata: Metadata, extras: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """The bytes of the file: the graph, what it says of itself and of its data file, and their checksum.

    extras: further JSON texts by name, for consumers that have only an ONNX runtime. Raises InputError if it is more
    than a file may hold, or what no reader would take.
    """
    metadata.check("the model", "prepare the data and train again; no file was written")
    said = said_of(proto)
    del proto.metadata_props[:]
    own = {"data": json.dumps(said)} if said else {}
    own |= {"contract": json.dumps(contract(proto.graph, metadata), ensure_ascii=False), **extras}
    texts = metadata.to_properties() | {PREFIX + name: text for name, text in own.items()}
    for key, text in texts.items():
        proto.metadata_props.add(key=key, value=text)
    proto.producer_name, proto.producer_version = PROJECT, ""
    refuse_large_graph(proto, sum(len(text.encode()) for text in texts.values()))
    return with_checksum(proto.SerializeToString(deterministic=True))


def _refitted(provenance: dict[str, Any]) -> dict[str, Any]:
    """What tells a refitted model, which has no validation figures, from others: whom it followed, and its members."""
    if "refit" not in provenance:
        return {}
    return {"refit": provenance["refit"], "parents": provenance["parents"]}


def describe(
    state: dict,
    model: ScoringModel,
    parity: dict[str, float],
    precision: str = "fp32",
    chunk: int = 0,
    probes: int = 0,
) -> Metadata:
    """What the file is to say of itself."""
    provenance, best = state["provenance"], state["best"]
    return Metadata(
        kind=provenance["kind"],
        item_ids=state["item_ids"],
        user_ids=state["user_ids"] if USER_INPUT in model.input_names else [],
        item_type=id_type(state["item_ids"]),
        user_type=id_type(state["user_ids"]),
        rules=state["rules"],
        window=model.window,
        rating_levels=state["rating_levels"] if LEVELS_INPUT in model.input_names else [],
        padding="left, index 0",
        precision=precision,
        attribution=model.attribution,
        retired=state.get("retired", []),
        chunk=chunk,
        probes=probes,
        vectors={} if precision == "int8" else model.vectors,
        dataset=provenance["dataset"],
        dataset_checksum=provenance["dataset_checksum"],
        interactions=INTERACTIONS_FILE,
        items=ITEMS_FILE,
        seed=provenance["config"]["seed"],
        config=provenance["config"] | state.get("tried", {}) | _refitted(provenance),
        metrics={name: value for name, value in best.items() if name.startswith("validation") or name == "epoch"},
        parity=parity,
        # Without the build: the same file comes from PyTorch for the CPU and for CUDA.
        versions={name: version.partition("+")[0] for name, version in versions(*LIBRARIES).items()},
    )
