"""Which items may be recommended, boosts, and the k best, inside the graph.

In: a graph that gives every item's score. Out: the same graph, which gives the k best of the items that are allowed:
all, those in `candidates`, or of each user those in `own_candidates` too; never those in `seen`. Of some candidates
only the scores are computed.
"""

from collections.abc import Sequence

from onnx import GraphProto, TensorProto, helper

from export.cells.probing import Probes, chosen, search
from export.head import Head, take_head
from export.large import all_items, candidates, some_items, without_rules
from export.nodes import Nodes
from export.precision import ROW_SCALE, drop_unused
from export.ranking import (
    BLOCK,
    LEAST,
    best_of_all,
    best_of_blocks,
    best_of_own,
    lists,
    offered,
    only_known,
    unscaled,
    with_boosts,
    without,
)
from infer.histories.vocabulary import PAD
from infer.model.signature import (
    BOOSTED_INPUT,
    BOOSTS_INPUT,
    CANDIDATES_INPUT,
    ITEMS_OUTPUT,
    K_INPUT,
    OWN_INPUT,
    SCORES_OUTPUT,
    SEEN_INPUT,
)

INPUTS: dict[str, tuple[int, list[int | str]]] = {
    SEEN_INPUT: (TensorProto.INT64, ["batch", "seen_width"]),
    K_INPUT: (TensorProto.INT64, [1]),
    CANDIDATES_INPUT: (TensorProto.INT64, ["candidate_count"]),
    OWN_INPUT: (TensorProto.INT64, ["batch", "own_width"]),
    BOOSTED_INPUT: (TensorProto.INT64, ["boost_count"]),
    BOOSTS_INPUT: (TensorProto.FLOAT, ["boost_count", 2]),
}


def append_top_k(
    graph: GraphProto,
    items: int,
    block: int = 0,
    fixed: int | None = None,
    chunk: int = 0,
    retired: Sequence[int] = (),
    probes: Probes | None = None,
) -> None:
    """all_scores (batch, columns) and `INPUTS` -> items, scores.

    block: columns of a block, whose multiple the columns then are; 0: they are items + 1.  fixed: so many items are
    listed, whoever asks, and of `INPUTS` there is `seen` alone, so that every input has a row for each user.  chunk: so
    many items are scored at once, where scores are a product of users and items; 0: all.  retired: items that nobody
    gets, whatever is asked.  probes: the cells in whose order the items stand, if only some are to be searched. Raises
    InputError for these if scores are no product of vectors in fp32.
    """
    head = take_head(graph, apart=chunk > 0)
    chunk = chunk if head.nodes else 0
    scaled = any(ROW_SCALE in node.output for node in graph.node)
    nodes = Nodes("chosen", graph.initializer)
    if fixed is not None:
        _fixed(graph, head, items, block, fixed, scaled, chunk, retired)
        return
    k = nodes("Min", K_INPUT, nodes.constant([items + 1]))
    some = nodes("Add", nodes.size(CANDIDATES_INPUT, 0), nodes.size(OWN_INPUT, 1))
    restricted = nodes("Greater", some, nodes.constant([0]))
    outputs = [ITEMS_OUTPUT, SCORES_OUTPUT]
    if chunk:
        some_branch = some_items(graph, head, items, k, chunk, scaled, retired)
        all_branch = all_items(graph, head, items, k, chunk, scaled, retired)
    else:
        some_branch = _restricted(graph, head, items, k, scaled, retired)
        all_branch = _unrestricted(graph, head, items, block, k, scaled, retired)
    if probes is None:
        nodes("If", restricted, outputs=outputs, then_branch=some_branch, else_branch=all_branch)
    else:
        found = search(nodes, graph, head, probes, items, k)
        every = Nodes("every", graph.initializer)
        made = ["every_item", "every_value"]
        every("If", restricted, outputs=made, then_branch=some_branch, else_branch=all_branch)
        chosen(nodes, found, every, made, outputs)
    graph.node.extend(nodes.nodes)
    graph.input.extend(helper.make_tensor_value_info(name, *kind) for name, kind in INPUTS.items())
    del graph.output[:]
    graph.output.extend(lists(*outputs))
    if chunk:
        drop_unused(graph)


def _fixed(
    graph: GraphProto,
    head: Head,
    items: int,
    block: int,
    k: int,
    scaled: bool,
    chunk: int,
    retired: Sequence[int],
) -> None:
    """The k best of all unseen items, without rules and without branches."""
    number = Nodes("chosen", graph.initializer).constant([min(k, items + 1)])
    nodes = Nodes("all", graph.initializer)
    if chunk:
        found = without_rules(nodes, graph, head, items, number, chunk, retired)
    else:
        found = _best_unseen(nodes, _all_scores(nodes, head, items, block), items, block, number, retired)
    for made, name in zip(unscaled(nodes, *found, scaled), (ITEMS_OUTPUT, SCORES_OUTPUT), strict=True):
        nodes("Identity", made, outputs=[name])
    graph.node.extend(nodes.nodes)
    graph.input.append(helper.make_tensor_value_info(SEEN_INPUT, *INPUTS[SEEN_INPUT]))
    del graph.output[:]
    graph.output.extend(lists(ITEMS_OUTPUT, SCORES_OUTPUT, min(k, items + 1)))
    if chunk:
        drop_unused(graph)


