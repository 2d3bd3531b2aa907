"""The code blocks of README and docs, and a folder in which a newcomer would run them.

In: a Markdown file. Out: its commands and Python examples, in order; and the data they speak of, in small.
"""

import gzip
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from tests.helpers.checkerboard import HANGS, ROOT, checkerboard

DOCUMENTS = ("README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# Enough items that a hundred negatives can be drawn. Their ids are replaced by some that the documents name.
SIZES = {"users": 150, "items": 160}
FILMS = (1, 50, 260, *range(300, 300 + SIZES["items"] - 3))
PATHS = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


@dataclass(frozen=True)
class Example:
    """One command line, or one Python block, and where it stands."""

    document: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}: {self.text.splitlines()[0][:60]}"

    @property
    def argv(self) -> list[str]:
        """The words of a command line."""
        return shlex.split(self.text, comments=True)


def examples(document: str) -> list[Example]:
    """Every command line and Python block of a document; lines joined with && are several commands."""
    found = []
    for language, text in BLOCK.findall((ROOT / document).read_text()):
        lines = [text] if language == "python" else [part for line in text.splitlines() for part in line.split("&&")]
        found += [Example(document, language, line.strip()) for line in lines if line.strip()]
    return found


def shell(words: list[str], folder: Path, data: Path) -> str:
    """What a command prints that is run as typed in `folder`, which stands for the clone; it has to end well."""
    if words[0] == "just":
        words = [*just(folder), *words[1:]]
    variables = os.environ | {"PYTHONPATH": str(ROOT), "RECOMMENDER_DATA": str(data), "PATH": PATHS}
    done = subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def just(folder: Path) -> list[str]:
    """just, with the recipes of the project and a folder of its own; skips the test without it."""
    found = shutil.which("just", path=PATHS)
    if found is None:
        pytest.skip("just is not installed")
    return [found, f"--justfile={ROOT / 'justfile'}", f"--working-directory={folder}"]


def recipe(words: list[str], folder: Path) -> list[list[str]]:
    """The words of each command that `just RECIPE...` would run, in order."""
    done = subprocess.run([*just(folder), "--dry-run", *words[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in done.stderr.splitlines() if line.strip()]


def write_films(folder: Path) -> None:
    """MovieLens latest-small in small, where `RECOMMENDER_DATA=folder` finds it."""
    table = checkerboard(**SIZES)
    films = dict(zip(range(1001, 1001 + len(FILMS)), FILMS, strict=True))
    target = folder / "ml-latest-small"
    target.mkdir(parents=True)
    table.select(
        (pl.col("user") - 100).alias("userId"),
        pl.col("item").replace_strict(films).alias("movieId"),
        "rating",
        "timestamp",
    ).write_csv(target / "ratings.csv")
    titles = pl.DataFrame({"movieId": FILMS}).with_columns(
        pl.format("Film {} (1999)", "movieId").alias("title"), pl.lit("Comedy|Drama").alias("genres")
    )
    titles.write_csv(target / "movies.csv")


def write_tables(folder: Path) -> None:
    """tonight.csv of those films, with a column `customer`, and customers.csv with their plans; shop.csv and
    tomorrow.csv of a shop, as in Quickstart."""
    table = checkerboard(**SIZES, seed=1)
    films = dict(zip(range(1001, 1001 + len(FILMS)), FILMS, strict=True))
    tonight = table.select(
        (pl.col("user") - 100).alias("customer"), pl.col("item").replace_strict(films).alias("item"), "timestamp"
    )
    tonight.write_csv(folder / "tonight.csv")
    products = dict(zip(films, ("lamp", "desk", *(f"product {n}" for n in range(len(films) - 2))), strict=True))
    for name, seed in (("shop", 0), ("tomorrow", 1)):
        rows = checkerboard(**SIZES, seed=seed)
        people = pl.when(pl.col("user") == 101).then(pl.lit("ann")).otherwise(pl.format("customer {}", "user"))
        moments = pl.from_epoch(pl.col("timestamp") + 1_700_000_000, time_unit="s")
        rows.select(
            people.alias("customer"),
            pl.col("item").replace_strict(products).alias("product"),
            moments.dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("time"),
            pl.col("rating").cast(pl.Int64).alias("stars"),
        ).write_csv(folder / f"{name}.csv")
    write_events(folder)
    plans = pl.when(pl.col("customer") % 3 == 0).then(pl.lit("gold")).otherwise(pl.lit("basic")).alias("plan")
    tonight.select(pl.col("customer").unique().sort()).head(100).with_columns(plans).write_csv(folder / "customers.csv")


def write_events(folder: Path) -> None:
    """events.csv.gz and products.csv of a shop, and orders.csv with European days, as in Cookbook and Tables."""
    table = checkerboard(**SIZES, seed=2)
    products = [f"product {n}" for n in range(len(FILMS))]
    sku = pl.col("item").replace_strict(dict(zip(range(1001, 1001 + len(FILMS)), products, strict=True)))
    moments = pl.from_epoch(pl.col("timestamp") + 1_700_000_000, time_unit="s")
    events = pl.when(pl.col("rating") > 3).then(pl.lit("purchase")).otherwise(pl.lit("view"))
    events = pl.when(pl.col("item") % 2 == 0).then(pl.lit("cart")).otherwise(events)
    who = pl.col("user").alias("customer")
    shop = table.select(who, sku.alias("sku"), moments.alias("time"), events.alias("event_type"))
    (folder / "events.csv.gz").write_bytes(gzip.compress(shop.write_csv().encode()))
    days = pl.col("time").dt.strftime("%d/%m/%Y %H:%M")
    shop.select("customer", "sku", days).write_csv(folder / "orders.csv")
    pl.DataFrame({"sku": products}).with_columns(
        pl.Series("category", [f"shelf {n % 4}" for n in range(len(products))]),
        pl.Series("price", [5 + n for n in range(len(products))]),
    ).write_csv(folder / "products.csv")


def links(document: str) -> list[tuple[str, str]]:
    """(path, anchor) of every relative link, the path relative to the document's folder."""
    found = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", (ROOT / document).read_text())
    return [(path, anchor) for path, anchor in found if not path.startswith(("http:", "https:"))]


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
