"""Every command answers bad input with one line and a non-zero exit, and keeps what was there."""

import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import onnxruntime
import polars as pl
import pytest
from onnx import TensorProto, helper

from tests.helpers.checkerboard import ROOT

GOOD = "user,item,timestamp,rating\n1,10,100,4\n1,11,101,3\n1,12,102,5\n"
TABLES = {
    "empty.csv": (b"", "is empty"),
    "header.csv": (b"user,item,timestamp\n", "has no rows"),
    "bytes.csv": (GOOD.encode() + b"1,caf\x81,103,5\n", "bytes.csv cannot be read: line 5 (byte 66) holds 'caf"),
    "column.csv": (b"user,film,timestamp\n1,2,3\n", "has no item column; its columns: user, film, timestamp"),
    "url.csv": (GOOD.encode() + b"1,13,10https://example.org/x4,5\n", "row 4 has the timestamp '10https://"),
    "word.csv": (GOOD.encode() + b"1,13,later,5\n", "row 4 has the timestamp 'later'; expected seconds or a date"),
    "rating.csv": (GOOD.encode() + b"1,13,104,good\n", "row 4 has the rating 'good'; expected a number"),
    "infinite.csv": (GOOD.encode() + b"1,13,104,inf\n", "row 4 has the rating 'inf'"),
    "cut.csv": (GOOD.encode() + b"1,13", "it ends in the middle of a row, '1,13', and may be cut off"),
    "ragged.csv": (GOOD.encode() + b"1,13,104,5,6,7\n", "ragged.csv cannot be read"),
    "text.parquet": (GOOD.encode(), "text.parquet cannot be read"),
    "cut.parquet": (b"PAR1" + bytes(40), "cut.parquet cannot be read"),
    "table.xlsx": (b"PK", "table.xlsx has one column alone: 'PK'"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_cannot_be_used_is_refused(name: str, run, refused, tmp_path: Path) -> None:
    content, message = TABLES[name]
    path = tmp_path / name
    path.write_bytes(content)
    earlier = tmp_path / "interactions.parquet"
    pl.DataFrame({"user": [1], "item": [2]}).write_parquet(earlier, metadata={"dataset": "earlier", "tidy": "1"})
    before = earlier.read_bytes()
    refused(run("train.data", f"--dataset={path}", f"--artifacts={tmp_path}"), message)
    assert earlier.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["interactions.parquet", name])


def foreign_onnx(path: Path) -> None:
    """A valid model of somebody else."""
    node = helper.make_node("Relu", ["x"], ["y"])
    shapes = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy"]
    graph = helper.make_graph([node], "relu", shapes[:1], shapes[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def test_a_file_that_is_no_model_of_ours_is_refused(run, refused, artifacts: Path, tmp_path: Path) -> None:
    whole = (artifacts / "hybrid.onnx").read_bytes()
    cases = {"text.onnx": b"not a model", "empty.onnx": b"", "cut.onnx": whole[: len(whole) // 2]}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        refused(run("infer.batch", f"--model={tmp_path / name}"), f"{name} is not a readable ONNX model")
    foreign_onnx(tmp_path / "foreign.onnx")
    refused(run("infer.batch", f"--model={tmp_path / 'foreign.onnx'}"), "ONNX file without recommender metadata")
    refused(run("infer.batch", "--model=nowhere.onnx"), "nowhere.onnx does not exist")
    refused(run("infer.batch", f"--model={tmp_path}"), "is a folder")


OPTIONS = {
    "--k=0": "--k is at least 1; found 0",
    "--k=-3": "--k is at least 1; found -3",
    "--k=2.5": "--k takes a whole number; found '2.5'",
    "--batch-size=many": "--batch-size takes a whole number; found 'many'",
    "--treads=2": "unknown option --treads; did you mean --threads? options: --model",
    "--device=tpu": "--device is one of cpu, cuda; found 'tpu'",
    "--users=nobody": "has no user 'nobody'",
    "--output=lists.csv": "expected a name that ends in .parquet",
    "--interactions=none.csv": "none.csv does not exist",
}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_cannot_work_is_refused(option: str, run, refused, artifacts: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(artifacts, tmp_path / "a")
    before = sorted(copy.iterdir())
    refused(run("infer.batch", f"--model={copy / 'hybrid.onnx'}", option), OPTIONS[option])
    assert sorted(copy.iterdir()) == before


def test_cuda_is_never_replaced_by_the_cpu(run, refused, artifacts: Path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has CUDA, so asking for it is not an error")
    refused(run("infer.batch", f"--model={artifacts / 'mf.onnx'}", "--device=cuda"), "--device cuda: onnxruntime")
    refused(run("train", "mf", f"--artifacts={artifacts}", "--device=cuda"), "no CUDA device")


def test_a_full_disk_leaves_the_earlier_output(run, artifacts: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(artifacts, tmp_path / "a")
    assert run("infer.batch", f"--model={copy / 'hybrid.onnx'}", "--k=3").returncode == 0
    lists, store = copy / "hybrid.topk.parquet", copy / "hybrid.topk.publications"
    earlier = {path.name: path.read_bytes() for path in lists.iterdir()}
    limit = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200));"
        f"sys.argv = ['infer.batch', '--model={copy / 'hybrid.onnx'}'];"
        "runpy.run_module('infer.batch', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", limit], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert f"cannot write {store / 'work'}" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert {path.name: path.read_bytes() for path in lists.iterdir()} == earlier
    assert not list(copy.rglob(".*")) and sorted(p.name for p in store.iterdir() if p.name != "locks") == [
        "000001",
        "current",
        "format.json",
    ]


def test_an_output_that_cannot_be_written_is_refused(run, refused, artifacts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    output = tmp_path / "file" / "lists.parquet"
    words = ("infer.batch", f"--model={artifacts / 'mf.onnx'}", f"--output={output}")
    refused(run(*words), f"cannot write {output.with_name('lists.publications')}: Not a directory")


def test_stages_name_the_command_that_must_come_before(run, refused, tmp_path: Path) -> None:
    refused(run("train", "mf", f"--artifacts={tmp_path}"), "run `python -m train.data")
    refused(run("export", f"--artifacts={tmp_path}"), "run `python -m train mf")
    refused(run("train", "mff"), "expected one of mf, bert, hybrid, knn")
    refused(run("export", "mff"), "no model is called 'mff'")
    refused(run("infer.compare", f"--artifacts={tmp_path}"), "run `python -m infer.batch")


def test_damaged_metadata_is_refused(run, refused, artifacts: Path, tmp_path: Path) -> None:
    proto = onnx.load(artifacts / "mf.onnx")
    changes = {"item_ids": "[1, 1]", "window": '"long"', "format": "99", "interactions": '"../../etc/passwd"'}
    for name, text in changes.items():
        copy = onnx.ModelProto()
        copy.CopyFrom(proto)
        next(p for p in copy.metadata_props if p.key == f"recommender.{name}").value = text
        onnx.save(copy, tmp_path / "m.onnx")
        refused(run("infer.batch", f"--model={tmp_path / 'm.onnx'}"), "m.onnx")


STRANGER = "exists and was not written by this project: move it away or choose another place"
# Options of a command whose folder holds what it needs, and the file of somebody else that it would replace.
REPLACES = {
    ("train.data", "--dataset={other}/ratings.csv", "--artifacts={folder}"): "items.parquet",
    ("train", "markov", "--artifacts={folder}"): "markov.pt",
    ("train", "mf", "--name=new", "--artifacts={folder}"): "new.history.parquet",
    ("export", "mf", "--artifacts={folder}"): "mf.onnx",
    ("infer.evaluate", "--model={folder}/mf.onnx"): "mf.ranks.parquet",
    ("bench.synthetic", "--output={folder}/ratings.parquet"): "ratings.parquet",
    ("bench.scale", "--record={folder}/record.json"): "record.json",
    ("bench.training", "--peers", "--record={folder}/record.json"): "record.json",
    ("bench.report", "bench/results/run-cpu-2-cores.json", "--output={folder}/r.html"): "r.html",
    ("bench.study", "--artifacts={folder}", "--output={folder}/study"): "study/study.html",
}


@pytest.mark.parametrize("words", REPLACES, ids=lambda words: words[0])
def test_a_file_of_somebody_else_is_never_replaced(words, run, refused, artifacts, ratings_csv, tmp_path) -> None:
    for name in ("interactions.parquet", "items.parquet", "mf.pt", "mf.onnx"):
        shutil.copy(artifacts / name, tmp_path)
    stranger = tmp_path / REPLACES[words]
    stranger.parent.mkdir(exist_ok=True)
    pl.DataFrame({"mine": [1]}).write_parquet(stranger)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    refused(run(*(word.format(folder=tmp_path, other=ratings_csv.parent) for word in words)), f"{stranger} {STRANGER}")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_a_command_reads_is_never_what_it_writes(run, refused, artifacts: Path, tmp_path: Path) -> None:
    for name in ("interactions.parquet", "items.parquet", "mf.pt", "mf.onnx"):
        shutil.copy(artifacts / name, tmp_path)
    (tmp_path / "link.parquet").symlink_to("interactions.parquet")
    (tmp_path / "mf.ranks.parquet").hardlink_to(tmp_path / "interactions.parquet")
    (tmp_path / "hybrid.history.parquet").symlink_to("items.parquet")
    (tmp_path / "mf.int8.onnx").symlink_to("mf.pt")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    folder = f"--artifacts={tmp_path}"
    for words in (
        ("train.data", f"--dataset={tmp_path / 'interactions.parquet'}", folder),
        ("train.data", f"--dataset={tmp_path / 'link.parquet'}", folder),
        ("train.data", f"--dataset={tmp_path}", folder),
        ("train", "hybrid", folder),
        ("train", "hybrid", "--preset=default", "--initial=mf", "--dim=32", "--name=mf", folder),
        ("export", "mf", "--precision=int8", folder),
        ("infer.evaluate", f"--model={tmp_path / 'mf.onnx'}"),
    ):
        refused(run(*words), "choose another place")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


FILES = {"a folder": None, "no text": b"\xff\xfe\x00", "deep": b"[" * 100_000, "empty": b""}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    "words", [("bench.report", "{}"), ("bench.compare", "{}", "{}"), ("infer.evaluate", "--model={}")]
)
def test_a_small_file_that_cannot_be_read_is_one_line(words, kind: str, run, refused, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.mkdir() if FILES[kind] is None else path.write_bytes(FILES[kind])
    refused(run(*(word.format(path) for word in words)), str(path))


def test_titles_beside_a_model_that_are_not_those_of_the_data_are_refused(run, refused, artifacts, tmp_path) -> None:
    for name in ("interactions.parquet", "mf.onnx"):
        shutil.copy(artifacts / name, tmp_path)
    pl.DataFrame({"film": [1]}).write_parquet(tmp_path / "items.parquet")
    user = pl.read_parquet(tmp_path / "interactions.parquet")["user"][0]
    words = ("infer.recommend", f"--model={tmp_path / 'mf.onnx'}", f"--user={user}")
    refused(run(*words), "items.parquet is not the table of items that `python -m train.data` wrote")
