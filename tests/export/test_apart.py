"""A model in two files: written so that the one that is there always has its data, and refused without them."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest

from export import apart, exporter
from export.carried import Carried
from export.exporter import export
from export.packages import packed
from export.web.models import asked
from infer.errors import InputError
from infer.golden import check
from infer.model import modelfile, session
from infer.model.beside import KEY
from infer.model.contract import sidecar_of
from infer.model.modelfile import load, with_checksum
from infer.model.session import open_model
from infer.model.vectors import item_vectors, user_side
from infer.recommender import Recommender
from infer.scoring.job import open_job
from infer.scoring.task import prepare
from infer.system.locks import BusyError, alone
from tests.helpers.hostile import body
from tests.helpers.servers import BUCKET, s3


def apart_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let exports take out weights of 1,000 bytes, however large the model is."""
    monkeypatch.setattr(apart, "WEIGHTS", 0)
    monkeypatch.setattr(apart, "LEAST", 1_000)


@pytest.fixture
def folder(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Checkpoints and files of one part each, which the next exports give two."""
    apart_from(monkeypatch)
    return shutil.copytree(models, tmp_path / "a")


@pytest.fixture(scope="module")
def made(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with mf in two files."""
    folder = shutil.copytree(models, tmp_path_factory.mktemp("apart") / "a")
    with pytest.MonkeyPatch.context() as patch:
        apart_from(patch)
        export("mf", folder)
    return folder


@pytest.fixture
def pair(made: Path, tmp_path: Path) -> Path:
    """A copy of mf.onnx that lies with its data."""
    return shutil.copytree(made, tmp_path / "a") / "mf.onnx"


def data_of(folder: Path, name: str = "mf") -> list[Path]:
    return sorted(folder.glob(f"{name}.????????????????.data"))


@pytest.mark.parametrize("name", ["mf", "hybrid"])
def test_two_files_give_the_lists_of_one(name: str, folder: Path) -> None:
    one = Recommender(folder / f"{name}.onnx")
    expected, vectors = one.score(folder / "interactions.parquet", k=5), item_vectors(one.model)
    task = prepare(open_job(one.model))
    users = user_side(one.model).vectors(task.histories, task.user_index)
    size = (folder / f"{name}.onnx").stat().st_size
    path, _ = export(name, folder)
    (data,) = data_of(folder, name)
    assert path.stat().st_size < size and data.stat().st_size % 4096 == 0
    said_beside = json.loads(sidecar_of(path).read_text())["data"]
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    assert said_beside == {"file": data.name, "bytes": data.stat().st_size, "sha256": digest}
    two = Recommender(path)
    assert two.score(folder / "interactions.parquet", k=5).equals(expected) and check(path) > 3
    np.testing.assert_array_equal(item_vectors(two.model), vectors)
    np.testing.assert_array_equal(user_side(two.model).vectors(task.histories, task.user_index), users)
    elsewhere = shutil.copytree(folder, folder.with_name("elsewhere"))
    shutil.rmtree(folder)
    assert Recommender(elsewhere / path.name).score(elsewhere / "interactions.parquet", k=5).equals(expected)
    linked = elsewhere.with_name("linked.onnx")
    linked.symlink_to(elsewhere / path.name)
    assert open_model(linked).metadata.kind == name, "its data lie with the model, not with the link"


def test_a_fixed_number_and_chunks_have_their_weights_apart_too(folder: Path) -> None:
    path, metadata = export("mf", folder, carried=Carried(chunk_items=9))
    assert metadata.chunk == 9 and len(data_of(folder)) == 1 and check(path)
    fixed, _ = export("mf", folder, carried=Carried(fixed_k=3))
    assert len(data_of(folder, "mf.k3")) == 1 and check(fixed)


def gone(data: Path) -> None:
    data.unlink()


def shorter(data: Path) -> None:
    os.truncate(data, data.stat().st_size - 1)


def changed(data: Path) -> None:
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)


def linked(data: Path) -> None:
    data.symlink_to(data.rename(data.with_name("real")))


def piped(data: Path) -> None:
    data.unlink()
    os.mkfifo(data)


