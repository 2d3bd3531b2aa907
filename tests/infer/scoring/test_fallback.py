"""Users whom the model cannot personalise get popular items, by hand: of ever, of late, of their category."""

import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import infer
from infer import batch, recommend
from infer.errors import HeldError, InputError
from infer.model.session import open_model
from infer.publishing.gate import Limits, verdict
from infer.scoring.categories import categories_of, favourites
from infer.scoring.job import rows_job
from tests.helpers.markov import ITEMS, NEXT, write_model

DAY = 86_400
# The model knows a to e, and so u1, u2 and u3; yy and zz are in the table of items alone, ww in neither.
ROWS = [
    ("u1", "a", 1),
    ("u1", "b", 2),
    ("u2", "a", 1),
    ("u2", "c", 40),
    ("u3", "a", 2),
    ("u4", "zz", 3),
    ("u5", "yy", 41),
    ("u6", "yy", 3),
    ("u6", "zz", 4),
    ("u7", "ww", 3),
]
KINDS = {"a": "toys", "b": "garden", "c": "garden", "d": "garden", "yy": "garden", "zz": "toys"}
# In three histories a, in one each b and c, and c alone within 30 days of the last event; nobody has had d or e.
POPULAR, OF_LATE, GARDEN = ["a", "b", "c"], ["c", "a", "b"], ["b", "c", "a"]
EXPECTED = {
    "popular": dict.fromkeys(("u4", "u5", "u6", "u7"), POPULAR),
    "recent-popular": dict.fromkeys(("u4", "u5", "u6", "u7"), OF_LATE),
    # u6 has one of each kind: toys are had more often (3) than garden tools (2). Of ww no kind is known.
    "category-popular": {"u4": POPULAR, "u5": GARDEN, "u6": POPULAR, "u7": POPULAR},
}
LOOSE = ["--max-popular=1", "--max-fallback=1", "--max-unknown=1", "--max-left-out=1"]


