"""What is to be scored: one open model and a table.

In: a model file and a table of interactions. Out: a `Job`, from which `infer.scoring.task` makes the histories of all
users or of some.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from infer.candidates.candidates import Candidates, offered, resolve
from infer.candidates.options import DROP, CandidateOptions
from infer.errors import InputError
from infer.formats.folders import files_of
from infer.formats.places import located
from infer.formats.probe import probe
from infer.formats.reading import collect
from infer.histories.vocabulary import as_type, vocabulary
from infer.model.metadata import HASHED
from infer.model.session import Model
from infer.scoring.conforming import about, known_of, options_for
from infer.sources.source import Source
from infer.system.addresses import Address
from infer.system.fingerprints import fingerprint, sha256
from infer.tables.columns import ITEM, PROTOCOL_KEY, RATING, SPLIT, TEST, TIMESTAMP, USER
from infer.tables.frames import FRAME
from infer.tables.ids import IdTypes, Known, fits
from infer.tables.interactions import names_in
from infer.tables.options import TableOptions
from infer.tables.split import spellings

UNSTATED = "as the table's column split says"


BOTH_NUMBERS = IdTypes({USER: pl.Int64(), ITEM: pl.Int64()}, {USER: pl.Int64(), ITEM: pl.Int64()})


@dataclass(frozen=True)
class Job:
    """An open model and the table it is to score.

    checksum: SHA-256 of the table.  fingerprint: tells whether it is still that file.  split: which held-out
    item histories end before; None if whole histories are used.  protocol: how the table says its
    items were held out.  items, users: ids and indexes that the model knows; no users if it needs none.
    types: of the table's ids, once they are known.  said: what was decided before the table was read.
    candidates: which items may be recommended.  newest: the time of the table's latest event, where that matters.
    """

    model: Model
    table: Path
    options: TableOptions
    checksum: str
    split: str | None
    protocol: str
    items: pl.DataFrame
    users: pl.DataFrame
    fingerprint: tuple[int, ...]
    types: IdTypes = BOTH_NUMBERS
    said: tuple[str, ...] = ()
    candidates: Candidates = field(default_factory=lambda: Candidates(0))
    newest: float = 0.0

    def __post_init__(self) -> None:
        if self.candidates.items != self.items.height:  # no rules
            size, retired = self.items.height, self.model.metadata.retired
            object.__setattr__(self, "candidates", offered(size, retired))

    @property
    def known(self) -> Known:
        """The types of the ids that the model knows."""
        return known_of(self.model)

    @property
    def data(self) -> str:
        """What is scored: the name of the data that the model was trained on, or of another table."""
        metadata = self.model.metadata
        return metadata.dataset if self.checksum == metadata.dataset_checksum else str(self.table)

    @property
    def unchanged(self) -> bool:
        """Whether the table is as it was when its checksum was taken: neither replaced nor written to. Rows in memory
        are."""
        if not self.fingerprint:
            return True
        try:
            return self.table.exists() and fingerprint(self.table, files_in(self.table)) == self.fingerprint
        except InputError:  # a folder in which lies what is no part of a table
            return False

    @property
    def optional(self) -> tuple[str, ...]:
        """Which of the columns that a table may have are read: what others hold does not matter."""
        return optional_columns(self.model, self.split)

    def check_unchanged(self) -> None:
        """Raises InputError if the table is another than the one whose checksum was taken."""
        if not self.unchanged:
            raise InputError(
                f"{self.table} was changed while it was scored: run again when nobody writes to it; "
                "earlier lists are unchanged"
            )


def checked_sha256(table: Path, trusted: str) -> str:
    """The table's SHA-256; raises InputError if it is not the trusted one and the table cannot be read to its end."""
    checksum = sha256(table, files_in(table))
    if checksum != trusted:
        probe(table)
    return checksum


def open_job(
    model: Model,
    table: Path | None = None,
    options: TableOptions = TableOptions(),
    split: str | None = TEST,
    check: Callable[[Path, str], str] = checked_sha256,
    rules: CandidateOptions = CandidateOptions(),
) -> Job:
    """Find the table that a model is to score, by default the one it was trained on.

    split: which held-out items histories end before, if the table has a column `split`; None: whole histories.
    check: what takes the table's checksum, as `checked_sha256` does.  rules: which items may be recommended.
    Raises InputError if a file cannot be used, or if the table that the model names is no longer the
    one it was trained on.
    """
    metadata, given = model.metadata, table is not None
    if metadata.user_ids_are == HASHED and not given:
        raise InputError(
            f"{model.path} knows users by hashes of their ids (--users=hash), and the table beside it does not: "
            "give --interactions FILE, with the same hashes as its users"
        )
    if not given and isinstance(model.path, Address):
        raise InputError(f"{model.path} lies elsewhere, without its table: give --interactions FILE")
    table = table or model.path.parent / metadata.interactions
    if not given and not table.is_file():
        raise InputError(f"{table}, which {model.path.name} was trained on, is not there; give --interactions FILE")
    table = located(table, options.layout)
    files = files_in(table)
    taken, checksum = fingerprint(table, files), check(table, metadata.dataset_checksum)
    options, said = options_for(model, table, options, checksum == metadata.dataset_checksum)
    names = names_in(table, options)
    if checksum != metadata.dataset_checksum and not given:
        raise InputError(
            f"{table} is not the table {model.path.name} was trained on ({metadata.dataset}): train and "
            "export again, or pass it as --interactions to score it all the same"
        )
    if split is not None and SPLIT not in names:
        split = None
    items, users = vocabulary(metadata.item_ids, ITEM), vocabulary(metadata.user_ids, USER)
    protocol = about(table).get(PROTOCOL_KEY, UNSTATED)
    candidates = candidates_of(model, items, rules, options)
    said = (*said, *candidates.said)
    return Job(model, table, options, checksum, split, protocol, items, users, taken, said=said, candidates=candidates)