def a_folder(data: Path) -> None:
    data.unlink()
    data.mkdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (gone, "cannot be read (no such file or directory): copy it beside mf.onnx again, or export again"),
        (shorter, "bytes, not "),
        (changed, "its checksum is another"),
        (linked, "cannot be read (is a link)"),
        (piped, "is no file"),
        (a_folder, "is no file"),
    ],
)
def test_data_that_are_not_those_of_the_model_are_refused_in_a_line(
    pair: Path, spoil: Callable[[Path], None], message: str
) -> None:
    (data,) = data_of(pair.parent)
    spoil(data)
    with pytest.raises(InputError) as found:
        open_model(pair)
    assert message in str(found.value) and str(data) in str(found.value) and "\n" not in str(found.value)


def said(**changes: object) -> Callable[[onnx.ModelProto], None]:
    def change(proto: onnx.ModelProto) -> None:
        entry = next(entry for entry in proto.metadata_props if entry.key == KEY)
        entry.value = json.dumps(json.loads(entry.value) | changes)

    return change


def placed(key: str, value: str) -> Callable[[onnx.ModelProto], None]:
    def change(proto: onnx.ModelProto) -> None:
        tensor = next(tensor for tensor in proto.graph.initializer if tensor.external_data)
        next(entry for entry in tensor.external_data if entry.key == key).value = value

    return change


def larger(proto: onnx.ModelProto) -> None:
    next(tensor for tensor in proto.graph.initializer if tensor.external_data).dims[0] += 1


