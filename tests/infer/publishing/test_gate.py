"""The gate: figures worked out by hand, and lists that are beyond a limit are held beside the earlier ones."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from infer import batch, compare, rollback
from infer.errors import HeldError, InputError
from infer.publishing.gate import Limits, verdict
from tests.helpers.markov import ITEMS, NEXT, write_model
from tests.helpers.nights import lists, parts, score, store, write_night

EARLIER = {"users": 100, "listed": 100, "rows": 1000, "k": 10, "left_out": 0.0, "coverage": 0.4, "popular": 0.0,
           "interactions": 400, "unknown": 0}  # fmt: skip
SAME = EARLIER | {"users_again": 100, "overlap": 1.0, "items": 40, "items_earlier": 40}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"rows": 0, "users": 611}, "nobody of 611 users has a list"),
        ({"rows": 0, "interactions": 0}, "nobody of 100 users has a list"),
        (
            {"rows": 0, "unknown": 400},
            "nobody of 100 users has a list, as the model knows no item of their 400 interactions",
        ),
        ({"left_out": 0.51}, "51.0% of the users have no list, limit --max-left-out=0.5"),
        (
            {"unknown": 201},
            "201 of 400 interactions are with items that the model does not know, limit --max-unknown=0.5",
        ),
        ({"popular": 0.91}, "91.0% of the lists equal popularity, limit --max-popular=0.9"),
        ({"users_again": 80}, None),
        (
            {"users_again": 79},
            "79 of the 100 users of the earlier lists have a list again (79.0%), limit --min-users=0.8",
        ),
        ({"rows": 800}, None),
        ({"rows": 799}, "lists have 8.0 of k=10 rows after 10.0 of k=10 (79.9%), limit --min-rows=0.8"),
        ({"rows": 300, "k": 3}, None),
        ({"items": 20}, None),
        ({"items": 19}, "19 items are in any list after 40 (47.5%), limit --min-coverage=0.5"),
        ({"left_out": 0.2}, None),
        ({"left_out": 0.21}, "the share of users without a list rose from 0.0% to 21.0%, limit --max-rise=0.2"),
        ({"unknown": 81}, "the share of unknown items rose from 0.0% to 20.2%, limit --max-rise=0.2"),
        ({"popular": 0.21}, "the share of popular lists rose from 0.0% to 21.0%, limit --max-rise=0.2"),
        ({"listed": 200, "rows": 2000}, None),
        ({"listed": 201, "rows": 2010}, "201 users have a list after 100, limit --max-growth=2"),
        ({"overlap": 0.05}, None),
        ({"overlap": 0.04}, "lists share 4.0% of their items with the earlier ones, limit --min-overlap=0.05"),
        ({"overlap": None, "users_again": 90}, None),
    ],
)
def test_each_limit_holds_just_beyond_it(change: dict, words: str | None) -> None:
    assert verdict(SAME | change, EARLIER, Limits()) == words


def test_shares_at_their_limit_are_within_it() -> None:
    earlier = EARLIER | {"left_out": 0.5, "unknown": 200, "popular": 0.9}
    assert verdict(SAME | earlier, earlier, Limits()) is None


def test_without_earlier_lists_only_what_lists_are_by_themselves_counts() -> None:
    figures = EARLIER | {"coverage": 0.0}
    assert verdict(figures, None, Limits()) is None
    assert verdict(figures | {"left_out": 0.9}, None, Limits(left_out=0.95)) is None
    assert verdict(figures | {"rows": 0}, None, Limits()) is not None
    assert verdict(SAME | {"users_again": 0}, EARLIER | {"rows": 0, "listed": 0}, Limits()) is None


ROWS = [("u1", "a", 1), ("u2", "b", 1), ("u3", "d", 1), ("u4", "zz", 1)]


def table_of(path: Path, rows: list[tuple]) -> Path:
    pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row").write_parquet(path)
    return path


def test_figures_by_hand(tmp_path: Path) -> None:
    """Rows of NEXT: after a: b e c d; after b: d? — read off the lists themselves, which other tests check."""
    table = table_of(tmp_path / "t.parquet", ROWS)
    model = write_model(tmp_path / "m.onnx", ITEMS, NEXT, table)
    batch.main([f"--model={model}", "--k=2", "--part-users=1"])
    first = pl.read_parquet(tmp_path / "m.topk.parquet")
    figures = json.loads((tmp_path / "m.topk.json").read_text())["figures"]
    expected = {"users": 4, "interactions": 4, "listed": 3, "rows": 6, "unknown": 1, "k": 2, "left_out": 0.25}
    assert {key: figures[key] for key in expected} == expected and "earlier" not in figures
    assert figures["coverage"] == first["item"].n_unique() / 5
    assert [figures["score_min"], figures["score_max"]] == [first["score"].min(), first["score"].max()]
    # Tonight u1 is gone, u5 is new, u2 has one more item, so that its list changes.
    table_of(table, [*ROWS[1:], ("u5", "a", 1), ("u2", "c", 2)])
    batch.main([f"--model={model}", f"--interactions={table}", "--k=3", "--part-users=2", "--accept"])
    second = pl.read_parquet(tmp_path / "m.topk.parquet")
    figures = json.loads((tmp_path / "m.topk.json").read_text())["figures"]
    assert [figures[key] for key in ("users_again", "users_new", "users_gone")] == [2, 1, 1]
    # Of u2 and u3, who are in both, the first two places count.
    shares = []
    for user in ("u2", "u3"):
        mine, theirs = (
            set(found.filter((pl.col("user") == user) & (pl.col("rank") <= 2))["item"]) for found in (first, second)
        )
        shares.append(len(mine & theirs) / 2)
    assert figures["overlap"] == pytest.approx(sum(shares) / 2) and figures["earlier"] == "000001"
    one, other = (set(found.filter(pl.col("rank") <= 2)["item"]) for found in (first, second))
    assert [figures["items"], figures["items_earlier"]] == [len(other), len(one)]
    assert [figures["items_new"], figures["items_gone"]] == [len(other - one), len(one - other)]


BROKEN = {
    "text id": lambda table: pl.concat([table.cast({"user": pl.String}), pl.DataFrame(
        [("guest-1", 3, 5)], schema={"user": pl.String, "item": pl.Int64, "timestamp": table.schema["timestamp"]},
        orient="row")]),
    "pandas": lambda table: table.with_columns(pl.format("{}.0", "user").alias("user")),
    "items": lambda table: table.with_columns(pl.col("item") + 1000),
    "half": lambda table: table.filter(pl.col("user") <= 15),
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("kind", ["user", "window"])
def test_a_broken_table_does_not_replace_good_lists(folder: Path, broken: str, kind: str, capsys) -> None:
    if kind == "user":
        scores = [[0] * 41] + [[(item * user) % 7 for item in range(41)] for user in range(1, 31)]
        write_model(folder / "m.onnx", list(range(1, 41)), np.array(scores), folder / "interactions.parquet",
                    user_ids=list(range(1, 31)))  # fmt: skip
    score(folder)
    before, manifest = parts(folder), (folder / "m.topk.json").read_bytes()
    table = BROKEN[broken](pl.read_parquet(folder / "interactions.parquet"))
    table.write_parquet(folder / "tonight.parquet")
    words = [f"--interactions={folder / 'tonight.parquet'}"]
    with pytest.raises(HeldError, match=r"held: .* is as it was, tonight's lists are in .*held/lists; .* --accept"):
        score(folder, *words)
    assert parts(folder) == before and (folder / "m.topk.json").read_bytes() == manifest
    held = json.loads((store(folder) / "held" / "manifest.json").read_text())
    assert held["beyond"] and held["figures"]["earlier"] == "000001"
    capsys.readouterr()
    compare.main([f"--output={folder / 'm.topk.parquet'}"])
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].split() == ["000001", "held"] and held["beyond"] in printed
    # The next night is not in the way of it, nor it of the next.
    score(folder)
    assert parts(folder) == before
    score(folder, *words, "--accept")
    assert f"accepted although {held['beyond']}" in capsys.readouterr().out and parts(folder) != before
    assert not (store(folder) / "held").exists()


def test_held_lists_go_with_what_they_were_held_against(folder: Path) -> None:
    held = store(folder) / "held"
    pl.read_parquet(folder / "interactions.parquet").with_columns(pl.col("item") + 1000).write_parquet(
        folder / "t.parquet"
    )
    score(folder)
    with pytest.raises(HeldError):
        score(folder, f"--interactions={folder / 't.parquet'}")
    score(folder, "--k=9", "--keep=2")
    assert held.exists()
    score(folder, "--k=8", "--keep=2")
    assert not held.exists()
    # Against nothing: they go with the first publication.
    with pytest.raises(HeldError):
        score(folder, f"--interactions={folder / 't.parquet'}", f"--output={folder / 'o.parquet'}")
    score(folder, f"--output={folder / 'o.parquet'}")
    assert not (folder / "o.publications" / "held").exists()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of 40 items, m.onnx, and the interactions of 30 users that it was trained on."""
    return write_night(tmp_path)


