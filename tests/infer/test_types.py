"""A model's ids have one type, its tables may have another, and lists carry that of the table that was scored.

The model knows items 1 to 4 (or "1" to "4", or with a letter) and scores the next higher one best.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import infer
from infer import batch, evaluate
from tests.helpers.markov import write_model

# Row = the newest item's index, column = the scored item's: after 1 comes 2, then 3, then 4.
SCORES = np.array([[0] * 5, [0, 0, 9, 5, 1], [0, 1, 0, 9, 5], [0, 5, 1, 0, 9], [0, 9, 5, 1, 0]])
NUMBERS, TEXTS, LETTERS = [1, 2, 3, 4], ["1", "2", "3", "4"], ["1", "B2", "3", "4"]
ROWS = {"user": [7, 7, 10], "item": [3, 1, 4], "timestamp": [1, 2, 3]}
# 7 has read 3 then 1, 10 has read 4: their best two unseen items.
BEST = {7: [2, 4], 10: [1, 2]}


def model(tmp_path: Path, items: list, users: list | None = None, scores: np.ndarray = SCORES, **given) -> Path:
    table = tmp_path / "interactions.parquet"
    kind = pl.String if isinstance((users or items)[0], str) else pl.Int64
    pl.DataFrame(ROWS, schema_overrides={"user": pl.Int64}).cast({"user": kind}).write_parquet(table)
    return write_model(tmp_path / "m.onnx", items, scores, table, user_ids=users, **given)


def scored(path: Path, table: Path, tmp_path: Path, *words: str) -> pl.DataFrame:
    output = tmp_path / f"l{len(list(tmp_path.iterdir()))}.parquet"
    batch.main([f"--model={path}", f"--interactions={table}", f"--output={output}", "--k=2", *words])
    return pl.read_parquet(output)


def items_of(lists: pl.DataFrame) -> dict:
    return {user: part["item"].to_list() for (user,), part in lists.group_by("user", maintain_order=True)}


@pytest.mark.parametrize("items", [NUMBERS, TEXTS])
@pytest.mark.parametrize(
    ("user", "item"),
    [(pl.Int64, pl.Int64), (pl.Int32, pl.UInt16), (pl.String, pl.String), (pl.String, pl.Int64), (pl.Int64, pl.String)],
)
def test_lists_carry_the_types_of_the_table(items: list, user, item, tmp_path: Path) -> None:
    table = tmp_path / "tonight.parquet"
    pl.DataFrame(ROWS).cast({"user": user, "item": item}).write_parquet(table)
    lists = scored(model(tmp_path, items), table, tmp_path)
    assert (lists.schema["user"], lists.schema["item"]) == (user, item)
    assert items_of(lists.cast({"user": pl.Int64, "item": pl.Int64})) == BEST
    joined = lists.join(pl.read_parquet(table), on="user")
    assert joined.height == 6
    # The same in memory, and in Python.
    assert infer.load(tmp_path / "m.onnx").recommend(pl.read_parquet(table), k=2).equals(lists)


@pytest.mark.parametrize("items", [NUMBERS, TEXTS])
def test_a_text_file_takes_the_models_types(items: list, tmp_path: Path) -> None:
    table = tmp_path / "tonight.csv"
    pl.DataFrame(ROWS).write_csv(table)
    lists = scored(model(tmp_path, items, user_type="String"), table, tmp_path)
    assert lists.schema["item"] == (pl.Int64 if items == NUMBERS else pl.String) and lists.schema["user"] == pl.String
    assert items_of(lists.cast({"user": pl.Int64, "item": pl.Int64})) == BEST


def test_an_item_with_a_letter_is_unknown_to_a_model_of_numbers_not_refused(tmp_path: Path, capsys) -> None:
    table = tmp_path / "tonight.csv"
    table.write_text("user,item,timestamp\n7,3,1\n7,1,2\n10,4,3\n10,B5,9\n10,007,9\n")
    lists = scored(model(tmp_path, NUMBERS), table, tmp_path)
    assert items_of(lists.cast({"item": pl.Int64})) == BEST
    assert "left out: 2 interactions with items that m.onnx does not know" in capsys.readouterr().out


def test_items_that_do_not_fit_the_tables_type_stay_texts_and_that_is_said(tmp_path: Path, capsys) -> None:
    table = tmp_path / "tonight.parquet"
    pl.DataFrame(ROWS).write_parquet(table)
    lists = scored(model(tmp_path, LETTERS), table, tmp_path)
    assert items_of(lists) == {7: ["B2", "4"], 10: ["1", "B2"]} and lists.schema["user"] == pl.Int64
    assert "lists carry items as texts: not all that m.onnx knows are whole numbers" in capsys.readouterr().out


@pytest.mark.parametrize(("texts", "carried"), [(False, "Int64"), (True, "texts")])
def test_items_that_are_too_large_for_the_tables_type_are_said_to_be(texts, carried, tmp_path: Path, capsys) -> None:
    table = tmp_path / "tonight.parquet"
    pl.DataFrame(ROWS).cast({"item": pl.UInt16}).write_parquet(table)
    items = [*NUMBERS[:-1], 70_000]
    scored(model(tmp_path, list(map(str, items)) if texts else items), table, tmp_path, "--accept")
    said = f"lists carry items as {carried}: not all that m.onnx knows fit UInt16, which the table has"
    assert said in capsys.readouterr().out


def test_one_column_is_not_user_and_item(tmp_path: Path) -> None:
    table = tmp_path / "interactions.parquet"
    message = "the column 'item' is taken as user and as item; name another with --user-column or --item-column"
    path = model(tmp_path, NUMBERS)
    with pytest.raises(infer.InputError, match=message):
        scored(path, table, tmp_path, "--user-column=item")
    with pytest.raises(
        infer.InputError, match="'timestamp' is taken as item and as timestamp; name another with item="
    ):
        infer.load(path).score(pl.DataFrame(ROWS), item="timestamp")


def test_a_model_that_looks_users_up_finds_them_in_any_type(tmp_path: Path) -> None:
    scores = np.array([[0] * 5, [0, 1, 2, 3, 4], [0, 4, 3, 2, 1]])
    table = tmp_path / "tonight.parquet"
    for users in ([10, 7], ["10", "7"]):
        path = model(tmp_path, NUMBERS, users, scores)
        for dtype in (pl.Int16, pl.String):
            pl.DataFrame(ROWS).cast({"user": dtype}).write_parquet(table)
            lists = scored(path, table, tmp_path)
            # 10 has the first row, without 4; 7 the second, without 3 and 1.
            assert items_of(lists.cast({"user": pl.Int64})) == {7: [2, 4], 10: [3, 2]} and lists.schema["user"] == dtype


def test_a_model_without_windows_needs_no_times(tmp_path: Path) -> None:
    scores = np.array([[0] * 5, [0, 1, 2, 3, 4], [0, 4, 3, 2, 1]])
    table = tmp_path / "tonight.csv"
    pl.DataFrame(ROWS).drop("timestamp").write_csv(table)
    path = model(tmp_path, NUMBERS, [10, 7], scores)
    assert items_of(scored(path, table, tmp_path)) == {7: [2, 4], 10: [3, 2]}
    with pytest.raises(infer.InputError, match=r"has no timestamp column; .* \(or --order=rows"):
        scored(model(tmp_path, NUMBERS), table, tmp_path)
    assert items_of(scored(model(tmp_path, NUMBERS), table, tmp_path, "--order=rows")) == BEST


def test_only_changed_users_keep_lists_of_another_width_of_numbers(tmp_path: Path) -> None:
    path, table, output = model(tmp_path, TEXTS), tmp_path / "tonight.parquet", tmp_path / "lists.parquet"
    pl.DataFrame(ROWS).cast({"user": pl.Int32, "item": pl.Int32}).write_parquet(table)
    words = [f"--model={path}", f"--interactions={table}", f"--output={output}", "--k=2"]
    batch.main(words)
    first = pl.read_parquet(output)
    more = pl.concat([pl.DataFrame(ROWS), pl.DataFrame({"user": [12], "item": [1], "timestamp": [5]})])
    more.cast({"user": pl.Int32, "item": pl.Int32}).write_parquet(table)
    batch.main([*words, "--only-changed", "--max-rise=1"])
    lists = pl.read_parquet(output)
    assert lists.schema == first.schema and lists.filter(pl.col("user") < 12).equals(first)
    assert items_of(lists)[12] == [2, 3]


def test_held_out_items_are_found_in_any_type(tmp_path: Path) -> None:
    table = tmp_path / "tonight.parquet"
    rows = pl.DataFrame(ROWS | {"fold": ["train", "test", "train"]})
    rows.cast({"item": pl.String, "user": pl.Int32}).write_parquet(table)
    path = model(tmp_path, NUMBERS)
    # Without 1, 7 has read 3: 4, 1; the held-out 1 is second.
    lists = scored(path, table, tmp_path, "--split-column=fold")
    assert items_of(lists)[7] == ["4", "1"]
    evaluate.main([f"--model={path}", f"--interactions={table}", "--split-column=fold", "--negatives=1"])
    ranks = pl.read_parquet(tmp_path / "m.ranks.parquet")
    assert ranks.select("user", "item", "rank").rows() == [(7, "1", 2)] and ranks.schema["user"] == pl.Int32
    given = f"--negatives-file={tmp_path / 'm.negatives.parquet'}"
    before = json.loads((tmp_path / "m.evaluation.json").read_text())["protocols"]
    evaluate.main([f"--model={path}", f"--interactions={table}", "--split-column=fold", given])
    assert json.loads((tmp_path / "m.evaluation.json").read_text())["protocols"] == before


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical])
def test_parts_of_other_names_are_measured_in_a_table_that_is_ordered_by_user(dtype, tmp_path: Path) -> None:
    table = tmp_path / "tonight.parquet"
    rows = pl.DataFrame(ROWS | {"fold": ["train", "val", "train"]}).cast({"fold": dtype})
    path = model(tmp_path, NUMBERS)
    for given in (rows, rows.reverse()):
        given.write_parquet(table)
        assert items_of(scored(path, table, tmp_path, "--split-column=fold", "--split=validation"))[7] == [4, 1]
    with pytest.raises(infer.InputError, match="has no test items to measure"):
        scored(path, table, tmp_path, "--split-column=fold")


REPEATED = {"user": [7, 7, 7, 7, 8], "item": [1, 3, 1, 3, 2], "timestamp": [1, 2, 3, 4, 5]}


def test_repeats_stay_in_histories_where_the_model_keeps_them(tmp_path: Path) -> None:
    table = tmp_path / "tonight.parquet"
    pl.DataFrame(REPEATED).write_parquet(table)
    # By the item before the newest: in 1 3 1 3 that is 1, in 1 3 without repeats it is 1, too; in 3 1 3 1 it is 3.
    for rules, unseen in (({"repeats": "keep"}, 2), ({}, 2)):
        path = model(tmp_path, NUMBERS, rules=rules)
        loaded = infer.load(path)
        lists = loaded.recommend(table, k=4)
        assert items_of(lists)[7] == [4, 2], "after 3; neither 1 nor 3, which are seen"
        assert len(items_of(lists)[7]) == unseen
        assert items_of(loaded.recommend(table, k=4, repeats="latest")) == items_of(lists)
        assert loaded.recommend([1, 3, 1, 3], k=4)["item"].to_list() == [4, 2]


@pytest.mark.parametrize("repeats", ["keep", "latest"])
def test_what_counts_histories_counts_each_once(repeats: str, tmp_path: Path) -> None:
    # 1 is in two histories, 3 and 2 in one: the popular list of 9 (who has 4) is 1, 2, 3, however often 7 had 3.
    rows = {"user": [7, 7, 7, 7, 8, 8, 9], "item": [3, 3, 3, 1, 1, 2, 4], "timestamp": range(7)}
    table = tmp_path / "tonight.parquet"
    pl.DataFrame(rows | {"fold": ["train"] * 6 + ["train"]}).write_parquet(table)
    output = tmp_path / "l.parquet"
    path = model(tmp_path, NUMBERS)
    words = [f"--model={path}", f"--interactions={table}", f"--output={output}", "--k=3", "--accept"]
    batch.main([*words, f"--repeats={repeats}"])
    figures = json.loads((tmp_path / "l.json").read_text())["figures"]
    # 7 has seen 3 1 and gets 2 4, the popular order of the rest; 8 has 1 2: after 2 come 3, 4, as by popularity.
    # 9 has 4: 1, 2, 3 by the model, too.
    assert figures["popular"] == pytest.approx(1.0)


def test_numbers_of_another_width_are_the_same_users(tmp_path: Path, capsys) -> None:
    path, table, output = model(tmp_path, NUMBERS), tmp_path / "tonight.parquet", tmp_path / "lists.parquet"
    words = [f"--model={path}", f"--interactions={table}", f"--output={output}", "--k=2", "--part-users=1"]
    for kind in (pl.Int64, pl.Int16, pl.UInt32):
        pl.DataFrame(ROWS).cast({"user": kind, "item": kind}).write_parquet(table)
        batch.main([*words, *(["--only-changed"] if kind == pl.UInt32 else [])])
        lists = pl.read_parquet(output)
        assert lists.schema["user"] == lists.schema["item"] == kind
        assert items_of(lists.cast(pl.Int64)) == BEST
    said = capsys.readouterr().out
    assert said.count("2 users again, 0 new, 0 gone, lists overlap 100.0%, 0 items new, 0 gone") == 2
    assert "0 users scored anew" in said


def test_lists_whose_users_become_texts_are_held_with_the_reason(tmp_path: Path) -> None:
    path, table, output = model(tmp_path, NUMBERS), tmp_path / "tonight.parquet", tmp_path / "lists.parquet"
    words = [f"--model={path}", f"--interactions={table}", f"--output={output}", "--k=2"]
    pl.DataFrame(ROWS).write_parquet(table)
    batch.main(words)
    pl.DataFrame(ROWS).cast({"user": pl.String}).write_parquet(table)
    with pytest.raises(infer.InputError, match=r"limit --min-users=0\.8; user ids were whole numbers and are texts"):
        batch.main(words)
    assert pl.read_parquet(output).schema["user"] == pl.Int64
    batch.main([*words, "--accept"])
    assert pl.read_parquet(output).schema["user"] == pl.String
