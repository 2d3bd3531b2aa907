"""No command replaces what this project did not write, nor what it reads."""

import hashlib
import json
import os
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.model.modelfile import with_checksum
from infer.system.files import replacing, write_bytes, write_text
from infer.system.ownership import HTML_MARK, MARK, claim, is_ours, refuse_foreign

TABLE = pl.DataFrame({"item": [1], "title": ["a"], "genres": ["b"]})
GRAPH = b"\x08\x0a graph" * 99
FOREIGN = "exists and was not written by this project: move it away or choose another place$"


def table(path: Path, metadata: dict[str, str] | None = None, columns: tuple[str, ...] = ("item",)) -> None:
    pl.DataFrame(dict.fromkeys(columns, 1)).write_parquet(path, metadata=metadata)


def checkpoint(path: Path, digest: bytes | None = None) -> None:
    path.write_bytes(b"PK\x03\x04 weights" + (digest or hashlib.sha256(b"PK\x03\x04 weights").digest()))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


WRITTEN = {
    "marked table": lambda path: table(path, MARK),
    "interactions": lambda path: table(path, {"dataset": "d", "tidy": "1"}, ("user", "item", "timestamp")),
    "another split": lambda path: table(path, {"dataset": "d", "protocol": "p"}, ("user", "item", "split")),
    "marked report": lambda path: path.write_text(json.dumps(MARK | {"a": 1})),
    "page": lambda path: path.write_text(f"\n<!doctype html>\n<html><head>{HTML_MARK}"),
    "checkpoint": checkpoint,
    "model": lambda path: path.write_bytes(with_checksum(GRAPH)),
    "weights of a model": lambda path: path.write_bytes(b"weights " * 512 + bytes(4096 - 18) + b"recommender.sha256"),
}
STRANGE = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("user,item\n1,2\n"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe{"),
    "items": lambda path: TABLE.write_parquet(path),
    "of another writer": lambda path: table(path, {"generator": "something else"}),
    "damaged table": lambda path: path.write_bytes(b"PAR1" + b"\x00" * 40 + b"PAR1"),
    "JSON": lambda path: path.write_text('{"name": "hybrid-recommender-onnx"}'),
    "damaged JSON": lambda path: path.write_text('{"generator": "hybrid-recommender-onnx"'),
    "deep JSON": lambda path: path.write_text('{"a":' * 100_000),
    "list": lambda path: path.write_text("[1]"),
    "page": lambda path: path.write_text("<html><head><title>mine</title>"),
    "zip": lambda path: checkpoint(path, b"0" * 32),
    "other model": lambda path: path.write_bytes(GRAPH),
    "changed model": lambda path: path.write_bytes(b"\x08" + with_checksum(GRAPH)),
    "text about models": lambda path: path.write_text("# the key is recommender.sha256"),
    "text with a checksum": lambda path: path.write_bytes(b"recommender.sha256" + b"0" * 64),
    "log": lambda path: table(path, None, ("user", "item", "protocol")),
    "table of ranks": lambda path: table(path, None, ("user", "rank", "target_count")),
    "training of somebody else's": lambda path: table(path, None, ("epoch", "preparation_seconds")),
    "table of a data set": lambda path: table(path, {"dataset": "d", "protocol": "p"}, ("id", "value")),
    "table with a plan": lambda path: table(path, {"plan": "0"}, ("user", "item")),
    "plan": lambda path: path.write_text('{"plan": "gold", "customers": [1]}'),
    "measurement": lambda path: path.write_text('{"provenance": "lab", "rows": 3, "seconds": 4}'),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_this_project_wrote_is_replaced(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    WRITTEN[kind](path)
    claim([path, tmp_path / "absent"])
    write_text(path, "new", owned=True)
    assert path.read_text() == "new"


@pytest.mark.parametrize("kind", STRANGE)
def test_what_somebody_else_wrote_is_refused_in_a_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    STRANGE[kind](path)
    earlier = path.read_bytes()
    with pytest.raises(InputError, match=f"^{path} {FOREIGN}"):
        claim([path])
    with pytest.raises(InputError, match=f"^{path} {FOREIGN}"), replacing(path, owned=True):
        pytest.fail("nothing may be computed for a place that is not ours")
    assert path.read_bytes() == earlier and names(tmp_path) == ["a"]


def test_what_is_no_file_is_not_looked_into(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # whose reader would wait for ever
    assert not is_ours(tmp_path / "pipe")
    with pytest.raises(InputError, match=f"pipe {FOREIGN}"):
        claim([tmp_path / "pipe"])
    with pytest.raises(InputError, match=f"^cannot write {tmp_path}: it is a folder$"):
        claim([tmp_path])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a").write_text("x")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"cannot read .*a, which would be replaced: Permission denied; move it away"):
        refuse_foreign(tmp_path / "a")


def test_an_input_is_never_an_output_by_whatever_name(tmp_path: Path, monkeypatch) -> None:
    own, other = tmp_path / "a.parquet", tmp_path / "folder" / "other"
    other.parent.mkdir()
    table(own, MARK)
    other.symlink_to(own)
    (tmp_path / "hard").hardlink_to(own)
    monkeypatch.chdir(tmp_path)
    for given in (own, Path("a.parquet"), Path("folder/../a.parquet"), other, tmp_path / "hard"):
        with pytest.raises(InputError, match=r"would be written to, but .* is an input: choose another place"):
            claim([own], inputs=[None, tmp_path / "absent", given])
    for inside in (Path("folder/new"), Path("folder/below/new")):
        with pytest.raises(InputError, match=f"^{inside} would be written into the input {other.parent}"):
            claim([inside], inputs=[other.parent])
    claim([own, Path("new")], inputs=[other.parent, None])


def test_a_link_is_written_through_and_its_target_asked_for(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "there" / "target"
    target.parent.mkdir()
    link.symlink_to("there/target")
    for content in ("one", "two"):  # a target that is not there yet, and one that is
        write_text(link, content)
        assert link.is_symlink() and target.read_text() == content and names(target.parent) == ["target"]
    with pytest.raises(InputError, match=FOREIGN):
        write_bytes(link, b"three", owned=True)
    assert target.read_text() == "two"


def test_a_link_that_leads_nowhere_is_one_line_and_no_folder_is_made(tmp_path: Path) -> None:
    (tmp_path / "away").symlink_to(tmp_path / "unmounted" / "file")
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in (("away", "No such file or directory"), ("loop", "Too many levels of symbolic links")):
        with pytest.raises(InputError, match=f"^cannot write {tmp_path / name}: {reason}"):
            write_text(tmp_path / name, "x")
    assert names(tmp_path) == ["away", "loop"]
