"""A device that is not the CPU, on a machine without one: tensors that calculate on the CPU and refuse to be mixed.

In: code that moves tensors to "cuda". Out: within `elsewhere()` such tensors have real values, and an operation of
theirs with a tensor of the CPU raises, as it does on a GPU; so does NumPy without `.cpu()`.

    with elsewhere():
        model.to("cuda")
        model(window)  # RuntimeError: aten.embedding.default: tensors of the CPU and of another device
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("cuda", 0)
# They read another device's tensors, or take positions from the CPU, on a GPU too.
MIXED = {"aten.copy_.default", "aten._to_copy.default", "aten.index.Tensor", "aten.index_put_.default"}


class Elsewhere(Tensor):
    """A tensor of the other device.  inner: its values, on the CPU."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Elsewhere":
        """Wrap values; PyTorch takes the wrapper for a tensor of the device meta, which has none."""
        options = {"dtype": inner.dtype, "device": "meta", "strides": inner.stride()}
        wrapper = Tensor._make_wrapper_subclass(cls, inner.shape, storage_offset=inner.storage_offset(), **options)
        wrapper.inner = inner
        return wrapper

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """Where it says that it is."""
        return DEVICE

    def __reduce_ex__(self, protocol: int) -> Any:
        """Files hold it as a tensor of the CPU, to which they are read."""
        return self.inner.__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Calculate on the CPU what belongs together."""
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        ours = [tensor for tensor in tensors if isinstance(tensor, cls)]
        others = any(not isinstance(tensor, cls) and tensor.dim() for tensor in tensors)
        if ours and others and str(function) not in MIXED:
            raise RuntimeError(f"{function}: tensors of the CPU and of another device")
        target = kwargs.get("device")
        if target is not None:
            kwargs["device"] = torch.device("cpu")
        stays = target is None or torch.device(target).type != "cpu"
        if str(function) == "aten.copy_.default":
            stays = isinstance(args[0], cls)
        plain = tree_map(_values, (args, kwargs))
        found = function(*plain[0], **plain[1])
        known = {id(tensor.inner): tensor for tensor in ours}  # what works in place gives back what it was given

        def wrapped(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor) or not stays:
                return leaf
            return known[id(leaf)] if id(leaf) in known else cls(leaf)

        return tree_map(wrapped, found)


class _Moved(TorchFunctionMode):
    """Tensors that are made on "cuda", or moved there, are `Elsewhere`."""

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if function is Tensor.to:
            return _to(*args, **kwargs)
        if function is Tensor.tolist and isinstance(args[0], Elsewhere):
            return args[0].inner.tolist()
        if function is Tensor.__setitem__ and isinstance(args[0], Elsewhere):
            return _set(*args)
        if function is Tensor.__getitem__ and isinstance(args[0], Elsewhere) and isinstance(args[1], list):
            args = (args[0], torch.tensor(args[1]))
        if function in (Tensor.where, torch.where) and isinstance(args[0], Elsewhere):
            # PyTorch would make a number a tensor of the device meta.
            dtype = next(t.dtype for t in args if isinstance(t, Tensor) and t.dtype != torch.bool)
            args = tuple(torch.tensor(v, dtype=dtype) if isinstance(v, int | float) else v for v in args)
        if _away(kwargs.get("device")):
            kwargs["device"], learnt = torch.device("cpu"), kwargs.pop("requires_grad", False)
            return Elsewhere(function(*args, **kwargs)).requires_grad_(learnt)
        return function(*args, **kwargs)


def _to(tensor: Tensor, *given: Any, **options: Any) -> Tensor:
    """`Tensor.to`."""
    device = options.pop("device", None)
    places = [value for value in given if isinstance(value, str | torch.device)]
    rest = [value for value in given if not isinstance(value, str | torch.device)]
    device = places[0] if places else device
    if not _away(device):
        return Tensor.to(tensor, *given, **options) if device is None else Tensor.to(tensor, device, *rest, **options)
    moved = tensor if isinstance(tensor, Elsewhere) else Elsewhere(tensor.detach().clone())
    dtype = next((value for value in rest if isinstance(value, torch.dtype)), options.get("dtype"))
    return moved if dtype is None or dtype == moved.dtype else Tensor.to(moved, dtype)


def _values(leaf: Any) -> Any:
    """What it is on the CPU; the one number that autograd makes by itself is the 0 of the gradient of `where`."""
    if isinstance(leaf, Elsewhere):
        return leaf.inner
    if isinstance(leaf, Tensor) and leaf.is_meta:
        assert not leaf.dim(), "PyTorch has made a tensor of its own, without values"
        return torch.zeros((), dtype=leaf.dtype)
    return leaf


def _set(tensor: Elsewhere, index: Any, value: Any) -> None:
    """`tensor[index] = value`, for which PyTorch would make a number a tensor of the device meta."""
    by_position = any(isinstance(leaf, Tensor) for leaf in tree_leaves(index))  # else it is a copy, from anywhere
    if by_position and isinstance(value, Tensor) and not isinstance(value, Elsewhere) and value.dim():
        raise RuntimeError("__setitem__: tensors of the CPU and of another device")
    index, value = tree_map(_values, (index, value))
    tensor.inner[index] = value


def _away(device: Any) -> bool:
    return device is not None and torch.device(device).type == "cuda"


@contextmanager
def elsewhere() -> Iterator[None]:
    """Have a GPU, as far as tensors and `torch.cuda.is_available` can tell."""
    with patch.object(torch.cuda, "is_available", return_value=True), _Moved():
        yield
