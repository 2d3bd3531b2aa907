"""What no model file may hold: more bytes than a protobuf message has, and numbers that are none.

In: a graph or a model. Out: nothing, or InputError.

    refuse_large_graph(proto)
"""

import onnx

from export.graph import branches
from infer.errors import InputError
from infer.model import modelfile
from train.models.base import ScoringModel


def refuse_large_graph(proto: onnx.ModelProto, further: int = 0) -> None:
    """Raise InputError if the weights of a graph, and so many further bytes, are more than an ONNX file may hold.

    ONNX and ONNX Runtime would fail later, each in words of its own.
    """
    tensors = (tensor for graph in branches(proto.graph) for tensor in graph.initializer)
    size = sum(len(tensor.raw_data) or tensor.ByteSize() for tensor in tensors) + further
    if size > modelfile.LARGEST_FILE:
        raise InputError(
            f"the exported graph has {size / 1e9:,.1f} GB, and an ONNX file holds {modelfile.LARGEST_FILE / 1e9:,.1f} "
            "GB; the file was not written: train with fewer items or dimensions"
        )


def refuse_large_weights(name: str, model: ScoringModel, precision: str) -> None:
    """Raise InputError if a model is too large for a precision in which all its weights stand in the one file."""
    tensors = {id(one): one for one in [*model.parameters(), *model.buffers()]}.values()
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if precision != "fp32" and size > modelfile.LARGEST_FILE:
        raise InputError(
            f"{name} has {size / 1e9:,.1f} GB of weights, and {precision} is made of one ONNX file, which holds "
            f"{modelfile.LARGEST_FILE / 1e9:,.1f} GB: export it in fp32"
        )


def refuse_broken_weights(name: str, model: ScoringModel) -> None:
    """Raise InputError if a weight is not a finite number that a model file may hold."""
    for key, weight in model.state_dict().items():
        if weight.is_floating_point() and not (weight.abs() <= modelfile.LARGEST_VALUE).all():
            raise InputError(f"{name}.pt holds values in {key} that are not finite numbers below 1e15: train it again")
