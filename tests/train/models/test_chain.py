"""The chain of very small catalogues: as small as the table of the quickstart."""

import re
from pathlib import Path

import polars as pl
import pytest

from tests.helpers.checkerboard import ROOT


def test_the_table_of_the_quickstart_can_be_trained_on(tmp_path: Path, run) -> None:
    page = (ROOT / "docs" / "quickstart.md").read_text()
    table = tmp_path / "shop.csv"
    table.write_text(re.findall(r"```\n(customer,.*?)```", page, re.DOTALL)[0])
    (words,) = re.findall(r"^python -m train\.data --dataset=shop\.csv (.*)$", page, re.MULTILINE)
    for command in (
        ("train.data", f"--dataset={table}", *words.split()),
        ("train", "hybrid", "--epochs=1"),
        ("export", "hybrid"),
    ):
        done = run(*command, f"--artifacts={tmp_path}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "hybrid.onnx").is_file()


@pytest.mark.parametrize("items", [1, 2, 3])
def test_few_items_can_be_trained_on(items: int, tmp_path: Path, run) -> None:
    rows = [(user, 1 + (user + n) % items, n) for user in range(1, 9) for n in range(items)]
    table = tmp_path / "few.parquet"
    pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row").write_parquet(table)
    for command in (("train.data", f"--dataset={table}"), ("train", "hybrid", "--epochs=1")):
        done = run(*command, f"--artifacts={tmp_path}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
