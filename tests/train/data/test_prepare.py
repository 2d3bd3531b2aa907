"""Data sets to the tidy, split table: the split by hand, and every layout that MovieLens has had."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infer.errors import InputError
from infer.tables.columns import DATASET_KEY, PROTOCOL_KEY, TIDY_KEY
from train.data import __main__ as data
from train.data import moments, movielens, prepare, splits
from train.data.dataset import load as load_prepared
from train.data.prepare import DataConfig, load


def written(folder: Path, *words: str) -> pl.DataFrame:
    data.main([f"--artifacts={folder / 'out'}", *words])
    return pl.read_parquet(folder / "out" / "interactions.parquet")


def test_a_table_of_ones_own_is_ordered_cleaned_and_counted(tmp_path: Path, capsys) -> None:
    source = tmp_path / "plays.tsv"
    source.write_text(
        "who\twhat\twhen\tstars\n"
        "bob\tx\t5\t1\n"  # rated again at 9: this row goes
        "bob\tz\t7\t2\nbob\ty\t7\t3\nbob\tx\t9\t4\n"
        "ann\tq\t1\t5\n"
    )
    names = ["--user-column=who", "--item-column=what", "--timestamp-column=when", "--rating-column=stars"]
    found = written(tmp_path, f"--dataset={source}", *names)
    assert found.rows() == [
        ("ann", "q", 1, 5.0, "train"),
        ("bob", "y", 7, 3.0, "train"),
        ("bob", "z", 7, 2.0, "validation"),
        ("bob", "x", 9, 4.0, "test"),
    ]
    printed = capsys.readouterr().out
    assert "4 interactions of 2 users with 4 items" in printed and "dropped 1 repeated (user, item) rows" in printed
    assert "events from 1970-01-01 00:00:01 UTC to 1970-01-01 00:00:09 UTC" in printed
    assert "1 users are measured, 1 have too few interactions" in printed
    assert "2 items are in no row that is trained on" in printed
    metadata = pl.read_parquet_metadata(tmp_path / "out" / "interactions.parquet")
    assert metadata[DATASET_KEY] == "plays.tsv"


@pytest.mark.parametrize(
    ("name", "said"), [("売上\u3000表.csv", "売上\u3000表.csv"), ("a\x1bb.csv", "a?b.csv"), ("a\nb.csv", "a?b.csv")]
)
def test_data_are_called_as_a_model_file_can_say(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("user,item,timestamp\n1,a,1\n1,b,2\n1,c,3\n2,a,1\n2,b,2\n2,c,3\n")
    written(tmp_path, f"--dataset={tmp_path / name}")
    table = tmp_path / "out" / "interactions.parquet"
    about = pl.read_parquet_metadata(table)
    assert about[DATASET_KEY] == said and load_prepared(tmp_path / "out").name == said
    pl.read_parquet(table).write_parquet(table, metadata=about | {DATASET_KEY: name})  # as it was written before
    assert load_prepared(tmp_path / "out").name == said


def test_of_two_preparations_at_once_one_is_told(tmp_path: Path, monkeypatch) -> None:
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text("user,item,timestamp\n1,a,1\n1,b,2\n1,c,3\n")
    second.write_text("user,item,timestamp\n1,x,1\n1,y,2\n1,z,3\n")
    told = []

    def another(config: DataConfig) -> Any:
        if str(config.dataset) == str(first):
            with pytest.raises(InputError) as error:
                written(tmp_path, f"--dataset={second}")
            told.append(str(error.value))
        return load(config)

    monkeypatch.setattr(prepare, "load", another)
    assert written(tmp_path, f"--dataset={first}")["item"].to_list() == ["a", "b", "c"]
    assert told == [f"another process is working on {tmp_path / 'out'} (train.data): wait until it ends"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"interactions.parquet", "items.parquet"}


def test_a_split_of_the_source_is_made_anew_and_the_files_say_what_they_are(tmp_path: Path) -> None:
    source = tmp_path / "r.csv"
    source.write_text("user,item,timestamp,split\n1,a,1,test\n1,b,2,train\n1,c,3,train\n")
    (tmp_path / "i.csv").write_text("item,name,kind\na,A,X\n")
    found = written(tmp_path, f"--dataset={source}", f"--items={tmp_path / 'i.csv'}", "--genres-column=kind")
    assert found["split"].to_list() == ["train", "validation", "test"]
    assert pl.read_parquet(tmp_path / "out" / "items.parquet").rows() == [("a", "A", "X")]
    metadata = pl.read_parquet_metadata(tmp_path / "out" / "interactions.parquet")
    assert metadata[TIDY_KEY] == "1" and metadata[PROTOCOL_KEY].startswith("leave-one-out, ")


def test_the_options_of_the_split_reach_it() -> None:
    rows = [(user, item, item // 2) for user in range(6) for item in range(user, 20)]
    table = pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row")
    for seed in (0, 3):
        shuffled = splits.shuffle_ties(table, seed)
        found = prepare.hold_out(table, DataConfig(ties="random", tie_seed=seed))
        assert found.interactions.equals(splits.leave_one_out(shuffled).interactions)
        timed = prepare.hold_out(table, DataConfig(split="time", validation_share=0.3, test_share=0.2))
        assert timed.interactions.equals(moments.by_time(table, 0.3, 0.2).interactions)
        assert timed.protocol == moments.by_time(table, 0.3, 0.2).protocol + ", ties in time ordered by item id"
    defaults = DataConfig()
    assert (defaults.validation_share, defaults.test_share, defaults.split, defaults.ties) == (
        0.1, 0.1, "leave-one-out", "item",
    )  # fmt: skip


def test_ties_at_random_move_no_moment() -> None:
    # Days without a time: two events on each of three days, one on the fourth.
    days = (0, 0, 1, 1, 2, 2, 3)
    rows = [(user, 10 * user + n, 86_400 * day) for user in range(20) for n, day in enumerate(days)]
    table = pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row")
    for options in ({"split": "period", "test_period": "1d"}, {"split": "time", "validation_share": 0.2}):
        by_item, at_random = (
            prepare.hold_out(table, DataConfig(**options, ties=ties, tie_seed=5)) for ties in ("item", "random")
        )
        days_of = [
            made.interactions.select("split", pl.col("timestamp").floor().cast(int)).sort(pl.all())
            for made in (by_item, at_random)
        ]
        assert days_of[0].equals(days_of[1]) and by_item.said == at_random.said, options
        assert by_item.protocol.rpartition(", ")[0] == at_random.protocol.rpartition(", ")[0], options


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "r.csv"
    source.write_text("user,item,timestamp\n" + "".join(f"{u},{i},{i}\n" for u in range(5) for i in range(9)))
    written(tmp_path, f"--dataset={source}")
    first = (tmp_path / "out" / "interactions.parquet").read_bytes()
    written(tmp_path, f"--dataset={source}")
    assert (tmp_path / "out" / "interactions.parquet").read_bytes() == first


def test_a_table_in_which_nothing_can_be_held_out_is_trained_on_whole_and_that_is_said(tmp_path: Path, capsys) -> None:
    source = tmp_path / "r.csv"
    source.write_text("user,item,timestamp\n1,2,3\n1,3,4\n")
    found = written(tmp_path, f"--dataset={source}")
    assert found.columns == ["user", "item", "timestamp"] and found.height == 2
    printed = capsys.readouterr().out
    assert "r.csv: WARNING: no user has three interactions, so leave-one-out holds nothing out" in printed
    assert "nothing is held out: everything is trained on, and nothing can be measured" in printed


ROWS = "user,item,timestamp,rating,split\n" + "".join(
    f"{user},{item},{86_400 * item},{item % 4 - 1},{split}\n"
    for user in (1, 2)
    for item, split in enumerate(("train", "train", "validation", "test"), 1)
)


def test_every_split_is_asked_for_by_its_options(tmp_path: Path, capsys) -> None:
    source = tmp_path / "r.csv"
    source.write_text(ROWS)
    expected = {
        (): ["train", "train", "validation", "test"] * 2,
        ("--split=own",): ["train", "train", "validation", "test"] * 2,
        ("--split=time", "--validation-share=0", "--test-share=0.5"): ["train", "train", "test"] * 2,
        ("--split=period", "--test-period=1d"): ["train", "train", "train", "test"] * 2,
        ("--split=period", "--test-period=24h", "--validation-period=2d"): [
            *["train", "validation", "test-history", "test"] * 2
        ],
    }
    for words, splits_found in expected.items():
        assert written(tmp_path, f"--dataset={source}", *words)["split"].to_list() == splits_found, words
    whole = written(tmp_path, f"--dataset={source}", "--split=none")
    assert whole.columns == ["user", "item", "timestamp", "rating"] and whole.height == 8
    metadata = pl.read_parquet_metadata(tmp_path / "out" / "interactions.parquet")
    assert metadata[PROTOCOL_KEY] == "nothing"
    capsys.readouterr()
    users = ["--split=users", "--validation-share=0", "--test-share=0.5"]
    ways = [written(tmp_path, f"--dataset={source}", *users, f"--split-seed={seed}")["split"] for seed in range(8)]
    one, other = ["history"] * 3 + ["test"], ["train"] * 4
    assert {tuple(way) for way in ways} == {(*one, *other), (*other, *one)}
    printed = capsys.readouterr().out
    told = "1 users are measured, 1 are not among those held out to test on; 0 items are in no row that is trained on"
    assert told in printed
    assert "nothing is held out for validation: every epoch is trained" in printed


def test_moments_of_numbered_rows_are_rows(tmp_path: Path, capsys) -> None:
    source = tmp_path / "r.csv"
    source.write_text("user,item\n" + "".join(f"{n % 3},{n}\n" for n in range(30)))
    table = written(tmp_path, f"--dataset={source}", "--order=rows", "--split=time")
    printed = capsys.readouterr().out
    assert "global time split at row 25 and row 28, the first item" in printed
    # Each row has an item of its own, and not all that are not trained on are held out.
    assert (table["split"] != "train").sum() == 6 and "; 6 items are in no row that is trained on" in printed


def test_what_is_not_asked_for_is_said(tmp_path: Path, capsys) -> None:
    source = tmp_path / "r.csv"
    source.write_text(ROWS)
    liked = (
        "r.csv: ratings from -1 to 2: every row counts as liked, whatever its rating; "
        "--least-rating leaves lower ones out\n"
    )
    unused = "r.csv: the column 'split' is not used; --split-column=split (train.data: --split=own) uses it\n"
    for words, split_said, rating_said in (([], True, True), (["--split=own", "--least-rating=-1"], False, False)):
        written(tmp_path, f"--dataset={source}", *words)
        printed = capsys.readouterr().out
        assert (unused in printed, liked in printed) == (split_said, rating_said)
    source.write_text("user,item,timestamp\n1,2,0\n1,3,0\n1,4,0\n")
    said = "r.csv: without an order the last item of a user is that with the highest id; --ties=random draws one\n"
    for words, expected in (([], False), (["--order=none"], True), (["--order=none", "--ties=random"], False)):
        written(tmp_path, f"--dataset={source}", *words)
        printed = capsys.readouterr().out
        assert (said in printed) == expected and "ratings" not in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--test-period=1d"], "--test-period is for --split=period; found --split=leave-one-out"),
        (["--split=time", "--validation-period=1d"], "--validation-period is for --split=period; found --split=time"),
        (["--split-column=fold"], "--split-column is for --split=own; found --split=leave-one-out"),
        (["--split=period", "--order=rows"], "--split=period needs times, which --order=rows does without"),
        (["--split=time", "--order=none"], "--split=time needs times, which --order=none does without"),
        (["--split=period", "--test-period=week"], "--test-period is a number of hours"),
        (["--split=period", "--test-period=1d", "--validation-period=x"], "--validation-period is a number of hours"),
        (["--test-share=0.5"], "--test-share does nothing with --split=leave-one-out: it is for --split=time or users"),
        (["--split=own", "--validation-share=0"], "--validation-share does nothing with --split=own"),
        (["--split=time", "--split-seed=7"], "--split-seed does nothing with --split=time: it is for --split=users"),
        (["--tie-seed=3"], "--tie-seed does nothing with --ties=item: it is for --ties=random"),
        (["--title-column=x"], "--title-column is of the table of items: name one with --items"),
        (["--catalogue=items"], "--catalogue is of the table of items: name one with --items"),
        (["--mirror=http://127.0.0.1:9"], "--mirror is for a named data set .*; found --dataset=.*r.csv"),
        (["--data-dir=nowhere"], "--data-dir is for a named data set"),
        (["--split=period"], "--split period holds nothing out without a period"),
    ],
)
def test_options_of_another_split_are_refused_and_earlier_files_stay(
    words: list[str], message: str, tmp_path: Path
) -> None:
    source = tmp_path / "r.csv"
    source.write_text(ROWS)
    before = written(tmp_path, f"--dataset={source}")
    with pytest.raises(InputError, match=message):
        written(tmp_path, f"--dataset={source}", *words)
    assert pl.read_parquet(tmp_path / "out" / "interactions.parquet").equals(before)


def test_a_column_that_says_what_is_held_out_is_read_only_if_that_is_asked_for() -> None:
    assert DataConfig().table_options.split is None
    assert DataConfig(split="own").table_options.split == "split"
    assert DataConfig(split="own", split_column="fold").table_options.split == "fold"


def test_a_name_that_is_neither_a_set_nor_a_file_is_refused() -> None:
    with pytest.raises(InputError, match=r"daily/\*\.csv is neither a file nor .*; of a folder all files are read"):
        load(DataConfig(dataset="daily/*.csv"))
    with pytest.raises(InputError, match="--dataset ml-2m is neither a file nor one of ml-latest-small, ml-100k"):
        load(DataConfig(dataset="ml-2m"))


@pytest.mark.parametrize(
    "options", [{name: "x"} for name in ("user_column", "header", "nulls", "query", "title_column")]
)
def test_how_a_named_set_is_read_cannot_be_stated(options: dict) -> None:
    name = next(iter(options)).replace("_", "-")
    message = f"--{name} is for a data set given as a file; found --dataset=ml-latest-small"
    with pytest.raises(InputError, match=message):
        load(DataConfig(**options))


def flags(*chosen: str) -> str:
    return "|".join("1" if genre in chosen else "0" for genre in movielens.ML_100K_GENRES)


LAYOUTS = {
    "ml-latest-small": {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,7,4.5,10\n1,8,3.0,11\n",
        "movies.csv": 'movieId,title,genres\n7,"Misérables, Les (1995)",Drama|War\n8,Two: Part 2,Drama\n',
    },
    "ml-100k": {
        "u.data": "1\t7\t4\t10\n1\t8\t3\t11\n",
        "u.item": f"7|Misérables, Les (1995)|01-Jan-1995||http://x|{flags('Drama', 'War')}\n"
        f"8|Two: Part 2|||http://y|{flags('Drama')}\n",
    },
    "ml-1m": {
        "ratings.dat": "1::7::4::10\n1::8::3::11\n",
        "movies.dat": "7::Misérables, Les (1995)::Drama|War\n8::Two: Part 2::Drama\n",
    },
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_of_movielens_is_read(name: str, tmp_path: Path) -> None:
    for file, text in LAYOUTS[name].items():
        (tmp_path / name).mkdir(exist_ok=True)
        encoding = "utf-8" if file.endswith(".csv") else "latin-1"
        (tmp_path / name / file).write_text(text, encoding=encoding)
    found_name, found, items = load(DataConfig(dataset=name, data_dir=tmp_path))
    assert found_name == name
    assert found.interactions.select("user", "item", "timestamp").rows() == [(1, 7, 10), (1, 8, 11)]
    assert items.table.rows() == [(7, "Misérables, Les (1995)", "Drama|War"), (8, "Two: Part 2", "Drama")]


def test_titles_and_genres_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user,item,timestamp\na,x,1\n")
    (tmp_path / "i.csv").write_text("code,label,kind\nx,A thing,Tool\n")
    config = DataConfig(
        dataset=str(tmp_path / "r.csv"), items=tmp_path / "i.csv", item_column=None, title_column="label"
    )
    with pytest.raises(InputError, match=r"has no item column; .*; name it with --items-item-column"):
        load(config)
    (tmp_path / "i.csv").write_text("item,label,genres\nx,A thing,Tool\n")
    assert load(config)[2].table.rows() == [("x", "A thing", "Tool")]
