"""Putting new files in the place of what is served; what cannot be loaded leaves the earlier one."""

import shutil
import time
from pathlib import Path

import pytest

from infer.errors import InputError
from infer.serving.loaded import AGAIN_SECONDS, Served, named
from infer.serving.measured import Figures


def loads(figures: Figures, what: str, outcome: str) -> float:
    return figures.loads.labels(what, "m", outcome)._value.get()


def test_a_new_model_takes_the_place_and_garbage_does_not(publishing: Path, tmp_path: Path, capsys) -> None:
    path, figures = tmp_path / "m.onnx", Figures()
    shutil.copy(publishing / "hybrid.onnx", path)
    served = Served({"m": path}, {}, figures)
    first = served.models["m"].thing
    served.refresh()
    assert served.models["m"].thing is first and capsys.readouterr().err == "", "nothing has changed"

    for garbage in (b"garbage", b"", (publishing / "mf.onnx").read_bytes()[:-9]):
        path.write_bytes(garbage)
        served.refresh()
        served.refresh()  # said once
        assert served.models["m"].thing is first
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("model m: the earlier one goes on serving: ")
    path.unlink()
    served.refresh()
    assert served.models["m"].thing is first and loads(figures, "model", "failed") == 4

    shutil.copy(publishing / "mf.onnx", path)
    served.refresh()
    assert served.models["m"].thing.metadata.kind == "mf" and loads(figures, "model", "loaded") == 2
    present = served.models["m"].thing
    served.refresh(everything=True)
    assert served.models["m"].thing is not present


def test_what_could_not_be_loaded_for_a_moment_is_tried_again(publishing: Path, tmp_path: Path, monkeypatch) -> None:
    path, figures = tmp_path / "m.onnx", Figures()
    shutil.copy(publishing / "hybrid.onnx", path)
    served = Served({"m": path}, {}, figures)
    shutil.copy(publishing / "mf.onnx", path)

    def full(*given):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("infer.serving.loaded.opened", full)
        served.refresh()
    served.refresh()
    assert served.models["m"].thing.metadata.kind == "hybrid", "not at once"
    monkeypatch.setattr("time.monotonic", lambda at=time.monotonic(): at + AGAIN_SECONDS + 1)
    served.refresh()
    assert served.models["m"].thing.metadata.kind == "mf" and served.models["m"].again is None


def test_new_lists_take_the_place(publishing: Path, tmp_path: Path) -> None:
    figures = Figures()
    shutil.copytree(publishing, tmp_path / "from", symlinks=True)
    lists = tmp_path / "from" / "hybrid.topk.parquet"
    served = Served({}, {"m": lists}, figures)
    first = served.lists["m"].thing
    store = lists.with_name("hybrid.topk.publications")
    shutil.copytree(store / "000001", store / "000002")
    served.refresh()
    assert served.lists["m"].thing is first
    (store / "current").unlink()
    served.refresh()
    assert served.lists["m"].thing is first and loads(figures, "lists", "failed") == 1
    (store / "current").symlink_to("000002")
    served.refresh()
    assert served.lists["m"].thing.version == "000002" and loads(figures, "lists", "loaded") == 2


def test_names_are_those_of_files_and_differ() -> None:
    assert named([Path("a/x.onnx"), Path("y.onnx")], "--model", (".onnx",)) == {
        "x": Path("a/x.onnx"),
        "y": Path("y.onnx"),
    }
    assert list(named([Path("h.topk.parquet")], "--lists", (".parquet", ".topk"))) == ["h"]
    with pytest.raises(InputError, match=r"--model: a/x.onnx and b/x.onnx would both be called 'x'"):
        named([Path("a/x.onnx"), Path("b/x.onnx")], "--model", (".onnx",))
