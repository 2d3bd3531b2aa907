"""Which items may be recommended, boosts, and the k best, inside the graph.

In: a graph that gives every item's score. Out: the same graph, which gives the k best of the items that are allowed:
all, those in `candidates`, or of each user those in `own_candidates` too; never those in `seen`. Of some candidates
only the scores are computed.
"""

from onnx import GraphProto, TensorProto, helper

from export.head import Head, take_head
from export.nodes import Nodes
from export.precision import ROW_SCALE
from infer.histories.vocabulary import PAD
from infer.model.signature import (
    BOOSTED_INPUT,
    BOOSTS_INPUT,
    CANDIDATES_INPUT,
    DROPPED,
    ITEMS_OUTPUT,
    K_INPUT,
    OWN_INPUT,
    SCORES_OUTPUT,
    SEEN_INPUT,
)

# Items whose largest score is found first: the top k lie in the k blocks with the largest, and a
# maximum over all scores takes a third of the time of a top k over them.
BLOCK = 128
# Columns at least that candidates fill: of fewer, a product of matrices sums in another order when threads share it.
LEAST = 1024

INPUTS: dict[str, tuple[int, list[int | str]]] = {
    SEEN_INPUT: (TensorProto.INT64, ["batch", "seen_width"]),
    K_INPUT: (TensorProto.INT64, [1]),
    CANDIDATES_INPUT: (TensorProto.INT64, ["candidate_count"]),
    OWN_INPUT: (TensorProto.INT64, ["batch", "own_width"]),
    BOOSTED_INPUT: (TensorProto.INT64, ["boost_count"]),
    BOOSTS_INPUT: (TensorProto.FLOAT, ["boost_count", 2]),
}


def append_top_k(graph: GraphProto, items: int, block: int = 0, fixed: int | None = None) -> None:
    """all_scores (batch, columns) and `INPUTS` -> items, scores.

    block: columns of a block, whose multiple the columns then are; 0: they are items + 1.  fixed: so many items are
    listed, whoever asks, and of `INPUTS` there is `seen` alone, so that every input has a row for each user.
    """
    head = take_head(graph)
    scaled = any(ROW_SCALE in node.output for node in graph.node)
    nodes = Nodes("chosen", graph.initializer)
    if fixed is not None:
        _fixed(graph, head, items, block, fixed, scaled)
        return
    k = nodes("Min", K_INPUT, nodes.constant([items + 1]))
    some = nodes("Add", nodes.size(CANDIDATES_INPUT, 0), nodes.size(OWN_INPUT, 1))
    restricted = nodes("Greater", some, nodes.constant([0]))
    outputs = [ITEMS_OUTPUT, SCORES_OUTPUT]
    nodes(
        "If",
        restricted,
        outputs=outputs,
        then_branch=_restricted(graph, head, items, k, scaled),
        else_branch=_unrestricted(graph, head, items, block, k, scaled),
    )
    graph.node.extend(nodes.nodes)
    graph.input.extend(helper.make_tensor_value_info(name, *kind) for name, kind in INPUTS.items())
    del graph.output[:]
    graph.output.extend(_lists(*outputs))


def _fixed(graph: GraphProto, head: Head, items: int, block: int, k: int, scaled: bool) -> None:
    """The k best of all unseen items, without rules and without branches."""
    number = Nodes("chosen", graph.initializer).constant([min(k, items + 1)])
    nodes = Nodes("all", graph.initializer)
    found = _best_unseen(nodes, _all_scores(nodes, head, items, block), items, block, number)
    for made, name in zip(_unscaled(nodes, *found, scaled), (ITEMS_OUTPUT, SCORES_OUTPUT), strict=True):
        nodes("Identity", made, outputs=[name])
    graph.node.extend(nodes.nodes)
    graph.input.append(helper.make_tensor_value_info(SEEN_INPUT, *INPUTS[SEEN_INPUT]))
    del graph.output[:]
    graph.output.extend(_lists(ITEMS_OUTPUT, SCORES_OUTPUT, min(k, items + 1)))


def _lists(items: str, scores: str, k: int | str = "top_k") -> list:
    return [
        helper.make_tensor_value_info(items, TensorProto.INT64, ["batch", k]),
        helper.make_tensor_value_info(scores, TensorProto.FLOAT, ["batch", k]),
    ]


