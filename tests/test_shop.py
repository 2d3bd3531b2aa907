"""A shop's own tables through the whole line: zipped events between semicolons, products of categories and prices."""

import json
import zipfile
from pathlib import Path

import polars as pl
import pytest

import infer
from tests.helpers.shop import events, products, sku

RULES = ("--where=event_type in ('cart', 'purchase')", "--repeats=keep")
COLUMNS = ("--user-column=customer", "--item-column=sku", "--timestamp-column=event_time")
FAST = ("--dim=8", "--feedforward=8", "--epochs=2", "--max-length=8", "--chain=4", "--negatives=8")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, run) -> tuple[Path, str]:
    """A folder with the shop's tables and a trained, exported model; and what `train.data` printed."""
    folder = tmp_path_factory.mktemp("shop")
    table = events()
    with zipfile.ZipFile(folder / "events.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export/events.csv", table.write_csv(separator=";"))
    products().write_csv(folder / "products.csv")
    given = [f"--dataset={folder / 'events.zip'}", f"--items={folder / 'products.csv'}", *COLUMNS, *RULES]
    prepared = run("train.data", *given, f"--artifacts={folder}")
    assert prepared.returncode == 0, prepared.stderr
    for words in (("train", "hybrid", *FAST), ("train", "content"), ("export", "hybrid"), ("export", "content")):
        done = run(*words, f"--artifacts={folder}")
        assert done.returncode == 0, done.stderr
    return folder, prepared.stdout + prepared.stderr


def test_what_was_read_is_said(shop) -> None:
    folder, printed = shop
    table = events()
    kept = table.filter(pl.col("event_type").is_in(["cart", "purchase"]))
    for sentence in (
        "read events.csv, the one table in it",
        f"{kept.height} of {table.height:,} rows count (--where",
        "separated by ';'",
        "category",
        "price",
        "brand",
        "2 items that no event names",
    ):
        assert sentence in printed, (sentence, printed)
    stored = pl.read_parquet(folder / "interactions.parquet")
    assert stored.height == kept.height and stored.schema["item"] == pl.String
    assert stored.select("user", "item").is_duplicated().any(), "repeats are kept"


def test_a_subset_of_digits_is_read_as_the_model_was_trained_and_its_rules_are_said(shop, run, tmp_path: Path) -> None:
    folder, _ = shop
    digits = events().filter(pl.col("sku").str.contains(r"^\d+$"))
    digits.write_csv(tmp_path / "tonight.csv")
    words = [f"--model={folder / 'hybrid.onnx'}", f"--interactions={tmp_path / 'tonight.csv'}", *COLUMNS]
    done = run("infer.batch", *words, f"--output={tmp_path / 'lists.parquet'}", "--k=32")
    assert done.returncode == 0, done.stderr
    assert "read as hybrid.onnx was trained: --where=event_type in ('cart', 'purchase'), --repeats=keep" in done.stdout
    lists = pl.read_parquet(tmp_path / "lists.parquet")
    assert lists.schema["item"] == pl.String and lists["item"].is_in([sku(n) for n in range(32)]).all()
    assert lists["user"].n_unique() == 40
    bought = digits.filter(pl.col("event_type") != "view").select(user="customer", item="sku")
    assert lists.join(bought, on=["user", "item"]).is_empty(), "nothing that was bought, though it was bought twice"
    viewed = digits.filter(pl.col("event_type") == "view").select(user="customer", item="sku")
    assert not lists.join(viewed, on=["user", "item"]).is_empty(), "a view does not count"
    manifest = json.loads((tmp_path / "lists.json").read_text())
    assert manifest["plan"]["data"]["columns"]["repeats"] == "keep"


def test_rules_may_be_said_otherwise(shop, run, tmp_path: Path) -> None:
    folder, _ = shop
    events().write_parquet(tmp_path / "tonight.parquet")
    words = [f"--model={folder / 'hybrid.onnx'}", f"--interactions={tmp_path / 'tonight.parquet'}", *COLUMNS]
    done = run("infer.batch", *words, f"--output={tmp_path / 'l.parquet'}", "--where=true", "--repeats=latest")
    assert done.returncode == 0, done.stderr
    assert "was trained" not in done.stdout and "repeated (user, item) rows, of which the latest" in done.stdout
    lists = pl.read_parquet(tmp_path / "l.parquet")
    seen = events().select(user="customer", item="sku")
    assert lists.join(seen, on=["user", "item"]).is_empty()


