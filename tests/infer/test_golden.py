"""A file's own check on the machine that is to run it."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from infer.model.contract import sidecar_of
from infer.model.golden import KEY, difference
from infer.model.modelfile import with_checksum
from tests.helpers.hostile import body


@pytest.fixture
def model(artifacts: Path, tmp_path: Path) -> Path:
    shutil.copy(artifacts / "hybrid.onnx", tmp_path)
    return tmp_path / "hybrid.onnx"


def with_golden(model: Path, text: str | None) -> None:
    """Let the file carry other golden vectors, or none."""
    proto = onnx.load_model_from_string(body(model.read_bytes()))
    kept = [(p.key, p.value) for p in proto.metadata_props if p.key != KEY]
    del proto.metadata_props[:]
    for key, value in kept + ([] if text is None else [(KEY, text)]):
        proto.metadata_props.add(key=key, value=value)
    model.write_bytes(with_checksum(proto.SerializeToString()))


def stored(model: Path) -> dict:
    return json.loads(next(p.value for p in onnx.load(model).metadata_props if p.key == KEY))


def test_a_file_gives_here_what_it_gave_when_it_was_exported(model: Path, run) -> None:
    done = run("infer.golden", f"--model={model}")
    assert done.returncode == 0 and f"{model}: 7 cases give the expected lists on cpu (onnxruntime " in done.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda case: case["scores"][1].__setitem__(2, case["scores"][1][2] + 1), r"three users: row 2, rank 3: score"),
        (
            lambda case: case["items"][0].__setitem__(0, case["items"][0][0] % 24 + 1),
            "three users: row 1, rank 1: item",
        ),
        (lambda case: case["inputs"].pop("k"), "the golden case 'three users' fails: "),
    ],
)
def test_other_lists_are_told(change, message: str, model: Path, run, refused) -> None:
    golden = stored(model)
    golden["cases"][0]["certain"][0][0] = True
    change(golden["cases"][0])
    with_golden(model, json.dumps(golden))
    refused(run("infer.golden", f"--model={model}"), message)


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "carries no golden vectors: export it again"), ("[]", "damaged golden vectors"), ("{", "damaged golden")],
)
def test_files_without_usable_vectors_are_refused(text: str | None, message: str, model: Path, run, refused) -> None:
    with_golden(model, text)
    refused(run("infer.golden", f"--model={model}"), message)


def test_the_json_beside_a_file_has_to_be_its_own(model: Path, artifacts: Path, run, refused) -> None:
    beside = sidecar_of(model)
    shutil.copy(sidecar_of(artifacts / "hybrid.onnx"), beside)
    assert run("infer.golden", f"--model={model}").returncode == 0
    shutil.copy(sidecar_of(artifacts / "bert.onnx"), beside)
    refused(run("infer.golden", f"--model={model}"), "is of another file than")
    beside.write_text("[")
    refused(run("infer.golden", f"--model={model}"), "is damaged: export hybrid.onnx again")


def test_scores_may_differ_by_the_tolerance_and_items_where_they_are_near() -> None:
    case = {"items": [[3, 2, 0]], "scores": [[2.0, 1.0, -3.0e38]], "certain": [[True, False, True]]}
    scores = np.array([[2.0, 1.0, -3.0e38]], dtype=np.float32)
    assert difference(case, np.array([[3, 2, 0]]), scores, 0.1) == ""
    assert difference(case, np.array([[3, 5, 0]]), scores + 0.09, 0.1) == "", "the second is near another"
    assert "rank 1: item 4, expected 3" in difference(case, np.array([[4, 2, 0]]), scores, 0.1)
    assert "rank 3: item 4, expected 0" in difference(case, np.array([[3, 2, 4]]), scores, 0.1)
    assert "rank 2: score 1.2" in difference(case, np.array([[3, 2, 0]]), scores + np.array([0, 0.2, 0]), 0.1)
    assert "score nan" in difference(case, np.array([[3, 2, 0]]), scores * [[np.nan, 1, 1]], 0.1)
    assert "lists of (1, 2), expected (1, 3)" in difference(case, np.array([[3, 2]]), scores[:, :2], 0.1)
