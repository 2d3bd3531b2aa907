"""One offline HTML page of how models trained: losses and metrics by epoch and by second, and what ended each.

In: NAME.history.parquet of trained models, and NAME.pt for what ended them. Out: training.html in the same folder.

    python -m bench.curves --artifacts=artifacts
    python -m bench.curves bert short --output=two.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench.curves.history import DEFAULT, read
from infer.cli import leading, option, parse, run, say
from infer.errors import InputError
from infer.system.ownership import claim
from train.saved.places import Places


@dataclass(frozen=True, kw_only=True)
class CurvesConfig:
    """Options of `python -m bench.curves`."""

    artifacts: Path = option(Path("artifacts"), "folder of the trained models")
    output: Path | None = option(None, "HTML file to write (default: training.html in that folder)")


def main(argv: Sequence[str]) -> None:
    """Parse, read, render, print."""
    names, rest = leading(argv)
    config = parse(CurvesConfig, rest, __doc__)
    missing = [library for library in ("jinja2", "plotly") if find_spec(library) is None]
    if missing:  # `just train-all` ends with this command, and needs neither
        say(f'no page of training curves, since {" and ".join(missing)} is missing: pip install -e ".[study]"')
        return
    from bench.curves.page import write_curves  # it needs both

    found = names or [name for name in DEFAULT if (config.artifacts / f"{name}.history.parquet").is_file()]
    if not found:
        raise InputError(f"{config.artifacts} holds no history of {', '.join(DEFAULT)}: train a model, or name one")
    output = config.output or config.artifacts / "training.html"
    read_too = [Places(config.artifacts, name).finished for name in found]
    claim([output], inputs=[config.artifacts / f"{name}.history.parquet" for name in found] + read_too)
    write_curves([read(config.artifacts, name) for name in found], output)
    say(f"training curves of {', '.join(found)} -> {output}")


if __name__ == "__main__":
    raise SystemExit(run(main))
