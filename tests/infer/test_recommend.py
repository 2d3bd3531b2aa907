"""Recommendations on screen, of a model whose scores are written down here."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from infer import recommend
from infer.errors import InputError
from infer.system.columns import width
from tests.helpers.markov import write_model

ITEMS = list("abcde")
SCORES = np.tile([9, 1, 2, 3, 4, 5], (6, 1))
ROWS = [
    ("u", "a", 1, "train"),
    ("u", "b", 2, "train"),
    ("u", "e", 3, "validation"),
    ("u", "c", 4, "test"),
    ("v", "a", 1, "train"),
    ("w", "b", 1, "train"),
    ("w", "c", 2, "validation"),
    ("w", "zz", 3, "test"),
    ("x", "zz", 3, "train"),
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    table = tmp_path / "interactions.parquet"
    pl.DataFrame(ROWS, schema=["user", "item", "timestamp", "split"], orient="row").write_parquet(table)
    titles = {"item": ["c", "d"], "title": ["See\x1b[2J", None], "genres": ["War", "Drama"]}
    pl.DataFrame(titles).write_parquet(tmp_path / "items.parquet")
    return write_model(tmp_path / "m.onnx", ITEMS, SCORES, table)


def said(capsys, model: Path, *words: str) -> list[str]:
    recommend.main([f"--model={model}", *words])
    return capsys.readouterr().out.splitlines()


def listed(lines: list[str]) -> list[str]:
    """The rows of the models' items, without the spaces of their columns."""
    start = next(n for n, line in enumerate(lines) if line.startswith("Model"))
    return [" ".join(line.split()) for line in lines[start + 1 :]]


def test_the_list_ends_before_the_held_out_item_whose_place_is_told(model: Path, capsys) -> None:
    # u reads a b e: d and c are left.
    assert said(capsys, model, "--user=u") == [
        "user u, the latest of 3 items:",
        "  Item    Categories",
        "  item e",
        "  item b",
        "  item a",
        "held out: See?[2J [War]  (rank 2 of 2 unseen items)",
        "",
        "Model   Rank     Item     Categories   Score",
        "m.onnx     1     item d   Drama       4.0000",
        "           2  *  See?[2J  War         3.0000",
        "* held out",
    ]
    assert listed(said(capsys, model, "--user=u", "--k=1", "--history=0")) == ["m.onnx 1 item d Drama 4.0000"]
    # For validation u reads a b: e d c are left.
    shown = said(capsys, model, "--user=u", "--split=validation")
    assert "held out: item e  (rank 1 of 3 unseen items)" in shown and "m.onnx 1 * item e 5.0000" in listed(shown)
    assert "held out: item zz  (unknown to the model)" in said(capsys, model, "--user=w")


def test_models_stand_side_by_side_and_each_ranks_what_was_held_out(model: Path, tmp_path: Path, capsys) -> None:
    table, backwards = tmp_path / "interactions.parquet", np.tile([9, 5, 4, 3, 2, 1], (6, 1))
    other = write_model(tmp_path / "n.onnx", ITEMS, backwards, table)
    shown = said(capsys, Path(f"{model},{other}"), "--user=u")
    assert "held out: See?[2J [War]  (m.onnx: rank 2 of 2 unseen items; n.onnx: rank 1 of 2 unseen items)" in shown
    assert listed(shown) == [
        "m.onnx 1 item d Drama 4.0000", "2 * See?[2J War 3.0000",
        "n.onnx 1 * See?[2J War 3.0000", "2 item d Drama 2.0000", "* held out",
    ]  # fmt: skip
    for words, message in (
        (f"{model},", "names a model without a name between its commas"),
        (f"{model},{tmp_path / 'no.onnx'}", r"no\.onnx does not exist"),
    ):
        with pytest.raises(InputError, match=message):
            recommend.main([f"--model={words}", "--user=u"])
    pl.DataFrame(ROWS[:4], schema=["user", "item", "timestamp", "split"], orient="row").write_parquet(
        tmp_path / "t.parquet"
    )
    stranger = write_model(tmp_path / "s.onnx", ITEMS, SCORES, tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"is not the table s\.onnx was trained on|was trained on"):
        recommend.main([f"--model={model},{stranger}", "--user=u"])


