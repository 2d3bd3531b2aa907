"""What this machine can do: MACs (multiply-accumulates) a second and bytes a second, measured now.

In: a shape, a device, a number of threads. Out: `Rates`, for the floor (`bench.floor`).

    python -m bench.floor

The engine is ONNX Runtime's matrix product alone, the one that the models run on. It is measured twice: as a
large square product, and at the shape of a model's head, (batch, dim) @ (dim, items), which is skinny and writes
a score for every item.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper

from infer.errors import InputError
from infer.model.session import PROVIDER_OPTIONS, PROVIDERS

SQUARE = 1024
COPIED_BYTES = 256 * 2**20  # far beyond any cache


@dataclass(frozen=True)
class Rates:
    """What the machine was measured to do.

    peak: MACs a second of a square product of SQUARE.  head: of `head_shape`, (batch, dim, items).
    bandwidth: bytes a second, read and written, of copying COPIED_BYTES on the device.
    """

    peak: float
    head: float
    bandwidth: float
    head_shape: tuple[int, int, int]
    device: str
    threads: int


def measure_rates(
    batch: int = 256, dim: int = 64, items: int = 9_724, device: str = "cpu", threads: int = 0, seconds: float = 0.5
) -> Rates:
    """Measure this machine for about three times `seconds`; the best repetition counts, being the least disturbed.

    Raises InputError if the device is not there.
    """
    peak = product_rate(SQUARE, SQUARE, SQUARE, device, threads, seconds)
    head = product_rate(batch, dim, items + 1, device, threads, seconds)
    return Rates(
        peak, head, bandwidth(seconds, device), (batch, dim, items + 1), device, threads or os.cpu_count() or 1
    )


def product_rate(rows: int, inner: int, columns: int, device: str, threads: int, seconds: float) -> float:
    """MACs a second of (rows, inner) @ (inner, columns) in float32, inputs and result on the device.

    Raises InputError if ONNX Runtime cannot run it on `device`.
    """
    return rows * inner * columns / _fastest(product(rows, inner, columns, device, threads), seconds)


def product(rows: int, inner: int, columns: int, device: str, threads: int = 0) -> Callable[[], None]:
    """A call that multiplies, its answer checked once.

    The right-hand side is a constant of the graph, as a model's weights are. Raises InputError if ONNX Runtime
    cannot run it on `device`.
    """
    rng = np.random.default_rng(0)
    left, right = rng.random((rows, inner), np.float32), rng.random((inner, columns), np.float32)
    provider = PROVIDERS.get(device)
    if provider not in ort.get_available_providers():
        raise InputError(f"--device {device}: onnxruntime {ort.__version__} here offers no such provider")
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, threads
    session = ort.InferenceSession(
        _product(left.shape, right), options, providers=[(provider, PROVIDER_OPTIONS[device])]
    )
    if session.get_providers()[0] != provider:
        raise InputError(f"--device {device}: {provider} could not start")
    binding = session.io_binding()
    binding.bind_ortvalue_input("left", ort.OrtValue.ortvalue_from_numpy(left, device, 0))
    binding.bind_ortvalue_output(
        "product", ort.OrtValue.ortvalue_from_shape_and_type((rows, columns), np.float32, device)
    )

    def once() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    once()
    np.testing.assert_allclose(binding.copy_outputs_to_cpu()[0][0], left[0] @ right, rtol=1e-2)
    return once


def training_rate(rows: int, inner: int, columns: int, threads: int, seconds: float) -> float:
    """MACs a second of PyTorch's product (rows, inner) @ (inner, columns) and of both of its gradients, on the CPU.

    Each of the three is timed for `seconds`, with the threads that PyTorch has; `threads` must be their number.
    """
    assert torch.get_num_threads() == threads, "set by the caller"
    left, right, result = torch.rand(rows, inner), torch.rand(inner, columns), torch.rand(rows, columns)
    factors = [(left, right), (result, right.T), (left.T, result)]
    taken = 0.0
    for one, other in factors:
        into = torch.empty(len(one), other.shape[1])
        taken += _fastest(partial(torch.mm, one, other, out=into), seconds)
    return 3 * rows * inner * columns / taken


def bandwidth(seconds: float, device: str = "cpu", copied: int = COPIED_BYTES) -> float:
    """Bytes a second of copying an array on the device, reading and writing both counted; on a CPU with one thread.

    copied: bytes of that array, on a CPU.
    """
    if device == "cpu":
        source = np.ones(-(-copied // 8))
        target = np.empty_like(source)
        return 2 * source.nbytes / _fastest(lambda: np.copyto(target, source), seconds)
    here = torch.ones(COPIED_BYTES // 4, device=device)
    there = torch.empty_like(here)

    def copy() -> None:
        there.copy_(here)
        torch.cuda.synchronize()

    return 2 * COPIED_BYTES / _fastest(copy, seconds)


def _product(left: tuple[int, int], right: np.ndarray) -> bytes:
    """A graph of one matrix product."""
    factor = helper.make_tensor_value_info("left", TensorProto.FLOAT, left)
    result = helper.make_tensor_value_info("product", TensorProto.FLOAT, (left[0], right.shape[1]))
    node = helper.make_node("MatMul", ["left", "right"], ["product"])
    graph = helper.make_graph([node], "product", [factor], [result], [numpy_helper.from_array(right, "right")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _fastest(call: Callable[[], object], seconds: float) -> float:
    """Least seconds of a call, of at least five, for about `seconds`."""
    call()
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while len(taken) < 5 or time.perf_counter() < until:
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return min(taken)