def test_products_that_nobody_bought_are_recommended_by_what_they_are(shop, run, tmp_path: Path) -> None:
    folder, _ = shop
    done = run("infer.batch", f"--model={folder / 'content.onnx'}", "--k=32", f"--output={tmp_path / 'l.parquet'}")
    assert done.returncode == 0, done.stderr
    lists = pl.read_parquet(tmp_path / "l.parquet").filter(pl.col("item").is_in([sku(30), sku(31)]))
    best = lists.sort("score", descending=True).unique("user", keep="first", maintain_order=True)
    buys_garden = pl.col("user").str.slice(2).cast(pl.Int64) % 2 == 1
    assert best.filter(buys_garden)["item"].unique().to_list() == [sku(31)]
    assert best.filter(~buys_garden)["item"].unique().to_list() == [sku(30)]


def test_one_customer_is_shown_names_and_categories(shop, run) -> None:
    folder, _ = shop
    done = run("infer.recommend", f"--model={folder / 'hybrid.onnx'}", "--user=c-3", "--k=3")
    assert done.returncode == 0, done.stderr
    assert " no. " in done.stdout and "hybrid.onnx     1 " in done.stdout


def test_a_table_without_a_column_of_the_models_rules_is_refused_with_whose_rule_it_is(
    shop, run, tmp_path: Path
) -> None:
    folder, _ = shop
    table = events().drop("event_type")
    table.write_csv(tmp_path / "tonight.csv")
    words = ["infer.batch", f"--model={folder / 'hybrid.onnx'}", f"--interactions={tmp_path / 'tonight.csv'}", *COLUMNS]
    refused = run(*words, f"--output={tmp_path / 'l.parquet'}")
    assert refused.returncode == 2
    assert "no column 'event_type', by which hybrid.onnx counts rows, as it was trained" in refused.stderr
    with pytest.raises(infer.InputError, match="the data frame has no column 'event_type', by which"):
        infer.load(folder / "hybrid.onnx").score(table, user="customer", item="sku", timestamp="event_time")
    assert run(*words, f"--output={tmp_path / 'l.parquet'}", "--where=true").returncode == 0


def test_tables_beside_the_events_may_have_the_names_that_these_have(shop, run, tmp_path: Path) -> None:
    folder, _ = shop
    own = {"customer": "Kunde", "sku": "Artikelnr"}
    events().rename(own).write_csv(tmp_path / "tonight.csv")
    table = products().rename({"sku": "Artikelnr"})
    table.write_csv(tmp_path / "products.csv")
    stock = table.select("Artikelnr", pl.lit(1.5).alias("weight"))[:20]
    stock.write_csv(tmp_path / "stock.csv")
    user = events()["customer"][0]
    pairs = pl.DataFrame({"Kunde": [user], "Artikelnr": stock["Artikelnr"][:1], "plan": ["gold"]})
    pairs.write_csv(tmp_path / "pairs.csv")
    rules = [f"--{name}={tmp_path / 'stock.csv'}" for name in ("only-items", "boost")]
    rules += [f"--exclude-pairs={tmp_path / 'pairs.csv'}", "--items-where=price > 0", "--most-per=brand=3"]
    beside = [f"--items={tmp_path / 'products.csv'}", "--with=name", f"--segments={tmp_path / 'pairs.csv'}"]
    done = run(
        "infer.batch", f"--model={folder / 'hybrid.onnx'}", f"--interactions={tmp_path / 'tonight.csv'}",
        "--user-column=Kunde", "--item-column=Artikelnr", "--timestamp-column=event_time", "--production", *rules,
        *beside, "--segment-column=plan", f"--output={tmp_path / 'l.parquet'}", f"--to={tmp_path / 'l.csv'}",
        "--fallback=category-popular",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no categories" not in done.stdout, "figures beyond accuracy know the products"
    lists = pl.read_csv(tmp_path / "l.csv", schema_overrides={"item": pl.String})
    assert lists.height and lists["item"].is_in(stock["Artikelnr"].implode()).all() and lists["name"].null_count() == 0
    assert lists.filter(segment="gold")["user"].unique().to_list() == [user]
    assert not lists.filter(user=user)["item"].is_in([pairs["Artikelnr"][0]]).any()
    shown = run(
        "infer.recommend", f"--model={folder / 'hybrid.onnx'}", f"--interactions={tmp_path / 'tonight.csv'}",
        "--user-column=Kunde", "--item-column=Artikelnr", "--timestamp-column=event_time", f"--user={user}", beside[0],
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    # The name of no column of theirs: said, with what helps.
    table.rename({"Artikelnr": "nr"}).write_csv(tmp_path / "products.csv")
    for words in ((), ("--items-where=price > 0",), (f"--only-items={tmp_path / 'products.csv'}",)):
        refused = run(
            "infer.similar", f"--model={folder / 'hybrid.onnx'}", f"--item={stock['Artikelnr'][1]}", beside[0], *words
        )
        assert refused.returncode == 2 and "call it 'item'" in refused.stderr, refused.stderr
