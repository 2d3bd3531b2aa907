"""The examples for consumers without this project give the lists that the scorer gives; those that cannot be run here
name the inputs and outputs that files have."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from infer.model.contract import MEANINGS, sidecar, sidecar_of
from infer.model.golden import KEY
from infer.model.modelfile import with_checksum
from infer.model.signature import OUTPUTS
from infer.recommender import Recommender
from tests.helpers.again import bought_again
from tests.helpers.checkerboard import HANGS, ROOT
from tests.helpers.hostile import body

EXAMPLES = ROOT / "examples"
HISTORY = "1003,1001,nothing,1004,1003"  # what comes again counts at its latest place
PACKAGES = ("onnxruntime-node", "onnxruntime-web")


@pytest.fixture(scope="module")
def files(models: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """mf and hybrid as they are exported, hybrid with a fixed number and titles."""
    folder = tmp_path_factory.mktemp("consumers")
    paths = [models / name for name in ("mf.onnx", "hybrid.onnx", "hybrid.k3.onnx")]
    for path in paths:
        shutil.copy(path, folder)
        shutil.copy(sidecar_of(path), folder)
    return [folder / path.name for path in paths]


@pytest.fixture(scope="module")
def spoiled(files: list[Path]) -> Path:
    """A file whose golden vectors are not what it gives: the first item of the third case is another."""
    proto = onnx.load_model_from_string(body(files[1].read_bytes()))
    for entry in proto.metadata_props:
        if entry.key == KEY:
            golden = json.loads(entry.value)
            golden["cases"][2]["items"][0][0] = golden["cases"][2]["items"][0][0] % 24 + 1
            golden["cases"][2]["certain"][0][0] = True
            entry.value = json.dumps(golden)
    path = files[1].with_name("spoiled.onnx")
    path.write_bytes(with_checksum(proto.SerializeToString()))
    sidecar_of(path).write_text(sidecar(path, path.read_bytes()))
    return path


def ran(command: list, path: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", **environment}
    return subprocess.run(
        [*map(str, command), str(path), *words], env=variables, capture_output=True, text=True, timeout=HANGS
    )


def checks_itself(command: list, files: list[Path], spoiled: Path, **environment: str) -> None:
    """Every file's cases pass, another list is told, and a list is that of the scorer."""
    for path in files:
        number = len(json.loads(sidecar_of(path).read_text())["golden"]["cases"])
        done = ran(command, path, **environment)
        assert (done.returncode, done.stdout) == (0, f"{number} cases give the expected lists\n"), done.stderr
    done = ran(command, spoiled, **environment)
    assert done.returncode == 1 and "other lists than expected: older items than the model reads" in done.stderr
    whole, fixed = files[-2:]
    expected = Recommender(whole).recommend([1001, 1004, 1003], k=5)
    for path, rows, title in ((whole, 5, ""), (fixed, 3, "Film {} (1999)")):
        done = ran(command, path, HISTORY, **environment)
        lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
        assert [int(item) for item, _ in lines] == expected["item"].to_list()[:rows], done.stderr
        for (item, rest), score in zip(lines, expected["score"], strict=False):
            assert rest.split()[-1] == f"{score:.4f}" and rest.startswith(title.format(item))
    again = bought_again(whole, whole.with_name("again.onnx"))
    expected = Recommender(again).recommend([1003, 1001, 1004, 1003], k=5)
    done = ran(command, again, HISTORY, **environment)
    assert {1001, 1003, 1004} & set(expected["item"])
    assert [int(line.split()[0]) for line in done.stdout.splitlines()] == expected["item"].to_list(), done.stderr


def test_python_with_onnxruntime_and_numpy_alone(files: list[Path], spoiled: Path) -> None:
    program = EXAMPLES / "python" / "recommend.py"
    # Isolated: nothing of this project can be imported.
    checks_itself([sys.executable, "-I", program], files, spoiled)
    imported = re.findall(r"^(?:import|from) (\w+)", program.read_text(), re.MULTILINE)
    assert imported == ["json", "sys", "numpy", "onnxruntime"]


@pytest.mark.parametrize("package", PACKAGES)
def test_javascript(package: str, files: list[Path], spoiled: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    if not (EXAMPLES / "javascript" / "node_modules" / package).is_dir():
        pytest.skip(f"{package} is not installed: `npm install --ignore-scripts` in examples/javascript")
    # The runtime for browsers takes seconds to start.
    some = files if package == "onnxruntime-node" else files[1:]
    checks_itself([node, EXAMPLES / "javascript" / "recommend.mjs"], some, spoiled, ORT_PACKAGE=package)


@pytest.mark.parametrize("program", ["java/Recommend.java", "rust/main.rs", "javascript/recommend.mjs"])
def test_the_names_in_an_example_are_those_of_the_files(program: str, files: list[Path]) -> None:
    text = (EXAMPLES / program).read_text()
    contract = json.loads(sidecar_of(files[2]).read_text())
    needed = {value["name"] for value in contract["inputs"]} | {"levels"}
    if program.endswith(".mjs"):
        assert all(re.search(rf"\b{name}\b", text) for name in [*needed, *OUTPUTS])
        return
    fed = set(re.findall(r'"(\w+)" (?:->|=>)', text))
    assert fed == needed and fed <= set(MEANINGS)
    read = set(re.findall(r'(?:result\.get\(|found\[)"(\w+)"', text))
    assert read == set(OUTPUTS) == {value["name"] for value in contract["outputs"]}
    # What is read of the JSON is there.
    keys = set(re.findall(r'(?:(?:contract|golden|case|wanted|value|getValue\(\))(?:\.get\(|\[))"(\w+)"', text))
    golden = contract["golden"]
    known = {*contract, *golden, *golden["cases"][0], *golden["cases"][0]["inputs"]["window"]}
    assert len(keys) >= 8 and keys <= known
    assert {"longest"} <= set(contract["window"]) and {"score"} <= set(contract["dropped"])
