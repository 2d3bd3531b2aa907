"""The command of similar items: on screen with titles, and as a table of all."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import infer
from infer import similar
from infer.errors import InputError
from infer.system.ownership import MARK
from infer.system.progress import progress
from tests.helpers.networks import write_product

VECTORS = np.array([[0, 0], [1, 0], [2, 0], [0, 3], [1, 1], [0, 0]])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    titles = {"item": [1, 2], "title": ["One", "Two"], "genres": ["War", None], "price": [1, 2]}
    pl.DataFrame(titles).write_parquet(tmp_path / "items.parquet")
    return write_product(tmp_path / "p.onnx", np.ones((3, 2)), VECTORS, {"items": 2})


def test_the_nearest_are_shown_with_titles(model: Path, capsys) -> None:
    similar.main([f"--model={model}", "--item=1", "--k=2"])
    assert capsys.readouterr().out.splitlines() == [
        "p.onnx: nearest to One [War] by the cosine of their vectors:",
        "  1. Two  1.0000",
        "  2. item 4  0.7071",
    ]
    similar.main([f"--model={model}", "--item=5"])
    assert capsys.readouterr().out.splitlines()[1].startswith("none: ")
    similar.main([f"--model={model}", "--item=4", "--items-where=price > 1"])
    assert capsys.readouterr().out.splitlines()[-1] == "  1. Two  0.7071"


def test_what_rules_name_steers_no_terminal(model: Path, capsys) -> None:
    pl.DataFrame({"item": ["1", "2", "\x1b[2J"]}).write_csv(model.with_name("only.csv"))
    similar.main([f"--model={model}", "--item=1", f"--only-items={model.with_name('only.csv')}"])
    said = capsys.readouterr().out
    assert "as '?[2J'" in said and "\x1b" not in said


def test_a_blank_title_is_none(model: Path, capsys) -> None:
    titles = {"item": [1, 2], "title": ["", "  "], "genres": [None, None]}
    schema = {"item": pl.Int64, "title": pl.String, "genres": pl.String}
    pl.DataFrame(titles, schema=schema).write_parquet(model.with_name("items.parquet"))
    similar.main([f"--model={model}", "--item=1", "--k=1"])
    lines = capsys.readouterr().out.splitlines()
    assert "nearest to item 1 " in lines[0] and lines[1].startswith("  1. item 2 ")


def test_those_of_every_item_are_a_table_as_in_python(model: Path, capsys, tmp_path: Path) -> None:
    output = tmp_path / "similar.parquet"
    for _ in range(2):
        similar.main([f"--model={model}", "--k=1", f"--output={output}"])
    assert capsys.readouterr().out.splitlines()[-1].startswith("p.onnx: 4 items, the nearest by the cosine")
    found = pl.read_parquet(output)
    assert found.columns == ["item", "rank", "similar_item", "score"]
    assert found.drop("score").rows() == [(1, 1, 2), (2, 1, 1), (3, 1, 4), (4, 1, 1)]
    opened = infer.load(model)
    for item in range(1, 6):
        assert opened.similar(item, k=1).rows() == found.filter(pl.col("item") == item).drop("item").rows()
    assert opened.similar("2", k=1).rows() == [(1, 1, 1.0)]
    assert opened.similar(1, k=9, exclude_items=[2])["similar_item"].to_list() == [4, 3]
    assert opened.item_vectors().rows() == [(n, VECTORS[n].tolist()) for n in range(1, 6)]


def test_the_table_is_the_same_however_many_are_written_at_once(model: Path, tmp_path: Path, monkeypatch) -> None:
    found = []
    for name, block, at_once in (("a", 64, 1 << 16), ("b", 2, 2), ("c", 2, 4)):
        monkeypatch.setattr("infer.scoring.similar.BLOCK", block)
        monkeypatch.setattr(similar, "BLOCK", block)
        monkeypatch.setattr(similar, "AT_ONCE", at_once)
        similar.main([f"--model={model}", f"--output={tmp_path / f'{name}.parquet'}"])
        found.append(pl.read_parquet(tmp_path / f"{name}.parquet"))
    assert found[0].height == 12 and found[1].equals(found[0]) and found[2].equals(found[0])


def test_progress_is_told_in_items(model: Path, tmp_path: Path, monkeypatch) -> None:
    bars = []

    def noted(*given, **options):
        bars.append(progress(*given, **options, miniters=1))
        return bars[-1]

    monkeypatch.setattr(similar, "progress", noted)
    similar.main([f"--model={model}", f"--output={tmp_path / 'a.parquet'}"])
    assert [(bar.n, bar.total) for bar in bars] == [(5, 5)]


def test_what_cannot_be_found_is_refused_in_a_line(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected --item, whose nearest are shown, or --output"):
        similar.main([f"--model={model}"])
    with pytest.raises(InputError, match=r"--item: p\.onnx does not know 'x'; it knows items as '1'"):
        similar.main([f"--model={model}", "--item=x"])
    with pytest.raises(InputError, match=r"p\.onnx does not know the item 77"):
        infer.load(model).similar(77)
    items = tmp_path / "items.parquet"
    pl.DataFrame({"item": [1], "title": ["One"]}).write_parquet(items, metadata=dict(MARK))
    with pytest.raises(InputError, match=r"items\.parquet exists and holds no similar items, but item, title: choose"):
        similar.main([f"--model={model}", f"--output={items}"])
    assert pl.read_parquet(items).columns == ["item", "title"]
    (tmp_path / "mine.parquet").write_text("x")
    with pytest.raises(InputError, match="was not written by this project"):
        similar.main([f"--model={model}", f"--output={tmp_path / 'mine.parquet'}"])
