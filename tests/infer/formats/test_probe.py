"""A file that ends its reader is refused before this process reads it."""

import gzip
import io
import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from infer.errors import InputError
from infer.formats import probe
from infer.formats.reading import collect
from tests.helpers.checkerboard import ROOT

REFUSALS = {
    1: "a line",
    -6: "it is damaged, or there was too little memory (its reader was ended by signal 6)",
    -9: "it is damaged, or there was too little memory (its reader was ended by signal 9)",
    -11: "it is damaged (its reader was ended by signal 11)",
}


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

    def run(command: list[str], input: str, **_) -> SimpleNamespace:
        asked.extend(Path(file).name for file in json.loads(input))
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
        *((ends, ["parquet", "arrow", "jsonl", "packed"]) for ends in (-6, -9, -11)),
    ):
        found = []
        asked.clear()
        for name in ("text", "parquet", "arrow", "jsonl", "packed"):
            try:
                probe.probe(tmp_path / name)
            except InputError as error:
                assert REFUSALS[ends] in str(error)
                found.append(name)
        assert (asked, found) == (["parquet", "arrow", "jsonl", "packed"], refused)


def main_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps([str(path)])))
    probe.main([])


def test_all_of_a_file_is_read_a_few_columns_at_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(probe, "VALUES", 10)
    read = []
    monkeypatch.setattr(probe, "collect", lambda rows, path: read.append(collect(rows, path)) or read[-1])
    table = pl.DataFrame({name: range(5) for name in "abc"})
    table.write_parquet(tmp_path / "t.parquet")
    main_of(tmp_path / "t.parquet", monkeypatch)
    assert [found.columns for found in read[1:]] == [["a", "b"], ["c"]]
    table.write_ndjson(tmp_path / "t.jsonl")
    read.clear()
    main_of(tmp_path / "t.jsonl", monkeypatch)
    assert [found.columns for found in read] == [["a", "b", "c"]]
    (tmp_path / "t.jsonl").write_text('{"user": 1}\n' * 9 + '{"user":\n')
    with pytest.raises(InputError, match=r"t\.jsonl cannot be read"):
        main_of(tmp_path / "t.jsonl", monkeypatch)


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_damage_in_any_column_is_found(kind: str, tmp_path: Path, monkeypatch) -> None:
    """In values alone: what is said of the columns stays whole."""
    table = pl.DataFrame({name: pl.Series(range(50_000)).shuffle(n).cast(pl.String) for n, name in enumerate("abc")})
    path = tmp_path / f"t.{kind}"
    table.write_parquet(path, compression="zstd") if kind == "parquet" else table.write_ipc(path, compression="zstd")
    whole = path.read_bytes()
    monkeypatch.setattr(probe, "VALUES", 50_000)
    main_of(path, monkeypatch)
    for third in (1, 3, 5):
        place = len(whole) * third // 6
        path.write_bytes(whole[:place] + bytes(byte ^ 255 for byte in whole[place : place + 64]) + whole[place + 64 :])
        with pytest.raises(InputError, match="cannot be read"):
            main_of(path, monkeypatch)


def test_a_folder_may_have_more_files_than_a_command_takes_words(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["a" * 250] * 14)
    folder.mkdir(parents=True)
    pl.DataFrame({"user": [1]}).write_parquet(folder / "0.parquet")
    for number in range(1, 700):
        os.link(folder / "0.parquet", folder / f"{number}.parquet")
    probe.probe(folder)
