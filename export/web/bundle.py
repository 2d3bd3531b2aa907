"""Models, items, page and runtime to one folder that a file server shows.

In: model files and a table of items. Out: the folder, and what it holds; or InputError, and an earlier folder stays.

    bundle([Path("hybrid.onnx")], Path("web"), WebOptions())
"""

import html
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from export.web.catalogue import Catalogue, catalogue, repeats, several_tables
from export.web.models import LABELS, Shipped, asked, check_sizes, shipped
from export.web.precision import Source
from export.web.publishing import ABOUT, check_output, publish, staged
from export.web.runtime import PAGE, runtime
from infer.errors import InputError
from infer.model.session import find_model
from infer.system.ownership import MARK
from infer.system.progress import progress

SOURCES = (
    "style.css", "icon.svg", "start.js", "main.js", "loading.js", "engine.js", "worker.js", "feeds.js", "reasons.js",
    "catalogue.js", "terms.js", "history.js", "search.js", "lists.js", "check.js",
)  # fmt: skip


@dataclass(frozen=True)
class WebOptions:
    """items: the table of titles and categories; None: the one beside the first model.  precision, largest_loss: as of
    `export.web.models.shipped`.  runtime: as of `export.web.runtime`.  title: of the page.  k: items in a list.
    reasons: items that are named with each at most.  words: "films", "items" or "auto"."""

    items: Path | None = None
    precision: str | None = None
    largest_loss: float = 0.02
    runtime: Path | None = None
    title: str | None = None
    k: int = 10
    reasons: int = 2
    words: str = "auto"


@dataclass
class Bundle:
    """What was written. sizes: bytes of the parts, by what they are.  said: sentences for the user."""

    version: str = ""
    sizes: dict[str, int] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


def bundle(paths: list[Path], output: Path, options: WebOptions = WebOptions()) -> Bundle:
    """Write the folder. paths: of models, which are shown side by side in this order.

    Raises InputError if one cannot be asked by a history or is too large, if a table or package cannot be used, or if
    `output` is not this project's.
    """
    paths = [find_model(path) for path in paths]
    named = [path.stem for path in paths]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two models are called {twice}: rename one, or give it once")
    check_output(output, [*paths, *filter(None, [options.items, options.runtime])])
    check_sizes(paths)
    found = Bundle()
    # What is refused is refused before packages are fetched and models made, which takes minutes.
    sources = [asked(path) for path in progress(paths, desc="opening", unit=" models", leave=False)]
    models_given = [source.model for source in sources]
    items = catalogue(models_given, options.items, options.words)
    found.said += filter(None, [items.missing, several_tables(models_given)])
    vendored = runtime(options.runtime)
    with staged(output) as stage:
        models = _models(sources, stage / "models", options, found)
        _write(stage / "catalogue.json", items.values)
        _copy(vendored, stage / "vendor")
        for name in SOURCES:
            shutil.copyfile(PAGE / name, stage / name)
        title = options.title or items.values["words"]["title"]
        _write(stage / ABOUT, _about(models, items, stage, title, options))
        found.sizes = _sizes(stage, [model.name for model in models])
        found.version = publish(output, stage, lambda version: _index(version, title))
    return found


def _models(sources: list[Source], folder: Path, options: WebOptions, found: Bundle) -> list[Shipped]:
    models = []
    for source in progress(sources, desc="writing", unit=" models", leave=False):
        model = shipped(source, options.precision, options.largest_loss)
        model.write(folder / model.name)
        models.append(model)
        found.said += [f"{model.path.name}: {model.said}"] if model.said else []
    return models


def _about(models: list[Shipped], items: Catalogue, stage: Path, title: str, options: WebOptions) -> dict[str, Any]:
    """What the page reads first: which files there are and how large they are."""
    labels = [LABELS.get(model.metadata.kind, model.name) for model in models]
    return MARK | {
        "title": title,
        "k": options.k,
        "reasons": options.reasons,
        "models": [
            {
                "name": model.name,
                "label": label if labels.count(label) == 1 else f"{label} ({model.name})",
                "places": places,
                "repeats": repeats(model.metadata),
            }
            for model, label, places in zip(models, labels, items.places, strict=True)
        ],
        "files": {
            path.relative_to(stage).as_posix(): path.stat().st_size
            for path in sorted(stage.rglob("*"))
            if path.suffix in (".json", ".onnx", ".bin", ".wasm")
        },
    }


def _copy(files: dict[str, Path], folder: Path) -> None:
    for name, path in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def _sizes(stage: Path, models: list[str]) -> dict[str, int]:
    """Bytes of each model, of the items, the runtime and the page."""
    sizes = dict.fromkeys([*models, "items", "runtime", "page"], 0)
    sizes["items"] = (stage / "catalogue.json").stat().st_size
    for path in (path for path in stage.rglob("*") if path.is_file()):
        size, top = path.stat().st_size, path.relative_to(stage).parts[0]
        if top == "models":
            sizes[path.parent.name] += size
        elif top == "vendor":
            sizes["runtime"] += size
        elif path.name != "catalogue.json":
            sizes["page"] += size
    return sizes


def _index(version: str, title: str) -> str:
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    return text.replace("{version}", version).replace("{title}", html.escape(title))