def test_held_lists_are_published_without_scoring_them_again(folder: Path, monkeypatch) -> None:
    score(folder)
    table = pl.read_parquet(folder / "interactions.parquet").filter(pl.col("user") <= 15)
    table.write_parquet(folder / "tonight.parquet")
    words = [f"--interactions={folder / 'tonight.parquet'}"]
    with pytest.raises(HeldError, match="15 of the 30 users of the earlier lists have a list again"):
        score(folder, *words)
    monkeypatch.setattr("infer.scoring.run._open", lambda *_: 1 / 0)
    with pytest.raises(HeldError, match=r"limit --min-users=0\.6"):
        score(folder, *words, "--min-users=0.6")
    score(folder, *words, "--min-users=0.5")
    assert lists(folder)["user"].unique().to_list() == list(range(1, 16))


def test_a_first_run_that_lists_nobody_publishes_nothing(folder: Path) -> None:
    table = pl.read_parquet(folder / "interactions.parquet").with_columns(pl.col("item") + 1000)
    table.write_parquet(folder / "tonight.parquet")
    with pytest.raises(HeldError, match="nobody of 30 users has a list, as the model knows no item of their 300 inter"):
        score(folder, f"--interactions={folder / 'tonight.parquet'}")
    assert not (folder / "m.topk.parquet").exists()
    score(folder, f"--interactions={folder / 'tonight.parquet'}", "--accept")
    assert lists(folder).is_empty() and lists(folder).columns == ["user", "rank", "item", "score"]