def candidates_of(
    model: Model, items: pl.DataFrame, rules: CandidateOptions, options: TableOptions = TableOptions()
) -> Candidates:
    """The rules in the model's indexes.

    items: (item, index) that it knows.  options: how the table is read.
    Raises InputError if a rule cannot be used.
    """
    if rules.seen_within is not None and options.order != "time":
        raise InputError(f"--seen-within needs times; the table is read with --order={options.order}")
    beside = model.path.parent / model.metadata.items
    seen = model.metadata.rules.get("seen") or DROP
    table = beside if beside.is_file() else None
    return resolve(rules, items, table, model.path.name, seen, model.metadata.retired, options)


def optional_columns(model: Model, split: str | None) -> tuple[str, ...]:
    """Ratings if the model takes them, the split if histories end before held-out items."""
    return (*([RATING] if model.metadata.rating_levels else []), *([SPLIT] if split is not None else []))


def of_types(job: Job, types: IdTypes, items: Callable[[], pl.Series]) -> Job:
    """The job with ids in the types in which its table's are read.

    items: gives those of the table.
    Raises InputError if they are of another type than the model's, and it knows none of them.
    """
    read, own, said = types.read[ITEM], types.own[ITEM], job.said
    vocabularies = [
        as_type(ids, types.read[name]) if ids.schema[name] != types.read[name] and ids.height else ids
        for name, ids in ((ITEM, job.items), (USER, job.users))
    ]
    if known_of(job.model).item not in (None, read if read == own else own):
        given = items()
        if not len(given) or not given.cast(read).is_in(vocabularies[0][ITEM].implode()).any():
            shown = f", as '{given[0]}'" if len(given) else ""
            raise InputError(
                f"{job.table} has {kind_of(own)} as item ids{shown}; {job.model.path.name} knows "
                f"{kind_of(job.items.schema[ITEM])}, as '{job.items[ITEM][0]}', and none of the table's"
            )
    if own != read and not fits(vocabularies[0][ITEM], own):
        numbers = fits(vocabularies[0][ITEM], pl.Int64())
        wanted = f"fit {own}, which the table has" if numbers else "are whole numbers"
        carried = "texts" if read == pl.String else str(read)
        said = (*said, f"lists carry items as {carried}: not all that {job.model.path.name} knows {wanted}")
        types = replace(types, own=types.own | {ITEM: read})
    return replace(job, items=vocabularies[0], users=vocabularies[1], types=types, said=said)


def typed(job: Job, source: Source) -> Job:
    """`of_types`, of a table that is read in parts."""
    return of_types(job, source.types, lambda: collect(source.rows.select(pl.col(ITEM).unique()), source.path)[ITEM])


def with_newest(job: Job, source: Source) -> Job:
    """The job with the time of its table's latest event, if what was seen counts for a time only."""
    if not job.candidates.within:
        return job
    if source.ordered:
        return replace(job, newest=_latest(collect(source.rows.select(pl.col(TIMESTAMP).max()), source.path)))
    return replace(job, newest=max(_latest(source.read(part)) for part in source.parts))


def _latest(rows: pl.DataFrame) -> float:
    """The latest time of rows, 0 without any."""
    return float(rows[TIMESTAMP].max() or 0)  # type: ignore[arg-type]


def with_users(job: Job, rows: pl.LazyFrame) -> Job:
    """The job, which says how many users of its rules the table lacks.

    rows: of the whole table.  Raises InputError if it has none of those that a rule names.
    """
    pairs = (job.candidates.only, job.candidates.blocked)
    found = (named.unknown(rows, job.table) for named in pairs if named is not None)
    return replace(job, said=(*job.said, *(words for words in found if words is not None)))


def check_held_out(job: Job, rows: pl.LazyFrame) -> None:
    """Raises InputError if the job measures held-out items, and its rows have none."""
    if job.split is not None:
        # Rows that are read where they lie have the table's own words.
        held = rows.filter(pl.col(SPLIT).cast(pl.String).is_in(spellings(job.split))).head(1)
        if collect(held, job.table).is_empty():
            raise InputError(f"{job.table} has no {job.split} items to measure; use --no-metrics")


def nothing_held_out(table: Path) -> InputError:
    """What to raise for a table that is to be measured, and does not say on what."""
    return InputError(
        f"{table} carries no held-out items: prepare it with `python -m train.data`, or name the column that says "
        "which they are with --split-column"
    )


def rows_job(
    model: Model,
    split: str | None = None,
    options: TableOptions = TableOptions(),
    said: tuple[str, ...] = (),
    rules: CandidateOptions = CandidateOptions(),
) -> Job:
    """The job of rows in memory, which are of no file.

    split: which held-out items histories end before; None: whole histories.  rules: which items may be recommended.
    """
    items, users = vocabulary(model.metadata.item_ids, ITEM), vocabulary(model.metadata.user_ids, USER)
    candidates = candidates_of(model, items, rules, options)
    said = (*said, *candidates.said)
    return Job(model, FRAME, options, "", split, UNSTATED, items, users, (), said=said, candidates=candidates)


def files_in(table: Path) -> list[Path] | None:
    """The files of a folder that are read; None for a file."""
    return files_of(table) if table.is_dir() else None


def kind_of(dtype: pl.DataType) -> str:
    """What ids of this type are, for a message."""
    return "texts" if dtype == pl.String else "whole numbers"