HOSTILE = {
    "above the folder": (said(file="../mf.0123456789abcdef.data"), "has damaged metadata (data)"),
    "an absolute name": (said(file="/etc/mf.0123456789abcdef.data"), "has damaged metadata (data)"),
    "another kind of name": (said(file="interactions.parquet"), "has damaged metadata (data)"),
    "no bytes": (said(bytes=0), "has damaged metadata (data)"),
    "a word for bytes": (said(bytes="many"), "has damaged metadata (data)"),
    "more than is said": (said(more=1), "has damaged metadata (data)"),
    "a weight of another file": (placed("location", "/etc/passwd"), "which is not what it holds"),
    "a weight beyond the end": (placed("offset", str(2**40)), "which is not what it holds"),
    "a weight before the begin": (placed("offset", "-4096"), "which is not what it holds"),
    "a weight between values": (placed("offset", "2"), "which is not what it holds"),
    "a place that is no number": (placed("offset", "here"), "which is not what it holds"),
    "fewer bytes than values": (placed("length", "4"), "which is not what it holds"),
    "more values than bytes": (larger, "which is not what it holds"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_model_that_points_elsewhere_is_refused(case: str, pair: Path) -> None:
    change, message = HOSTILE[case]
    proto = onnx.load_model_from_string(body(pair.read_bytes()))
    change(proto)
    pair.write_bytes(with_checksum(proto.SerializeToString()))
    with pytest.raises(InputError) as found:
        open_model(pair)
    assert message in str(found.value) and "\n" not in str(found.value)


def test_values_apart_are_judged_as_those_inside(pair: Path) -> None:
    (data,) = data_of(pair.parent)
    values = np.frombuffer(data.read_bytes(), np.float32).copy()
    values[40] = np.inf
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    data.write_bytes(values.tobytes())
    proto = onnx.load_model_from_string(body(pair.read_bytes()))
    said(sha256=digest)(proto)
    pair.write_bytes(with_checksum(proto.SerializeToString()))
    with pytest.raises(InputError, match="holds inf in"):
        open_model(pair)


def test_a_new_export_takes_the_place_of_both_and_one_that_fails_leaves_both(folder: Path, monkeypatch) -> None:
    path, _ = export("mf", folder)
    (first,), before = data_of(folder), path.read_bytes()
    lists = Recommender(path).score(folder / "interactions.parquet", k=5)

    def full(*_: object, **__: object) -> None:
        assert len(data_of(folder)) == 2, "the new data are there, and the model is not"
        raise InputError("the disk is full")

    state_of = exporter.checkpoint.read

    def other(*given: object) -> dict:
        state = state_of(*given)
        state["model"]["items.weight"][1:] *= 2
        return state

    monkeypatch.setattr(exporter.checkpoint, "read", other)
    with monkeypatch.context() as failing:
        failing.setattr(exporter, "write_bytes", full)
        with pytest.raises(InputError, match="the disk is full"):
            export("mf", folder)
    assert data_of(folder) == [first] and path.read_bytes() == before
    assert Recommender(path).score(folder / "interactions.parquet", k=5).equals(lists)
    (folder / "mf.0123456789abcdef.data").write_bytes(b"somebody's")
    shutil.copy(first, folder / "mf.fedcba9876543210.data")  # of an export that was killed
    export("mf", folder)
    mine = folder / "mf.0123456789abcdef.data"
    (second,) = [file for file in data_of(folder) if file != mine]
    assert second not in (first, folder / "mf.fedcba9876543210.data") and mine.read_bytes() == b"somebody's"
    doubled = Recommender(path).score(folder / "interactions.parquet", k=5)
    assert np.allclose(doubled["score"].sort(), (lists["score"] * 2).sort())
    monkeypatch.setattr(apart, "WEIGHTS", 1)
    export("mf", folder)
    assert data_of(folder) == [mine], "one file needs no data"


def test_a_reader_between_both_reads_the_new_pair(folder: Path, monkeypatch) -> None:
    path, _ = export("mf", folder)
    (first,), old = data_of(folder), path.read_bytes()
    new = folder / "new"
    new.mkdir()
    for name in ("mf.pt", "interactions.parquet"):
        shutil.copy(folder / name, new)
    monkeypatch.setattr(apart, "WEIGHTS_END", bytes(apart.ALIGNED) + apart.WEIGHTS_END)  # other bytes
    made, _ = export("mf", new)
    (second,) = data_of(new)
    read = modelfile._read
    reads: list[bytes] = []

    def replaced(of: Path) -> bytes:
        content = read(of)
        if not reads:
            shutil.copy(second, folder)
            shutil.copy(made, path)
            first.unlink()
        reads.append(content)
        return content

    monkeypatch.setattr(modelfile, "_read", replaced)
    assert load(path)[0] == reads[1] == made.read_bytes() != old


def test_data_that_change_while_they_are_opened_are_refused(pair: Path, monkeypatch) -> None:
    (data,) = data_of(pair.parent)
    start = session.ort.InferenceSession

    def then_changed(*given: object, **named: object) -> object:
        data.write_bytes(data.read_bytes())
        return start(*given, **named)

    monkeypatch.setattr(session.ort, "InferenceSession", then_changed)
    with pytest.raises(InputError, match="was changed while it was opened: run again"):
        open_model(pair)


def test_what_takes_one_file_refuses_two(pair: Path) -> None:
    with pytest.raises(InputError, match="has its weights in a second file beside it, and a package takes one"):
        packed.read(pair)
    with pytest.raises(InputError, match="has its weights in a second file beside it, and a page takes one"):
        asked(pair)


def test_other_precisions_are_made_of_one_file(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("infer.model.modelfile.LARGEST_FILE", 8_447)  # mf has 8,448 bytes of weights
    with pytest.raises(InputError, match=r"mf has 0\.0 GB of weights, and int8 is made of one ONNX file"):
        export("mf", folder, "int8")
    assert not (folder / "mf.int8.onnx").exists() and pl.read_parquet(folder / "interactions.parquet").height


def test_a_bucket_may_hold_the_pair(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore", reason="obstore, which reaches the cloud, is not installed")
    (data,) = data_of(pair.parent)
    expected = Recommender(pair).score(pair.with_name("interactions.parquet"), k=5)
    with s3() as store:
        store.reach(monkeypatch)
        store.put("models/mf.onnx", pair.read_bytes())
        with pytest.raises(
            InputError, match=f"s3://{BUCKET}/models/{data.name}, which .*mf.onnx needs, does not exist"
        ):
            open_model(f"s3://{BUCKET}/models/mf.onnx")
        store.put(f"models/{data.name}", data.read_bytes())
        found = Recommender(f"s3://{BUCKET}/models/mf.onnx")
        assert found.score(pair.with_name("interactions.parquet"), k=5).equals(expected)


def test_a_second_export_of_a_model_waits_for_nobody_and_removes_nothing(folder: Path) -> None:
    path, _ = export("mf", folder)
    before = {file: file.read_bytes() for file in (path, *data_of(folder))}
    unnamed = folder / "mf.0123456789abcdef.data"  # what the other process has written, and not named yet
    shutil.copy(data_of(folder)[0], unnamed)
    with alone(folder / "locks" / "mf.onnx.lock"), pytest.raises(BusyError):
        export("mf", folder)
    assert unnamed.is_file() and {file: file.read_bytes() for file in before} == before
    export("mf", folder)
    assert not unnamed.exists() and not (folder / "locks").exists()
