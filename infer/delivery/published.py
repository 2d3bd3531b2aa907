"""The lists that readers find now, part after part, with whatever columns they have.

In: an output of `python -m infer.batch`. Out: a frame for each part; memory holds one.

    for rows in Published(Path("artifacts/hybrid.topk.parquet")).parts(): ...
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from infer.errors import InputError
from infer.formats.reading import reading
from infer.publishing.opening import publications_at
from infer.publishing.publications import Publications
from infer.tables.columns import ITEM, RANK, SCORE, USER

COLUMNS = (USER, RANK, ITEM, SCORE)


def publications_of(lists: Path) -> Publications:
    """What was published as `lists`; raises InputError for a name that no output has."""
    if lists.suffix != ".parquet":
        raise InputError(f"--lists {lists}: expected an output of `python -m infer.batch`, which ends in .parquet")
    return publications_at(lists)


class Published:
    """One publication, which stays the same whatever is published meanwhile; held lists are none.

    empty: no rows, with all columns of the lists: user, rank, item, score and what else a part has.
    """

    def __init__(self, lists: Path) -> None:
        """Raises InputError if nothing is published there, or it is damaged."""
        publications = publications_of(lists)
        found = publications.current()
        if found is None:
            raise InputError(
                f"{lists} holds no published lists; expected an output of `python -m infer.batch`, whose lists are not "
                "held"
            )
        self.publication = found
        self.lists, self.store = publications.lists, publications.store
        self.files = [self.publication.lists(part) for part in self.publication.manifest["parts"]]
        columns: dict[str, pl.DataType] = {}
        for file in self.files:
            with reading(file):
                schema = pl.read_parquet_schema(file)
            for name, dtype in schema.items():
                if columns.get(name, pl.Null()) == pl.Null():
                    columns[name] = dtype
        missing = next((name for name in COLUMNS if name not in columns), None)
        if missing is not None and self.files:
            raise InputError(f"{self.publication.folder} has lists without the column {missing}: score again")
        self.empty = pl.DataFrame(schema=columns or {USER: pl.Int64, RANK: pl.Int32, ITEM: pl.Int64, SCORE: pl.Float32})

    @property
    def name(self) -> str:
        """The publication's number."""
        return self.publication.name

    @property
    def rows(self) -> int:
        """How many recommendations there are."""
        return int(self.publication.manifest["figures"]["rows"])

    def parts(self) -> Iterator[pl.DataFrame]:
        """The rows of each part that has any, ordered by user and rank; all rows of a user are in one.

        Raises InputError if a part is damaged, or was removed by later publications meanwhile.
        """
        for file, part in zip(self.files, self.publication.manifest["parts"], strict=True):
            with reading(file):
                rows = pl.read_parquet(file, glob=False)
            _check(file, part, rows)
            if rows.height:
                whole = pl.concat([self.empty, rows], how="diagonal_relaxed")
                yield whole.cast(self.empty.schema).sort(USER, RANK)


def _check(file: Path, part: dict[str, Any], rows: pl.DataFrame) -> None:
    """Raise InputError if a file does not hold the part that the manifest says it is: another's copy, or changed."""
    users = rows[USER]
    stated = {"rows": rows.height, "listed": users.n_unique()}
    same = all(part.get(name, found) == found for name, found in stated.items())
    if same and rows.height and type(part["first"]) is type(users[0]):
        same = bool(part["first"] <= users.min() and users.max() <= part["last"])
    if not same:
        raise InputError(
            f"{file} is not what its manifest says of it: go back to an earlier publication, or score again"
        )
