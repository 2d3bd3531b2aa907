"""Figures beyond accuracy: by hand, as RecTools has them, and the same whatever the parts."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import infer
from infer import batch
from infer.errors import InputError
from infer.model.session import open_model
from infer.scoring.beyond import Beyond, measure, packed, unpacked
from infer.scoring.figures import BeyondTotals
from infer.scoring.job import open_job
from infer.scoring.numbering import numbered
from infer.scoring.popularity import Popularity
from infer.scoring.task import cut
from infer.tables.columns import TIDY_KEY
from infer.tables.groups import find_groups
from tests.helpers.checkerboard import ROOT
from tests.helpers.markov import ITEMS, NEXT, write_model

REFERENCE = json.loads((ROOT / "tests" / "helpers" / "rectools.json").read_text())
# u1 reads a (then b held out), u2 reads c a (then d), u3 has nothing but a held-out item, u4 reads e and zz.
ROWS = [
    ("u1", "a", 1, "train"),
    ("u1", "b", 2, "test"),
    ("u2", "c", 1, "train"),
    ("u2", "a", 2, "train"),
    ("u2", "d", 3, "test"),
    ("u3", "a", 1, "test"),
    ("u4", "e", 1, "train"),
    ("u4", "zz", 2, "train"),
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of a table beside which lie items with genres, and users with groups."""
    table = tmp_path / "t.parquet"
    rows = pl.DataFrame(ROWS, schema=["user", "item", "timestamp", "split"], orient="row")
    rows.write_parquet(table, metadata={TIDY_KEY: "1"})
    genres = {"a": "war", "b": "war|comedy", "c": "comedy", "d": "drama", "zz": "unseen"}
    items = pl.DataFrame(
        {"item": list(genres), "title": [f"Film {i}" for i in genres], "genres": list(genres.values())}
    )
    items.write_parquet(tmp_path / "items.parquet")
    (tmp_path / "users.csv").write_text("user,age\nu1,30\nu2,4\nu9,4\nu2,30\n")
    return write_model(tmp_path / "m.onnx", ITEMS, NEXT, table)


def scored(model: Path, *words: str) -> dict | None:
    batch.main([f"--model={model}", "--k=2", "--max-popular=1", *words])
    return json.loads(model.with_name("m.topk.json").read_text())["beyond_accuracy"]


def values(metrics: dict) -> dict[str, float]:
    return {name.removesuffix("@2"): row["value"] for name, row in metrics.items()}


def test_figures_by_hand(model: Path) -> None:
    found = scored(model)
    # Lists: u1 b c, u2 b d, u4 a b. Histories: a in 2 of 3, b and d in none, c and e in one; u1 a, u2 c a, u4 e.
    own = values(found["lists"]["m"])
    assert own["coverage"] == pytest.approx(4 / 5)
    # Counts 1 3 1 1 0; ascending 0 1 1 1 3: -2 - 0 + 2 + 4 * 3 = 12 of 5 * 6.
    assert own["gini"] == pytest.approx(12 / 30)
    bits = {"a": -np.log2(3 / 4), "b": 2.0, "c": 1.0, "d": 2.0}
    lists = ["bc", "bd", "ab"]
    assert own["novelty"] == pytest.approx(np.mean([bits[i] for pair in lists for i in pair]))
    assert own["avg_rec_popularity"] == pytest.approx(np.mean([0.5, 0, 1]))
    assert own["history_popularity"] == pytest.approx(np.mean([2, 1.5, 1]))
    assert own["popularity_lift"] == pytest.approx(0.5 / 1.5 - 1)
    # u1's b at rank 1 has probability 1 and is in no history; u2's d at rank 2 has 4/5, likewise.
    assert own["serendipity"] == pytest.approx(np.mean([1 / 2, 4 / 5 / 2, 0]))
    # b-c differ in war, b-d in all three, a-b in comedy.
    assert own["intra_list_diversity"] == pytest.approx(np.mean([1, 3, 1]))
    # u1: history war; list war 1/4. u2: war 1/2, comedy 1/2; list war 1/4, comedy 1/4. u4: nothing known.
    kl = [np.log(1 / (0.99 * 0.25 + 0.01)), np.log(0.5 / (0.99 * 0.25 + 0.005))]
    assert own["calibration_kl"] == pytest.approx(np.mean(kl))
    assert found["said"] == [] and list(found["lists"]) == ["random", "popularity", "m"]


