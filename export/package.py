"""Write a model file as a folder for other people's servers and registries: Triton, MLflow, the Hugging Face hub.

In: a model file that carries golden vectors, which it has to give here. Out: a folder, whole or not at all. An earlier
one is replaced if this project wrote it and nobody changed it since. Needs no PyTorch; nothing is uploaded.

    python -m export.package --model hybrid.k10.onnx --to triton --output models
    python -m export.package --model hybrid.onnx --to mlflow --output hybrid-mlflow
    python -m export.package --model hybrid.onnx --to huggingface --output hybrid-hub --personal-data

docs/runtimes.md says how each was checked. Triton batches the requests of files of `python -m export --fixed-k` only.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import ClassVar, Literal

from export.packages import huggingface, mlflow_model, triton
from export.packages.folders import whole
from export.packages.packed import Packed, read
from infer.cli import option, parse, run, say
from infer.errors import InputError
from infer.system.project import project_version

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class Serving:
    """Options of what runs the model."""

    GROUP: ClassVar[str] = "for --to=triton and mlflow"
    device: Literal["cpu", "cuda"] = option("cpu", "device that the model is to run on there")
    threads: int = option(0, "threads of ONNX Runtime there; 0 leaves it to the server", minimum=0)


@dataclass(frozen=True, kw_only=True)
class Triton:
    """Options of a Triton repository."""

    GROUP: ClassVar[str] = "for --to=triton"
    instances: int = option(1, "sessions that run at once", minimum=1)
    max_batch: int = option(64, "users in one run of a file of --fixed-k", minimum=1)


@dataclass(frozen=True, kw_only=True)
class Hub:
    """Options of a model card."""

    GROUP: ClassVar[str] = "for --to=huggingface"
    license: str | None = option(
        None, "identifier of the model's licence (default: MovieLens' for its data, or unknown)"
    )
    data_license: str | None = option(None, "licence of the data, in words; needed of all but MovieLens")
    evaluation: Path | None = option(None, "figures of infer.evaluate (default: NAME.evaluation.json beside the model)")
    personal_data: bool = option(False, "let the folder hold users' ids, or the histories in golden vectors")


@dataclass(frozen=True, kw_only=True)
class PackageConfig(Hub, Triton, Serving):
    """Options of `python -m export.package`."""

    model: Path = option(MISSING, "model file; looked for as given, then in artifacts/")
    to: Literal["triton", "mlflow", "huggingface"] = option(MISSING, "what the folder is for")
    output: Path = option(
        MISSING, "folder to write; of triton the repository, where the model gets a folder by its name"
    )
    name: str | None = option(None, "name of the model (default: that of its file)")


# The groups of options that are for only some folders.
OPTIONS = {"triton": (Serving, Triton), "mlflow": (Serving,), "huggingface": (Hub,)}


def main(argv: Sequence[str]) -> None:
    """Parse, write, print."""
    config = parse(PackageConfig, argv, __doc__)
    say(f"{config.model}: packing for {config.to} ...", end=" ")
    say(package(config))


def package(config: PackageConfig) -> str:
    """Write the folder; returns a line that says what was written.

    Raises InputError if the model, the options or the place cannot be used; what was there then stays.
    """
    _check_options(config)
    packed = read(config.model)
    name = config.name or packed.stem
    if NAME.fullmatch(name) is None:
        raise InputError(f"--name {name}: expected letters, digits, dots, - and _, the first a letter or digit")
    place = config.output / name if config.to == "triton" else config.output
    if packed.path.resolve().is_relative_to(place.resolve()):
        raise InputError(f"{place} holds the model {packed.path}, which is read: choose another place")
    about = {"to": config.to, "name": name, "model": packed.path.name, "sha256": packed.sha256}
    with whole(place, about | {"version": project_version()}) as folder:
        note = WRITERS[config.to](folder, packed, name, config)
    return f"{len(packed.golden['cases'])} golden cases give the expected lists here -> {place}{note}"


def _triton(folder: Path, packed: Packed, name: str, config: PackageConfig) -> str:
    options = triton.TritonOptions(config.device, config.threads, config.instances, config.max_batch)
    triton.write(folder, packed, name, options)
    if packed.fixed:
        return f", at most {config.max_batch} users in a batch"
    return "; it takes k and rules, so requests are not batched: `python -m export --fixed-k` writes a file for that"


def _mlflow(folder: Path, packed: Packed, name: str, config: PackageConfig) -> str:
    mlflow_model.write(folder, packed, mlflow_model.MLflowOptions(config.device, config.threads))
    return ""


def _huggingface(folder: Path, packed: Packed, name: str, config: PackageConfig) -> str:
    beside = packed.path.with_name(f"{packed.stem}.evaluation.json")
    evaluation = config.evaluation or (beside if beside.is_file() else None)
    options = huggingface.HubOptions(config.license, config.data_license, evaluation, config.personal_data)
    huggingface.write(folder, packed, name, options)
    return "" if evaluation is None else f", with the figures of {evaluation}"


WRITERS: dict[str, Callable[[Path, Packed, str, PackageConfig], str]] = {
    "triton": _triton,
    "mlflow": _mlflow,
    "huggingface": _huggingface,
}


def _check_options(config: PackageConfig) -> None:
    """Raise InputError on an option that the folder has no use for."""
    useful = {field.name for group in OPTIONS[config.to] for field in fields(group)}
    for group in (Serving, Triton, Hub):
        for field in fields(group):
            if field.name not in useful and getattr(config, field.name) != field.default:
                typed = field.name.replace("_", "-")
                raise InputError(f"--{typed} is {group.GROUP}, and not for --to={config.to}")


if __name__ == "__main__":
    raise SystemExit(run(main))
