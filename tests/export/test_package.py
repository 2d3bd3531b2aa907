"""The command that packs a model file: what it refuses, and that it needs no PyTorch."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from export.exporter import file_content
from infer.model.golden import KEY, stored
from infer.model.modelfile import load, with_checksum
from tests.helpers.checkerboard import HANGS, ROOT
from tests.helpers.hostile import body

# Runs a command where PyTorch and what trains cannot be imported.
WITHOUT_TORCH = """
import runpy, sys
for name in ("torch", "onnxscript", "train"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def model(artifacts: Path, tmp_path: Path) -> Path:
    shutil.copy(artifacts / "mf.onnx", tmp_path)
    return tmp_path / "mf.onnx"


def test_it_needs_no_torch(model: Path, tmp_path: Path) -> None:
    words = ["export.package", f"--model={model}", "--to=triton", f"--output={tmp_path / 'out'}"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words], cwd=ROOT, capture_output=True, text=True, timeout=HANGS
    )
    assert done.returncode == 0, done.stderr
    assert "6 golden cases give the expected lists here" in done.stdout and "--fixed-k" in done.stdout
    assert (tmp_path / "out" / "mf" / "1" / "model.onnx").read_bytes() == model.read_bytes()
    manifest = json.loads((tmp_path / "out" / "mf" / "recommender.json").read_text())
    assert manifest["to"] == "triton" and manifest["name"] == "mf" and len(manifest["files"]) == 4


@pytest.mark.parametrize(
    ("to", "needs"), [("triton", "json"), ("mlflow", "mlflow"), ("huggingface", "huggingface_hub")]
)
def test_it_writes_utf8_in_every_locale(to: str, needs: str, artifacts: Path, tmp_path: Path, typed) -> None:
    pytest.importorskip(needs, reason=f"{needs} is not installed")
    content, metadata = load(artifacts / "bert.onnx")
    extras = {"golden": json.dumps(stored(content, "bert.onnx"))}
    items = [f"品{number}" for number in metadata.item_ids]
    named = replace(metadata, dataset="売上\u3000表.csv", item_ids=items, item_type="String")
    (tmp_path / "bert.onnx").write_bytes(file_content(onnx.load_model_from_string(content), named, extras))
    words = [f"--model={tmp_path / 'bert.onnx'}", f"--to={to}", f"--output={tmp_path / 'out'}"]
    words += ["--data-license=own", "--personal-data"] if to == "huggingface" else []
    done = typed("export.package", *words, PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", LC_ALL="C")
    assert done.returncode == 0, done.stderr
    (contract,) = (tmp_path / "out").rglob("*contract.json")
    assert json.loads(contract.read_bytes())["item_ids"] == items
    assert to != "huggingface" or "売上\u3000表.csv" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_a_repository_takes_models_beside_each_other(model: Path, run, tmp_path: Path) -> None:
    (tmp_path / "out" / "theirs").mkdir(parents=True)
    for name in ("a", "b", "a"):
        done = run(
            "export.package", f"--model={model}", "--to=triton", f"--output={tmp_path / 'out'}", f"--name={name}"
        )
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b", "theirs"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to=triton"], "option --output is missing"),
        (["--to=torch", "--output=out"], "--to is one of triton, mlflow, huggingface"),
        (["--to=triton", "--output=out", "--name=../up"], "--name ../up: expected letters"),
        (
            ["--to=triton", "--output=out", "--license=mit"],
            "--license is for --to=huggingface, and not for --to=triton",
        ),
        (["--to=mlflow", "--output=out", "--max-batch=3"], "--max-batch is for --to=triton, and not for --to=mlflow"),
        (["--to=huggingface", "--output=out", "--device=cuda"], "--device is for --to=triton and mlflow, and not"),
        (["--to=triton", "--output=out", "--max-batch=0"], "--max-batch is at least 1"),
        (["--to=mlflow", "--output=."], "holds the model"),
        (["--to=mlflow", "--output=mine"], "mine exists and was not written by this project"),
    ],
)
def test_what_cannot_be_done_is_a_line(words: list, message: str, model: Path, run, refused, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    refused(run("export.package", f"--model={model}", *words, cwd=tmp_path), message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mf.onnx", "mine"]
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_a_file_that_gives_other_lists_is_not_packed(model: Path, run, refused, tmp_path: Path) -> None:
    proto = onnx.load_model_from_string(body(model.read_bytes()))
    entry = next(entry for entry in proto.metadata_props if entry.key == KEY)
    golden = json.loads(entry.value)
    golden["cases"][0]["scores"][0][0] += 1
    entry.value = json.dumps(golden)
    model.write_bytes(with_checksum(proto.SerializeToString()))
    words = ("export.package", f"--model={model}", "--to=triton", f"--output={tmp_path / 'out'}")
    refused(run(*words), "gives other lists here than when it was exported, and is not packed: three users: row 1")
    model.write_bytes(model.read_bytes()[:-1])
    refused(run(*words), "mf.onnx")
    refused(run(words[0], "--model=none.onnx", *words[2:]), "none.onnx")
    assert not (tmp_path / "out").exists()