def test_groups_by_hand_and_users_that_the_tables_do_not_share(model: Path, capsys) -> None:
    found = scored(model, f"--user-groups={model.with_name('users.csv')}")
    groups = found["groups"]
    assert groups["column"] == "age" and groups["users"] == {"4": 1, "30": 1, "(unknown)": 1}
    own = {name: values(metrics) for name, metrics in groups["lists"]["m"].items()}
    assert [own[name]["coverage"] for name in own] == pytest.approx([2 / 5, 2 / 5, 2 / 5])
    assert own["30"]["history_popularity"] == 2 and own["30"]["avg_rec_popularity"] == 0.5
    assert own["4"]["popularity_lift"] == -1 and "calibration_kl" not in own["(unknown)"]
    assert own["4"]["serendipity"] == pytest.approx(4 / 5 / 2)
    printed = capsys.readouterr().out
    assert "users.csv: 1 rows repeat a user, of whom the first counts" in printed
    assert "users.csv says no age of 1 users: group (unknown)" in printed
    assert "1 users of users.csv are not among those scored" in printed


def test_lists_to_serve_have_figures_of_whole_histories(model: Path, capsys) -> None:
    found = scored(model, "--production")
    own = values(found["lists"]["m"])
    assert list(found["lists"]) == ["m"] and "serendipity" not in own
    # a in 3 of 4 histories, b, c, d and e in one. u1 a b: 3 + 1; u2 c a d: (1 + 3 + 1) / 3; u3 a: 3; u4 e: 1.
    assert own["history_popularity"] == pytest.approx(np.mean([2, 5 / 3, 3, 1]))
    assert "coverage@2 %" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--part-users=1"], ["--part-users=2", "--batch-size=1"]])
def test_parts_and_batches_do_not_change_a_digit(model: Path, words: list[str]) -> None:
    groups = f"--user-groups={model.with_name('users.csv')}"
    assert scored(model, groups, *words, "--output=" + str(model.with_name("m.topk.parquet"))) == scored(model, groups)


def test_metrics_and_the_python_api_have_them_too(model: Path) -> None:
    found = scored(model)["lists"]
    metrics = json.loads(model.with_name("m.metrics.json").read_text())["metrics"]
    table = infer.load(model).evaluate(k=2)
    for name, own in found.items():
        mine = table.filter(pl.col("model") == name)
        assert len(mine) == len(metrics[name]) == 6 + 9
        for metric, row in own.items():
            assert metrics[name][metric]["value"] == pytest.approx(row["value"], abs=1e-9)
    # Every metric once, though novelty and coverage were there before.
    assert table.select("model", "metric").is_unique().all()
    other = model.with_name("o.csv")
    other.write_text("item,kind\na,x\nb,x\nc,x\nd,x\ne,y\n")
    found = infer.load(model).evaluate(k=2, items=str(other)).filter(model="m", metric="intra_list_diversity@2")
    assert found["value"].to_list() == [0], "b c, b d and a b are of one kind"


def test_without_categories_it_is_said_what_they_need(model: Path, capsys) -> None:
    model.with_name("items.parquet").unlink()
    found = scored(model)
    assert "intra_list_diversity@2" not in found["lists"]["m"] and "gini@2" in found["lists"]["m"]
    assert "diversity and calibration need a table of items with categories: --items FILE" in capsys.readouterr().out
    model.with_name("items.parquet").write_text("damaged")
    assert "items.parquet" in scored(model, "--restart")["said"][0], "lists do not depend on it"
    other = model.with_name("o.csv")
    other.write_text("item,kind\na,x\nb,x|y\nc,y\nd,x\ne,y\n")
    assert "calibration_kl@2" in scored(model, f"--items={other}")["lists"]["m"]
    other.write_text("item,title\na,x\nb,y\n")
    assert "o.csv has no categories" in scored(model, f"--items={other}")["said"][0], "it may be for another rule"
    for stock in ((0, 1, 2, 3, 4), (1, 1, 1, 1, 1)):  # whatever the numbers of a night are
        other.write_text("item,stock\n" + "".join(f"{item},{n}\n" for item, n in zip("abcde", stock, strict=True)))
        found = scored(model, f"--items={other}", "--items-where=stock > 0")
        assert "o.csv has neither titles nor genres nor other columns" in found["said"][0]


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("id,age\nu1,3\n", [], "has no user column; its columns: id, age"),
        ("user,age,sex\nu1,3,f\n", [], "name that of the groups with --group-column"),
        ("user,age\nu1,3\n", ["--group-column=sex"], "has no column 'sex'; its columns: user, age"),
        ("user,age\nu1,\n", [], "column age has no value; expected 1 to 50 groups"),
        ("user,age\n,3\nu1,4\n", [], "row 1 has no user"),
        ("user,age\n" + "".join(f"u{n},{n}\n" for n in range(51)), [], "has 51 different values"),
    ],
)
def test_tables_of_users_that_cannot_be_used_are_refused(model: Path, text: str, words: list, message: str) -> None:
    path = model.with_name("g.csv")
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        scored(model, f"--user-groups={path}", *words)
    assert not model.with_name("m.topk.json").exists()


