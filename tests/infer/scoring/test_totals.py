"""Metrics add up over parts, each of which is read once."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import infer
from infer import batch
from infer.metrics.beyond import Moments
from infer.metrics.ranking import added, rank_counts, summarise, summarise_counts
from infer.model.session import open_model
from infer.scoring import parts, popularity
from infer.scoring.job import open_job
from infer.scoring.popularity import Popularity, popularity_of
from infer.scoring.whole import open_table
from infer.sources.source import Source, open_source
from infer.tables.columns import TIDY_KEY
from infer.tables.options import TableOptions
from tests.helpers.markov import ITEMS, NEXT, write_model

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
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The model and its table, which says that it is tidy."""
    table = tmp_path / "t.parquet"
    rows = pl.DataFrame(ROWS, schema=["user", "item", "timestamp", "split"], orient="row")
    rows.write_parquet(table, metadata={TIDY_KEY: "1"})
    return write_model(tmp_path / "m.onnx", ITEMS, NEXT, table), table


def counted(job, table: Path, folder: Path, part_users: int) -> Popularity:
    folder.mkdir()
    return popularity_of(job, open_source(table, TableOptions(split="split"), folder, part_users))


@pytest.mark.parametrize("part_users", [1, 2, 1000])
def test_popularity_is_of_histories_and_of_pairs(files, part_users: int, tmp_path: Path) -> None:
    job = open_job(open_model(files[0]))
    found = counted(job, files[1], tmp_path / "tidy", part_users)
    assert found.counts.tolist() == [2, 0, 1, 0, 1] and found.users == 3
    found.save(tmp_path / "kept.parquet")
    kept = Popularity.load(tmp_path / "kept.parquet")
    assert kept is not None and kept.counts.tolist() == [2, 0, 1, 0, 1] and kept.users == 3
    (tmp_path / "kept.parquet").write_bytes(b"")
    assert Popularity.load(tmp_path / "kept.parquet") is None is Popularity.load(tmp_path / "none.parquet")
    # By user, but not tidy: the later of two rows of a pair says what it is.
    rows = [*ROWS[:1], ("u1", "b", 0, "train"), *ROWS[1:], ("u4", "e", 5, "train")]
    other = tmp_path / "other.parquet"
    pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row").write_parquet(other)
    job = open_job(open_model(files[0]), other, TableOptions(split="split"))
    found = counted(job, other, tmp_path / "untidy", part_users)
    assert found.counts.tolist() == [2, 0, 1, 0, 1] and found.users == 3


def test_whole_histories_count_every_item(files, tmp_path: Path) -> None:
    found = counted(open_job(open_model(files[0]), split=None), files[1], tmp_path / "tidy", 1000)
    assert found.counts.tolist() == [3, 1, 1, 1, 1] and found.users == 4


@pytest.mark.parametrize("words", [[], ["--part-users=1"], ["--part-users=2", "--batch-size=1"]])
def test_numbers_by_hand_and_whatever_the_parts(files, words: list[str], tmp_path: Path) -> None:
    batch.main([f"--model={files[0]}", "--k=2", "--max-popular=1", *words])
    manifest = json.loads((tmp_path / "m.topk.json").read_text())
    figures = manifest["figures"]
    # After a come b c d e in this order; after e a b c d. Popular: a c e b d, less what was seen.
    assert pl.read_parquet(tmp_path / "m.topk.parquet").group_by("user", maintain_order=True).agg("item").rows() == [
        ("u1", ["b", "c"]),
        ("u2", ["b", "d"]),
        ("u4", ["a", "b"]),
    ]
    assert [figures[name] for name in ("users", "listed", "rows", "interactions", "unknown")] == [3, 3, 6, 5, 1]
    assert figures["popular"] == 0 and (figures["score_min"], figures["score_max"]) == (-2.0, 4.0)
    metrics = json.loads((tmp_path / "m.metrics.json").read_text())["metrics"]
    # u1's b is first, u2's d second, u3's a in no list.
    assert metrics["m"]["hit@2"]["value"] == pytest.approx(2 / 3)
    assert metrics["m"]["mrr@2"]["value"] == pytest.approx((1 + 1 / 2) / 3)
    assert metrics["m"]["coverage@2"]["value"] == pytest.approx(4 / 5)
    # Popular for u1: c e, u2: e b, u4: a c; a in 2 of 3 histories, b in none, c and e in one.
    assert metrics["popularity"]["hit@2"]["value"] == 0 and metrics["popularity"]["coverage@2"]["value"] == 4 / 5
    bits = {"a": -np.log2(3 / 4), "b": 2.0, "c": 1.0, "e": 1.0}
    expected = np.mean([(bits["c"] + bits["e"]) / 2, (bits["e"] + bits["b"]) / 2, (bits["a"] + bits["c"]) / 2])
    assert metrics["popularity"]["novelty@2"]["value"] == pytest.approx(expected)


