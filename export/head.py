"""The end of a graph that turns users into scores, and how it scores some items only.

In: a graph whose last node makes all scores. Out: a `Head`, which can be written again for any columns.

    take_head(proto.graph).write(nodes, columns="columns")
"""

from dataclasses import dataclass

from onnx import GraphProto, NodeProto, helper

from export.nodes import Nodes
from export.rows import Rows
from infer.model.vectors import CHUNK_VECTORS, ITEM_VECTORS, USER_VECTORS

ALL_SCORES = "all_scores"  # (users, columns)
# Products, and what may come after them: nothing that reads other columns.
PRODUCTS = {"MatMul": {"Cast"}, "MatMulInteger": {"Cast", "Mul"}}


@dataclass(frozen=True)
class Head:
    """nodes: from the product of users and items to `ALL_SCORES`; none if scores come otherwise.
    columns: tensors that the nodes read and that have a column or entry for each item, by name; each with its twin
    that has a row for each, and whether that is to be transposed.  rows: how rows of these are taken; None: from the
    twin as it is."""

    nodes: tuple[NodeProto, ...] = ()
    columns: dict[str, tuple[str, bool]] | None = None
    rows: Rows | None = None

    def write(self, nodes: Nodes, columns: str | None = None) -> str:
        """Append what makes scores (users, n) of these `columns` (n,), or of all; returns their name.

        Where the head is no product, all items are scored and some taken.
        """
        if not self.nodes:
            return ALL_SCORES if columns is None else nodes("Gather", ALL_SCORES, columns, axis=1)
        given = {}
        if columns is not None:
            for name, (twin, transposed) in (self.columns or {}).items():
                taken = self._rows(nodes, twin, columns)
                given[name] = nodes("Transpose", taken, perm=[1, 0]) if transposed else taken
        return nodes.copied(self.nodes, given)[ALL_SCORES]

    @property
    def users(self) -> str | None:
        """The users' side (users, dim), if products with vectors of items are the scores as they are."""
        plain = len(self.nodes) == 1 and self.nodes[0].op_type == "MatMul"
        return self.nodes[0].input[0] if plain else None

    def vectors(self, nodes: Nodes, items: str) -> str:
        """Append what takes the vectors (n, dim) of these items (n,): the other side of that product."""
        twin, _ = (self.columns or {})[self.nodes[0].input[1]]
        return nodes("Gather", twin, items, axis=0) if self.rows is None else self.rows.take(nodes, twin, items)

    def _rows(self, nodes: Nodes, twin: str, columns: str) -> str:
        if self.rows is None:
            return nodes("Gather", twin, columns, axis=0)
        if twin == ITEM_VECTORS:
            return self.rows.named(nodes, twin, columns, CHUNK_VECTORS)
        return self.rows.take(nodes, twin, columns)


def take_head(graph: GraphProto, apart: bool = False) -> Head:
    """Cut the head off a graph that ends in a product of users and items; a `Head` without nodes if it does not.

    apart: whether rows of items are taken from the tables that theirs is made of (`export.rows`).

    The users' side is then called `USER_VECTORS` (users, dim) and the items' `ITEM_VECTORS` (columns, dim) if they are
    numbers with a point: their products are the scores.
    """
    tail: list[NodeProto] = []
    wanted = {ALL_SCORES}
    for node in reversed(graph.node):
        if not wanted & set(node.output):
            return Head()
        tail.insert(0, node)
        if node.op_type in PRODUCTS:
            break
        wanted |= set(node.input)
    if not tail or {node.op_type for node in tail[1:]} - PRODUCTS.get(tail[0].op_type, set()):
        return Head()
    product = tail[0]
    if product.op_type not in PRODUCTS:
        return Head()
    del graph.node[len(graph.node) - len(tail) :]
    makers = {output: node for node in graph.node for output in node.output}
    weights = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    made = {output for node in tail for output in node.output}
    columns = {}
    for node in tail:
        for name in node.input:
            if name == product.input[1]:
                columns[name] = (_rows(graph, makers, name), True)
            elif name in weights and name not in made and weights[name] == 1:
                columns[name] = (name, False)
    if product.op_type == "MatMul":
        _rename(graph, tail, columns, product)
    return Head(tuple(tail), columns, Rows(graph) if apart else None)


def _rows(graph: GraphProto, makers: dict[str, NodeProto], name: str) -> str:
    """The tensor with a row for each column of `name`, which is what `name` is the transpose of."""
    maker = makers.get(name)
    if maker is not None and maker.op_type == "Transpose":
        return maker.input[0]
    graph.node.append(helper.make_node("Transpose", [name], [f"{name}_rows"], perm=[1, 0]))
    return f"{name}_rows"


def _rename(graph: GraphProto, tail: list[NodeProto], columns: dict[str, tuple[str, bool]], product: NodeProto) -> None:
    """Give both sides of the product the names that readers of vectors look for."""
    twin, transposed = columns[product.input[1]]
    names = {product.input[0]: USER_VECTORS, twin: ITEM_VECTORS}
    if set(names) & {value.name for value in graph.input}:
        return
    for node in [*graph.node, *tail]:
        for side in (node.input, node.output):
            renamed = [names.get(name, name) for name in side]
            del side[:]
            side.extend(renamed)
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    columns[product.input[1]] = (ITEM_VECTORS, transposed)
