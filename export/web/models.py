"""A model file as the page takes it: asked by a history, with nothing of any person in it.

In: a file of `python -m export`. Out: such a file for the folder, what the page is to know of it, and the scores of
nobody, by which reasons of a history of a single item are told.

    shipped(asked(Path("hybrid.onnx")), None, 0.02).write(Path("web/models/hybrid"))

The graph stays as it is, but for `mf`, which gets one that solves the user from the history (`export.web.folding`), and
for another precision. Golden vectors are drawn anew: those of an export may be histories of three users.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from export.carried import golden_vectors
from export.cases import drawn
from export.exporter import file_content
from export.quality import stated_loss
from export.web.folding import folded
from export.web.precision import Made, Source
from infer.errors import InputError
from infer.histories.vocabulary import PAD
from infer.model.beside import refuse_apart
from infer.model.choice import Choice
from infer.model.contract import contract
from infer.model.metadata import CLOSED_FORM, KEPT, NONE, Metadata
from infer.model.session import Model, find_model, open_model, open_session
from infer.model.signature import DROPPED, K_INPUT, LEVELS_INPUT, USER_INPUT, WINDOW_INPUT, check_signature

AUTO = "auto"
SMALLER = ("int8", "fp16")
UNWRITTEN = ": the file was not written"  # how an export ends what it says
# Bytes of all models together. WebAssembly has 4 GiB at most, for the runtime and all sessions, and a session holds up
# to three times its file while it opens: its bytes, what these are read into, and the weights as they are used.
LARGEST = 10**9
LABELS = {
    "mf": "Matrix factorisation",
    "bert": "BERT",
    "hybrid": "Hybrid",
    "best": "Best blend",
    "knn": "Nearest neighbours",
    "markov": "Markov chain",
    "ease": "EASE",
    "content": "Content",
}


@dataclass(frozen=True)
class Shipped:
    """A model of the folder. content: bytes of its file.  golden: vectors drawn for it.  said: of its precision."""

    path: Path
    content: bytes
    metadata: Metadata
    golden: dict[str, Any]
    said: str

    @property
    def name(self) -> str:
        """As its file is called."""
        return self.path.stem

    def write(self, folder: Path) -> Model:
        """Write model.onnx, contract.json and nobody.bin: (items + 1,) little-endian float32 scores of who has no
        history. Returns the model, open."""
        folder.mkdir(parents=True)
        file = folder / "model.onnx"
        file.write_bytes(self.content)
        model = open_model(file, threads=1)
        about = contract(model.proto().graph, self.metadata) | {"golden": self.golden}
        about |= {"attribution": self.metadata.attribution, "retired": self.metadata.retired}
        (folder / "contract.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
        scores = nobody(model)
        if scores is not None:
            (folder / "nobody.bin").write_bytes(scores.astype("<f4").tobytes())
        return model


def check_sizes(paths: list[Path]) -> None:
    """Raise InputError if models are too large together for a browser."""
    sizes = [find_model(path).stat().st_size for path in paths]
    if sum(sizes) > LARGEST:
        name = paths[sizes.index(max(sizes))].name
        raise InputError(
            f"the models have {sum(sizes) / 1e9:.2f} GB together, {name} {max(sizes) / 1e9:.2f} GB; a browser opens "
            f"{LARGEST / 1e9:.0f} GB at most: train with a smaller --dim, export with --precision=fp16 or int8, give "
            "fewer models, or serve it with `python -m infer.serve`"
        )


def shipped(source: Source, precision: str | None, largest_loss: float) -> Shipped:
    """A model as the page takes it.

    precision: fp32, int8 or fp16; None: as the file is; "auto": the smallest that loses no more than `largest_loss` of
    NDCG@10 on the validation items.
    Raises InputError if the file cannot be had in that precision.
    """
    given = source.metadata.precision
    if precision == AUTO:
        (proto, told), said = _smallest(source, largest_loss)
    else:
        proto, told = source.made(precision or given, largest_loss)
        said = stated_loss(told)
    base, origin = drawn(told, 0, len(told.rating_levels))
    golden = golden_vectors(proto, told, base, origin, 0)
    content = file_content(proto, told, {"golden": json.dumps(golden)})
    return Shipped(source.model.path, content, told, golden, said.lstrip("; "))


def asked(path: Path) -> Source:
    """What a file is asked by a history; raises InputError if it is none that a history alone can ask."""
    path = find_model(path)
    content, metadata, session = open_session(path, threads=1)
    refuse_apart(path, content, "a page")
    names = tuple(value.name for value in session.get_inputs())
    model = Model(path, hashlib.sha256(content).hexdigest(), metadata, session, names, "cpu")
    if USER_INPUT not in names:
        check_signature(path, session, metadata)
        return Source(model, content, metadata)
    solved = folded(model)
    metadata = replace(
        metadata, user_ids=[], user_ids_are=KEPT, window=solved.window, attribution=solved.attribution, precision="fp32"
    )
    return Source(model, content, metadata, solved)


def _smallest(source: Source, largest_loss: float) -> tuple[Made, str]:
    """The smallest of all precisions, and what is said of the choice."""
    best = source.given
    sizes, refused = {source.metadata.precision: best[0].ByteSize()}, list[str]()
    for precision in SMALLER:
        try:
            made = source.made(precision, largest_loss)
        except InputError as error:
            refused.append(f"; not {precision}: {error}".removesuffix(UNWRITTEN))
            continue
        sizes[precision] = made[0].ByteSize()
        if sizes[precision] < best[0].ByteSize():
            best = made
    shown = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.items())
    return best, f"{shown}: {best[1].precision} is taken{stated_loss(best[1])}{''.join(refused)}"


def nobody(model: Model) -> np.ndarray | None:
    """(items + 1,) float32 scores of a window of padding, as long as that of one item; None of a model without reasons.

    A reason is by how much a score falls without an item (`infer.scoring.occlusion`), and of a history of one item
    nothing is left then.
    """
    metadata = model.metadata
    if metadata.attribution in (NONE, CLOSED_FORM):
        return None
    items = len(metadata.item_ids)
    window = np.full((1, int(model.window_lengths(np.array([1]))[0])), PAD, dtype=np.int64)
    own = {WINDOW_INPUT: window, LEVELS_INPUT: window, K_INPUT: np.array([items + 1], dtype=np.int64)}
    given = Choice(np.zeros((1, 1), dtype=np.int64)).inputs | own
    found, values = model.everybody.run({name: given[name] for name in model.inputs})
    scores = np.zeros(items + 1, dtype=np.float32)
    listed = values[0] > DROPPED
    scores[found[0, listed]] = values[0, listed]
    return scores
