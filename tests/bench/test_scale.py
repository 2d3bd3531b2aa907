"""The scale benchmark: its record, and that what it compares gives the same lists."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bench import engines, scale
from bench.peers import beside as peers_beside
from bench.peers import room
from bench.records.runs import Record
from bench.report.scale import commands
from bench.workloads.workload import network
from export import apart, chunks
from infer.errors import InputError
from infer.histories.histories import Histories, build_histories
from infer.histories.vocabulary import vocabulary
from infer.model.session import open_model
from tests.helpers.elsewhere import elsewhere
from tests.helpers.told import bars_told


def histories(*seen: list[int]) -> Histories:
    offsets = np.cumsum([0, *map(len, seen)])
    return Histories(pl.Series("user", range(len(seen))), np.concatenate(seen).astype(np.int32), offsets)


@pytest.mark.parametrize("kind", ["bert", "mf"])
def test_the_record_holds_stages_floor_memory_and_ratios(kind: str, tmp_path: Path, monkeypatch, capsys) -> None:
    told = bars_told(monkeypatch)
    monkeypatch.setitem(scale.SyntheticConfig.__init__.__globals__["SIZES"], "small", (60, 300, 3_000))
    scale.main(
        [f"--kind={kind}", "--size=small", "--rounds=1", f"--folder={tmp_path}", f"--record={tmp_path / 'r.json'}"]
        + ["--rules"] * (kind == "bert")
    )
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["users"] == 60 and record["items"] <= 300 and record["device"] == "cpu"
    assert {"open", "read", "windows", "model", "write", "total"} <= set(record["seconds"])
    assert sum(v for name, v in record["seconds"].items() if name != "total") <= record["seconds"]["total"]
    assert record["times_floor"] == pytest.approx(record["seconds"]["total"] / record["floor"]["head_seconds"])
    assert record["ratios"]["onnxruntime"] == 1.0
    under = record["seconds_under_rules"]
    assert (len(under) == 7 and min(under.values()) > 0) if kind == "bert" else under == {}
    wanted = {"bert": "torch, all positions", "mf": "implicit"}[kind]
    said = capsys.readouterr().out
    assert len(record["batch_seconds"][wanted]) == 1 and wanted in said
    floor = float(re.search(r"times the floor of (\S+) s;", said)[1])
    assert floor == pytest.approx(record["floor"]["head_seconds"], rel=0.01), "of small tables, too"
    assert ("engines", 2) in [(bar.desc, bar.n) for bar in told], "the first warms up"
    assert not [path for path in tmp_path.iterdir() if path.is_dir()], "lists stay nowhere"


def test_a_kept_folder_serves_another_table_and_no_run_compares_its_lists(tmp_path: Path, monkeypatch) -> None:
    manifests = []
    real = scale.scored

    def noted(*given: Any) -> dict:
        manifests.append(real(*given))
        return manifests[-1]

    monkeypatch.setattr(scale, "scored", noted)
    monkeypatch.setattr(scale, "rules_of", lambda *_: {"no figures": "--no-figures"})
    for size, users in (("small", 60), ("1m", 200)):
        monkeypatch.setitem(scale.SIZES, size, (users, 300, users * 50))
        scale.main(["--kind=mf", f"--size={size}", "--rounds=1", f"--folder={tmp_path}", "--rules"])
    assert [manifest["figures"]["users"] for manifest in manifests] == [60] * 2 + [200] * 2
    assert not any("earlier" in manifest["figures"] for manifest in manifests)


@pytest.mark.parametrize("kind", ["bert", "mf"])
def test_a_large_catalogue_is_known_whole_and_scored_in_chunks(kind: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(scale.SIZES, "1m-items", (30, 3_000, 600))
    for module in (chunks, scale):
        monkeypatch.setattr(module, "AT_ONCE", 2_000)
    monkeypatch.setattr(chunks, "CHUNK", 1_023)
    monkeypatch.setattr(apart, "WEIGHTS", 0)
    monkeypatch.setattr(apart, "LEAST", 100_000)
    monkeypatch.setenv("RECOMMENDER_PEERS", str(tmp_path / "none"))
    record_file = tmp_path / "r.json"
    scale.main([f"--kind={kind}", "--size=1m-items", "--rounds=1", f"--folder={tmp_path}", f"--record={record_file}"])
    record, said = json.loads(record_file.read_text()), capsys.readouterr().out
    model = open_model(tmp_path / f"{kind}.onnx")
    assert record["items"] == 3_000 and record["chunk"] == model.metadata.chunk == 1_023
    assert pl.read_parquet(tmp_path / "1m-items.parquet")["item"].n_unique() < 1_000
    (data,) = tmp_path.glob(f"{kind}.*.data")
    assert record["file_bytes"] == data.stat().st_size + model.path.stat().st_size > 3_000 * 64 * 4
    assert record["searched"] == {}, "16 cells are too few for 32 probes"
    assert record["rates_columns"] == 1_023 and record["times_floor"] > 0
    if kind == "mf":
        assert {"torch", "implicit", "onnxruntime"} <= {*record["batch_seconds"], *record["left_out"]}
    else:
        assert set(record["left_out"]) == {"rectools", "replay"}
        assert (
            "replay                left out: its environment is not made: python -m bench.peers --only=replay" in said
        )


def test_a_second_file_searches_cells_where_there_are_enough(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(scale.SIZES, "1m-items", (30, 5_000, 600))
    record_file = tmp_path / "r.json"
    words = [
        "--kind=mf",
        "--size=1m-items",
        "--rounds=1",
        "--probes=2",
        f"--folder={tmp_path}",
        f"--record={record_file}",
    ]
    scale.main(words)
    found, said = json.loads(record_file.read_text())["searched"], capsys.readouterr().out
    assert (found["probes"], found["cells"]) == (2, 32) and found["seconds"]["model"] > 0
    assert open_model(tmp_path / "mf.ivf.onnx").metadata.probes == 2
    assert "2 of 32 cells: open " in said
    shown = commands([Record(run="r", name="r", stats={}, info=json.loads(record_file.read_text()))])
    assert "1m-items, mf, cpu, 2 of 32 cells" in str(shown)


def test_libraries_are_timed_in_turn_where_their_environment_is(artifacts: Path, tmp_path: Path, monkeypatch) -> None:
    model = open_model(artifacts / "bert.onnx")
    table = pl.read_parquet(artifacts / "interactions.parquet")
    known = build_histories(table, vocabulary(model.metadata.item_ids, "item"), in_order=True)
    asked: list[str] = []
    told = bars_told(monkeypatch)

    class Stood:
        """A library that answers at once, or cannot start."""

        def __init__(self, name: str, folder: Path) -> None:
            self.name, self.about = name, {"version": "1.0", "note": "none"}
            with np.load(folder / "work.npz") as work:
                assert work["encoder"].tolist() == [2, 4, 32]
            if name == "rectools":
                raise InputError("rectools failed: no such module")

        def round(self) -> float:
            asked.append("round")
            return 2.0

        def close(self) -> None:
            asked.append("close")

    monkeypatch.setattr(peers_beside, "Peer", Stood)
    monkeypatch.setattr(peers_beside, "is_installed", lambda name: True)
    found, without = peers_beside.beside(model, known, network(artifacts / "bert.onnx").config, 5, 2, tmp_path)
    assert without == {"rectools": "rectools failed: no such module"} and set(found) == {"replay"}
    assert found["replay"]["seconds"] == [2.0, 2.0] and len(found["replay"]["ours"]) == 2
    assert found["replay"]["note"] == "none; ours has 2 transformer blocks of 32 dimensions"
    assert [(bar.desc, bar.n) for bar in told] == [("replay", 3)]
    assert asked == ["round"] * 3 + ["close"] and found["replay"]["ratio"] > 1


def test_ways_without_the_memory_they_need_are_left_out() -> None:
    sizes = {"batch": 256, "items": 10**7, "dim": 64, "window": 50}
    found = room.left_out(["onnxruntime", "torch", "implicit", "faiss", "rectools"], **sizes, free=20 * 2**30)
    assert set(found) == {"onnxruntime", "torch", "rectools"}  # 28.6 GiB, and 477
    assert room.left_out([room.EVERY], **sizes | {"items": 10**6}, free=20 * 2**30), "a score for each of 50 places"
    assert found["torch"] == "needs 28.6 GiB at least, of 20.0 GiB free"
    assert room.left_out(["torch", "implicit", "faiss"], **sizes, free=60 * 2**30) == {}
    assert set(room.left_out(["implicit", "faiss"], **sizes, free=6 * 2**30)) == {"implicit", "faiss"}


@pytest.mark.parametrize("kind", ["hybrid", "mf"])
def test_pytorchs_ways_run_where_its_model_lies(kind: str, artifacts: Path) -> None:
    model, twin = open_model(artifacts / f"{kind}.onnx"), network(artifacts / f"{kind}.onnx")
    table = pl.read_parquet(artifacts / "interactions.parquet")
    known = build_histories(table, vocabulary(model.metadata.item_ids, "item"), in_order=True)
    with elsewhere():
        ways, _ = engines.alternatives(twin.to("cuda"), model, known)
        assert {len(seconds) for seconds in engines.compare(ways, known, 5, 1).values()} == {1}


def test_rules_name_so_many_items_drawn_with_a_seed(tmp_path: Path) -> None:
    rules = scale.rules_of(range(1_000), tmp_path)
    found = {name: pl.read_parquet(rule.split("=")[1]) for name, rule in rules.items() if ".parquet" in rule}
    sizes = {"half allowed": 500, "1% allowed": 10, "100 allowed": 100, "1% excluded": 10, "1% boosted": 10}
    assert {name: table["item"].n_unique() for name, table in found.items()} == sizes
    assert found["1% boosted"]["weight"].unique().to_list() == [1.5]
    again = scale.rules_of(range(1_000), tmp_path)
    assert again == rules and pl.read_parquet(rules["100 allowed"].split("=")[1]).equals(found["100 allowed"])


def test_ways_that_list_other_items_are_refused() -> None:
    ways = {"onnxruntime": lambda part: np.zeros((len(part), 10)), "wrong": lambda part: np.ones((len(part), 10))}
    with pytest.raises(InputError, match=r"wrong lists other items than onnxruntime: 0\.0% agree"):
        engines.compare(ways, histories([1], [2]), 2, 1)
