"""The command, and the same options of the batch scorer: what is delivered when, and what is said."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from infer import batch, deliver
from infer.delivery.delivering import Delivery
from infer.delivery.published import Published
from infer.delivery.targets import target_of
from infer.errors import HeldError, InputError
from infer.system.addresses import place
from tests.helpers import nights
from tests.helpers.published import PARTS, publish


@pytest.fixture
def night(tmp_path: Path) -> Path:
    nights.write_night(tmp_path)
    pl.DataFrame({"item": nights.ITEMS, "title": [f"Film {item}" for item in nights.ITEMS]}).write_parquet(
        tmp_path / "items.parquet"
    )
    return tmp_path


def test_the_command_says_what_it_did(run, tmp_path: Path) -> None:
    publish(tmp_path / "l.parquet", *PARTS)
    done = run("infer.deliver", "--lists=l.parquet", "--to=a.csv", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout == "delivered publication 000001: 3 users, 5 recommendations -> a.csv\n"
    pl.DataFrame({"item": [10, 20, 30], "title": ["a", "b", "c"]}).write_csv(tmp_path / "items.csv")
    words = ["--lists=l.parquet", "--to=sqlite:///x.db", "--lists-as", "lists", "--with", "title", "--items=items.csv"]
    done = run("infer", "deliver", *words, "--to-table=best", cwd=tmp_path)
    assert done.stdout == "delivered publication 000001: 3 users, 3 lists -> sqlite:///x.db table best\n", done.stderr
    with sqlite3.connect(tmp_path / "x.db") as database:
        assert database.execute("select title from best").fetchall() == [('["c","a"]',), ('["b","a"]',), ('["c"]',)]
    database.close()


def test_tables_of_items_and_segments_may_name_their_columns(tmp_path: Path) -> None:
    publish(tmp_path / "l.parquet", *PARTS)
    (tmp_path / "items.csv").write_text("ware,title\n10,a\n20,b\n30,c\n")
    users = pl.read_parquet(tmp_path / "l.parquet")["user"].unique().sort()
    pl.DataFrame({"kunde": users, "plan": ["gold"] * len(users)}).write_csv(tmp_path / "users.csv")
    words = ["--with=title", f"--items={tmp_path / 'items.csv'}", f"--segments={tmp_path / 'users.csv'}"]
    words += [f"--lists={tmp_path / 'l.parquet'}", f"--to={tmp_path / 'a.csv'}", "--segment-column=plan"]
    with pytest.raises(InputError, match="has no item column"):
        deliver.main(words)
    deliver.main([*words, "--item-column=ware", "--user-column=kunde"])
    delivered = pl.read_csv(tmp_path / "a.csv")
    assert delivered["title"].null_count() == 0 and set(delivered["segment"]) == {"gold"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "option --to is missing: --to=lists.csv"),
        ("--to=a.xlsx", "--to a.xlsx: expected a name that ends in .csv, .ndjson or .jsonl"),
        ("--to=a.parquet.gz", "--to a.parquet.gz: expected a name"),
        ("--to=s3://shelf/a.csv", "--to s3://shelf/a.csv: lists are delivered to files and databases"),
        ("--to=a-{segment}.csv", "{segment} in --to or --to-table needs --segments"),
        ("--to=sqlite:///x.db --to-table=a_{segment}", "{segment} in --to or --to-table needs --segments"),
        ("--to=a.csv --to-table=t", "--to-table is of a database; --to a.csv is a file"),
        ("--to=a.csv --items=i.csv", "--items is of no use without --with"),
        ("--to=a.csv --segment-column=plan", "--segment-column is of no use without --segments"),
        ("--to=a.csv --user-column=u", "--user-column is of no use without --segments"),
        ("--to=a.csv --item-column=i", "--item-column is of no use without --with"),
        ("--to=a.csv --with=title", "--with: items.parquet is not there; name the table of the items with --items"),
        ("--to=a.csv --with=title --items=no.csv", "no.csv does not exist"),
        ("--to=a.csv --segments=no.csv", "no.csv does not exist"),
        ("--to=a.csv --lists-as=columns", "--lists-as is one of rows, lists; found 'columns'"),
        ("--to=postgresql://me:hush@127.0.0.1:9/shop", "postgresql://127.0.0.1:9/shop cannot be written: "),
        ("--with=title", "--with is of lists that are delivered: say where with --to"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(words: str, told: str, run, refused, tmp_path: Path) -> None:
    publish(tmp_path / "l.parquet", *PARTS)
    done = run("infer.deliver", "--lists=l.parquet", *words.split(), cwd=tmp_path)
    refused(done, told)
    assert done.returncode == 2 and "hush" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"l.parquet", "l.json", "l.publications"}


@pytest.mark.parametrize("name", ["no.parquet", "l.csv", "l.publications"])
def test_what_is_no_output_is_told(name: str, run, refused, tmp_path: Path) -> None:
    publish(tmp_path / "l.parquet", *PARTS)
    refused(run("infer.deliver", f"--lists={name}", "--to=a.csv", cwd=tmp_path), "`python -m infer.batch`")
    assert not (tmp_path / "no.publications").exists()


def test_a_part_that_is_damaged_is_told_and_the_earlier_file_stays(run, refused, tmp_path: Path) -> None:
    made = publish(tmp_path / "l.parquet", *PARTS)
    run("infer.deliver", "--lists=l.parquet", "--to=a.csv", cwd=tmp_path)
    before = (tmp_path / "a.csv").read_bytes()
    part = made.folder / "lists" / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:-9])
    refused(run("infer.deliver", "--lists=l.parquet", "--to=a.csv", cwd=tmp_path), "part-00001.parquet cannot be read")
    assert (tmp_path / "a.csv").read_bytes() == before


def test_a_publication_stays_the_same_whatever_is_published(tmp_path: Path) -> None:
    publish(tmp_path / "l.parquet", *PARTS)
    found = Published(tmp_path / "l.parquet")
    publish(tmp_path / "l.parquet", PARTS[1], run=1)
    assert [part.height for part in found.parts()] == [4, 1] and found.name == "000001"


def test_a_night_is_delivered_once_it_is_published(night: Path, capsys) -> None:
    words = (f"--to={night}/lists.csv", "--with=title", "--production")
    nights.score(night, *words)
    assert "30 users, 300 recommendations -> " in capsys.readouterr().out.splitlines()[-1]
    delivered = pl.read_csv(night / "lists.csv", schema_overrides={"score": pl.Float32, "rank": pl.Int32})
    assert delivered.drop("title").equals(nights.lists(night))
    assert delivered["title"].to_list() == [f"Film {item}" for item in delivered["item"]]


def test_what_was_published_before_is_delivered_by_the_same_command(night: Path, capsys) -> None:
    for shard in ("--shard=1/2", "--shard=2/2"):
        nights.score(night, "--production", shard, f"--to={night}/{shard[-3]}.csv")
    assert not (night / "1.csv").exists() and (night / "2.csv").exists()  # by the share that publishes
    capsys.readouterr()
    nights.score(night, "--production", "--shard=1/2", f"--to={night}/1.csv")
    nothing, said = capsys.readouterr().out.splitlines()
    assert nothing.startswith("nothing to do: ") and said.startswith("delivered publication 000001")
    assert (night / "1.csv").read_bytes() == (night / "2.csv").read_bytes()


def test_lists_that_are_held_are_not_delivered(night: Path) -> None:
    nights.score(night, "--production", f"--to={night}/lists.csv")
    before = (night / "lists.csv").read_bytes()
    with pytest.raises(HeldError):
        nights.score(night, "--production", "--k=3", "--max-popular=0", "--min-coverage=2", f"--to={night}/lists.csv")
    assert (night / "lists.csv").read_bytes() == before
    nights.score(
        night, "--production", "--k=3", "--max-popular=0", "--min-coverage=2", f"--to={night}/lists.csv", "--accept"
    )
    assert len((night / "lists.csv").read_text().splitlines()) == 1 + 30 * 3


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("taken/lists.csv", "taken is no folder"),
        ("mine.csv", "mine.csv has no receipt"),
        ("sqlite:///none/shop.db", "none is no folder"),
        ("postgresql://me:hush@127.0.0.1:9/shop", "postgresql://127.0.0.1:9/shop cannot be written"),
    ],
)
def test_a_target_that_would_take_nothing_is_warned_of_before_scoring(
    night: Path, target: str, why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(night)
    for name in ("taken", "mine.csv"):
        (night / name).write_text("mine")
    with pytest.raises(InputError, match="published, but not delivered"):
        nights.score(night, "--production", f"--to={target}")
    (warning,) = [record for record in caplog.records if "not delivered" in record.getMessage()]
    assert why in warning.getMessage() and "hush" not in warning.getMessage()
    assert warning.created < (night / "m.topk.json").resolve().stat().st_mtime
    assert not (night / "none").exists()


def test_looking_at_a_target_makes_and_removes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new, empty = (Delivery(target_of(place(f"sqlite:///{tmp_path}/{name}.db"), "lists")) for name in ("new", "begun"))
    (tmp_path / "begun.db").touch()  # as of another delivery, whose transaction is open
    empty.check_target()
    with monkeypatch.context() as patch:
        patch.setattr("infer.delivery.database.connected", None)  # which would make the file
        new.check_target()
    assert [path.name for path in tmp_path.iterdir()] == ["begun.db"]


def test_a_delivery_that_fails_leaves_the_published_lists_and_can_be_made_again(night: Path) -> None:
    (night / "lists.csv").write_text("mine")
    with pytest.raises(InputError, match=r"m\.topk\.parquet is published, but not delivered: .*lists\.csv has no rece"):
        nights.score(night, "--production", f"--to={night}/lists.csv")
    assert nights.lists(night).height == 300 and (night / "lists.csv").read_text() == "mine"
    (night / "lists.csv").unlink()
    nights.score(night, "--production", f"--to={night}/lists.csv")
    assert len((night / "lists.csv").read_text().splitlines()) == 301


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--to=a.xlsx"], "expected a name that ends in"), (["--to=a.csv", "--with=colour"], "has no column 'colour'")],
)
def test_a_night_is_not_begun_with_options_that_cannot_be_used(words: list[str], told: str, night: Path) -> None:
    with pytest.raises(InputError, match=told):
        nights.score(night, "--production", *words)
    assert not nights.store(night).exists()


def test_a_report_shows_no_password(night: Path) -> None:
    table = pl.read_parquet(night / "interactions.parquet")
    last = pl.col("timestamp") == pl.col("timestamp").max().over("user")
    measured = table.with_columns(pl.when(last).then(pl.lit("test")).otherwise(pl.lit("train")).alias("split"))
    measured.write_parquet(night / "t.parquet")
    words = [f"--interactions={night}/t.parquet", "--split-column=split"]
    with pytest.raises(InputError, match=r"not delivered: postgresql://127\.0\.0\.1:9/shop cannot be written") as told:
        nights.score(night, *words, "--to=postgresql://me:hush@127.0.0.1:9/shop")
    assert "hush" not in str(told.value)
    report = json.loads((night / "m.metrics.json").read_text())
    assert report["options"]["to"] == "postgresql://127.0.0.1:9/shop"
    assert not any(b"hush" in content for content in nights.tree(night).values())


def test_help_names_the_options(run: Callable, capsys) -> None:
    shown = run("infer.batch", "--help").stdout
    assert "--with=<str>" in shown and "where the lists are delivered:" in shown
    assert batch.BatchConfig.__dataclass_fields__["with_"].default is None
