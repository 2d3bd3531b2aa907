"""What a file carries for consumers without this project: contract, titles, golden vectors, ids of users or none."""

import hashlib
import hmac
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
import torch

from export.carried import Carried, golden_vectors
from export.cases import DRAWN, REAL, drawn
from export.exporter import export, file_content
from export.graph import export_graph
from infer.errors import InputError
from infer.model.contract import sidecar_of
from infer.model.session import open_model
from infer.model.signature import DROPPED
from infer.recommender import Recommender
from infer.scoring.job import open_job
from infer.scoring.task import prepare
from tests.helpers.networks import write_network
from train.models.bert import MiniBERT4Rec
from train.presets import configuration

KEY = b"sixteen bytes it"


@pytest.fixture
def folder(artifacts: Path, tmp_path: Path) -> Path:
    return shutil.copytree(artifacts, tmp_path / "a")


def said(path: Path) -> dict:
    """What a file says of itself."""
    return {p.key.removeprefix("recommender."): p.value for p in onnx.load(path).metadata_props}


def test_the_json_beside_a_file_says_what_the_file_says(artifacts: Path) -> None:
    for kind, names in (("mf", {"user"}), ("hybrid", {"window"})):
        path = artifacts / f"{kind}.onnx"
        beside, inside = json.loads(sidecar_of(path).read_text()), said(path)
        assert beside["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() and beside["file"] == path.name
        assert json.loads(inside["contract"]).items() <= beside.items()
        assert beside["golden"] == json.loads(inside["golden"]) and beside["item_ids"] == list(range(1001, 1025))
        assert "titles" not in beside and beside["schema"] == 1 and beside["format"] == inside["format"] == "7"
        taken = {value["name"]: (value["dtype"], value["shape"]) for value in beside["inputs"]}
        proto = onnx.load(path)
        for value in proto.graph.input:
            shape = [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
            assert taken.pop(value.name) == ("float32" if value.name == "boosts" else "int64", shape)
        assert not taken and names <= {value["name"] for value in beside["inputs"]}
        assert beside["k"] == {"least": 1, "largest": 25}
    assert beside["window"]["longest"] == 8 and beside["personal_data"]["user_ids"] == "none"


def test_golden_vectors_are_of_real_users_as_the_scorer_feeds_them(artifacts: Path) -> None:
    golden = json.loads(said(artifacts / "hybrid.onnx")["golden"])
    assert golden["origin"] == REAL and golden["tolerance"] >= 1e-4
    names = [case["name"] for case in golden["cases"]]
    assert names == [
        "three users", "the first user alone", "older items than the model reads", "nobody, and what is no index",
        "some candidates", "candidates of each user", "boosts",
    ]  # fmt: skip
    task = prepare(open_job(open_model(artifacts / "hybrid.onnx"), artifacts / "interactions.parquet", split=None))
    histories = {tuple(task.histories.rows(n, n + 1).flat[-8:].tolist()) for n in range(len(task.histories))}
    three, alone, older, nobody = golden["cases"][:4]
    for row in np.array(three["inputs"]["window"]["values"]).reshape(3, 8):
        assert tuple(row[row > 0].tolist()) in histories
    assert alone["items"][0] == three["items"][0] and older["items"] == three["items"]
    assert older["inputs"]["window"]["shape"] == [3, 10]
    assert not np.array(nobody["items"]).any() and (np.array(nobody["scores"]) <= DROPPED).all()
    for case in golden["cases"]:
        assert np.array(case["certain"]).shape == np.array(case["items"]).shape


def test_a_table_that_is_another_or_absent_gives_drawn_windows(folder: Path) -> None:
    path, _ = export("mf", folder, carried=Carried(golden="made"))
    assert json.loads(said(path)["golden"])["origin"] == DRAWN
    (folder / "interactions.parquet").unlink()
    path, _ = export("mf", folder)
    assert json.loads(said(path)["golden"])["origin"] == DRAWN


def test_levels_are_among_the_golden_inputs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = MiniBERT4Rec(9, configuration("bert", dim=4, heads=1, max_length=4, ratings="embedding"), levels=3).eval()
    metadata = open_model(write_network(tmp_path / "m.onnx", model, 9)).metadata
    base, origin = drawn(metadata, 0, 3)
    golden = golden_vectors(export_graph(model, 9), metadata, base, origin, 0)
    levels = golden["cases"][0]["inputs"]["levels"]
    assert levels["shape"] == [3, 4] and 0 < max(levels["values"]) <= 3
    assert golden["cases"][1]["inputs"]["levels"]["shape"] == golden["cases"][1]["inputs"]["window"]["shape"]


def test_titles_come_with_the_file_if_they_are_asked_for(folder: Path) -> None:
    path, _ = export("mf", folder, carried=Carried(titles=True))
    titles = json.loads(said(path)["titles"])
    assert titles == [f"Film {item} (1999)" for item in range(1001, 1025)]
    assert json.loads(sidecar_of(path).read_text())["titles"] == titles
    (folder / "items.parquet").unlink()
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"--titles: .*items\.parquet is not there"):
        export("mf", folder, carried=Carried(titles=True))
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["no table", "without titles"])
def test_titles_that_cannot_be_read_are_told_in_a_line(damage: str, folder: Path) -> None:
    before = (folder / "mf.onnx").read_bytes()
    if damage == "no table":
        (folder / "items.parquet").write_bytes(b"PAR1, and no more")
    else:
        pl.DataFrame({"item": [1001]}).write_parquet(folder / "items.parquet")
    with pytest.raises(InputError, match=r"items\.parquet cannot be read"):
        export("mf", folder, carried=Carried(titles=True))
    assert (folder / "mf.onnx").read_bytes() == before


