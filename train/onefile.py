"""Whether a model fits into the one ONNX file that it is to become, told before hours are spent on it.

In: a kind with its options and data, or a model. Out: nothing, or InputError.

    refuse_beforehand("hybrid", data, config)

A protobuf message has at most 2 GB. What is counted here are the weights in fp32: a file in fp16 or int8 is compared
with that in fp32, so it has to fit as well.
"""

import torch
from torch import nn

from infer.errors import InputError
from infer.model import modelfile
from train.config import TrainConfig
from train.data.dataset import Data
from train.models.registry import unsolved

# Options that widen what is stored of each item.
WIDTHS = ("dim", "chain", "neighbours")
BLEND = "best"


def refuse_beforehand(kind: str, data: Data, config: TrainConfig) -> None:
    """Raise InputError if a model of these sizes would not fit.

    config: with all sizes. A blend is not known before its members are read: `refuse_too_large` judges it.
    """
    if kind == BLEND:
        return
    with torch.device("meta"):  # shapes alone, which take neither memory nor random numbers
        model = unsolved(kind, data, config)
    refuse_too_large(model, kind, [name for name in WIDTHS if getattr(config, name, None)])


def refuse_too_large(model: nn.Module, name: str, widths: list[str] | None = None) -> None:
    """Raise InputError if the weights alone are more than a file may hold.  widths: options that would make them
    less."""
    size = weight_bytes(model)
    if size > modelfile.LARGEST_FILE:
        advice = [f"a smaller --{width}" for width in widths or ()] + ["fewer items"]
        raise InputError(
            f"{name} has {size / 1e9:,.1f} GB of weights, and an ONNX file holds {modelfile.LARGEST_FILE / 1e9:,.1f} "
            f"GB: take {' or '.join(advice)}"
        )


def weight_bytes(model: nn.Module) -> int:
    """Bytes of all weights, each once."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in {id(one): one for one in tensors}.values())
