"""docs/model-file.md says what files say: names, shapes and keys."""

import json
import re
from dataclasses import fields
from pathlib import Path

import onnx

from infer.model.contract import MEANINGS, SCHEMA, WITHOUT, sidecar, sidecar_of
from infer.model.metadata import FORMAT, PREFIX, Metadata
from infer.model.signature import OUTPUTS, RANKS
from tests.helpers.checkerboard import ROOT

PAGE = (ROOT / "docs" / "model-file.md").read_text()


def rows(heading: str) -> dict[str, str]:
    """name -> the cell beside it, of the first table below a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
    return {name: cell for names, cell in cells for name in re.findall(r"`(\w+)`", names)}


def test_the_page_names_every_input_and_output_with_its_shape(artifacts: Path) -> None:
    inputs, outputs = rows("Inputs"), rows("Outputs")
    assert set(inputs) == set(RANKS) and set(outputs) == set(OUTPUTS)
    assert set(MEANINGS) == set(inputs) | set(outputs)
    for kind in ("mf", "hybrid"):
        said = {p.key: p.value for p in onnx.load(artifacts / f"{kind}.onnx").metadata_props}
        for value in json.loads(said[PREFIX + "contract"])["inputs"]:
            shape = re.search(r"\((.*?),?\)", inputs[value["name"]])[1]
            assert shape == ", ".join(map(str, value["shape"])), value["name"]
    assert set(WITHOUT) == {"candidates", "own_candidates", "boosted", "boosts"}


def test_the_page_names_every_key_of_the_metadata(artifacts: Path) -> None:
    keys = rows("Metadata")
    stored = {p.key.removeprefix(PREFIX) for p in onnx.load(artifacts / "hybrid.onnx").metadata_props}
    assert set(keys) == stored | {"titles", "data"} and {f.name for f in fields(Metadata)} <= stored
    assert f"contract: {FORMAT}." in keys["format"] and f"`schema`: {SCHEMA})" in keys["contract"]


def test_ids_that_javascript_would_round_are_texts_in_the_json(artifacts: Path) -> None:
    path = artifacts / "hybrid.onnx"
    assert json.loads(sidecar_of(path).read_text())["item_ids"] == list(range(1001, 1025))
    proto = onnx.load(path)
    for first, kind in ((2**53 - 24, int), (2**53 - 23, str), (-(2**60), str)):
        ids = list(range(first, first + 24))
        for entry in proto.metadata_props:
            if entry.key == PREFIX + "item_ids":
                entry.value = json.dumps(ids)
        assert json.loads(sidecar(path, proto.SerializeToString()))["item_ids"] == list(map(kind, ids))