def table(rows: list[tuple] = ROWS) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row").with_columns(
        pl.col("timestamp") * DAY
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The model, its table, and its table of items."""
    table().write_parquet(tmp_path / "t.parquet")
    items = pl.DataFrame({"item": list(KINDS), "title": list(KINDS), "genres": list(KINDS.values())})
    items.sort("item").write_parquet(tmp_path / "items.parquet")
    return write_model(tmp_path / "m.onnx", ITEMS, NEXT, tmp_path / "t.parquet")


def score(model: Path, *words: str, name: str = "out") -> tuple[pl.DataFrame, dict]:
    output = model.with_name(f"{name}.topk.parquet")
    batch.main(
        [
            f"--model={model}",
            f"--output={output}",
            *LOOSE,
            *words,
            *([] if any(w.startswith("--k=") for w in words) else ["--k=3"]),
        ]
    )
    return pl.read_parquet(output), json.loads(output.with_suffix(".json").read_text())


def of(lists: pl.DataFrame, source: str) -> dict[str, list[str]]:
    found = lists.filter(pl.col("source") == source).group_by("user", maintain_order=True).agg("item")
    return dict(found.iter_rows())


@pytest.mark.parametrize("kind", list(EXPECTED))
def test_lists_by_hand_marked_with_who_made_them(model: Path, kind: str) -> None:
    plain, _ = score(model, name="plain")
    lists, manifest = score(model, f"--fallback={kind}")
    assert lists.columns == ["user", "rank", "item", "score", "source"] and plain.columns == lists.columns[:4]
    assert of(lists, kind) == EXPECTED[kind]
    assert lists.filter(source="model").drop("source").equals(plain), "the model's lists are as they were"
    assert lists.filter(pl.col("source") != "model")["score"].null_count() == 12
    assert lists.select("user", "rank").rows() == sorted(lists.select("user", "rank").rows())
    figures = manifest["figures"]
    assert (figures["users"], figures["listed"], figures["fallback"], figures["left_out"]) == (7, 7, 4, 0)
    assert manifest["plan"]["options"]["fallback"] == kind and figures["score_max"] == plain["score"].max()
    api = infer.load(model).score(table(), k=3, fallback=kind)
    assert api.equals(lists)
    assert infer.load(model).recommend(table(), 3, users="u5", fallback=kind).equals(lists.filter(user="u5"))


@pytest.mark.parametrize(
    ("kind", "most", "expected"),
    [
        ("popular", 1, {user: ["a", "b"] for user in ("u4", "u5", "u6", "u7")}),
        ("recent-popular", 1, {user: ["c", "a"] for user in ("u4", "u5", "u6", "u7")}),
        ("category-popular", 1, {"u4": ["a", "b"], "u5": ["b", "a"], "u6": ["a", "b"], "u7": ["a", "b"]}),
        ("popular", 2, dict.fromkeys(("u4", "u5", "u6", "u7"), POPULAR)),
    ],
)
def test_a_limit_for_each_category_holds_for_fallbacks_too(
    model: Path, kind: str, most: int, expected: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infer.scoring.reranking.POOL", 1)  # so that the first look is too short
    words = [f"--fallback={kind}", f"--most-per=genres={most}"]
    lists, _ = score(model, *words)
    assert of(lists, kind) == expected
    shorter, _ = score(model, *words, "--k=2", name="shorter")
    assert of(shorter, kind) == {user: items[:2] for user, items in expected.items()}, (
        "as many are looked at as it takes"
    )
    assert infer.load(model).score(table(), k=3, fallback=kind, most_per=f"genres={most}").equals(lists)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        recommend.main([f"--model={model}", "--user=u5", "--k=3", *words])
    listed = re.findall(r"^(?:m\.onnx)? +\d+ +(\w+)", said.getvalue(), re.M)
    assert listed == expected["u5"]


@pytest.mark.parametrize("kind", list(EXPECTED))
def test_lists_do_not_depend_on_parts_batches_shards_or_the_order_of_rows(model: Path, kind: str) -> None:
    lists, _ = score(model, f"--fallback={kind}")
    words = [f"--fallback={kind}", "--part-users=2", "--batch-size=1"]
    assert score(model, *words, name="parts")[0].equals(lists)
    output = f"--output={model.with_name('s.topk.parquet')}"
    batch.main([f"--model={model}", output, "--k=3", *LOOSE, *words[:2], "--shard=2/2"])
    shared, _ = score(model, *words[:2], "--shard=1/2", name="s")
    assert shared.equals(lists)
    shuffled = model.with_name("shuffled.csv")
    table().sample(fraction=1, shuffle=True, seed=1).write_csv(shuffled)
    assert score(model, *words, f"--interactions={shuffled}", name="shuffled")[0].equals(lists)


def test_another_period_and_a_list_longer_than_what_anybody_had(model: Path) -> None:
    lists, manifest = score(model, "--fallback=recent-popular", "--recent=1d", "--k=5")
    # Nothing known happened in the last day: what was popular ever, and nothing that nobody had.
    assert of(lists, "recent-popular")["u4"] == POPULAR and manifest["plan"]["options"]["recent"] == DAY
    found = infer.load(model).score(table(), k=3, fallback="recent-popular", recent="6w")
    assert of(found, "recent-popular")["u4"] == POPULAR, "all is of late"


def test_seen_items_are_dropped_also_where_a_model_of_users_does_not_know_one(tmp_path: Path) -> None:
    rows = [("u1", "a", 1), ("u2", "a", 2), ("u2", "b", 3), ("u3", "c", 4), ("u3", "a", 5)]
    table(rows).write_parquet(tmp_path / "t.parquet")
    scores = np.array([[0.0] * 6, [0, 1, 2, 3, 4, 5]])
    model = write_model(tmp_path / "m.onnx", ITEMS, scores, tmp_path / "t.parquet", user_ids=["u1"])
    lists, _ = score(model, "--fallback=popular")
    assert of(lists, "popular") == {"u2": ["c"], "u3": ["b"]} and of(lists, "model") == {"u1": ["e", "d", "c"]}
    assert recommended(model, "u2", "--fallback=popular") == ["c"]
    (tmp_path / "items.csv").write_text("item,genres\na,Toys\nb,Toys\nc,Toys\nd,Toys\n")
    of_toys, _ = score(model, "--fallback=category-popular", f"--items={tmp_path / 'items.csv'}", name="toys")
    assert of(of_toys, "category-popular") == {"u2": ["c"], "u3": ["b"]}


def test_what_is_measured_counts_the_lists_as_they_are_given(model: Path) -> None:
    held = table([*ROWS, ("u4", "b", 50)]).with_columns(
        pl.when(pl.col("timestamp") == 50 * DAY).then(pl.lit("test")).otherwise(pl.lit("train")).alias("split")
    )
    held.write_parquet(model.with_name("held.parquet"))
    words = [f"--interactions={model.with_name('held.parquet')}", "--split-column=split"]
    for kind, hit in (("none", 0), ("popular", 1)):
        score(model, *words, f"--fallback={kind}", name=kind)
        report = json.loads(model.with_name(f"{kind}.metrics.json").read_text())
        assert report["metrics"]["m"]["hit@3"]["value"] == hit and report["users_cold"] == 4
        # The held-out b is no event that counts: 30 days go back from that of the 41st.
        assert list(report["metrics"]) == ["random", "popularity", "recent popularity 30d", "m"]
        assert report["metrics"]["recent popularity 30d"]["mrr@3"]["value"] == pytest.approx(1 / 3)


def test_the_gate_looks_at_the_models_lists_and_at_how_many_are_not(model: Path) -> None:
    # u1 gets e, d, c after b; u2 what is popular, as after c all are equal; u3 after a, too: two of the model's three.
    _, manifest = score(model, "--fallback=popular")
    assert manifest["figures"]["popular"] == pytest.approx(2 / 3)
    with pytest.raises(HeldError, match=r"57.1% of the users get a fallback list .* limit --max-fallback=0.5"):
        batch.main([f"--model={model}", "--k=3", "--fallback=popular", "--max-unknown=1"])
    base = {"users": 10, "listed": 10, "rows": 100, "interactions": 9, "unknown": 0, "left_out": 0.0, "popular": 0.0}
    tonight = base | {"fallback": 4, "users_again": 10, "items": 1, "items_earlier": 1, "overlap": 1.0, "k": 10}
    left_out = base | {"left_out": 0.4, "listed": 6, "rows": 60, "k": 10}
    assert verdict(tonight, left_out, Limits()) is None, "those who were left out before the fallback was asked for"
    assert "fallback lists rose from 0.0% to 40.0%" in str(verdict(tonight, base | {"k": 10}, Limits()))


def test_popular_lists_are_made_anew_though_a_history_is_as_it_was(model: Path) -> None:
    score(model, "--fallback=popular")
    changed = [*ROWS[:2], ("u2", "c", 40), ("u2", "d", 41), ("u3", "c", 1), *ROWS[5:]]
    table(changed).write_parquet(model.with_name("new.parquet"))
    words = [f"--interactions={model.with_name('new.parquet')}", "--fallback=popular"]
    lists, manifest = score(model, *words, "--only-changed", "--min-overlap=0", "--min-coverage=0")
    assert of(lists, "popular")["u4"] == ["c", "a", "b"] and lists.equals(score(model, *words, name="whole")[0])
    assert sum(part["scored"] for part in manifest["parts"]) == 6, "everybody but u1"
    with pytest.raises(InputError, match=r"--only-changed: .* differs in options"):
        score(model, words[0], "--fallback=category-popular", "--only-changed")


def recommended(model: Path, user: str, *words: str) -> list[str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        recommend.main([f"--model={model}", f"--user={user}", "--k=3", *words])
    _, _, rows = out.getvalue().partition("\nModel ")
    return re.findall(r"^(?:\S+ +| +)\d+ +(?:\* +)?(?:item )?(\S+)", rows, re.MULTILINE)


def test_one_user_is_told_what_is_popular_though_the_table_lacks_them(model: Path) -> None:
    assert recommended(model, "u5", "--fallback=category-popular") == [f"{x}" for x in ("b", "c", "a")]
    assert recommended(model, "nobody", "--fallback=recent-popular") == OF_LATE
    assert recommended(model, "u1", "--fallback=popular") == recommended(model, "u1")
    with pytest.raises(InputError, match="has no user 'nobody'"):
        recommended(model, "nobody")


@pytest.mark.parametrize("user", ["07", "+7", "7.0", "seven"])
def test_a_number_is_a_stranger_only_as_it_is_written_in_full(tmp_path: Path, user: str) -> None:
    pl.DataFrame({"user": [7, 7], "item": ["a", "b"], "timestamp": [1, 2]}).write_parquet(tmp_path / "t.parquet")
    model = write_model(tmp_path / "m.onnx", ITEMS, NEXT, tmp_path / "t.parquet")
    words = ("--fallback=popular", f"--interactions={tmp_path / 't.parquet'}")
    with pytest.raises(InputError, match="has whole numbers as user ids; found"):
        recommended(model, user, *words)
    assert set(recommended(model, "8", *words)) & {"a", "b"} and not set(recommended(model, "7", *words)) & {"a", "b"}


def test_categories_find_the_numbers_of_a_model_in_texts(tmp_path: Path) -> None:
    pl.DataFrame({"user": [1], "item": [7], "timestamp": [1]}).write_parquet(tmp_path / "t.parquet")
    model = open_model(write_model(tmp_path / "m.onnx", [7, 8, 9, 10, 11], NEXT, tmp_path / "t.parquet"))
    rows = [("7.0", "x"), ("008", "y"), ("9", "z"), ("extra", "w")]
    pl.DataFrame(rows, schema=["item", "genres"], orient="row").write_parquet(tmp_path / "i.parquet")
    found = categories_of(rows_job(model), tmp_path / "i.parquet", stated=True)
    assert found.rows() == [(7, "x"), (9, "z")]


def test_a_favourite_is_the_more_frequent_then_the_more_popular_then_the_first_by_name() -> None:
    kinds = pl.DataFrame({"item": [1, 1, 2, 3, 4], "category": ["x", "y", "y", "z", "w"]})
    weights = pl.DataFrame({"category": ["x", "y", "z"], "weight": [9, 5, 5]})
    rows = pl.DataFrame({"user": [1, 1, 2, 3, 3, 4, 5], "item": [1, 2, 1, 2, 3, 4, 8]})
    assert favourites(rows, kinds, weights).rows() == [(1, "y"), (2, "x"), (3, "y")]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--fallback=recent-popular", "--order=rows"], "--fallback=recent-popular needs times"),
        (["--fallback=popular", "--recent=soon"], "--recent is a number of hours, days or weeks"),
        (["--fallback=popular", "--recent=0d"], "--recent=0d is no time at all"),
        (["--fallback=category-popular", "--items=bare.csv"], "has no genres and no column of categories"),
        (["--fallback=category-popular", "--items=others.csv"], "gives no category of an item of the model"),
        (["--fallback=category-popular"], "items.parquet is not there, which --fallback=category-popular needs"),
    ],
)
def test_what_cannot_be_had_is_one_line(model: Path, words: list[str], text: str, monkeypatch) -> None:
    monkeypatch.chdir(model.parent)
    (model.parent / "items.parquet").unlink()
    (model.parent / "bare.csv").write_text("item,title\na,A\nb,B\n")
    (model.parent / "others.csv").write_text("item,genres\nq,Toys\n")
    with pytest.raises(InputError, match=text):
        score(model, *words)
    assert not model.with_name("out.topk.parquet").exists()


def test_in_python_a_fallback_is_an_option_of_tables(model: Path) -> None:
    loaded = infer.load(model)
    with pytest.raises(InputError, match="fallback is an option of tables"):
        loaded.recommend(["a"], fallback="popular")
    with pytest.raises(InputError, match="fallback is one of none, popular, recent-popular, category-popular"):
        loaded.score(table(), fallback="best")


def test_items_of_any_table_with_categories_will_do(model: Path) -> None:
    (model.parent / "items.parquet").unlink()
    stated = model.with_name("products.csv")
    pl.DataFrame({"sku": list(KINDS), "category": list(KINDS.values())}).write_csv(stated)
    lists, _ = score(model, "--fallback=category-popular", f"--items={stated}")
    assert of(lists, "category-popular") == EXPECTED["category-popular"]
