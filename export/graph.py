"""A trained model to one ONNX graph: inputs, scores, seen items dropped, top k.

In: a model in evaluation mode. Out: a ModelProto with the inputs

    user (batch,), or window and levels (batch, length)    int64
    and those of `export.topk.INPUTS`: which items may be recommended, and k (1,)
    of any values, for which `export.guard` cares,

and the outputs items (batch, k) int64 and scores (batch, k) float32, best first. k is given at run
time and is at most items + 1. Dropped entries have the score `schema.DROPPED`.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import onnx_ir
import torch
from onnxscript.optimizer import optimize_ir

from export.apart import too_large, written_apart
from export.cells.cells import item_at
from export.cells.probing import Probes
from export.cells.renumbered import renumbered
from export.guard import Sizes, guard
from export.head import ALL_SCORES
from export.precision import in_precision
from export.ranking import BLOCK
from export.topk import append_top_k
from infer.model.beside import KEY
from infer.model.signature import USER_INPUT
from train.models.base import ScoringModel

FOLDED = 1024  # numbers at most that one node of a graph with codes is folded to
EXPORTERS = ("torch.onnx", "onnxscript", "onnx_ir")  # loggers that tell of their own work


def export_graph(
    model: ScoringModel,
    items: int,
    precision: str = "fp32",
    fixed: int | None = None,
    chunk: int = 0,
    beside: Path | None = None,
    retired: Sequence[int] = (),
    probes: Probes | None = None,
) -> onnx.ModelProto:
    """Trace `model`, append the top-k and guard the inputs; every weight stays inside the one file, if it can.

    items: size of the catalogue, without padding.  precision: one of `precision.PRECISIONS`.  fixed: a number that
    stands for the input k, in a graph without rules.  chunk: so many items are scored at once, where scores are a
    product of users and items (`export.chunks`); 0: all.  beside: the file that it is to become; weights that are too
    large for that are written beside it (`export.apart`); None: they stay in the graph.  retired: indexes of items that
    nobody gets.  probes: which cells are searched, in whose order the items of `model` stand; indexes that the graph
    takes and gives are then those of before.
    Raises InputError if the model cannot be had in that precision.
    """
    examples = tuple(
        torch.ones((2,) if name == USER_INPUT else (2, model.window), dtype=torch.int64) for name in model.input_names
    )
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=max(2, model.window))
    axes = {0: batch, 1: length} if model.any_length else {0: batch}
    if model.appends_columns and not chunk:
        model.extra_columns = -(items + 1) % BLOCK
    if chunk and precision == "fp32":
        model.join_tables()
    levels = {name: logging.getLogger(name).level for name in EXPORTERS}
    for name in EXPORTERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                model.eval(),
                examples,
                dynamo=True,
                external_data=False,
                input_names=list(model.input_names),
                output_names=[ALL_SCORES],
                dynamic_shapes=tuple(axes for _ in examples),
                verbose=False,
                optimize=not model.coded,
            )
            assert program is not None, "with dynamo the exporter returns a program"
            if model.coded:  # vectors that follow from codes are not to be stored
                optimize_ir(program.model, output_size_limit=FOLDED, should_fold=_unless_longer)
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        model.extra_columns = 0
        model.part_tables()
    if beside is not None and precision == "fp32" and too_large(program):
        proto = written_apart(program, beside)
    else:
        proto = in_precision(program.model_proto, precision)
    append_top_k(proto.graph, items, BLOCK if model.appends_columns and not chunk else 0, fixed, chunk, retired, probes)
    if probes is not None:
        renumbered(proto.graph, item_at(probes.cells, items))
    guard(proto.graph, Sizes(items, model.user_count, model.level_count, model.window, model.any_length))
    strip(proto)
    return proto


def _unless_longer(node: onnx_ir.Node) -> bool | None:
    """Whether a node whose inputs are weights may become one: none of what is stored in half precision does."""
    given = node.inputs[0] if node.op_type == "Cast" else None
    return False if given is not None and given.dtype == onnx_ir.DataType.FLOAT16 else None


def in_chunks(proto: onnx.ModelProto) -> bool:
    """Whether a graph scores some items after the other, and not all at once."""
    return any(node.op_type == "Loop" for graph in branches(proto.graph) for node in graph.node)


def branches(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph, and the branches of what is decided within it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from branches(attribute.g)


def strip(proto: onnx.ModelProto) -> None:
    """Remove what the exporter says of this machine (source paths, stack traces) from the file."""
    graphs = [*branches(proto.graph), *proto.functions]
    messages = [proto, *graphs, *proto.graph.input, *proto.graph.output, *proto.graph.initializer]
    for graph in graphs:
        messages += [*graph.node, *graph.value_info]
    for message in messages:
        message.doc_string = ""
        kept = [(entry.key, entry.value) for entry in message.metadata_props if entry.key == KEY]
        del message.metadata_props[:]
        for key, value in kept:
            message.metadata_props.add(key=key, value=value)
