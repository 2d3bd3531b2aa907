"""The same graph with cheaper arithmetic: int8 for the product of states and items, fp16 throughout.

In: a graph whose last node is (batch, dim) @ (dim, columns), in fp32. Out: the graph in int8 or fp16;
what it costs in quality is measured by `export.quality`.

    int8   Each item's weights in 64 steps of their largest; each user's state divided by its largest
           value, then in 127 steps. A user's scores do not depend on others in the batch, as they would with
           one scale for all. The scores come out divided by that value, which changes no order, and the top k
           are multiplied again (`ROW_SCALE`). Tied weights are then stored twice.
           64 and not 127 (Jacob et al. 2018 reduce the range likewise): x86-64 CPUs without VNNI add
           two products in 16 bits, and 2 * 255 * 64 still fits. So the whole numbers are the same on every CPU.
           An item's bias is larger than its weights and would take their steps: it is spread over
           `BIAS_ROWS` rows, and the 1 that it is multiplied by is a whole number of steps.
    fp16   Weights and arithmetic in half precision, for GPUs; half the file. Scores are fp32 again before
           seen items are dropped, for the sentinel is beyond fp16. CPUs are slower with it.

bf16 is not offered: ONNX Runtime's CPU provider has no such product.
"""

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from infer.errors import InputError
from infer.model.modelfile import LARGEST_INT8

PRECISIONS = ("fp32", "int8", "fp16")
ROW_SCALE = "row_scale"
STEPS = 127
BIAS_ROWS = 8


