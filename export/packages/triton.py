"""A model repository of NVIDIA Triton: config.pbtxt, written from what the file says, and 1/model.onnx.

In: a packed file. Out: a folder of the repository, whose name is the model's.

    write(folder, packed, "hybrid.k10", TritonOptions())

What Triton wants (its `model_configuration.md`): with max_batch_size every input and output has the batch as first
axis, which `dims` leaves out; an axis of free length is -1; an input that is the batch alone has dims [ 1 ], reshaped
to [ ]. A file with `k` and rules has inputs that are no rows of users, so its requests are never batched: it gets
max_batch_size 0 and whole shapes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from export.packages.packed import Packed, Tensor
from infer.model.signature import K_INPUT
from infer.system.project import PROJECT

TYPES = {np.dtype(np.int64): "TYPE_INT64", np.dtype(np.float32): "TYPE_FP32"}
KINDS = {"cpu": "KIND_CPU", "cuda": "KIND_GPU"}
K = 10  # asked for to warm up


@dataclass(frozen=True)
class TritonOptions:
    """max_batch: users in one run of the graph, at most.  instances: sessions at once.  threads: of each; 0: Triton's
    choice."""

    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 0
    instances: int = 1
    max_batch: int = 64


def write(folder: Path, packed: Packed, name: str, options: TritonOptions) -> None:
    """Fill the folder of a model that is called `name`."""
    (folder / "1").mkdir()
    (folder / "1" / "model.onnx").write_bytes(packed.content)
    (folder / "config.pbtxt").write_text(config(packed, name, options), encoding="utf-8")
    (folder / "contract.json").write_text(packed.contract("model.onnx"), encoding="utf-8")
    if not packed.fixed:
        (folder / "warmup").mkdir()
        (folder / "warmup" / K_INPUT).write_bytes(np.array([K], dtype="<i8").tobytes())


def config(packed: Packed, name: str, options: TritonOptions) -> str:
    """The text of config.pbtxt."""
    batch = options.max_batch if packed.fixed else 0
    threads = (
        [f'parameters {{ key: "intra_op_thread_count" value {{ string_value: "{options.threads}" }} }}']
        if options.threads
        else []
    )
    rows = [("one row", 1), ("a full batch", batch)] if batch > 1 else [("a request", 1)]
    lines = [
        f"# Written by {PROJECT} from {packed.path.name}. contract.json says what inputs and outputs mean.",
        f'name: "{name}"',
        'backend: "onnxruntime"',
        f"max_batch_size: {batch}",
        *(_tensor("input", tensor, batch) for tensor in packed.inputs),
        *(_tensor("output", tensor, batch) for tensor in packed.outputs),
        *(["dynamic_batching { }"] if batch else []),
        f"instance_group [ {{ kind: {KINDS[options.device]} count: {options.instances} }} ]",
        *threads,
        *(_warm_up(packed, label, number, batch) for label, number in rows),
    ]
    return "\n".join(lines) + "\n"


def _tensor(side: str, tensor: Tensor, batch: int) -> str:
    axes = _dims(tensor, batch)
    alone = "" if axes else " reshape: { shape: [ ] }"
    return (
        f'{side} [ {{ name: "{tensor.name}" data_type: {TYPES[tensor.dtype]} dims: {_listed(axes or [1])}{alone} }} ]'
    )


def _dims(tensor: Tensor, batch: int) -> list[int]:
    """The axes as Triton counts them; those of free length are -1."""
    axes = [size if isinstance(size, int) else -1 for size in tensor.shape]
    return axes[1:] if batch else axes


def _warm_up(packed: Packed, label: str, rows: int, batch: int) -> str:
    """A request for nobody's list, which takes every product that a real one takes, before the model is ready."""
    inputs = []
    for tensor in packed.inputs:
        given = f'input_data_file: "{K_INPUT}"' if tensor.name == K_INPUT else "zero_data: true"
        axes = [_warm(axis, packed) for axis in tensor.shape[1 if batch else 0 :]]
        value = f"data_type: {TYPES[tensor.dtype]} dims: {_listed(axes or [1])} {given}"
        inputs.append(f'  inputs {{ key: "{tensor.name}" value {{ {value} }} }}')
    return "\n".join([f'model_warmup [ {{ name: "{label}" batch_size: {rows}', *inputs, "} ]"])


def _warm(axis: int | str, packed: Packed) -> int:
    """The length of an axis in a request without rules."""
    window = max(1, packed.metadata.window)
    return axis if isinstance(axis, int) else {"batch": 1, "length": window, "seen_width": window}.get(axis, 0)


def _listed(axes: Sequence[int]) -> str:
    return f"[ {', '.join(map(str, axes))} ]"