def test_columns_are_as_wide_as_their_texts_are_on_screen(model: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "other.csv").write_text("item,title,genres\nd,東京物語,Drama\nc,See,War\n", encoding="utf-8")
    shown = said(capsys, model, "--user=u", f"--items={tmp_path / 'other.csv'}")
    wide, narrow = (next(line for line in shown if title in line) for title in ("東京物語", "*  See"))
    assert len(wide) == len(narrow) - 4, "each of the four takes two places"


def test_rules_and_re_ranking_hold_for_one_user_too(model: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "stock.csv").write_text("item\nc\n")
    shown = said(capsys, model, "--user=u", f"--only-items={tmp_path / 'stock.csv'}")
    assert listed(shown)[0] == "m.onnx 1 * See?[2J War 3.0000"
    (tmp_path / "other.csv").write_text("item,title,kind\na,A,x\nb,B,x\nc,C,y\nd,D,y\ne,E,x\n")
    words = ["--user=v", "--k=3", f"--items={tmp_path / 'other.csv'}", "--most-per=kind=1", "--history=0"]
    assert listed(said(capsys, model, *words)) == ["m.onnx 1 E x 5.0000", "2 D y 4.0000"]
    (tmp_path / "stock.csv").write_text("item\na\n")
    with pytest.raises(InputError, match="cannot recommend to user u: the rules leave nothing"):
        recommend.main([f"--model={model}", "--user=u", f"--only-items={tmp_path / 'stock.csv'}"])


def test_a_whole_history_and_a_user_of_whom_nothing_is_held_out_show_none(model: Path, capsys) -> None:
    shown = said(capsys, model, "--user=u", "--whole-history")
    assert listed(shown) == ["m.onnx 1 item d Drama 4.0000"] and not any("held out" in line for line in shown)
    shown = listed(said(capsys, model, "--user=v"))
    assert len(shown) == 4 and shown[0] == "m.onnx 1 item e 5.0000"


