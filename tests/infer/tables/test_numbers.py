"""Numbers with decimal commas, where a comma can be nothing else."""

from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.tables.interactions import read_interactions
from infer.tables.numbers import as_numbers
from infer.tables.options import TableOptions

HEAD = "Kunde;Artikel;Datum;Preis\n"
GERMAN = HEAD + "a;x;2024-01-01;4,08\na;y;2024-01-02;20\nb;x;2024-01-03;100,5\n"
COLUMNS = {"user": "Kunde", "item": "Artikel", "timestamp": "Datum"}


def test_a_comma_is_decimal_unless_it_may_mark_thousands() -> None:
    given = ["4,08", " -4,5 ", "+1,2345", "7", "7.5", "1,234", "1,", ",5", "1,2,3", "1.000,50", "x", None]
    wanted = [4.08, -4.5, 1.2345, 7.0, 7.5, None, None, None, None, None, None, None]
    assert as_numbers(pl.Series("p", given)).to_list() == wanted
    assert as_numbers(pl.Series("p", [1, 2])).to_list() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("where", "items"),
    [("Preis < 20.5", ["x", "y"]), ("Preis >= 20", ["y", "x"]), ("Preis = 4.08", ["x"]), ("Preis = '4,08'", ["x"])],
)
def test_rows_are_chosen_by_numbers_with_a_decimal_comma(where: str, items: list[str], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(GERMAN)
    found = read_interactions(tmp_path / "t.csv", TableOptions(**COLUMNS, where=where)).interactions
    assert found["item"].to_list() == items


def test_ratings_may_have_a_decimal_comma(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(GERMAN)
    found = read_interactions(tmp_path / "t.csv", TableOptions(**COLUMNS, rating="Preis")).interactions
    assert found["rating"].to_list() == [4.08, 20.0, 100.5]


def test_what_may_be_a_thousand_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(GERMAN + "b;z;2024-01-04;1,234\n")
    with pytest.raises(InputError, match="row 4 has the rating '1,234'; expected a number"):
        read_interactions(tmp_path / "t.csv", TableOptions(**COLUMNS, rating="Preis"))
    with pytest.raises(InputError, match="cannot compare string with numeric"):
        read_interactions(tmp_path / "t.csv", TableOptions(**COLUMNS, where="Preis < 20"))
    rows = "a;x;2024-01-01;4,08\n" * 20_000
    (tmp_path / "t.csv").write_text(HEAD + rows + "b;z;2024-01-04;1,234\n")
    with pytest.raises(InputError, match=r"t.csv cannot be read: .*1,234"):
        read_interactions(tmp_path / "t.csv", TableOptions(**COLUMNS, where="Preis < 20"))