def test_brackets_in_the_name_of_a_folder_are_no_pattern(folder: Path) -> None:
    other = folder.rename(folder.with_name("shop[1]"))
    path, _ = export("mf", other, carried=Carried(titles=True))
    assert "Film 1001 (1999)" in said(path)["titles"]


def test_hashed_users_are_scored_by_their_hash(folder: Path, tmp_path: Path) -> None:
    plain = Recommender(folder / "mf.onnx")
    table = pl.read_parquet(folder / "interactions.parquet")
    expected = plain.score(table, k=3)
    (tmp_path / "key").write_bytes(KEY + b"\n")
    path, metadata = export("mf", folder, carried=Carried(users="hash", users_key=tmp_path / "key"))
    assert metadata.user_ids[0] == hmac.new(KEY, b"101", hashlib.sha256).hexdigest()
    beside = json.loads(sidecar_of(path).read_text())
    assert beside["user_ids"] == metadata.user_ids and beside["personal_data"]["user_ids"] == "hashed"
    assert "HMAC-SHA256" in beside["personal_data"]["who_can_be_scored"] and beside["golden"]["origin"] == DRAWN
    assert b"[101, 102" not in path.read_bytes()
    hashes = dict(zip(range(101, 141), metadata.user_ids, strict=True))
    found = Recommender(path).score(table.with_columns(pl.col("user").replace_strict(hashes)), k=3)
    known = expected.with_columns(pl.col("user").replace_strict(hashes)).sort("user", "rank")
    assert found.sort("user", "rank").select(known.columns).equals(known) and found.height == 120
    with pytest.raises(InputError, match=r"knows users by hashes of their ids .*give --interactions FILE"):
        open_job(open_model(path))


def test_keys_that_cannot_be_used_are_refused(folder: Path, tmp_path: Path) -> None:
    before = (folder / "mf.onnx").read_bytes()
    (tmp_path / "short").write_bytes(b"secret")
    for given, message in (
        ({}, "--users=hash needs --users-key FILE"),
        ({"users_key": tmp_path / "short"}, "short has 6 bytes; expected at least 16"),
        ({"users_key": tmp_path / "none"}, "cannot read --users-key .*none"),
    ):
        with pytest.raises(InputError, match=message):
            export("mf", folder, carried=Carried(users="hash", **given))
    assert (folder / "mf.onnx").read_bytes() == before


def test_dropped_users_are_scored_by_index_and_not_by_this_project(folder: Path) -> None:
    path, _ = export("mf", folder, carried=Carried(users="drop"))
    inside, beside = said(path), json.loads(sidecar_of(path).read_text())
    assert json.loads(inside["user_ids"]) == beside["user_ids"] == [] and b"[101, 102" not in path.read_bytes()
    assert beside["personal_data"]["user_ids"] == "left out" and beside["personal_data"]["user_vectors"]
    with pytest.raises(
        InputError, match="exported with --users=drop, so that users can be scored by their index alone"
    ):
        open_model(path)


def test_a_fixed_number_lists_what_k_lists_and_is_not_opened_by_the_scorer(folder: Path) -> None:
    path, _ = export("mf", folder, carried=Carried(fixed_k=4))
    assert path.name == "mf.k4.onnx"
    contract = json.loads(sidecar_of(path).read_text())
    assert [value["shape"][0] for value in contract["inputs"] + contract["outputs"]] == ["batch"] * 4
    assert contract["k"] == {"fixed": 4}
    whole = json.loads(said(folder / "mf.onnx")["golden"])["cases"]
    for mine, theirs in zip(contract["golden"]["cases"], whole, strict=False):
        assert mine["items"] == [row[:4] for row in theirs["items"]]
        assert mine["scores"] == [row[:4] for row in theirs["scores"]]
    with pytest.raises(InputError, match="lists a fixed number of items and takes no rules"):
        open_model(path)


def test_a_file_of_bench_has_a_contract_without_golden_vectors(artifacts: Path) -> None:
    proto = onnx.load(artifacts / "mf.onnx")
    content = file_content(proto, open_model(artifacts / "mf.onnx").metadata)
    names = {p.key for p in onnx.load_model_from_string(content).metadata_props}
    assert "recommender.contract" in names and "recommender.golden" not in names
