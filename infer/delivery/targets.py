"""Where lists are delivered to: a file, told by how its name ends, or a table of a database, told by its address.

In: what was given as `--to` and `--to-table`. Out: a `Target`; or InputError.

    python -m infer.deliver --lists=artifacts/hybrid.topk.parquet --to=lists.csv.gz

`{segment}` in the path or in the table's name stands for a segment's name: each has an output of its own.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from infer.errors import InputError
from infer.formats import databases
from infer.system.addresses import Address, scheme_of
from infer.system.inputs import check_path

CSV, LINES, PARQUET, POSTGRESQL, SQLITE = "csv", "jsonl", "parquet", "postgresql", "sqlite"
ENDINGS = {".csv": CSV, ".ndjson": LINES, ".jsonl": LINES, ".parquet": PARQUET}
PACKING = ".gz"
SEGMENT = "{segment}"
LONGEST_TABLE = 63  # bytes of a name, beyond which PostgreSQL cuts it
LONGEST_FILE = 100  # bytes of a segment's name
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # as names of files on Windows
UNFIT = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')


@dataclass(frozen=True)
class Target:
    """A file or a table.

    place: a path, or the address of a database.  kind: csv, jsonl, parquet, postgresql or sqlite.  packed: whether the
    file is packed with gzip.  table: of a database; `schema.table` names a schema of PostgreSQL.
    """

    place: Path
    kind: str
    packed: bool = False
    table: str = ""

    @property
    def is_database(self) -> bool:
        """Whether it is a table."""
        return self.kind in (POSTGRESQL, SQLITE)

    @property
    def by_segment(self) -> bool:
        """Whether each segment has an output of its own."""
        return SEGMENT in (self.table if self.is_database else str(self.place))

    def path(self, segment: str) -> Path:
        """The file of a segment."""
        return Path(str(self.place).replace(SEGMENT, segment))

    def names(self, segments: Collection[str]) -> dict[str, tuple[str, ...]]:
        """The table of each segment: its name, or the names of its schema and of itself.

        Raises InputError if one is empty or too long, or two are one.
        """
        schema, dot, table = self.table.rpartition(".") if self.kind == POSTGRESQL else ("", "", self.table)
        names = {segment: table.replace(SEGMENT, segment) for segment in segments}
        for name in (*names.values(), *([schema] if dot else [])):
            if not 0 < len(name.encode()) <= LONGEST_TABLE:
                raise InputError(f"--to-table: '{name}' has {len(name.encode())} bytes; expected 1 to {LONGEST_TABLE}")
        folded = [name.casefold() for name in names.values()]
        if self.kind == SQLITE and len(set(folded)) < len(folded):
            twice = next(name for name in names.values() if folded.count(name.casefold()) > 1)
            raise InputError(f"--to-table: '{twice}' would hold two segments, as SQLite ignores capitals: rename one")
        return {segment: (schema, name) if dot else (name,) for segment, name in names.items()}


def target_of(place: Path, table: str) -> Target:
    """What `--to` and `--to-table` mean; raises InputError if lists are delivered to nothing of this kind."""
    if isinstance(place, Address):
        scheme = scheme_of(place.text)
        if scheme not in databases.SCHEMES:
            raise InputError(
                f"--to {place}: lists are delivered to files and databases (postgresql://..., sqlite:///FILE); deliver "
                "to a file, and copy it"
            )
        return Target(place, SQLITE if scheme == SQLITE else POSTGRESQL, table=table)
    check_path(place)
    name = place.name.lower()
    ending = next((end for end in ENDINGS if name.removesuffix(PACKING).endswith(end)), None)
    packed = name.endswith(PACKING)
    if ending is None or (packed and ENDINGS[ending] == PARQUET):
        raise InputError(
            f"--to {place}: expected a name that ends in .csv, .ndjson or .jsonl (each also with .gz) or .parquet, or "
            "an address, postgresql://... or sqlite:///FILE"
        )
    return Target(place, ENDINGS[ending], packed)


def check_file_names(segments: Collection[str]) -> None:
    """Raises InputError if a segment's name can be no part of a file's name, or two differ in capitals alone."""
    seen: dict[str, str] = {}
    for name in segments:
        unfit = UNFIT.search(name) or RESERVED.fullmatch(name) or name.startswith(".") or name != name.strip(" .")
        if unfit or len(name.encode()) > LONGEST_FILE:
            raise InputError(
                f"the segment '{name:.100}' can be no file name: rename it, or deliver to one file without {SEGMENT}, "
                "with a column segment"
            )
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise InputError(f"the segments '{other}' and '{name}' would be one file on some systems: rename one")
