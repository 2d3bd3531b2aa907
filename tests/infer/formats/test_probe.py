"""A file that ends its reader is refused before this process reads it."""

import gzip
import subprocess
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from infer.errors import InputError
from infer.formats import probe
from infer.formats.reading import collect
from tests.helpers.checkerboard import ROOT


@pytest.fixture(autouse=True)
def a_process_of_its_own(monkeypatch) -> None:
    """As commands have it; other tests fork theirs."""
    monkeypatch.setattr(probe, "subprocess", subprocess)


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_file_that_ends_its_reader_is_refused_whatever_its_name(kind: str, tmp_path: Path) -> None:
    """The fuzzers found both; with Polars 2.1 the reader aborts the process."""
    path = tmp_path / "t.csv"
    path.write_bytes((ROOT / "tests" / "helpers" / f"aborting.{kind}").read_bytes())
    with pytest.raises(InputError, match=r"t\.csv cannot be read"):
        probe.probe(path)


def test_which_files_are_probed_and_what_refuses_them(tmp_path: Path, monkeypatch) -> None:
    asked, ends = [], 0

    def run(command: list[str], **_) -> SimpleNamespace:
        asked.append(Path(command[-1]).name)
        return SimpleNamespace(returncode=ends, stderr="error: a line\n")

    monkeypatch.setattr(subprocess, "run", run)
    table = pl.DataFrame({"user": [1], "item": [2]})
    table.write_csv(tmp_path / "text")
    table.write_parquet(tmp_path / "parquet")
    table.write_ipc(tmp_path / "arrow")
    table.write_ndjson(tmp_path / "jsonl")
    (tmp_path / "packed").write_bytes(gzip.compress((tmp_path / "jsonl").read_bytes()))
    for ends, refused in (
        (0, []),
        (1, ["parquet", "arrow"]),  # of JSON it may be that an option is needed
        (-6, ["parquet", "arrow", "jsonl", "packed"]),
    ):
        found = []
        asked.clear()
        for name in ("text", "parquet", "arrow", "jsonl", "packed"):
            try:
                probe.probe(tmp_path / name)
            except InputError as error:
                assert ("a line" if ends == 1 else "its reader was ended by signal 6") in str(error)
                found.append(name)
        assert (asked, found) == (["parquet", "arrow", "jsonl", "packed"], refused)


def test_all_of_a_file_is_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(probe, "ROWS", 2)
    read = []
    monkeypatch.setattr(probe, "collect", lambda rows, path: read.append(collect(rows, path)) or read[-1])
    pl.DataFrame({"user": range(5)}).write_parquet(tmp_path / "t.parquet")
    probe.main([str(tmp_path / "t.parquet")])
    assert [table["user"].to_list() for table in read[1:]] == [[0, 1], [2, 3], [4]]
    (tmp_path / "t.jsonl").write_text('{"user": 1}\n' * 9 + '{"user":\n')
    with pytest.raises(InputError, match=r"t\.jsonl cannot be read"):
        probe.main([str(tmp_path / "t.jsonl")])
