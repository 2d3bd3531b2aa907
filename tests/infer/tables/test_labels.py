"""Labels of items: what is one, wherever they are read."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from infer.errors import InputError
from infer.model.session import open_model
from infer.scoring.categories import categories_of
from infer.scoring.extras import category_rows
from infer.scoring.job import rows_job
from infer.tables.labels import labels_of
from tests.helpers.markov import write_model


def test_what_movielens_writes_for_no_genres_is_no_category_anywhere(tmp_path: Path) -> None:
    pl.DataFrame({"user": [1], "item": [1], "timestamp": [1]}).write_parquet(tmp_path / "t.parquet")
    job = rows_job(open_model(write_model(tmp_path / "m.onnx", [1, 2, 3], np.zeros((4, 4)), tmp_path / "t.parquet")))
    items = tmp_path / "items.csv"
    items.write_text("item,title,genres\n1,A,War | Drama\n2,B,(no genres listed)\n3,C,War\n")
    expected = [(1, "Drama"), (1, "War"), (3, "War")]
    limited = labels_of(items, "genres").cast({"item": pl.Int64})
    measured, fallback = category_rows(items), categories_of(job, items, stated=True)
    assert measured is not None and limited.rows() == expected
    assert sorted(measured.drop("column").rows()) == sorted(fallback.rows()) == expected
    items.write_text("item,title,genres\n1,A,(no genres listed)\n")
    assert category_rows(items) is None
    with pytest.raises(InputError, match="has no value in the column 'genres'"):
        labels_of(items, "genres")
