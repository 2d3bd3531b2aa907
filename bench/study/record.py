"""A study's tables small enough to be kept in a repository, and its answers from them.

In: the tables of `bench.study.statistics.tables`, or a folder that `python -m bench.study --record=FOLDER` wrote. Out:
one small Parquet file a table, without the films of a user, which are the data set's; or the sentences, printed.

    python -m bench.study.record --record=bench/results/study
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import polars as pl

from bench.study.page.answers import answers_cold, answers_convergence, answers_effort, answers_scarcity, answers_top
from infer.cli import option, parse, run, say
from infer.errors import InputError
from infer.system.files import replacing
from infer.system.locks import alone
from infer.system.ownership import MARK

PRIVATE = "top"  # what one user has had


@dataclass(frozen=True, kw_only=True)
class RecordConfig:
    """Options of `python -m bench.study.record`."""

    record: Path = option(Path("bench/results/study"), "folder with the tables of a study")


def record_files(folder: Path | None) -> list[Path]:
    """The files that an earlier record left."""
    return [] if folder is None else sorted(folder.glob("*.parquet"))


def writing(folder: Path) -> AbstractContextManager[None]:
    """A block in which no other process writes to the record, once none does."""
    return alone(folder / "locks" / "record.lock", wait=True)


def write_small(table: pl.DataFrame, path: Path) -> None:
    """Write a table of the record, as small as it gets."""
    with replacing(path, owned=True) as temporary:
        table.write_parquet(temporary, metadata=MARK, compression="zstd", compression_level=19)


def write_record(tables: dict[str, pl.DataFrame], folder: Path) -> None:
    """Write the tables, that of one user without rows; nothing in them but results."""
    with writing(folder):
        for name, table in tables.items():
            write_small(table.clear() if name == PRIVATE else table, folder / f"{name}.parquet")


def read_record(folder: Path) -> dict[str, pl.DataFrame]:
    """The tables by name; raises InputError if the folder holds none."""
    files = record_files(folder)
    if folder / "differences.parquet" not in files:
        raise InputError(
            f"{folder} holds no record of a study: write one with `python -m bench.study --record={quote(str(folder))}`"
        )
    return {path.stem: pl.read_parquet(path, glob=False) for path in files}


def main(argv: Sequence[str]) -> None:
    """Parse, read, print the answers."""
    tables = read_record(parse(RecordConfig, argv, __doc__).record)
    for answers in (answers_top, answers_cold, answers_convergence, answers_scarcity, answers_effort):
        say("\n".join(answers(tables)))


if __name__ == "__main__":
    raise SystemExit(run(main))