def test_the_python_api_measures_the_same(files, tmp_path: Path) -> None:
    batch.main([f"--model={files[0]}", "--k=2", "--max-popular=1"])
    metrics = json.loads((tmp_path / "m.metrics.json").read_text())["metrics"]
    for name, metric, value, low, high in infer.load(files[0]).evaluate(k=2).iter_rows():
        assert metrics[name][metric] == {"value": value, "low": low, "high": high}


@pytest.mark.parametrize("called", ["popularity", "random", "recent popularity 30d"])
def test_a_model_called_as_a_baseline_is_measured_apart_from_it(called: str, tmp_path: Path) -> None:
    def measured(name: str) -> pl.DataFrame:
        model = write_model(tmp_path / f"{name}.onnx", ITEMS, NEXT, tmp_path / "t.parquet")
        return infer.load(model).evaluate(tmp_path / "t.parquet", k=3)

    rows = [(user, item, day * 86_400, "train") for user in (1, 2, 3) for day, item in enumerate("ab")]
    rows += [(user, "c", 5 * 86_400, "test") for user in (1, 2, 3)]
    table = pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row")
    table.write_parquet(tmp_path / "t.parquet")
    expected, found = measured("m"), measured(called)
    name = pl.col("model").replace("m", f"{called}.onnx")
    assert found.equals(expected.with_columns(name)) and {"random", "popularity"} < set(found["model"])


def test_lists_that_equal_the_popular_one_are_counted(tmp_path: Path) -> None:
    # Popular: a b, then c d e. The scores of the popular items in that order for whoever comes after a; others not.
    table = tmp_path / "t.parquet"
    rows = [("u1", "b", 1), ("u1", "a", 2), ("u2", "a", 1), ("u2", "b", 2), ("u3", "a", 1)]
    pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row").write_parquet(table)
    scores = np.zeros((6, 6))
    scores[1, 1:], scores[2, 1:] = [5, 4, 3, 2, 1], [1, 2, 3, 5, 4]
    model = write_model(tmp_path / "m.onnx", ITEMS, scores, table)
    batch.main([f"--model={model}", "--k=2"])
    # u1 after a: c d, as popular; u2 after b: d e; u3 after a: b c, as popular.
    assert json.loads((tmp_path / "m.topk.json").read_text())["figures"]["popular"] == pytest.approx(2 / 3)


def test_a_part_is_read_once_and_its_histories_are_built_once(files, monkeypatch) -> None:
    calls: list[str] = []

    def counting(place: object, name: str) -> None:
        real = getattr(place, name)
        monkeypatch.setattr(place, name, lambda *a, **k: calls.append(name) or real(*a, **k))

    counting(Source, "read")
    counting(parts, "cut")
    counting(popularity, "before")
    batch.main([f"--model={files[0]}", "--part-users=2", "--max-popular=1"])
    assert calls.count("read") == calls.count("cut") == calls.count("before") == 2, "users 1, 2 and 3, 4"


def test_moments_and_ranks_add_up() -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(1000, 1e-3, 1001)
    found = sum((Moments.of(part) for part in np.split(values, [0, 1, 500, 999])), Moments())
    assert found.count == 1001 and found.mean == pytest.approx(values.mean(), rel=1e-15)
    assert found.squares / 1000 == pytest.approx(values.var(ddof=1), rel=1e-6)
    ranked = pl.DataFrame({"rank": [1, 2, None, 7, 3, None]}, schema={"rank": pl.Int64})
    assert rank_counts(ranked, 3).rows() == [(None, 3), (1, 1), (2, 1), (3, 1)]
    both = added([rank_counts(ranked.head(2), 3), rank_counts(ranked.tail(4), 3)])
    assert summarise_counts(both, 3).equals(summarise(ranked, 3))
    assert summarise(ranked, 10**12)["value"][0] == pytest.approx(4 / 6), "and no memory for each rank up to k"


def test_users_whom_the_model_cannot_personalise_are_not_fed_to_it(files, monkeypatch, tmp_path: Path) -> None:
    fed: list[int] = []
    real = infer.model.session.Model.run
    monkeypatch.setattr(infer.model.session.Model, "run", lambda self, f: fed.append(len(f["window"])) or real(self, f))
    rows = [(f"u{n}", "zz", 1) for n in range(50)] + [("u50", "a", 1)]
    table = pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row")
    with open_table(open_model(files[0]), table, TableOptions(), None) as (job, source):
        assert job.split is None and source.users == 51
    assert infer.load(files[0]).score(table, k=1)["user"].to_list() == ["u50"] and fed == [1]
