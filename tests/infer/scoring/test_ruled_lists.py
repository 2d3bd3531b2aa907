"""Lists under rules are those that a few lines of plain Python make, whatever the table, the rules and the batch."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from infer import batch, evaluate, recommend
from infer.candidates.options import CandidateOptions
from infer.errors import HeldError, InputError
from infer.model.session import Model, open_model
from infer.scoring.fallback import FallbackOptions
from infer.scoring.whole import lists_by_part, open_table
from infer.system.progress import no_progress
from infer.tables.columns import TIDY_KEY
from infer.tables.options import TableOptions
from tests.helpers.markov import write_model
from tests.helpers.nights import write_night
from tests.helpers.ruled import Plain, plain_list

ITEMS = list(range(1, 13))
HOUR = 3600
# Scores in steps of a half: many are equal, and half of them below 0.
SCORES = np.round(np.random.default_rng(5).normal(size=(13, 13)) * 4) / 2
PRICES = {item: item % 5 for item in ITEMS}
CONDITIONS = {
    "price < 3": lambda item: PRICES[item] < 3,
    "kind = 'odd' and price >= 1": lambda item: item % 2 == 1 and PRICES[item] >= 1,
    "kind in ('odd', 'even')": lambda item: True,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ruled")
    pl.DataFrame({"user": [1], "item": [1], "timestamp": [1]}).write_parquet(folder / "t.parquet")
    write_model(folder / "m.onnx", ITEMS, SCORES, folder / "t.parquet")
    kinds = ["odd" if item % 2 else "even" for item in ITEMS]
    # An item that no model knows, too.
    items = pl.DataFrame({"item": [*ITEMS, 99], "price": [*PRICES.values(), 0], "kind": [*kinds, "odd"]})
    items.write_csv(folder / "items.csv")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return open_model(folder / "m.onnx", threads=1)


some_items = st.lists(st.sampled_from([*ITEMS, 50]), min_size=1, max_size=12)
some_pairs = st.lists(st.tuples(st.integers(1, 8), st.sampled_from([*ITEMS, 50])), min_size=1, max_size=30)
weights = st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0])
boosts = st.dictionaries(
    st.sampled_from([*ITEMS, 50]), st.tuples(weights, st.sampled_from([-3.0, 0.0, 0.5, 8.0])), min_size=1
)
tables = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from([*ITEMS, 60]), st.integers(0, 8)),
    min_size=1, max_size=40, unique_by=lambda row: row[:2],
)  # fmt: skip
seens = st.sampled_from([(None, None), ("drop", "3h"), ("keep", None), ("only", None), ("only", "4h"), ("drop", "1d")])
HOURS = {None: 0, "3h": 3, "4h": 4, "1d": 24}


def pairs_frame(pairs: list) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema=["user", "item"], orient="row")


def ruled_lists(model: Model, table, rules: CandidateOptions, k: int, batch_size: int) -> dict[int, list]:
    with no_progress(), open_table(model, table, TableOptions(), None, rules) as (job, source):
        lists = pl.concat(lists_by_part(job, source, k, batch_size, source, FallbackOptions()))
    assert lists["rank"].to_list() == [n for (_,), own in lists.group_by("user", maintain_order=True) for n in
                                       range(1, own.height + 1)]  # fmt: skip
    return {user: list(own.select("item", "score").iter_rows()) for (user,), own in lists.group_by("user")}


@settings(max_examples=150, deadline=None, phases=[Phase.explicit, Phase.generate, Phase.shrink])
@given(
    rows=tables,
    only_items=st.none() | some_items,
    exclude_items=st.none() | some_items,
    where=st.none() | st.sampled_from(sorted(CONDITIONS)),
    only_pairs=st.none() | some_pairs,
    exclude_pairs=st.none() | some_pairs,
    boosted=st.none() | boosts,
    seen=seens,
    k=st.sampled_from([1, 3, 12, 13, 40]),
    batch_size=st.sampled_from([1, 2, 256]),
)
def test_lists_under_rules_are_those_of_plain_python(
    folder, model, rows, only_items, exclude_items, where, only_pairs, exclude_pairs, boosted, seen, k, batch_size
) -> None:
    table = pl.DataFrame(rows, schema=["user", "item", "hour"], orient="row").select(
        "user", "item", timestamp=pl.col("hour") * HOUR
    )
    boost = None if boosted is None else pl.DataFrame(
        [(i, w, a) for i, (w, a) in boosted.items()], schema=["item", "weight", "add"], orient="row"
    )  # fmt: skip
    options = CandidateOptions(
        only_items, exclude_items, where,
        None if only_pairs is None else pairs_frame(only_pairs),
        None if exclude_pairs is None else pairs_frame(exclude_pairs),
        boost, *seen, folder / "items.csv",
    )  # fmt: skip
    allowed = set(ITEMS)
    allowed &= set(only_items or ITEMS)
    allowed -= set(exclude_items or [])
    if where is not None:
        allowed &= {item for item in ITEMS if CONDITIONS[where](item)}
    rules = Plain(
        allowed=allowed,
        only=None if only_pairs is None else set(only_pairs),
        blocked=set(exclude_pairs or []),
        boosts=boosted or {},
        seen=seen[0] or "drop",
        within=HOURS[seen[1]] * HOUR,
        moment=max(hour for _, _, hour in rows) * HOUR,
    )
    users = {user for user, _, _ in rows}
    listed = [[item for item in given if item in ITEMS] for given in (only_items, exclude_items, boosted) if given]
    if not allowed or not all(listed) or not all(
        [pair for pair in pairs if pair[1] in ITEMS] and [pair for pair in pairs if pair[0] in users]
        for pairs in (only_pairs, exclude_pairs) if pairs is not None
    ):  # fmt: skip
        with pytest.raises(InputError):
            ruled_lists(model, table, options, k, batch_size)
        return
    expected = {}
    for user in users:
        history = sorted(((hour, item) for u, item, hour in rows if u == user and item in ITEMS))
        if history:
            scores = dict(zip(ITEMS, SCORES[history[-1][1]][1:].tolist(), strict=True))
            own = plain_list(user, scores, [(item, hour * HOUR) for hour, item in history], rules, k)
            expected |= {user: own} if own else {}
    assert ruled_lists(model, table, options, k, batch_size) == expected


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nights of 40 items and 30 users, and rules of all kinds for them."""
    folder = write_night(tmp_path_factory.mktemp("night"))
    table = pl.read_parquet(folder / "interactions.parquet")
    newest = pl.int_range(pl.len()).over("user") == pl.len().over("user") - 1
    split = table.with_columns(split=pl.when(newest).then(pl.lit("test")).otherwise(pl.lit("train")))
    split.write_parquet(folder / "interactions.parquet", metadata={TIDY_KEY: "1"})
    write_model(folder / "m.onnx", list(range(1, 41)), np.random.default_rng(0).normal(size=(41, 41)),
                folder / "interactions.parquet")  # fmt: skip
    users = table["user"].unique().sort()
    rng = np.random.default_rng(1)
    pl.DataFrame({"item": range(1, 36)}).write_csv(folder / "stock.csv")
    pairs = pl.DataFrame({"user": users.to_list() * 20, "item": rng.integers(1, 41, 20 * len(users)).tolist()})
    pairs[: pairs.height - 7].write_csv(folder / "only.csv")
    pairs[::3].write_csv(folder / "not.csv")
    pl.DataFrame({"item": [1, 2, 3], "weight": [2.0, 3.0, 0.5]}).write_csv(folder / "boost.csv")
    return folder