def _unrestricted(graph: GraphProto, head: Head, items: int, block: int, k: str, scaled: bool) -> GraphProto:
    """The k best of all items."""
    nodes = Nodes("all", graph.initializer)
    scores = _all_scores(nodes, head, items, block)
    scores = _boosted(nodes, scores, _known(nodes, BOOSTED_INPUT, items), scaled)
    found = _best_unseen(nodes, scores, items, block, k)
    return nodes.branch("all_items", _lists(*_unscaled(nodes, *found, scaled)))


def _columns(items: int, block: int) -> int:
    """How many there are, of whole blocks."""
    return -(-(items + 1) // block) * block if block else items + 1


def _all_scores(nodes: Nodes, head: Head, items: int, block: int) -> str:
    """(users, columns), of a stated shape where this graph makes them: their rows are given at run time."""
    scores = head.write(nodes)
    return nodes.shaped(scores, "batch", _columns(items, block)) if head.nodes else scores


def _best_unseen(nodes: Nodes, scores: str, items: int, block: int, k: str) -> tuple[str, str]:
    """Columns and values (users, k) of the best that are neither seen nor padding."""
    columns = _columns(items, block)
    padding = nodes.constant([[PAD, *range(items + 1, columns)]])
    scores = _dropped(nodes, scores, SEEN_INPUT, padding)
    return _best_of_blocks(nodes, scores, k, block) if block else _best(nodes, scores, k)


def _restricted(graph: GraphProto, head: Head, items: int, k: str, scaled: bool) -> GraphProto:
    """The k best of the candidates, whose columns stand in their order, before them one of padding and after them so
    many that blocks are full. Whatever is no item, or comes twice, takes a column that is dropped."""
    nodes = Nodes("some", graph.initializer)
    one, zero = nodes.constant([1]), nodes.constant([0])
    # Each user's own candidates are the candidates where there are no others.
    count = nodes.size(CANDIDATES_INPUT, 0)
    flat = nodes("Reshape", OWN_INPUT, nodes.constant([-1]))
    others = nodes("Mul", nodes.size(flat, 0), nodes("Sub", one, nodes("Min", count, one)))
    given = nodes("Concat", CANDIDATES_INPUT, nodes("Slice", flat, zero, others), axis=0)
    given = _known(nodes, given, items)
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
    dead = nodes("NonZero", nodes("Not", taken))  # (1, n)
    # Items that are not among the candidates must not share the column of padding that Gather would give them.
    boosted = nodes("Gather", column_of, _known(nodes, BOOSTED_INPUT, items))
    shape = ("batch", "columns")
    scores = nodes.shaped(head.write(nodes, item_of), *shape)
    scores = nodes.shaped(_boosted(nodes, scores, boosted, scaled), *shape)
    scores = nodes.shaped(_dropped(nodes, scores, nodes("Gather", column_of, SEEN_INPUT), dead), *shape)
    own = nodes("Greater", nodes.size(OWN_INPUT, 1), zero)
    best = Nodes("best", graph.initializer)
    column, values = _best_of_blocks(best, scores, k)
    best_branch = best.branch("best_of_all", _lists(column, values))
    best = Nodes("own", graph.initializer)
    column, values = _best_of_own(best, scores, column_of, items, k)
    own_branch = best.branch("best_of_own", _lists(column, values))
    column, values = "some_columns", "some_values"
    nodes("If", own, outputs=[column, values], then_branch=own_branch, else_branch=best_branch)
    found = nodes("Gather", item_of, column), values
    return nodes.branch("some_items", _lists(*_unscaled(nodes, *found, scaled)))


def _known(nodes: Nodes, given: str, items: int) -> str:
    """The same indexes, with padding instead of what is no item's."""
    above = nodes("GreaterOrEqual", given, nodes.constant([1]))
    known = nodes("And", above, nodes("LessOrEqual", given, nodes.constant([items])))
    return nodes("Mul", given, nodes("Cast", known, to=TensorProto.INT64))


def _boosted(nodes: Nodes, scores: str, columns: str, scaled: bool) -> str:
    """Scores (users, columns) with those of some columns (n,) times a factor, plus a number: `BOOSTS_INPUT` (n, 2).

    Scores below 0 are divided by the factor, so that more than 1 always lifts.
    """
    shape = nodes("Concat", nodes.size(scores, 0), nodes.size(columns, 0), axis=0)
    factor, added = (nodes("Gather", BOOSTS_INPUT, nodes.constant(column), axis=1) for column in (0, 1))
    values = nodes("Gather", scores, columns, axis=1)
    below = nodes("Less", values, nodes.constant([0], "float32"))
    values = nodes("Where", below, nodes("Div", values, factor), nodes("Mul", values, factor))
    values = nodes("Add", values, nodes("Div", added, ROW_SCALE) if scaled else added)
    return nodes("ScatterElements", scores, nodes("Expand", columns, shape), values, axis=1)


def _dropped(nodes: Nodes, scores: str, seen: str, dead: str) -> str:
    """Scores without those of each user's `seen` (users, n) and of all users' `dead` (1, n) columns.

    One scatter drops both, whatever their number.
    """
    shape = nodes("Concat", nodes.size(scores, 0), nodes.size(dead, 1), axis=0)
    drop = nodes("Concat", seen, nodes("Expand", dead, shape), axis=1)
    dropped = nodes("Expand", nodes.constant([DROPPED], "float32"), nodes("Shape", drop))
    return nodes("ScatterElements", scores, drop, dropped, axis=1)


def _best(nodes: Nodes, scores: str, k: str) -> tuple[str, str]:
    """Columns and values (users, k), best first."""
    values, columns = f"{nodes.prefix}_best_values", f"{nodes.prefix}_best_columns"
    nodes("TopK", scores, k, outputs=[values, columns], axis=1)
    return columns, values


def _best_of_blocks(nodes: Nodes, scores: str, k: str, block: int = BLOCK) -> tuple[str, str]:
    """The same among the columns of the k best blocks, in ascending order, so that equal scores come out as without
    blocks."""
    size = nodes.constant([block])
    blocks = nodes("Div", nodes.size(scores, 1), size)
    shape = nodes("Concat", nodes.size(scores, 0), blocks, size, axis=0)
    block_best = nodes("ReduceMax", nodes("Reshape", scores, shape), nodes.constant([2]), keepdims=0)
    count = nodes("Min", k, blocks)
    best, ordered = f"{nodes.prefix}_blocks", f"{nodes.prefix}_ordered"
    nodes("TopK", block_best, count, outputs=[f"{best}_values", best], axis=1)
    nodes("TopK", best, count, outputs=[ordered, f"{ordered}_places"], axis=1, largest=0)
    starts = nodes("Unsqueeze", nodes("Mul", ordered, size), nodes.constant([2]))
    candidates = nodes("Add", starts, nodes.constant(range(block)))
    width = nodes("Mul", count, size)
    candidates = nodes("Reshape", candidates, nodes("Concat", nodes.size(scores, 0), width, axis=0))
    places, values = _best(nodes, nodes("GatherElements", scores, candidates, axis=1), k)
    return nodes("GatherElements", candidates, places, axis=1), values


def _best_of_own(nodes: Nodes, scores: str, column_of: str, items: int, k: str) -> tuple[str, str]:
    """The same among each user's own candidates, filled up to k with padding."""
    own = nodes("Gather", column_of, _known(nodes, OWN_INPUT, items))
    missing = nodes("Max", nodes("Sub", k, nodes.size(own, 1)), nodes.constant([0]))
    shape = nodes("Concat", nodes.size(own, 0), missing, axis=0)
    own = nodes("Concat", own, nodes("Expand", nodes.constant([[0]]), shape), axis=1)
    places, values = _best(nodes, nodes("GatherElements", scores, own, axis=1), k)
    return nodes("GatherElements", own, places, axis=1), values


def _unscaled(nodes: Nodes, items: str, values: str, scaled: bool) -> tuple[str, str]:
    """Scores in the model's unit, where the graph divides them by `ROW_SCALE`."""
    if scaled:
        listed = nodes("Greater", values, nodes.constant([DROPPED], "float32"))
        values = nodes("Where", listed, nodes("Mul", values, ROW_SCALE), values)
    return items, values
