"""The k best of a catalogue that is too large to score at once: a loop over chunks of items, which keeps the k best.

In: which items are ranked, in which order, and how many are scored at once. Out: nodes that make lists, whose memory
follows from the users and a chunk, not from the catalogue.

    found = best_in_chunks(nodes, graph, head, Ranked(count, seen), k, chunk=16_384)

A chunk is a small catalogue of its own. Its first column is of padding, on which falls whatever is not in the chunk.
Its items are scored by `Head.write` alone. The lists are those of all items scored at once, ties included: the items of
a chunk stand behind those of the chunks before it.
"""

from dataclasses import dataclass

import numpy as np
from onnx import GraphProto, TensorProto, helper

from export.head import Head
from export.nodes import Nodes
from export.ranking import BLOCK, LEAST, best_of_all, best_of_blocks, with_boosts, without
from infer.model.loops import MOST_ROUNDS
from infer.model.signature import BOOSTS_INPUT, DROPPED, SEEN_INPUT
from infer.model.vectors import CHUNK_ITEMS

# Catalogues beyond are scored in chunks, unless told otherwise: of fewer items all scores of 256 users fit into what a
# batch may take (`infer.scoring.lists`), and to score them at once takes less time (docs/benchmarks.md).
AT_ONCE = 2**18 - 1
CHUNK = 2**16 - 1  # with the column of padding, whole blocks
LAST = np.iinfo(np.int64).max  # beyond the end of any axis


def chunk_of(items: int, asked: int | None = None) -> int:
    """How many of these items a graph scores at once, 0 if all.  asked: what was asked for; None: what suits them."""
    if asked is None:
        return CHUNK if items > AT_ONCE else 0
    return asked if 0 < asked < items else 0


@dataclass(frozen=True)
class Ranked:
    """What is ranked; all but `item_at` by place, from 1 in the order of the items ranked, or 0 for what is none.

    count: (1,) how many items.  seen: (users, n).  item_at: (count + 1,) the item at each place, 0 at place 0 and where
    none is; None: the item of that index.  boosted: (b,), to `BOOSTS_INPUT`; None: no boosts.  own: (users, m) the only
    ones of each user; None: all.  offered: (items + 1,) bool, of each item, whether anybody may get it; None: all.
    """

    count: str
    seen: str
    item_at: str | None = None
    boosted: str | None = None
    own: str | None = None
    offered: str | None = None


def best_in_chunks(
    nodes: Nodes,
    graph: GraphProto,
    head: Head,
    ranked: Ranked,
    k: str,
    chunk: int,
    scaled: bool = False,
    start: tuple[str, str] | None = None,
    unless: str | None = None,
) -> tuple[str, str]:
    """Items and values (users, k), best first.

    graph: the outermost, for constants.  k: (1,).  chunk: items at once, which becomes `LEAST` or k if that is more.
    start: lists to begin with; None: empty ones.  unless: (1,) 1 if nothing is to be ranked here, else 0.
    """
    one = nodes.constant([1])
    # With the column of padding, whole blocks.
    columns = _whole_blocks(nodes, nodes("Max", nodes.constant([max(chunk + 1, LEAST)]), nodes("Add", k, one)))
    size = nodes("Sub", columns, one)
    rounds = nodes("Div", nodes("Add", ranked.count, nodes("Sub", size, one)), size)
    if unless is not None:
        rounds = nodes("Mul", rounds, nodes("Sub", one, unless))
    shape = nodes("Concat", nodes.size(SEEN_INPUT, 0), k, axis=0)
    start = start or (
        nodes("Expand", nodes.constant([0]), shape),
        nodes("Expand", nodes.constant([DROPPED], "float32"), shape),
    )
    body = _round(graph, f"{nodes.prefix}_chunk", head, ranked, k, size, scaled)
    # The loader of the file asks for a number that no input can exceed.
    rounds = nodes("Min", rounds, nodes.constant([MOST_ROUNDS]))
    outputs = [f"{nodes.prefix}_found", f"{nodes.prefix}_found_values"]
    nodes("Loop", rounds, "", *start, outputs=outputs, body=body)
    return outputs[0], outputs[1]


