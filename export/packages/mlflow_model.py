"""A model as MLflow's ONNX flavour: signature, example, requirements without PyTorch, and the file itself.

In: a packed file. Out: a folder that `mlflow.onnx` and `mlflow.pyfunc` load, and registries of MLflow take.

    write(folder, packed, MLflowOptions())

`mlflow-skinny`, of the extra `mlflow`, is enough. What it stores is the file's own bytes, so its checksum holds.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

from export.packages.packed import Packed, Tensor
from infer.errors import InputError
from infer.histories.vocabulary import PAD
from infer.model.session import PROVIDERS
from infer.model.signature import BOOSTED_INPUT, BOOSTS_INPUT
from infer.system.telemetry import send_nothing
from infer.system.versions import versions

NEEDED = ("mlflow-skinny", "numpy", "onnx", "onnxruntime", "pandas")


@dataclass(frozen=True)
class MLflowOptions:
    """device: where a loaded model runs.  threads: of ONNX Runtime; 0: one for each core."""

    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 0


def library() -> Any:
    """`mlflow.onnx`; raises InputError if it is not installed."""
    send_nothing()
    try:
        import mlflow.onnx
        import pandas  # noqa: F401
    except ImportError as error:
        raise InputError(f"--to=mlflow needs {error.name}: pip install '.[mlflow]'") from None
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    return mlflow.onnx


def write(folder: Path, packed: Packed, options: MLflowOptions) -> None:
    """Fill a folder.  Raises InputError if MLflow is not installed."""
    flavour = library()
    from mlflow.models import ModelSignature
    from mlflow.types import Schema

    inputs, outputs = (Schema([_spec(value) for value in side]) for side in (packed.inputs, packed.outputs))
    saved = folder / "saved"  # MLflow wants a folder of its own
    flavour.save_model(
        onnx.load_model_from_string(packed.content),
        str(saved),
        signature=ModelSignature(inputs, outputs),
        input_example=example(packed),
        pip_requirements=requirements(),
        onnx_execution_providers=[PROVIDERS[options.device]],
        onnx_session_options={"intra_op_num_threads": options.threads} if options.threads else None,
        metadata={"sha256": packed.sha256, "kind": packed.metadata.kind, "dataset": packed.metadata.dataset},
        save_as_external_data=False,
    )
    for path in saved.iterdir():
        path.rename(folder / path.name)
    saved.rmdir()
    (folder / "model.onnx").write_bytes(packed.content)
    (folder / "model.contract.json").write_text(packed.contract("model.onnx"), encoding="utf-8")


def requirements() -> list[str]:
    """What a server needs to run the folder, in the versions that are installed here."""
    found = versions(*NEEDED)
    return [f"{name}=={found[name]}" for name in NEEDED if name in found]


def example(packed: Packed) -> dict[str, np.ndarray]:
    """Inputs of a first call, as JSON can say them: an empty list has lost that its rows would have two numbers, so
    padding is boosted, by nothing."""
    found = packed.example()
    if BOOSTED_INPUT in found and not found[BOOSTED_INPUT].size:
        found |= {BOOSTED_INPUT: np.array([PAD]), BOOSTS_INPUT: np.array([[1, 0]], dtype=np.float32)}
    return found


def _spec(tensor: Tensor) -> Any:
    from mlflow.types import TensorSpec

    return TensorSpec(tensor.dtype, [size if isinstance(size, int) else -1 for size in tensor.shape], tensor.name)
