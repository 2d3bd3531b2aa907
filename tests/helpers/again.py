"""A model file as one of a shop whose customers buy again: histories hold what comes again, lists what was had.

In: a file of `python -m export`. Out: the same, as if trained on a table of `--repeats=keep --seen=keep`.
"""

import json
from dataclasses import replace
from pathlib import Path

import onnx

from infer.model.contract import contract, sidecar, sidecar_of
from infer.model.metadata import PREFIX
from infer.model.modelfile import load, with_checksum
from tests.helpers.hostile import body


def bought_again(path: Path, target: Path) -> Path:
    """Write the file and the JSON beside it."""
    content, metadata = load(path)
    proto = onnx.load_model_from_string(body(content))
    metadata = replace(metadata, rules={"repeats": "keep", "seen": "keep"})
    said = {"rules": metadata.rules, "contract": contract(proto.graph, metadata)}
    for entry in proto.metadata_props:
        name = entry.key.removeprefix(PREFIX)
        entry.value = json.dumps(said[name]) if name in said else entry.value
    target.write_bytes(with_checksum(proto.SerializeToString()))
    sidecar_of(target).write_text(sidecar(target, target.read_bytes()), encoding="utf-8")
    return target
