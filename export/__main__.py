"""Turn checkpoints into ONNX files that hold everything needed to recommend.

In: artifacts/NAME.pt. Out: artifacts/NAME.onnx: the graph with seen items dropped and top-k
inside, item ids, window length, configuration, data set and checksum, seed, validation metrics and
the measured difference from PyTorch. A model that differs is not written.

    python -m export [NAME ...] [--artifacts=artifacts] [--precision=fp32]

Beside it NAME.contract.json says the same to consumers that have only an ONNX runtime: inputs, outputs, ids, and golden
vectors, by which they check themselves (docs/model-file.md). `python -m export.package` packs it for Triton, MLflow and
the Hugging Face hub.

NAMEs are those of checkpoints; by default mf, bert and hybrid. --precision=int8 writes NAME.int8.onnx, beside
NAME.onnx, unless it loses more NDCG@10 on the validation items than --largest-loss; fp16 likewise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from export.carried import Carried
from infer.cli import leading, option, parse, run, say
from infer.errors import InputError

DEFAULT = ("mf", "bert", "hybrid")


@dataclass(frozen=True, kw_only=True)
class ExportConfig(Carried):
    """Options of `python -m export`."""

    artifacts: Path = option(Path("artifacts"), "folder with the checkpoints, and to write to")
    precision: Literal["fp32", "int8", "fp16"] = option("fp32", "of the arithmetic; int8 for CPUs, fp16 for GPUs")
    largest_loss: float = option(0.02, "share of NDCG@10 that int8 or fp16 may lose", minimum=0)


def main(argv: Sequence[str]) -> None:
    """Parse, export, print."""
    from export.exporter import export  # what is not installed is told in a line by `run`
    from export.quality import stated_loss
    from train.saved.places import Places

    names, rest = leading(argv)
    config = parse(ExportConfig, rest, __doc__)
    for name in names:
        if Path(name).name != name or not Places(config.artifacts, name).finished.is_file():
            raise InputError(f"no model is called '{name}'; {config.artifacts} holds {_checkpoints(config.artifacts)}")
    for name in names or DEFAULT:
        say(f"{name}: exporting ...", end=" ")
        path, metadata = export(name, config.artifacts, config.precision, config.largest_loss, config)
        say(
            f"{path} ({path.stat().st_size / 1e6:.1f} MB), largest difference from PyTorch "
            f"{metadata.parity['largest_score_difference']:.1e} over {metadata.parity['users']} users"
            + stated_loss(metadata)
        )


def _checkpoints(artifacts: Path) -> str:
    names = (path.stem for path in sorted(artifacts.glob("*.pt")))
    models = [name for name in names if not name.endswith((".partial", ".state"))]
    return ", ".join(models) or "none: run `python -m train` first"


if __name__ == "__main__":
    raise SystemExit(run(main))
