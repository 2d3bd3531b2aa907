"""The lists of `export.topk` for large catalogues: the same branches, whose items are scored chunk by chunk.

In: the head of a graph. Out: branches of an `If`, or nodes without rules.

    all_items(graph, head, items, k, chunk, scaled)
"""

from collections.abc import Sequence

from onnx import GraphProto, TensorProto

from export.chunks import Ranked, best_in_chunks
from export.head import Head
from export.nodes import Nodes
from export.ranking import lists, offered, only_known, unscaled
from infer.model.signature import BOOSTED_INPUT, CANDIDATES_INPUT, OWN_INPUT, SEEN_INPUT


def all_items(
    graph: GraphProto, head: Head, items: int, k: str, chunk: int, scaled: bool, retired: Sequence[int]
) -> GraphProto:
    """The k best of all items."""
    nodes = Nodes("all", graph.initializer)
    boosted = only_known(nodes, BOOSTED_INPUT, items)
    ranked = Ranked(nodes.constant([items]), SEEN_INPUT, boosted=boosted, offered=_offered(nodes, items, retired))
    found = best_in_chunks(nodes, graph, head, ranked, k, chunk, scaled)
    return nodes.branch("all_items", lists(*unscaled(nodes, *found, scaled)))


def without_rules(
    nodes: Nodes, graph: GraphProto, head: Head, items: int, k: str, chunk: int, retired: Sequence[int]
) -> tuple[str, str]:
    """Items and values (users, k) of all unseen items."""
    ranked = Ranked(nodes.constant([items]), SEEN_INPUT, offered=_offered(nodes, items, retired))
    return best_in_chunks(nodes, graph, head, ranked, k, chunk)


def _offered(nodes: Nodes, items: int, retired: Sequence[int]) -> str | None:
    """`export.ranking.offered`; None if nothing is retired."""
    return offered(nodes, items, retired) if retired else None


def some_items(
    graph: GraphProto, head: Head, items: int, k: str, chunk: int, scaled: bool, retired: Sequence[int]
) -> GraphProto:
    """The k best of the candidates, which are ranked in their order. Whatever is no item, or comes twice, has a place
    on which none is."""
    nodes = Nodes("some", graph.initializer)
    one, zero, scalar = nodes.constant([1]), nodes.constant([0]), nodes.constant([])
    given = candidates(nodes, items, in_order=True)
    count = nodes.size(given, 0)
    item_at = nodes("Concat", zero, given, axis=0)
    end = nodes("Reshape", nodes("Add", count, one), scalar)
    places = nodes("Range", nodes.constant(0), end, nodes.constant(1))
    nowhere = nodes("Cast", nodes("ConstantOfShape", nodes.constant([items + 1])), to=TensorProto.INT64)
    place_of = nodes("ScatterElements", nowhere, item_at, places)  # (items + 1,), 0 for what is no candidate
    # Padding is at place 0, whichever other place of none was written last.
    place_of = nodes("ScatterElements", place_of, zero, zero)
    own_place = nodes("Equal", nodes("Gather", place_of, item_at), places)
    item_at = nodes("Mul", item_at, nodes("Cast", own_place, to=TensorProto.INT64))
    seen = nodes("Gather", place_of, SEEN_INPUT)
    boosted = nodes("Gather", place_of, only_known(nodes, BOOSTED_INPUT, items))
    own = nodes("Gather", place_of, only_known(nodes, OWN_INPUT, items))
    # One of two loops has no rounds: that of each user's own candidates, or that of everybody's.
    width = nodes.size(OWN_INPUT, 1)
    theirs = nodes("Min", width, one)
    alone, common = Nodes("own", graph.initializer), Nodes("common", graph.initializer)
    may = _offered(nodes, items, retired)
    ranked = Ranked(count, seen, item_at, boosted, offered=may)
    found = best_in_chunks(common, graph, head, ranked, k, chunk, scaled, unless=theirs)
    nodes.nodes.extend(common.nodes)
    everybody = nodes("Sub", one, theirs)
    ranked = Ranked(count, seen, item_at, boosted, own, may)
    found = best_in_chunks(alone, graph, head, ranked, k, chunk, scaled, start=found, unless=everybody)
    nodes.nodes.extend(alone.nodes)
    return nodes.branch("some_items", lists(*unscaled(nodes, *found, scaled)))


def candidates(nodes: Nodes, items: int, in_order: bool = False) -> str:
    """(n,) the items that are given: each user's own where there are no others. 0 is none.

    in_order: whether users' own are to stand in the order of items, whose they are of equal scores.
    """
    one, count = nodes.constant([1]), nodes.size(CANDIDATES_INPUT, 0)
    flat = nodes("Reshape", OWN_INPUT, nodes.constant([-1]))
    others = nodes("Mul", nodes.size(flat, 0), nodes("Sub", one, nodes("Min", count, one)))
    own = nodes("Slice", flat, nodes.constant([0]), others)
    if in_order:
        ordered = f"{nodes.prefix}_ordered"
        own = nodes("TopK", own, others, outputs=[ordered, f"{ordered}_places"], axis=0, largest=0)
    given = nodes("Concat", CANDIDATES_INPUT, own, axis=0)
    return only_known(nodes, given, items)