def test_two_nights_side_by_side(folder: Path, capsys) -> None:
    output = f"--output={folder / 'm.topk.parquet'}"
    score(folder)
    with pytest.raises(InputError, match="has fewer than two publications to compare"):
        compare.main([output])
    score(folder, "--k=4")
    rollback.main([output])
    with pytest.raises(InputError, match=r"before what readers find; name two of 000001, 000002 with --nights"):
        compare.main([output])
    rollback.main([output, "--to=2"])
    capsys.readouterr()
    compare.main([output])
    printed = capsys.readouterr().out
    rows = {line[:14].strip(): line[14:].split() for line in printed.splitlines()}
    assert rows[""] == ["000001", "000002"] and rows["rows"] == ["300", "120"] and rows["k"] == ["10", "4"]
    assert "users: 30 in both, 0 new, 0 gone; lists overlap 100.0%; items in lists: 0 new" in printed
    compare.main([output, "--nights=2,1"])
    assert capsys.readouterr().out.splitlines()[0].split() == ["000002", "000001"]
    for nights, words in (("1", "takes two publications"), ("1,9", "has no publication 000009; it has 000001, 000002")):
        with pytest.raises(InputError, match=words):
            compare.main([output, f"--nights={nights}"])
    with pytest.raises(InputError, match="name it with --output"):
        compare.main(["--nights=1,2"])


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_earlier_lists_that_cannot_be_read_hold_until_they_are_given_up(folder: Path, damage: str) -> None:
    score(folder)
    part = store(folder) / "000001" / "lists" / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:100])
    if damage == "gone":
        part.unlink()
    with pytest.raises(HeldError, match=r"held: the earlier lists in .*000001 cannot be read"):
        score(folder)
    score(folder, "--accept")
    assert len(parts(folder)) == 8 and lists(folder).height == 300


def test_chosen_users_come_in_parts_too(folder: Path) -> None:
    batch.main([f"--model={folder / 'm.onnx'}", f"--users={','.join(map(str, range(1, 11)))}", "--part-users=4"])
    assert len(list((folder / "m.users.parquet").iterdir())) == 3
