"""A model file that is to be packed: its bytes, what they say, and the proof that they still give their golden lists.

In: a path. Out: a `Packed`, or InputError.

    packed = read(Path("hybrid.onnx"))
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from infer.errors import InputError
from infer.model.beside import refuse_apart
from infer.model.contract import sidecar
from infer.model.golden import array, differences, stored
from infer.model.metadata import Metadata
from infer.model.session import find_model, open_session
from infer.model.signature import K_INPUT, USER_INPUT

TYPES: dict[str, np.dtype[Any]] = {"tensor(int64)": np.dtype(np.int64), "tensor(float)": np.dtype(np.float32)}


@dataclass(frozen=True)
class Tensor:
    """An input or output.  shape: a name for each axis whose length is free."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Packed:
    """A model file.  content: its bytes.  golden: its golden vectors (`infer.model.golden`)."""

    path: Path
    content: bytes
    metadata: Metadata
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    golden: dict[str, Any]

    @property
    def stem(self) -> str:
        """The name of the file without `.onnx`."""
        return self.path.name.removesuffix(".onnx")

    @property
    def sha256(self) -> str:
        """Of the bytes."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def fixed(self) -> bool:
        """Whether it lists a fixed number of items, so that every input has a row for each user (--fixed-k)."""
        return not any(tensor.name == K_INPUT for tensor in self.inputs)

    @property
    def by_user(self) -> bool:
        """Whether it is asked by user, and so holds a vector of each."""
        return any(tensor.name == USER_INPUT for tensor in self.inputs)

    def contract(self, name: str) -> str:
        """The JSON that lies beside the file where it is called `name`."""
        return sidecar(Path(name), self.content)

    def example(self) -> dict[str, np.ndarray]:
        """Inputs of a first call: those of the first golden case."""
        return {name: array(name, given) for name, given in self.golden["cases"][0]["inputs"].items()}


def read(path: Path) -> Packed:
    """A file, looked for as given, then in artifacts/.

    Raises InputError if it is not one of this project's, damaged, without golden vectors, or gives other lists.
    """
    path = find_model(path)
    content, metadata, session = open_session(path, "cpu", threads=0)
    refuse_apart(path, content, "a package")
    golden = stored(content, str(path))
    wrong = differences(golden, session)
    if wrong:
        raise InputError(f"{path} gives other lists here than when it was exported, and is not packed: {wrong[0]}")
    return Packed(path, content, metadata, _tensors(session.get_inputs()), _tensors(session.get_outputs()), golden)


def _tensors(values: Iterable[Any]) -> tuple[Tensor, ...]:
    return tuple(Tensor(value.name, TYPES[value.type], tuple(value.shape)) for value in values)
