"""What must be the same on all nodes."""

import os
from pathlib import Path

import pytest

from infer.cluster.same import check_same, here, mark
from infer.errors import InputError


def test_versions_that_differ_are_named_with_the_node() -> None:
    mine = {"python": "3.11.7", "onnxruntime": "1.32.0", "infer": "abc"}
    check_same(mine, dict(mine), "10.0.0.5")
    for theirs, says in (
        (mine | {"onnxruntime": "1.31.0"}, "node 10.0.0.5 has onnxruntime 1.31.0, this machine onnxruntime 1.32.0:"),
        (mine | {"infer": "abd"}, r"has another version of this project \(abd\), this machine abc:"),
        ({"python": "3.11.7", "infer": "abc"}, "has onnxruntime none, this machine"),
    ):
        with pytest.raises(InputError, match=says):
            check_same(mine, theirs, "10.0.0.5")


def test_versions_are_of_what_lists_follow_from_and_of_the_code() -> None:
    assert {"python", "onnxruntime", "polars", "numpy", "infer"} <= set(here()) and len(here()["infer"]) == 12


def test_a_mark_tells_a_table_from_another_but_not_file_systems(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("user,item\n")
    stat = table.stat()
    assert mark(table) == [stat.st_ino, stat.st_size, stat.st_mtime_ns]
    os.utime(table, (1, 1))
    assert mark(table) != [stat.st_ino, stat.st_size, stat.st_mtime_ns]
    with pytest.raises(InputError, match="No such file"):
        mark(tmp_path / "none.csv")