def _round(graph: GraphProto, name: str, head: Head, ranked: Ranked, k: str, size: str, scaled: bool) -> GraphProto:
    """One chunk: its number, and lists so far -> lists."""
    nodes = Nodes(name, graph.initializer)
    number, going, items_before, values_before = (f"{name}_{of}" for of in ("number", "going", "items", "values"))
    one, zero, scalar = nodes.constant([1]), nodes.constant([0]), nodes.constant([])
    first = nodes("Add", nodes("Mul", nodes("Reshape", number, one), size), one)  # a place
    left = nodes("Add", nodes("Sub", ranked.count, first), one)
    columns = nodes("Max", nodes("Add", nodes("Min", left, size), one), k, nodes.constant([LEAST]))
    columns = _whole_blocks(nodes, columns)
    end = nodes("Add", first, nodes("Sub", columns, one))
    places = nodes("Range", nodes("Reshape", first, scalar), nodes("Reshape", end, scalar), nodes.constant(1))
    there = nodes("Cast", nodes("LessOrEqual", places, ranked.count), to=TensorProto.INT64)
    item = nodes("Mul", places, there)
    if ranked.item_at is not None:
        item = nodes("Gather", ranked.item_at, item)
    item_of = nodes("Concat", zero, item, axis=0, outputs=[CHUNK_ITEMS])  # (columns,)
    none = nodes("Equal", item_of, zero)
    if ranked.offered is not None:
        none = nodes("Not", nodes("Gather", ranked.offered, item_of))
    dead = nodes("NonZero", none)  # (1, n)

    def column(place: str) -> str:
        """The same shape: where a place stands in this chunk, 0 if it does not."""
        within = nodes("And", nodes("GreaterOrEqual", place, first), nodes("Less", place, end))
        here = nodes("Add", nodes("Sub", place, first), one)
        return nodes("Mul", here, nodes("Cast", within, to=TensorProto.INT64))

    shape = ("batch", f"{name}_columns")
    scores = nodes.shaped(head.write(nodes, item_of), *shape)
    if ranked.boosted is not None:
        boosted = column(ranked.boosted)
        here = nodes("Greater", boosted, zero)
        boosts = nodes("Compress", BOOSTS_INPUT, here, axis=0)
        scores = with_boosts(nodes, scores, nodes("Compress", boosted, here, axis=0), boosts, scaled)
        scores = nodes.shaped(scores, *shape)
    scores = nodes.shaped(without(nodes, scores, column(ranked.seen), dead), *shape)
    if ranked.own is not None:
        own = column(ranked.own)
        kept = nodes("GatherElements", scores, own, axis=1)
        nothing = nodes("Expand", nodes.constant([DROPPED], "float32"), nodes("Shape", scores))
        nothing = nodes.shaped(nothing, *shape)
        scores = nodes.shaped(nodes("ScatterElements", nothing, own, kept, axis=1), *shape)
    last = nodes("Slice", values_before, nodes.constant([-1]), nodes.constant([LAST]), one)
    found, values = best_of_blocks(nodes, scores, k, least=last)
    both = nodes("Concat", values_before, values, axis=1)
    items = nodes("Concat", items_before, nodes("Gather", item_of, found), axis=1)
    merged = Nodes(f"{name}_merged", graph.initializer)
    found, values = best_of_all(merged, both, k)
    items = merged("GatherElements", items, found, axis=1)
    nodes.nodes.extend(merged.nodes)
    still = nodes("Identity", going)
    lists = [(TensorProto.INT64, ["batch", "top_k"]), (TensorProto.FLOAT, ["batch", "top_k"])]
    scalars: list[tuple[int, list]] = [(TensorProto.INT64, []), (TensorProto.BOOL, [])]

    def values_of(names: list[str], kinds: list) -> list:
        return [helper.make_tensor_value_info(n, *kind) for n, kind in zip(names, kinds, strict=True)]

    inputs = values_of([number, going, items_before, values_before], [*scalars, *lists])
    outputs = values_of([still, items, values], [scalars[1], *lists])
    return nodes.branch(name, outputs, inputs)


def _whole_blocks(nodes: Nodes, columns: str) -> str:
    """(1,) the next multiple of `BLOCK`."""
    size = nodes.constant([BLOCK])
    return nodes("Mul", nodes("Div", nodes("Add", columns, nodes.constant([BLOCK - 1])), size), size)
