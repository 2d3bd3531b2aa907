"""A Triton repository: its configuration by Triton's own schema and rules, and served by a real server."""

import importlib.util
import json
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime as ort
import pytest

from export.packages.packed import read
from export.packages.triton import TritonOptions, config
from infer.model.golden import difference
from tests.helpers.triton_server import served

TYPES = {"tensor(int64)": "TYPE_INT64", "tensor(float)": "TYPE_FP32"}


@pytest.fixture(scope="module")
def schema() -> Any:
    """The classes of Triton's model_config.proto, without the client around them, which needs gRPC."""
    try:
        listed = files("tritonclient") or []
    except PackageNotFoundError:
        pytest.skip("tritonclient, which has Triton's schema, is not installed")
    path = next(path for path in listed if path.as_posix().endswith("tritonclient/grpc/model_config_pb2.py"))
    spec = importlib.util.spec_from_file_location("triton_model_config", path.locate())
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def repository(models: Path, run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("triton") / "models"
    for path in sorted(models.glob("*.onnx")):
        done = run("export.package", f"--model={path}", "--to=triton", f"--output={folder}", "--max-batch=8")
        assert done.returncode == 0, done.stderr
    return folder


def parsed(schema: Any, folder: Path) -> Any:
    from google.protobuf import text_format

    return text_format.Parse((folder / "config.pbtxt").read_text(), schema.ModelConfig())


def test_the_configuration_is_what_the_graph_takes_and_what_triton_allows(
    schema: Any, repository: Path, model: Path
) -> None:
    folder = repository / model.stem
    found = parsed(schema, folder)
    session = ort.InferenceSession((folder / "1" / "model.onnx").read_bytes())
    assert (found.name, found.backend) == (model.stem, "onnxruntime")
    fixed = ".k" in model.stem
    assert found.max_batch_size == (8 if fixed else 0)
    assert found.HasField("dynamic_batching") == fixed
    for stated, values in ((found.input, session.get_inputs()), (found.output, session.get_outputs())):
        assert [one.name for one in stated] == [value.name for value in values]
        for one, value in zip(stated, values, strict=True):
            assert schema.DataType.Name(one.data_type) == TYPES[value.type]
            dims = list(one.reshape.shape) if one.HasField("reshape") else list(one.dims)
            assert one.dims and all(size == -1 or size > 0 for size in one.dims), "Triton wants a rank of 1 at least"
            if one.HasField("reshape"):
                assert np.prod(one.dims) == np.prod(dims, initial=1), "a reshape keeps the number of values"
            # With max_batch_size every input and output has the batch first, of any length, which dims leave out.
            shape = [size if isinstance(size, int) else -1 for size in value.shape]
            assert ([-1, *dims] if fixed else dims) == shape
    assert [(group.kind, group.count) for group in found.instance_group] == [
        (schema.ModelInstanceGroup.Kind.Value("KIND_CPU"), 1)
    ]


def test_a_warm_up_gives_every_input_what_its_configuration_takes(schema: Any, repository: Path, model: Path) -> None:
    folder = repository / model.stem
    found = parsed(schema, folder)
    assert [sample.batch_size for sample in found.model_warmup] == ([1, 8] if ".k" in model.stem else [1])
    for sample in found.model_warmup:
        assert set(sample.inputs) == {one.name for one in found.input}
        for one in found.input:
            given = sample.inputs[one.name]
            assert given.data_type == one.data_type and len(given.dims) == len(one.dims)
            assert all(size in (-1, exact) for size, exact in zip(one.dims, given.dims, strict=True))
            if one.name == "k":
                assert (folder / "warmup" / given.input_data_file).read_bytes() == (10).to_bytes(8, "little")
            else:
                assert given.zero_data


def test_users_alone_are_rows_of_one_value(models: Path) -> None:
    lines = config(read(models / "mf.k4.onnx"), "mf", TritonOptions("cuda", threads=2, instances=3, max_batch=1))
    assert lines.splitlines()[1:10] == [
        'name: "mf"',
        'backend: "onnxruntime"',
        "max_batch_size: 1",
        'input [ { name: "user" data_type: TYPE_INT64 dims: [ 1 ] reshape: { shape: [ ] } } ]',
        'input [ { name: "seen" data_type: TYPE_INT64 dims: [ -1 ] } ]',
        'output [ { name: "items" data_type: TYPE_INT64 dims: [ 4 ] } ]',
        'output [ { name: "scores" data_type: TYPE_FP32 dims: [ 4 ] } ]',
        "dynamic_batching { }",
        "instance_group [ { kind: KIND_GPU count: 3 } ]",
    ]
    assert 'parameters { key: "intra_op_thread_count" value { string_value: "2" } }' in lines
    assert lines.count("model_warmup") == 1


def test_the_folder_holds_the_file_as_it_is_and_its_contract(repository: Path, model: Path) -> None:
    folder = repository / model.stem
    assert (folder / "1" / "model.onnx").read_bytes() == model.read_bytes()
    contract = json.loads((folder / "contract.json").read_text())
    assert contract["file"] == "model.onnx" and contract["golden"]["cases"] and contract["item_ids"][0] == 1001


def test_a_server_of_triton_gives_the_golden_lists(repository: Path, models: Path, tmp_path: Path) -> None:
    """Triton 2.51.0: its HTTP, its reading of the configuration, warm-up and batches, around ONNX Runtime."""
    with served(repository, tmp_path) as (address, log):
        for path in sorted(models.glob("*.onnx")):
            contract = json.loads((repository / path.stem / "contract.json").read_text())
            cases = contract["golden"]["cases"]
            assert len(cases) >= 3
            for case in cases:
                items, scores = asked(address, path.stem, contract, case["inputs"])
                assert difference(case, items, scores, contract["golden"]["tolerance"]) == "", (path.stem, case["name"])
            counted = httpx.get(f"{address}/v2/models/{path.stem}/stats").json()["model_stats"][0]
            fixed = contract["k"].get("fixed") is not None
            # Three users in a request are three inferences of one execution, if the first axis is the batch.
            assert (counted["inference_count"] > counted["execution_count"]) == fixed
        _at_once(address, repository)
        told = log.read_text(errors="replace")
    assert "Traceback" not in told and "failed to" not in told.replace("failed to allocate pinned", "")


def _at_once(address: str, repository: Path) -> None:
    """Many requests of one row, which Triton may batch as it likes, give the list of each row."""
    contract = json.loads((repository / "hybrid.k3" / "contract.json").read_text())
    case = contract["golden"]["cases"][0]
    rows = [
        {
            name: {"shape": [1, value["shape"][1]], "values": np.reshape(value["values"], value["shape"])[row].tolist()}
            for name, value in case["inputs"].items()
        }
        for row in range(3)
    ]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda n: asked(address, "hybrid.k3", contract, rows[n % 3]), range(60)))
    for n, (items, scores) in enumerate(found):
        one = {key: [case[key][n % 3]] for key in ("items", "scores", "certain")}
        assert difference(one, items, scores, contract["golden"]["tolerance"]) == ""


def asked(address: str, name: str, contract: dict, inputs: dict) -> tuple[np.ndarray, np.ndarray]:
    """What a server answers to named inputs; a batch of users alone is a column."""
    types = {value["name"]: {"int64": "INT64", "float32": "FP32"}[value["dtype"]] for value in contract["inputs"]}
    fixed = "fixed" in contract["k"]
    given = [
        {
            "name": name,
            "datatype": types[name],
            "shape": [*value["shape"], 1] if fixed and len(value["shape"]) == 1 else value["shape"],
            "data": value["values"],
        }
        for name, value in inputs.items()
    ]
    answer = httpx.post(f"{address}/v2/models/{name}/infer", json={"inputs": given}, timeout=60)
    assert answer.status_code == 200, answer.text
    found = {one["name"]: np.reshape(one["data"], one["shape"]) for one in answer.json()["outputs"]}
    return found["items"], found["scores"]
