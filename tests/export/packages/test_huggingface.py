"""A folder for the Hugging Face hub: its card read by the hub's own library, and its program run as it stands."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from export.carried import Carried
from export.exporter import export
from export.packages import huggingface
from export.packages.huggingface import HubOptions
from export.packages.licences import known
from export.packages.measured import figures
from export.packages.packed import read
from infer.errors import InputError
from infer.recommender import Recommender
from tests.helpers.again import bought_again
from tests.helpers.checkerboard import HANGS

STATED = "--data-license=The tests' own."


@pytest.fixture(scope="module")
def hub() -> Any:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    return huggingface.library()


def packed(run, model: Path, output: Path, *words: str) -> Path:
    done = run("export.package", f"--model={model}", "--to=huggingface", f"--output={output}", *words)
    assert done.returncode == 0, done.stderr
    return output


def test_the_hub_reads_the_card(hub: Any, models: Path, run, tmp_path: Path) -> None:
    folder = packed(run, models / "hybrid.onnx", tmp_path / "out", STATED, "--personal-data", "--license=mit")
    names = {"README.md", "hybrid.onnx", "hybrid.contract.json", "recommender.json"}
    assert {path.name for path in folder.iterdir()} == names
    assert (folder / "hybrid.onnx").read_bytes() == (models / "hybrid.onnx").read_bytes()
    assert (folder / "hybrid.contract.json").read_text() == (models / "hybrid.contract.json").read_text()
    card = hub.ModelCard.load(folder / "README.md")
    data = hub.metadata_load(folder / "README.md")
    assert data["license"] == card.data.license == "mit" and data["library_name"] == "onnx"
    assert {"recommendation", "hybrid"} <= set(data["tags"]) and "datasets" not in data
    stated = read(models / "hybrid.onnx").metadata.metrics
    assert {one.metric_type: one.metric_value for one in card.data.eval_results} == {
        name.removeprefix("validation_"): value for name, value in stated.items() if name.startswith("validation_")
    }
    for one in card.data.eval_results:
        assert (one.dataset_split, one.dataset_name) == ("validation", "ratings.csv")
        assert "by which the epoch was chosen" in one.dataset_args["protocol"]
    for text in ("The tests' own.", "the histories of three users", "not made for decisions about people", "95% inter"):
        assert text in card.content
    # What the library writes of what it read is what stands there: nothing is lost on the way.
    assert hub.ModelCard(str(card)).data.to_dict() == data


def test_figures_of_an_evaluation_stand_with_their_protocol(hub: Any, models: Path, run, tmp_path: Path) -> None:
    for name in ("hybrid.onnx", "interactions.parquet", "items.parquet"):
        shutil.copy(models / name, tmp_path)
    assert run("infer.evaluate", f"--model={tmp_path / 'hybrid.onnx'}", "--negatives=3").returncode == 0
    report = json.loads((tmp_path / "hybrid.evaluation.json").read_text())
    folder = packed(run, tmp_path / "hybrid.onnx", tmp_path / "out", STATED, "--personal-data")
    results = hub.ModelCard.load(folder / "README.md").data.eval_results
    assert len(results) == 9
    for one in results:
        row = report["protocols"][one.dataset_config][one.metric_type]
        assert one.metric_value == row["value"] and one.dataset_args["protocol"] == report["protocol"]
        line = rf"\| {re.escape(one.metric_type)} \| {row['value']:.4f} \| {row['low']:.4f} to {row['high']:.4f} \|"
        assert re.search(line, (folder / "README.md").read_text())
    assert any("3 other items, drawn uniformly" in one.metric_name for one in results)
    evaluation = tmp_path / "hybrid.evaluation.json"
    for change, message in (
        ({"kind": "mf"}, "is of another model or table"),
        ({"dataset_checksum": "0"}, "is of another model or table"),
        ({"interactions_checksum": "0"}, "is of another model or table"),
        ({"training_checksum": "0"}, "is of another model or table"),
        ({"protocols": []}, "is not what `python -m infer.evaluate` writes"),
    ):
        evaluation.write_text(json.dumps(report | change))
        with pytest.raises(InputError, match=message):
            huggingface.write(
                tmp_path, read(tmp_path / "hybrid.onnx"), "x", HubOptions(None, "own", evaluation, personal_data=True)
            )


def test_figures_are_those_of_the_weights_in_whatever_file(hub: Any, models: Path, run, tmp_path: Path) -> None:
    folder = shutil.copytree(models, tmp_path / "a")
    for name in ("hybrid", "mf"):
        assert run("infer.evaluate", f"--model={folder / name}.onnx", "--negatives=0").returncode == 0
    report = json.loads((folder / "hybrid.evaluation.json").read_bytes())
    assert report["model_checksum"] == read(folder / "hybrid.onnx").sha256
    of = {name: folder / f"{name}.evaluation.json" for name in ("hybrid", "mf")}
    measured = {name: figures(read(folder / f"{name}.onnx"), path) for name, path in of.items()}
    hidden, _ = export("mf", folder, carried=Carried(users="drop"))
    assert figures(read(hidden), of["mf"]) == measured["mf"]
    fixed = read(folder / "hybrid.k3.onnx")
    assert figures(fixed, of["hybrid"]) == measured["hybrid"]
    for change in ({"seed": 7}, {"precision": "int8"}, {"metrics": {}}, {"config": {}}):
        with pytest.raises(InputError, match="is of another model or table than"):
            figures(replace(fixed, metadata=replace(fixed.metadata, **change)), of["hybrid"])


@pytest.mark.parametrize("name", ["hybrid", "mf.k4", "again"])
def test_the_program_of_the_card_runs(name: str, hub: Any, models: Path, run, tmp_path: Path) -> None:
    again = bought_again(models / "hybrid.onnx", tmp_path / "again.onnx")
    model = again if name == "again" else models / f"{name}.onnx"
    folder = packed(run, model, tmp_path / "out", STATED, "--personal-data")
    (program,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)

    def lists(program: str) -> list[int]:
        words = [sys.executable, "-I", "-c", program]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=HANGS)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    found = lists(program)
    for history in ("[]", "[99]"):
        changed = re.sub(r"history = .*", f"history = {history}", program)
        assert len(lists(changed)) == (4 if name == "mf.k4" else 0), "an empty or unknown history"
    if name != "mf.k4":
        expected = Recommender(model).recommend([1001, 1002, 1003], k=10)
        assert found == expected["item"].to_list()
        assert bool({1001, 1002, 1003} & set(found)) == (name == "again")
    else:
        assert len(found) == 4 and not {1001, 1002, 1003} & set(found)


def test_data_of_people_are_packed_only_if_somebody_says_so(hub: Any, models: Path, tmp_path: Path) -> None:
    for name, message in (("mf", "holds the ids of all users"), ("hybrid", "holds the histories of three users")):
        with pytest.raises(InputError, match=message):
            huggingface.write(tmp_path, read(models / f"{name}.onnx"), name, HubOptions(data_license="own"))
    assert not list(tmp_path.iterdir())
    folder = shutil.copytree(models, tmp_path / "a")
    path, _ = export("mf", folder, carried=Carried(users="drop"))
    (tmp_path / "out").mkdir()
    huggingface.write(tmp_path / "out", read(path), "mf", HubOptions(data_license="own"))
    text = (tmp_path / "out" / "README.md").read_text()
    assert "whose ids are left out: pseudonymous, not anonymous" in text and "three users" not in text


def test_the_licence_of_the_data_is_known_or_stated(hub: Any, models: Path, tmp_path: Path) -> None:
    packed = read(models / "hybrid.onnx")
    with pytest.raises(InputError, match=r"under which licence the data 'ratings.csv' are.*--data-license="):
        huggingface.write(tmp_path, packed, "x", HubOptions(personal_data=True))
    films = known("ml-latest-small")
    assert films is not None and "commercial" in films.terms and known("ml-latest-small.csv") is None
    object.__setattr__(packed.metadata, "dataset", "ml-latest-small")
    huggingface.write(tmp_path, packed, "x", HubOptions(personal_data=True))
    data = hub.metadata_load(tmp_path / "README.md")
    assert (data["license"], data["license_name"], data["license_link"]) == ("other", "movielens", films.link)
    assert data["datasets"] == ["ml-latest-small"] and films.terms in (tmp_path / "README.md").read_text()
