"""What of a model reaches the folder: the same lists, nobody's history, in the precision that was asked for."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.cases import DRAWN
from export.web import models as module
from export.web import precision
from export.web.models import asked, check_sizes, nobody, shipped
from infer.errors import InputError
from infer.golden import check
from infer.model.metadata import Metadata
from infer.model.session import open_model
from infer.recommender import Recommender

HISTORY = [1005, 1002, 1009]


def test_the_file_gives_the_same_lists_and_its_golden_vectors_are_drawn(models: Path, tmp_path: Path) -> None:
    model = shipped(asked(models / "hybrid.onnx"), None, 0.02)
    model.write(tmp_path / "hybrid")
    place = tmp_path / "hybrid" / "model.onnx"
    given, written = Recommender(models / "hybrid.onnx"), Recommender(place)
    assert written.recommend(HISTORY, k=24, reasons=2).equals(given.recommend(HISTORY, k=24, reasons=2))
    assert model.golden["origin"] == DRAWN and check(place) == 7
    contract = json.loads((tmp_path / "hybrid" / "contract.json").read_text())
    assert contract["golden"] == model.golden and contract["attribution"] == "deletion" and contract["retired"] == []
    # Histories of the training table stand in no byte of it.
    real = {entry.key: entry.value for entry in onnx.load(models / "hybrid.onnx").metadata_props}["recommender.golden"]
    assert "three users of the training table" in real and "three users of the training table" not in str(
        place.read_bytes()
    )


def test_the_scores_of_nobody_are_those_that_reasons_of_one_item_are_told_by(models: Path, tmp_path: Path) -> None:
    opened = shipped(asked(models / "hybrid.onnx"), None, 0.02).write(tmp_path / "hybrid")
    scores = np.fromfile(tmp_path / "hybrid" / "nobody.bin", dtype="<f4")
    assert len(scores) == 25 and np.array_equal(scores, nobody(opened))
    one = Recommender(opened).recommend([1005], k=23, reasons=1)
    for item, score, because in one.select("item", "score", "because").iter_rows():
        raised = score - scores[opened.metadata.item_ids.index(item) + 1]
        assert because == ([1005] if raised > 1e-5 * abs(score) else [])


def test_mf_is_asked_by_a_history_and_holds_no_user(web: Path, models: Path) -> None:
    (file,) = web.glob("*/models/mf/model.onnx")
    found, given = Recommender(file), open_model(models / "mf.onnx", threads=1)
    assert "window" in found.model.inputs and "user" not in found.model.inputs
    assert len(given.metadata.user_ids) == 40 and found.metadata.user_ids == []
    # 40 users have vectors in the file that was given, none in this one.
    sizes = {size for tensor in onnx.load(file).graph.initializer for size in tensor.dims}
    assert 41 in {size for tensor in onnx.load(models / "mf.onnx").graph.initializer for size in tensor.dims}
    assert not sizes & {40, 41}
    contract = json.loads(file.with_name("contract.json").read_text())
    assert contract["personal_data"]["user_ids"] == "none" and contract["window"]["longest"] == 200
    # Users whom the given file knows get most of the same items: its own vectors are half a step of ALS older.
    table = models / "interactions.parquet"
    lists = [Recommender(path).score(table, k=5, split="validation") for path in (file, models / "mf.onnx")]
    assert lists[0].height == lists[1].height > 100
    assert lists[0].join(lists[1], on=["user", "item"]).height > 0.7 * lists[0].height


def test_another_precision_is_made_from_the_checkpoint_and_its_loss_is_told(models: Path) -> None:
    model = shipped(asked(models / "hybrid.onnx"), "fp16", 1.0)
    assert model.metadata.precision == "fp16" and "against" in model.said and "in fp32" in model.said
    assert model.golden["origin"] == DRAWN
    given = shipped(asked(models / "hybrid.onnx"), None, 0.02)
    assert len(model.content) < len(given.content) and given.said == ""


def test_mf_in_int8_asks_by_a_history_too(models: Path, web: Path, tmp_path: Path) -> None:
    model = shipped(asked(models / "mf.onnx"), "int8", 1.0)
    assert model.metadata.precision == "int8" and model.metadata.user_ids == [] and "in fp32" in model.said
    model.write(tmp_path / "mf")
    (exact,) = web.glob("*/models/mf/model.onnx")
    lists = [Recommender(path).recommend(HISTORY, k=5) for path in (tmp_path / "mf" / "model.onnx", exact)]
    assert lists[0].join(lists[1], on="item").height >= 4


def test_auto_takes_the_smallest_and_says_why_not_another(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exported(path: Path, metadata: Metadata, wanted: str, largest_loss: float) -> tuple:
        if wanted == "int8":
            raise InputError("NDCG@10 falls from 0.2 to 0.1")
        proto = onnx.load(path)
        del proto.metadata_props[:]
        parity = {"ndcg@10_fp32": 0.2, "ndcg@10": 0.1999, "overlap@10": 0.99, "size": 0.5}
        return proto, replace(metadata, precision=wanted, parity=parity)

    monkeypatch.setattr(precision, "_exported", exported)
    model = shipped(asked(models / "hybrid.onnx"), "auto", 0.02)
    assert model.metadata.precision == "fp16"
    assert re.fullmatch(
        r"fp32 \S+ MB, fp16 \S+ MB: fp16 is taken; NDCG@10 0\.1999 against 0\.2000 in fp32, 99\.0% of the same items, "
        r"50% of the size; not int8: NDCG@10 falls from 0\.2 to 0\.1",
        model.said,
    )


def test_without_a_checkpoint_auto_takes_the_file_and_a_precision_is_refused(models: Path, tmp_path: Path) -> None:
    shutil.copy(models / "hybrid.onnx", tmp_path)
    alone = shipped(asked(tmp_path / "hybrid.onnx"), "auto", 0.02)
    assert alone.metadata.precision == "fp32" and "hybrid.pt, from which hybrid.onnx would be made" in alone.said
    with pytest.raises(InputError, match=r"hybrid.pt, from which hybrid.onnx would be made in int8, is not there"):
        shipped(asked(tmp_path / "hybrid.onnx"), "int8", 0.02)


def test_a_checkpoint_of_another_training_is_refused(
    models: Path, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "export", lambda *_: (artifacts / "bert.onnx", None))
    with pytest.raises(InputError, match=r"hybrid.pt is not what hybrid.onnx was exported from: export hybrid again"):
        shipped(asked(models / "hybrid.onnx"), "fp16", 1.0)


def test_models_beyond_what_a_browser_opens_are_refused_before_they_are_read(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [models / "mf.onnx", models / "hybrid.onnx"]
    total = sum(path.stat().st_size for path in paths)
    monkeypatch.setattr(module, "LARGEST", total)
    check_sizes(paths)
    monkeypatch.setattr(module, "LARGEST", total - 1)
    with pytest.raises(
        InputError, match=r"have .* GB together, .*; a browser opens .* at most: .*--precision=fp16 or int8"
    ):
        check_sizes(paths)