def words(shop: Path) -> list[str]:
    return [f"--only-items={shop / 'stock.csv'}", f"--only-pairs={shop / 'only.csv'}",
            f"--exclude-pairs={shop / 'not.csv'}", f"--boost={shop / 'boost.csv'}"]  # fmt: skip


def made(shop: Path, name: str, *more: str) -> pl.DataFrame:
    batch.main([f"--model={shop / 'm.onnx'}", f"--output={shop / name}", *words(shop), *more])
    return pl.read_parquet(shop / name)


def test_lists_do_not_depend_on_batches_parts_shares_or_a_resumed_run(shop: Path, capsys) -> None:
    whole = made(shop, "whole.parquet")
    expected = whole["score"].to_numpy().tobytes()
    assert made(shop, "batch.parquet", "--batch-size=3").equals(whole)
    assert made(shop, "parts.parquet", "--part-users=4").equals(whole)
    batch.main(
        [f"--model={shop / 'm.onnx'}", f"--output={shop / 's.parquet'}", *words(shop), "--part-users=4", "--shard=2/2"]
    )
    assert "parts are there" in capsys.readouterr().out and not (shop / "s.parquet").exists()
    shared = made(shop, "s.parquet", "--part-users=4", "--shard=1/2")
    assert shared.equals(whole) and shared["score"].to_numpy().tobytes() == expected
    told = json.loads((shop / "s.json").read_text())
    assert told["rules"]["only_items"]["file"] == "stock.csv" and set(told["plan"]["options"]["pairs"]) == {
        "only_pairs", "exclude_pairs"
    }  # fmt: skip
    made(shop, "s.parquet", "--part-users=4")
    assert json.loads((shop / "s.json").read_text())["plan"] == told["plan"], "the same rules are the same plan"


