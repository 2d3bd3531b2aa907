"""The study's page as a whole, of records of two data sets."""

import re
from pathlib import Path

import polars as pl
import pytest

from bench.study.page.page import write_study
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
