"""Parts on their way from workers: nobody sees them before the run's own process takes them."""

from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.publishing.output import Output
from infer.publishing.pending import adopt, pending, write_pending
from infer.publishing.publications import Publications

PLAN = {"model": "m", "users": None, "base": None, "options": {}}
LISTS = pl.DataFrame({"user": [1], "rank": [1], "item": [3], "score": [0.5]})
USERS = pl.DataFrame({"user": [1], "history": [9]})


@pytest.fixture
def output(tmp_path: Path):
    made = Output(Publications(tmp_path / "l.parquet"), PLAN)
    with made.share((0, 1), restart=False):
        yield made


def test_a_part_that_is_taken_has_the_bytes_of_one_written_in_place(output: Output) -> None:
    numbers = {"rows": 1}
    output.write(0, LISTS, USERS, numbers)
    with pending(output, (0, 1)) as folder:
        first, second = (write_pending(folder, 1, output.digest, LISTS, USERS, numbers) for _ in range(2))
        assert first != second and not output.has(1)
        adopt(output, folder, {1: first})
    assert output.part(1).read_bytes() == output.part(0).read_bytes()
    assert output.users(1).read_bytes() == output.users(0).read_bytes()
    assert output.numbers(1) == numbers and not any(folder.parent.iterdir())


def test_what_a_killed_run_left_goes_and_its_workers_write_nowhere(output: Output) -> None:
    left = output.work / "pending" / "1-of-1-0123456789abcdef"
    other = output.work / "pending" / "1-of-10-0123456789abcdef"
    for folder in (left, other):
        folder.mkdir(parents=True)
        write_pending(folder, 0, "d", LISTS, USERS, {})
    with pending(output, (0, 1)):
        assert not left.exists() and len(list(other.iterdir())) == 2


def test_users_come_before_lists_and_what_is_missing_is_said(output: Output) -> None:
    with pending(output, (0, 1)) as folder:
        name = write_pending(folder, 0, output.digest, LISTS, USERS, {})
        (folder / f"{name}.lists").unlink()
        with pytest.raises(InputError, match=r"cannot write .*part-00000\.parquet: .*the same command goes on"):
            adopt(output, folder, {0: name})
        assert output.users(0).exists() and not output.has(0)