def test_only_changed_under_other_pairs_gives_the_lists_of_scoring_everyone(shop: Path) -> None:
    production = ("--production", "--accept")
    made(shop, "c.parquet", *production)
    pairs = pl.read_csv(shop / "not.csv")
    first = pairs["user"].min()
    pairs.filter(pl.col("user") != first).write_csv(shop / "not.csv")
    changed = made(shop, "c.parquet", *production, "--only-changed")
    assert changed.equals(made(shop, "d.parquet", *production))
    assert 0 < sum(part["scored"] for part in json.loads((shop / "c.json").read_text())["parts"]) <= 2


def test_what_rules_leave_nobody_is_said_and_counted_apart_from_cold_users(shop: Path, capsys) -> None:
    table = pl.read_parquet(shop / "interactions.parquet")
    users = table["user"].unique().sort()
    all_but_two = pl.DataFrame({"user": [*users[2:].to_list(), 999], "item": [5] * (len(users) - 2) + [6]})
    all_but_two.write_csv(shop / "few.csv")
    given = [f"--model={shop / 'm.onnx'}", f"--only-pairs={shop / 'few.csv'}", "--accept", "--seen=keep"]
    batch.main([*given, f"--output={shop / 'few.parquet'}", "--fallback=popular"])
    said = capsys.readouterr().out
    assert f"the rules leave 2 of {len(users)} users nothing; 0 of them get popular items" in said
    assert f"does not have 1 of {len(users) - 1} users, as '999'" in said and "does not know (not in" not in said
    assert "of the held-out items may not be recommended under the rules: they are misses" in said
    figures = json.loads((shop / "few.json").read_text())["figures"]
    assert (figures["emptied"], figures["refilled"]) == (2, 0) and figures["listed"] == len(users) - 2
    metrics = json.loads((shop / "few.metrics.json").read_text())
    split = pl.read_parquet(shop / "interactions.parquet").filter(pl.col("split") == "test")
    allowed = split.filter(pl.col("user").is_in(users[2:].implode()) & (pl.col("item") == 5)).height
    assert metrics["excluded_targets"] == split.height - allowed
    assert "only some items of each user" in metrics["protocol"] and "seen items kept" in metrics["protocol"]


def test_lists_held_under_other_rules_say_so(shop: Path, tmp_path: Path) -> None:
    given = [f"--model={shop / 'm.onnx'}", f"--output={tmp_path / 'l.parquet'}", "--production"]
    batch.main(given)
    (tmp_path / "one.csv").write_text("item\n7\n")
    with pytest.raises(HeldError, match=r"the earlier lists are of other rules .which items may be recommended."):
        batch.main([*given, f"--only-items={tmp_path / 'one.csv'}"])


def test_the_library_and_the_batch_agree_and_evaluation_ranks_among_what_is_allowed(shop: Path, capsys) -> None:
    lists = (
        pl.read_parquet(shop / "whole.parquet") if (shop / "whole.parquet").exists() else made(shop, "whole.parquet")
    )
    user = lists["user"][0]
    capsys.readouterr()
    given = [f"--model={shop / 'm.onnx'}", *words(shop)]
    recommend.main([*given, f"--user={user}", "--k=10"])
    shown = re.findall(r"item (\d+)", capsys.readouterr().out.partition("Model")[2])
    assert shown == [str(item) for item in lists.filter(pl.col("user") == user)["item"]]
    evaluate.main([*given, "--negatives=0"])
    said = capsys.readouterr().out
    assert "full ranking of 35 of 40 items, seen items dropped, only some items of each user" in said
    report = json.loads((shop / "m.evaluation.json").read_text())
    assert report["negatives_checksum"] is None and report["rules"]["boost"]["file"] == "boost.csv"
    evaluate.main([f"--model={shop / 'm.onnx'}", f"--only-items={shop / 'stock.csv'}", "--negatives=5"])
    assert pl.read_parquet(shop / "m.negatives.parquet")["item"].max() <= 35
