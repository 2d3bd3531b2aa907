"""A model in MLflow's ONNX flavour, loaded as MLflow loads it, gives the golden lists."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml

from export.packages import mlflow_model
from infer.errors import InputError
from infer.model.golden import array, difference


@pytest.fixture(scope="module")
def flavour() -> Any:
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    return mlflow_model.library()


@pytest.fixture
def packed(flavour: Any, model: Path, run, tmp_path: Path) -> Path:
    done = run("export.package", f"--model={model}", "--to=mlflow", f"--output={tmp_path / 'out'}", "--threads=1")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return tmp_path / "out"


def test_mlflow_gives_the_golden_lists(flavour: Any, packed: Path, model: Path) -> None:
    import mlflow.pyfunc

    golden = json.loads((packed / "model.contract.json").read_text())["golden"]
    found = mlflow.pyfunc.load_model(str(packed))
    for case in golden["cases"]:
        lists = found.predict({name: array(name, given) for name, given in case["inputs"].items()})
        assert difference(case, lists["items"], lists["scores"], golden["tolerance"]) == "", case["name"]
    feeds = {name: array(name, given) for name, given in golden["cases"][0]["inputs"].items()}
    with pytest.raises(Exception, match="dtype of input float64 does not match expected dtype int64"):
        found.predict(feeds | {"seen": feeds["seen"].astype(np.float64)})
    # The file itself, so that its checksum holds.
    assert (packed / "model.onnx").read_bytes() == model.read_bytes()
    assert flavour.load_model(str(packed)) == onnx.load(model)


def test_what_it_says_of_itself(packed: Path, model: Path) -> None:
    import mlflow.models

    found = mlflow.models.get_model_info(str(packed))
    contract = json.loads((packed / "model.contract.json").read_text())
    for side, stated in ((found.signature.inputs, "inputs"), (found.signature.outputs, "outputs")):
        free = [[size if isinstance(size, int) else -1 for size in value["shape"]] for value in contract[stated]]
        assert [spec.name for spec in side] == [value["name"] for value in contract[stated]]
        assert [list(spec.shape) for spec in side] == free
        assert [str(spec.type) for spec in side] == [value["dtype"] for value in contract[stated]]
    assert found.metadata["sha256"] == contract["sha256"] and found.metadata["kind"] in model.stem
    onnx_flavour = yaml.safe_load((packed / "MLmodel").read_text())["flavors"]["onnx"]
    assert onnx_flavour["providers"] == ["CPUExecutionProvider"]
    assert onnx_flavour["onnx_session_options"] == {"intra_op_num_threads": 1}


def test_mlflow_serves_its_example_and_the_golden_lists(packed: Path) -> None:
    import mlflow.pyfunc
    from mlflow.pyfunc import scoring_server
    from starlette.testclient import TestClient

    golden = json.loads((packed / "model.contract.json").read_text())["golden"]
    with TestClient(scoring_server.init(mlflow.pyfunc.load_model(str(packed)))) as client:
        example = json.loads((packed / "serving_input_example.json").read_text())
        for case in [golden["cases"][0], *golden["cases"]]:
            given = {
                name: np.reshape(value["values"], value["shape"]).tolist() for name, value in case["inputs"].items()
            }
            if given.get("boosted") == []:  # JSON cannot say (0, 2)
                given |= {"boosted": [0], "boosts": [[1, 0]]}
            answer = client.post("/invocations", json=example or {"inputs": given})
            assert answer.status_code == 200, answer.text
            lists = {name: np.array(value) for name, value in answer.json()["predictions"].items()}
            assert difference(case, lists["items"], lists["scores"], golden["tolerance"]) == "", case["name"]
            example = None


def test_a_server_needs_no_torch(packed: Path) -> None:
    needed = (packed / "requirements.txt").read_text().splitlines()
    assert [line.partition("==")[0] for line in needed] == ["mlflow-skinny", "numpy", "onnx", "onnxruntime", "pandas"]
    assert all(line.partition("==")[2] for line in needed)


def test_without_mlflow_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mlflow.onnx", None)
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(InputError, match=r"--to=mlflow needs mlflow\S*: pip install '.\[mlflow\]'"):
        mlflow_model.library()
