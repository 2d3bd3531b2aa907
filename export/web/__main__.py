"""Write a static folder in which models recommend in the browser: nothing is sent anywhere.

In: models of `python -m export` and a table of titles. Out: a folder with the page, the models and onnxruntime-web,
for any file server; it loads nothing from elsewhere.

    python -m export.web --model hybrid.onnx --items movies.csv [--output web]
    python -m http.server --directory web

Several models, as --model=mf.onnx,bert.onnx,hybrid.onnx, are shown side by side. npm fetches onnxruntime-web once;
where it cannot, --runtime names a folder that holds it. docs/web.md says what is in the folder, and what of people.
"""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from shlex import quote
from typing import Literal

from infer.cli import option, parse, run, say
from infer.recommend import models_of


@dataclass(frozen=True, kw_only=True)
class WebConfig:
    """Options of `python -m export.web`."""

    model: Path = option(MISSING, "model file, or several separated by commas; looked for as given, then in artifacts/")
    items: Path | None = option(
        None, "table of titles and categories; by default the one beside the first model", address=True
    )
    output: Path = option(Path("web"), "folder to write")
    precision: Literal["fp32", "int8", "fp16", "auto"] | None = option(
        None, "by default as the file is; auto: what is smallest; made from the checkpoint beside the model"
    )
    largest_loss: float = option(0.02, "share of NDCG@10 that int8 or fp16 may lose", minimum=0)
    runtime: Path | None = option(None, "node_modules with onnxruntime-web and minisearch; by default npm fetches them")
    title: str | None = option(None, "heading of the page")
    k: int = option(10, "items in a list", minimum=1)
    reasons: int = option(2, "items of the history to name with each, that raised its score most", minimum=0)
    words: Literal["auto", "films", "items"] = option("auto", "what the page calls items; auto: as the table does")


def main(argv: Sequence[str]) -> None:
    """Parse, write, print."""
    config = parse(WebConfig, argv, __doc__)
    from export.web.bundle import WebOptions, bundle  # what is not installed is told in a line by `run`

    options = WebOptions(
        config.items, config.precision, config.largest_loss, config.runtime, config.title, config.k, config.reasons,
        config.words,
    )  # fmt: skip
    found = bundle(models_of(config.model), config.output, options)
    for line in found.said:
        say(line)
    sizes = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in found.sizes.items())
    say(f"{config.output}: {sum(found.sizes.values()) / 1e6:.1f} MB ({sizes})")
    say(f"show it with: python -m http.server --directory {quote(str(config.output))}")


if __name__ == "__main__":
    raise SystemExit(run(main))
