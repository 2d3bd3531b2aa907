"""What the commands start from that are killed, starved or locked out."""

from pathlib import Path

import pytest

from tests.helpers.checkerboard import checkerboard


@pytest.fixture(scope="module")
def prepared(artifacts: Path, ratings_csv: Path) -> dict[str, dict[str, bytes]]:
    """What each command starts from."""
    kept = {name: (artifacts / name).read_bytes() for name in ("interactions.parquet", "items.parquet")}
    kept |= {name: (artifacts / name).read_bytes() for name in ("mf.pt", "mf.onnx")}
    tables = {"ratings.csv": ratings_csv.read_bytes(), "old.csv": checkerboard(seed=1).write_csv().encode()}
    two = {name: kept[name] for name in ("interactions.parquet", "items.parquet")}
    return {"data": tables, "train": two, "study": two} | dict.fromkeys(("export", "batch", "evaluate"), kept)