def test_titles_may_be_named_or_absent(model: Path, capsys, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("item,title\nd,Dee\n")
    shown = said(capsys, model, "--user=u", "--k=1", f"--items={tmp_path / 'other.csv'}")
    assert listed(shown) == ["m.onnx 1 Dee 4.0000"]
    (tmp_path / "other.csv").write_text("item,title\n4,Dee\n")
    with pytest.raises(InputError, match=r"other\.csv knows no item of the model: it has 4, the model 'a'"):
        recommend.main([f"--model={model}", "--user=u", f"--items={tmp_path / 'other.csv'}"])
    (tmp_path / "items.parquet").unlink()
    shown = said(capsys, model, "--user=u", "--k=1")
    assert shown[0].startswith("no titles: ") and listed(shown) == ["m.onnx 1 item d 4.0000"]


def test_nobody_several_and_strangers_are_refused(model: Path) -> None:
    for user, message in (
        ("u,v", "--user: .* has no user 'u,v'"),
        ("nobody", "--user: .* has no user 'nobody'"),
        ("x", "cannot recommend to user x: it knows none of its items"),
    ):
        with pytest.raises(InputError, match=message):
            recommend.main([f"--model={model}", f"--user={user}"])


def test_further_columns_do_no_harm_and_categories_stand_in_for_genres(model: Path, capsys, tmp_path: Path) -> None:
    items = {"item": ["c", "d"], "title": ["See", "Dee"], "genres": ["War", None], "price": [1.5, 2.5]}
    lists = pl.Series("kind", [["X"], ["Y", "Z"]], dtype=pl.List(pl.String))
    pl.DataFrame(items).with_columns(lists).write_parquet(tmp_path / "items.parquet")
    assert listed(said(capsys, model, "--user=u"))[:2] == ["m.onnx 1 Dee Y|Z 4.0000", "2 * See War 3.0000"]
    (tmp_path / "other.csv").write_text("item,title,brand,price\nd,Dee,Acme,3\ne,Eh,Bolt,4\nc,See,Bolt,4\n")
    shown = said(capsys, model, "--user=u", "--k=1", f"--items={tmp_path / 'other.csv'}")
    assert listed(shown) == ["m.onnx 1 Dee Acme 4.0000"]
    pl.DataFrame({"item": ["c"], "price": [1]}).write_parquet(tmp_path / "items.parquet")
    with pytest.raises(InputError, match="is not the table of items"):
        said(capsys, model, "--user=u")


def test_reasons_stand_behind_the_items_whose_scores_they_raise(tmp_path: Path, capsys) -> None:
    table = tmp_path / "interactions.parquet"
    pl.DataFrame(ROWS[:3], schema=["user", "item", "timestamp", "split"], orient="row").write_parquet(table)
    pl.DataFrame({"item": ["e"], "title": ["Ee"], "genres": ["War"]}).write_parquet(tmp_path / "items.parquet")
    # u reads a b e: after e comes c (4) before d (3); after b it would be d (2) before c (1).
    scores = np.array([[9] * 6, [9] * 6, [9, 0, 0, 1, 2, 0], [9] * 6, [9] * 6, [9, 0, 0, 4, 3, 0]])
    model = write_model(tmp_path / "m.onnx", ITEMS, scores, table)
    shown = said(capsys, model, "--user=u", "--whole-history", "--reasons=2")
    assert listed(shown) == ["m.onnx 1 item c 4.0000 Ee", "2 item d 3.0000 Ee"]


def test_a_model_of_another_table_is_one_line(model: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    pl.DataFrame(ROWS[:4], schema=["user", "item", "timestamp", "split"], orient="row").write_parquet(table)
    other = write_model(tmp_path / "n.onnx", ITEMS, SCORES, table)
    with pytest.raises(InputError, match=r"n\.onnx was trained on .*t\.parquet, .*m\.onnx on .*: name the table"):
        recommend.main([f"--model={model},{other}", "--user=u"])
    foreign = write_model(tmp_path / "f.onnx", list("pqrst"), SCORES, table)
    words = ["--user=u", f"--interactions={table}"]
    with pytest.raises(InputError, match=r"^f\.onnx cannot recommend to user u: it knows none of its items$"):
        recommend.main([f"--model={model},{foreign}", *words])
    with pytest.raises(InputError, match="a model without a name between its commas"):
        recommend.main([f"--model={model},", *words])


def test_rules_and_fallbacks_hold_for_each_model(model: Path, capsys, tmp_path: Path) -> None:
    (tmp_path / "stock.txt").write_text("a\nc\n")
    shown = said(capsys, model, "--user=u", f"--only-items={tmp_path / 'stock.txt'}")
    assert listed(shown) == ["m.onnx 1 * See?[2J War 3.0000", "* held out"] and "rank 1 of 1 items" in "".join(shown)
    (tmp_path / "stock.txt").write_text("d\n")
    shown = said(capsys, model, "--user=u", f"--only-items={tmp_path / 'stock.txt'}")
    assert any(line.endswith("(not among what may be recommended)") for line in shown)
    (tmp_path / "stock.txt").write_text("a\n")
    with pytest.raises(InputError, match="cannot recommend to user u: the rules leave nothing"):
        recommend.main([f"--model={model}", "--user=u", f"--only-items={tmp_path / 'stock.txt'}"])
    shown = said(capsys, model, "--user=nobody", "--fallback=popular", "--k=1", "--reasons=2")
    assert shown[-1] == "m.onnx does not know the user: popular items" and listed(shown)[0] == "m.onnx 1 item a"


def test_a_narrow_terminal_cuts_titles_and_a_pipe_does_not(model: Path, capsys, tmp_path: Path, monkeypatch) -> None:
    long = {"item": ["c", "d"], "title": ["東京物語" * 9, "D" * 60], "genres": ["War", "Drama"]}
    pl.DataFrame(long).write_parquet(tmp_path / "items.parquet")
    assert "D" * 60 in "\n".join(said(capsys, model, "--user=u"))
    monkeypatch.setattr(recommend, "terminal", lambda: 60)
    shown = said(capsys, model, "--user=u", "--history=0")
    table = shown[shown.index("") + 1 : -1]
    assert {width(line) for line in table} == {60} and all("…" in line for line in table[1:])