def test_no_figures_are_made_where_none_are_wanted(model: Path, capsys) -> None:
    assert scored(model, "--no-figures") is None and "beyond" not in capsys.readouterr().out
    assert len(json.loads(model.with_name("m.metrics.json").read_text())["metrics"]["m"]) == 8
    with pytest.raises(InputError, match="--user-groups is for figures beyond accuracy: leave out --no-figures"):
        scored(model, "--no-figures", "--user-groups=x.csv")


def test_group_column_is_of_a_table_of_users(model: Path) -> None:
    with pytest.raises(InputError, match="name it with --user-groups"):
        scored(model, "--group-column=age")


def test_groups_are_found_by_ids_of_any_type(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_text("user_id,tariff,x\n10,b,0\n9,a,0\n11,(unknown),0\n12,,0\n")
    groups = find_groups(path, "tariff")
    assert groups.names == ("(unknown)", "a", "b", "((unknown))")
    assert groups.of(pl.Series([8, 9, 10, 11, 12, 13])).tolist() == [3, 1, 2, 0, 3, 3]
    assert (
        groups.of(pl.Series(["10", "11", "9"])).tolist() == [2, 0, 1]
        and groups.of(pl.Series([], dtype=pl.Int64)).size == 0
    )


def test_lift_is_of_users_with_a_history_alone(model: Path) -> None:
    job = open_job(open_model(model), split=None)
    rows = pl.DataFrame([("u1", "a", 1), ("u2", "zz", 1)], schema=["user", "item", "timestamp"], orient="row")
    task = cut(job, rows, in_order=True)
    lists = pl.DataFrame({"user": ["u1", "u2"], "rank": [1, 1], "item": ["b", "a"]})
    totals = BeyondTotals(Beyond(), "m", 5, 2)
    totals.take({"beyond": measure(task, {"model": lists}, Popularity(np.array([4, 2, 0, 0, 0]), 4), Beyond())})
    own = {row["metric"]: row["value"] for row in totals.tables()["m"].to_dicts()}
    # u2, of whose history nothing is known, has a list of popularity 4, which is above nothing.
    assert own["avg_rec_popularity@2"] == 3 and own["history_popularity@2"] == 4 and own["popularity_lift@2"] == -0.5


def test_a_run_goes_on_with_the_tables_that_it_was_begun_with(model: Path) -> None:
    users = model.with_name("users.csv")
    plans = []
    for words in ([], [f"--user-groups={users}"], [f"--user-groups={users}", "--group-column=user"]):
        scored(model, *words)
        plans.append(json.loads(model.with_name("m.topk.json").read_text())["plan"]["figures"])
    assert (
        list(plans[0]) == ["items"]
        and plans[1]["groups"]["column"] == "age"
        and plans[2]["groups"] != plans[1]["groups"]
    )
    assert len(plans[0]["items"]) == 64 == len(plans[1]["groups"]["sha256"])


def test_counts_are_packed_in_as_few_bytes_as_they_take() -> None:
    for most in (0, 200, 60_000, 2**20):
        counts = np.array([0, most, 3], dtype=np.int64)
        assert unpacked(packed(counts)).tolist() == counts.tolist()
    assert len(packed(np.zeros(1_000_000, dtype=np.int64))) < 10_000


def test_values_equal_those_of_rectools(tmp_path: Path) -> None:
    given, table = REFERENCE, tmp_path / "t.parquet"
    ids = [f"i{n:02}" for n in range(given["items"])]
    rows = [(f"u{u:02}", ids[i], t, "train") for u, own in enumerate(given["histories"]) for t, i in enumerate(own)]
    rows += [(f"u{u:02}", ids[i], 99, "test") for u, i in enumerate(given["held_out"])]
    tidy = pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row").sort("user", "timestamp")
    tidy.write_parquet(table, metadata={TIDY_KEY: "1"})
    job = open_job(open_model(write_model(tmp_path / "m.onnx", ids, np.zeros((len(ids) + 1,) * 2), table)))
    task = cut(job, tidy, in_order=True)
    lists = pl.DataFrame(
        [(f"u{u:02}", rank, ids[i]) for u, own in enumerate(given["lists"]) for rank, i in enumerate(own, 1)],
        schema=["user", "rank", "item"],
        orient="row",
    )
    kinds = [(ids[i], "kind", str(code)) for i, own in enumerate(given["categories"]) for code in own]
    categories = pl.DataFrame(kinds, schema=["item", "column", "value"], orient="row")
    beyond = Beyond(numbered(categories, job.items))
    totals = BeyondTotals(beyond, "m", len(ids), given["k"])
    popularity = Popularity(task.counts, len(task.histories))
    told = measure(task, {"model": lists}, popularity, beyond)
    assert totals.take({"beyond": told, "rows": 7}) == {"rows": 7}, "what is large does not stay with each part"
    found = {row["metric"].partition("@")[0]: row["value"] for row in totals.tables()["m"].to_dicts()}
    for name, value in given["values"].items():
        assert found[name] == pytest.approx(value, abs=1e-8), name