def _unrestricted(
    graph: GraphProto, head: Head, items: int, block: int, k: str, scaled: bool, retired: Sequence[int]
) -> GraphProto:
    """The k best of all items."""
    nodes = Nodes("all", graph.initializer)
    scores = _all_scores(nodes, head, items, block)
    scores = with_boosts(nodes, scores, only_known(nodes, BOOSTED_INPUT, items), BOOSTS_INPUT, scaled)
    found = _best_unseen(nodes, scores, items, block, k, retired)
    return nodes.branch("all_items", lists(*unscaled(nodes, *found, scaled)))


def _columns(items: int, block: int) -> int:
    """How many there are, of whole blocks."""
    return -(-(items + 1) // block) * block if block else items + 1


def _all_scores(nodes: Nodes, head: Head, items: int, block: int) -> str:
    """(users, columns), of a stated shape where this graph makes them: their rows are given at run time."""
    scores = head.write(nodes)
    return nodes.shaped(scores, "batch", _columns(items, block)) if head.nodes else scores


def _best_unseen(nodes: Nodes, scores: str, items: int, block: int, k: str, retired: Sequence[int]) -> tuple[str, str]:
    """Columns and values (users, k) of the best that are neither seen nor retired nor padding."""
    columns = _columns(items, block)
    padding = nodes.constant([[PAD, *retired, *range(items + 1, columns)]])
    scores = without(nodes, scores, SEEN_INPUT, padding)
    return best_of_blocks(nodes, scores, k, block) if block else best_of_all(nodes, scores, k)


def _restricted(graph: GraphProto, head: Head, items: int, k: str, scaled: bool, retired: Sequence[int]) -> GraphProto:
    """The k best of the candidates, whose columns stand in their order, before them one of padding and after them so
    many that blocks are full. Whatever is no item, retired, or comes twice, takes a column that is dropped."""
    nodes = Nodes("some", graph.initializer)
    one, zero = nodes.constant([1]), nodes.constant([0])
    given = candidates(nodes, items)
    count = nodes("Add", nodes.size(given, 0), one)
    needed = nodes("Max", nodes("Add", count, one), k, nodes.constant([LEAST]))
    size = nodes.constant([BLOCK])
    rounded = nodes("Div", nodes("Add", needed, nodes.constant([BLOCK - 1])), size)
    columns = nodes("Mul", rounded, size)
    filling = nodes("ConstantOfShape", nodes("Sub", columns, count))
    filling = nodes("Cast", filling, to=TensorProto.INT64)
    item_of = nodes("Concat", zero, given, filling, axis=0)  # (columns,)
    scalar = nodes.constant([])  # a shape
    places = nodes("Range", nodes.constant(0), nodes("Reshape", columns, scalar), nodes.constant(1))
    nowhere = nodes("Cast", nodes("ConstantOfShape", nodes.constant([items + 1])), to=TensorProto.INT64)
    column_of = nodes("ScatterElements", nowhere, item_of, places)  # (items + 1,), 0 for what is no candidate
    own_column = nodes("Equal", nodes("Gather", column_of, item_of), places)
    taken = nodes("And", own_column, nodes("Greater", item_of, zero))
    if retired:
        taken = nodes("And", taken, nodes("Gather", offered(nodes, items, retired), item_of))
    dead = nodes("NonZero", nodes("Not", taken))  # (1, n)
    # Items that are not among the candidates must not share the column of padding that Gather would give them.
    boosted = nodes("Gather", column_of, only_known(nodes, BOOSTED_INPUT, items))
    shape = ("batch", "columns")
    scores = nodes.shaped(head.write(nodes, item_of), *shape)
    scores = nodes.shaped(with_boosts(nodes, scores, boosted, BOOSTS_INPUT, scaled), *shape)
    scores = nodes.shaped(without(nodes, scores, nodes("Gather", column_of, SEEN_INPUT), dead), *shape)
    own = nodes("Greater", nodes.size(OWN_INPUT, 1), zero)
    best = Nodes("best", graph.initializer)
    column, values = best_of_blocks(best, scores, k)
    best_branch = best.branch("best_of_all", lists(column, values))
    best = Nodes("own", graph.initializer)
    column, values = best_of_own(best, scores, column_of, items, k)
    own_branch = best.branch("best_of_own", lists(column, values))
    column, values = "some_columns", "some_values"
    nodes("If", own, outputs=[column, values], then_branch=own_branch, else_branch=best_branch)
    found = nodes("Gather", item_of, column), values
    return nodes.branch("some_items", lists(*unscaled(nodes, *found, scaled)))
