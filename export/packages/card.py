"""A model card (Mitchell et al. 2019): what a model is, was trained on, is good for, measured, and may be used for.

In: a packed file, its licences, and figures of `infer.evaluate`, if there are some. Out: the text below the metadata.

    text(packed, "hybrid", "hybrid.onnx", licence, figures=[])
"""

import json

from export.cases import REAL
from export.packages.licences import Licence
from export.packages.measured import Figure
from export.packages.packed import Packed
from infer.model.metadata import KEPT
from infer.system.project import PROJECT
from infer.tables.rules import KEEP, keeps_seen

KINDS = {
    "mf": "matrix factorisation: a vector for each user and item",
    "bert": "a transformer that reads a user's latest items",
    "hybrid": "a transformer that reads a user's latest items, with matrix factorisation and a Markov chain beside it",
    "knn": "nearest neighbours of items",
    "markov": "a Markov chain of items that follow each other",
    "ease": "a linear model of items (EASE, Steck 2019)",
    "content": "a model of what items are, by their categories and titles",
    "best": "a blend of several models",
}
INTENDED = """Lists of items to recommend to one person, from what that person had before. The model knows the items of
its training table alone; new ones need a new training. It follows what people of that table did: what is popular there
is recommended more, and who is unlike them is served worse. It is not made for decisions about people, as in
employment, credit, health or law. Measure it on your own data before you use it."""
RUN = """```python
import json

import numpy as np
import onnxruntime

contract = json.load(open("{contract}", encoding="utf-8"))
session = onnxruntime.InferenceSession("{model}")
index = {{item: n for n, item in enumerate(contract["item_ids"], 1)}}
history = contract["item_ids"][:3]  # somebody's items, oldest first
{feeds}
items, scores = session.run(["items", "scores"], feeds)
print([contract["item_ids"][n - 1] for n, s in zip(items[0], scores[0]) if s > contract["dropped"]["score"]])
```"""
WINDOW = "known = [index[item] for item in history if item in index] or [0]  # none: padding, and no list"
LATEST = "known = list(dict.fromkeys(known[::-1]))[::-1]  # an item that comes again stands once, at its latest place"


def text(packed: Packed, name: str, model: str, licence: Licence, figures: list[Figure]) -> str:
    """Markdown.  model: the name of the file in the folder."""
    beside = model.removesuffix(".onnx") + ".contract.json"
    metadata = packed.metadata
    sections = {
        "Use": INTENDED,
        "Run": f"`{model}` needs ONNX Runtime alone. `{beside}` says what inputs and outputs mean, which ids items "
        f"have, and holds golden vectors: inputs with the lists that they must give.\n\n"
        + _program(packed, model, beside),
        "Training data": f"`{metadata.dataset}`, {len(metadata.item_ids):,} items, a table with the SHA-256 "
        f"`{metadata.dataset_checksum}`.\n\n{licence.terms}" + (f" ({licence.link})" if licence.link else ""),
        "Measured": _measured(figures),
        "Personal data": personal(packed),
        "Training": f"Kind `{metadata.kind}`, seed {metadata.seed}, arithmetic in {metadata.precision}. Largest "
        f"difference of a score from PyTorch's: {metadata.parity.get('largest_score_difference', float('nan')):.1e}. "
        f"Made with {', '.join(f'{n} {v}' for n, v in metadata.versions.items())}.\n\n"
        f"```json\n{json.dumps(metadata.config, indent=1, ensure_ascii=False)}\n```",
    }
    about = KINDS.get(metadata.kind, metadata.kind)
    head = f"# {name}\n\nA recommender as one ONNX file: {about}. Written by {PROJECT}.\n"
    return head + "".join(f"\n## {title}\n\n{body}\n" for title, body in sections.items())


def personal(packed: Packed) -> str:
    """What the file holds of people, in words."""
    metadata = packed.metadata
    users = (
        "the id and a vector of every user of the training table"
        if metadata.user_ids_are == KEPT
        else f"a vector of every user of the training table, whose ids are {metadata.user_ids_are}: pseudonymous, not "
        "anonymous"
    )
    held = [users] if packed.by_user else []
    if packed.golden.get("origin") == REAL:
        held.append("the histories of three users without their ids, in its golden vectors")
    return f"The file holds {'; and '.join(held)}." if held else "The file holds no user's id, vector or history."


def _program(packed: Packed, model: str, beside: str) -> str:
    """How to call the file, by the inputs that it has."""
    again = keeps_seen(packed.metadata.rules)
    values = {
        "window": 'np.array([known[-contract["window"]["longest"] :]])',
        "levels": 'np.zeros((1, min(len(known), contract["window"]["longest"])), dtype=np.int64)',
        "user": "np.array([1])",
        "seen": "np.zeros((1, 1), dtype=np.int64)" if again else "np.array([known])",
        "k": "np.array([10])",
        "candidates": "np.zeros(0, dtype=np.int64)",
        "own_candidates": "np.zeros((1, 0), dtype=np.int64)",
        "boosted": "np.zeros(0, dtype=np.int64)",
        "boosts": "np.zeros((0, 2), dtype=np.float32)",
    }
    lines = [f'    "{tensor.name}": {values[tensor.name]},' for tensor in packed.inputs]
    left_out = "" if again else "; the history is left out of the list"
    user = [f"# The user 1 is user_ids[0] of the contract, if it has ids{left_out}."]
    known = [WINDOW] if packed.metadata.rules.get("repeats") == KEEP else [WINDOW, LATEST]
    feeds = [*(user if packed.by_user else []), *known, "feeds = {", *lines, "}"]
    return RUN.format(model=model, contract=beside, feeds="\n".join(feeds))


def _measured(figures: list[Figure]) -> str:
    if not figures:
        return "Nothing: the file states no metrics, and no evaluation was given."
    rows = ["| metric | value | 95% interval | among |", "|---|---|---|---|"]
    rows += [f"| {one.metric} | {one.value:.4f} | {one.interval} | {one.among} |" for one in figures]
    return f"Protocol: {figures[0].protocol}.\n\n" + "\n".join(rows)