def in_precision(proto: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """The graph in one of `PRECISIONS`; raises InputError if it does not end in a product with weights."""
    if precision == "fp32":
        return proto
    head = proto.graph.node[-1]
    weights = _constant(proto, head.input[1]) if head.op_type == "MatMul" else None
    if weights is None or head.output[0] != proto.graph.output[0].name:
        raise InputError(
            f"--precision {precision} is for models that end in a product of states and items, not this one"
        )
    return _int8(proto, weights) if precision == "int8" else _fp16(proto)


def _int8(proto: onnx.ModelProto, weights: np.ndarray) -> onnx.ModelProto:
    """Replace the last product; weights: (dim, columns)."""
    graph, head = proto.graph, proto.graph.node[-1]
    state, scores = head.input[0], head.output[0]
    ones = _appended_one(proto, state)
    largest = np.abs(weights if ones is None else weights[:-1]).max(0)  # (columns,)
    if ones is not None:
        largest = np.maximum(largest, np.abs(weights[-1]) / BIAS_ROWS)
    scale = np.maximum(largest, np.finfo(np.float32).tiny) / LARGEST_INT8
    whole = np.round(weights / scale)
    if ones is not None:
        # Rows that differ by at most 1 and whose sum is the bias.
        whole = np.concatenate([whole[:-1], (whole[-1] + np.arange(BIAS_ROWS)[:, None]) // BIAS_ROWS])
    # Two more columns of the state, which no weight reads, make the range of every batch the same. The
    # nodes are those that ONNX Runtime fuses into one product; fixed scales would not be.
    whole = np.concatenate([whole, np.zeros((2, weights.shape[1]))])
    constants = {
        "int8_rows": np.ascontiguousarray(whole.T.astype(np.int8)),  # (columns, dim), as they are taken for some items
        "weight_scale": scale.astype(np.float32),
        "weight_zero": np.zeros(weights.shape[1], dtype=np.int8),
        "range": np.array([[1, -(STEPS + 1) / STEPS]], dtype=np.float32),  # 255 steps, one of which is 0
        "range_width": np.array([2], dtype=np.int64),
        "smallest": np.array(1e-30, dtype=np.float32),
        "state_axis": np.array([1], dtype=np.int64),
    }
    del graph.node[-1]
    graph.node.extend(
        [
            helper.make_node("Abs", [state], ["state_size"]),
            helper.make_node("ReduceMax", ["state_size", "state_axis"], ["largest"], keepdims=1),
        ]
    )
    if ones is None:
        graph.node.append(helper.make_node("Max", ["largest", "smallest"], [ROW_SCALE]))
    else:
        constants |= {"steps": np.array(STEPS, dtype=np.float32), "unit": np.array(1, dtype=np.float32)}
        graph.node.extend(
            [
                helper.make_node("Concat", [state, *[ones] * (BIAS_ROWS - 1)], ["biased_state"], axis=1),
                helper.make_node("Div", ["steps", "largest"], ["fitting_steps"]),  # largest is at least that 1
                helper.make_node("Floor", ["fitting_steps"], ["whole_steps"]),
                helper.make_node("Max", ["whole_steps", "unit"], ["steps_of_one"]),
                helper.make_node("Div", ["steps", "steps_of_one"], ["whole_scale"]),
                helper.make_node("Max", ["whole_scale", "largest"], [ROW_SCALE]),
            ]
        )
        state = "biased_state"
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    graph.node.extend(
        [
            helper.make_node("Div", [state, ROW_SCALE], ["unit_state"]),
            helper.make_node("Shape", [state], ["states"], start=0, end=1),
            helper.make_node("Concat", ["states", "range_width"], ["range_shape"], axis=0),
            helper.make_node("Expand", ["range", "range_shape"], ["ranges"]),
            helper.make_node("Concat", ["unit_state", "ranges"], ["ranged_state"], axis=1),
            helper.make_node("DynamicQuantizeLinear", ["ranged_state"], ["int8_state", "state_scale", "state_zero"]),
            helper.make_node("Transpose", ["int8_rows"], ["int8_weights"], perm=[1, 0]),
            helper.make_node(
                "MatMulInteger", ["int8_state", "int8_weights", "state_zero", "weight_zero"], ["int_scores"]
            ),
            helper.make_node("Mul", ["state_scale", "weight_scale"], ["scales"]),
            helper.make_node("Cast", ["int_scores"], ["float_scores"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["float_scores", "scales"], [scores]),
        ]
    )
    drop_unused(graph)
    return proto


def _appended_one(proto: onnx.ModelProto, state: str) -> str | None:
    """The tensor of ones (batch, 1) that is the last column of `state`, so that the last row of weights is a bias."""
    makers = {output: node for node in proto.graph.node for output in node.output}
    joined = makers.get(state)
    if joined is None or joined.op_type != "Concat":
        return None
    last = makers.get(joined.input[-1])
    value = _constant(proto, last.input[0]) if last is not None and last.op_type == "Expand" else None
    return joined.input[-1] if value is not None and value.size == 1 and value.item() == 1 else None


def _fp16(proto: onnx.ModelProto) -> onnx.ModelProto:
    # Imported here: it takes a second, and nobody else needs it.
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    converted = convert_float_to_float16(proto, keep_io_types=True)
    OnnxModel.graph_topological_sort(converted.graph)  # the conversion appends its casts
    return converted


def _constant(proto: onnx.ModelProto, name: str) -> np.ndarray | None:
    """The value of a tensor that follows from the weights alone; None if it needs an input."""
    makers = {output: node for node in proto.graph.node for output in node.output}
    weights = {weight.name: weight for weight in proto.graph.initializer}
    needed, nodes, wanted = set(), [], [name]
    while wanted:
        tensor = wanted.pop()
        if tensor in weights:
            needed.add(tensor)
        elif tensor in makers:
            if makers[tensor] not in nodes:
                nodes.append(makers[tensor])
                wanted.extend(i for i in makers[tensor].input if i)
        else:
            return None
    order = [node for node in proto.graph.node if node in nodes]
    value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    graph = helper.make_graph(order, "constant", [], [value], [weights[n] for n in sorted(needed)])
    if name in weights:
        return numpy_helper.to_array(weights[name])
    model = helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([name], {})[0]


def drop_unused(graph: onnx.GraphProto) -> None:
    """Remove nodes and weights that nothing reads any more, in no branch either."""
    while True:
        read = {output.name for output in graph.output} | _read(graph)
        kept = [node for node in graph.node if read & set(node.output)]
        if len(kept) == len(graph.node):
            break
        del graph.node[:]
        graph.node.extend(kept)
    kept = [weight for weight in graph.initializer if weight.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _read(graph: onnx.GraphProto) -> set[str]:
    """Every name that nodes of a graph, or of what is within it, read or give."""
    names = {name for node in graph.node for name in node.input}
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                names |= _read(attribute.g) | {output.name for output in attribute.g.output}
    return names
