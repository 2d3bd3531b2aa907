"""The study's page as a whole, of records of two data sets."""

import re
from pathlib import Path

import polars as pl
import pytest

from bench.study.page.opening import GLOSSARY, ON_EVERYTHING
from bench.study.page.page import sections, summary, write_study
from bench.study.record import read_record
from tests.helpers.checkerboard import ROOT

SETS = ("ml-1m", "amazon-toys")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What stands on the page of both, without its scripts."""
    records = [read_record(ROOT / "bench" / "results" / "study" / name) for name in SETS]
    tables = {name: pl.concat([record[name] for record in records], how="diagonal_relaxed") for name in records[0]}
    page: Path = write_study(tables, tmp_path_factory.mktemp("page") / "study.html", "python -m bench.study")
    own = page.read_text(encoding="utf-8").partition("<body>")[2]
    return re.sub(r"<script>.*?</script>", "", own, flags=re.DOTALL)


def test_the_facts_of_each_data_set_are_its_own(text: str) -> None:
    told = text.partition("How to reproduce")[2]
    assert "on tables of interactions with the checksum" in told
    facts = told.split('<table class="facts">')[1:]
    assert [re.search(r"<caption>(.*?)</caption>", each).group(1) for each in facts] == list(SETS)
    for each, users in zip(facts, ("6,040", "19,412"), strict=True):
        assert f'<th scope="row">users measured</th><td class="wrapped">{users}</td>' in each


def test_what_is_said_of_ties_and_splits_is_of_those_that_were_tried(tmp_path: Path) -> None:
    tables = read_record(ROOT / "bench" / "results" / "study" / "ml-latest-small")
    (found,) = (part for part in sections(tables) if part["title"] == "Ties and time split")
    assert set(tables["summary"]["split"]) == {"leave-one-out", "random-ties"}
    assert len(found["sentences"]) == 1 and "time split" not in found["sentences"][0]
    assert not any("time" in name for name in found["tables"][0]["header"])


def test_every_word_that_is_explained_stands_on_the_page() -> None:
    tables = read_record(ROOT / "bench" / "results" / "study" / "ml-latest-small")
    parts = sections(tables)
    said = str([[part[key] for key in ("title", "sentences", "tables")] for part in parts])
    for term, _ in GLOSSARY:
        for word in term.split(", "):
            assert word in said, word


def test_training_on_everything_is_explained_where_a_model_was_trained_so(tmp_path: Path) -> None:
    for name, shown in (("ml-latest-small-everything", True), ("ml-latest-small", False)):
        page = write_study(read_record(ROOT / "bench" / "results" / "study" / name), tmp_path / "study.html", "study")
        text = page.read_text(encoding="utf-8")
        assert (f"<dt>{ON_EVERYTHING[0]}</dt>" in text) == shown
        assert ("best.onnx, on everything" in text) == shown


def test_the_first_claim_stands_beside_its_control() -> None:
    said = summary(read_record(ROOT / "bench" / "results" / "study" / "ml-1m-latest-5"))
    assert said[0].startswith("Does matrix factorization help BERT? The transformer started from iALS alone is better")
    assert said[1].startswith("Control, norms alone: The transformer started from random directions")
    said = summary(read_record(ROOT / "bench" / "results" / "study" / "amazon-toys"))
    assert said[0].startswith("Against the Markov chain: The hybrid is better than Markov")
