"""Similar items: the nearest to one, with titles, or a table of those of all items.

In: a model file, and the titles beside it. Out: a list on screen, or similar.parquet (item, rank, similar_item, score).

    python -m infer.similar --model hybrid.onnx --item 1 --k 20
    python -m infer.similar --model hybrid.onnx --output similar.parquet

Models with vectors (mf, bert, hybrid) compare them by their cosine; the others say what they recommend after this item
alone. --only-items, --exclude-items and --items-where say which items may be listed.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import polars as pl

from infer.candidates.options import CandidateOptions
from infer.cli import option, parse, run, say
from infer.errors import InputError
from infer.histories.vocabulary import PAD, index_of
from infer.model.session import open_model
from infer.scoring.shown import Names, titles
from infer.scoring.similar import BLOCK, SIMILAR, Similar, open_similar
from infer.system.files import replacing
from infer.system.ownership import MARK, claim_table
from infer.system.progress import progress
from infer.system.scratch import scratch
from infer.tables.columns import ITEM, RANK, SCORE

AT_ONCE = 1024 * BLOCK  # items


@dataclass(frozen=True, kw_only=True)
class SimilarConfig:
    """Options of `python -m infer.similar`."""

    model: Path = option(MISSING, "model file; looked for as given, then in artifacts/")
    item: str | None = option(None, "id of the item whose nearest are shown")
    output: Path | None = option(None, "Parquet file to write: of every item, or of --item")
    k: int = option(20, "items to list", minimum=1)
    device: Literal["cpu", "cuda"] = option("cpu", "device to run on; fails if it is unavailable")
    threads: int = option(0, "threads of ONNX Runtime; 0 means one for each core", minimum=0)
    only_items: Path | None = option(None, "table of the only items that may be listed", address=True)
    exclude_items: Path | None = option(None, "table of items that may not be", address=True)
    items_where: str | None = option(None, "SQL that is true of the items that may be: \"category = 'toys'\"")
    items: Path | None = option(
        None, "table of items: a file, folder or address (default: the one beside the model)", address=True
    )
    GROUP: ClassVar[str] = ""

    @property
    def rules(self) -> CandidateOptions:
        """Which items may be listed."""
        return CandidateOptions(
            only_items=self.only_items, exclude_items=self.exclude_items, items_where=self.items_where, items=self.items
        )


def main(argv: Sequence[str]) -> None:
    """Parse, find, print or write."""
    config = parse(SimilarConfig, argv, __doc__)
    if config.item is None and config.output is None:
        raise InputError("expected --item, whose nearest are shown, or --output, where those of all items are written")
    if config.output is not None:
        inputs = [config.model, config.only_items, config.exclude_items, config.items]
        claim_table(config.output, [{ITEM, SIMILAR}], "similar items", inputs)
    similar = open_similar(open_model(config.model, config.device, config.threads), config.rules)
    for line in similar.job.said:
        say(line)
    chosen = None if config.item is None else _index(similar, config.item)
    if config.output is None:
        _show(similar, config, chosen)
        return
    items = _write(similar, config, config.output, chosen)
    say(f"{similar.model.path.name}: {items:,} items, the nearest {similar.measure} -> {config.output}")


def _write(similar: Similar, config: SimilarConfig, output: Path, chosen: np.ndarray | None) -> int:
    """Write the lists; returns how many items have one. Memory holds those of AT_ONCE items."""
    tables, items = similar.tables(config.k, chosen), 0
    total = similar.job.items.height if chosen is None else len(chosen)
    with (
        replacing(output, owned=True) as temporary,
        tempfile.TemporaryDirectory(dir=scratch()) as folder,
        progress(total=total, unit=" items", desc=similar.model.path.name) as bar,
    ):
        files = list[Path]()
        for start in range(0, total, AT_ONCE):
            some = []
            for table in islice(tables, AT_ONCE // BLOCK):
                some.append(table)
                bar.update(min(BLOCK, total - bar.n))
            files.append(Path(folder) / f"{start:09}.parquet")
            lists = pl.concat(some)
            lists.write_parquet(files[-1])
            items += lists[ITEM].n_unique()
        pl.scan_parquet(files, glob=False).sink_parquet(temporary, metadata=MARK)
    return items


def _index(similar: Similar, item: str) -> np.ndarray:
    """(1,) the index of an item; raises InputError if the model does not know it."""
    index = index_of(pl.Series(ITEM, [item]), similar.job.items)
    if index[0] == PAD:
        known = similar.model.metadata.item_ids[0]
        raise InputError(f"--item: {similar.model.path.name} does not know '{item[:80]}'; it knows items as '{known}'")
    return index


def _show(similar: Similar, config: SimilarConfig, chosen: np.ndarray | None) -> None:
    found = pl.concat(similar.tables(config.k, chosen))
    ids = similar.job.items.schema[ITEM]
    known, missing = titles(similar.model, config.items, ids)
    if missing:
        say(missing)
    names = Names(known)
    say(f"{similar.model.path.name}: nearest to {names.named(str(config.item))} {similar.measure}:")
    for row in found.iter_rows(named=True):
        say(f"{row[RANK]:>3}. {names.named(str(row[SIMILAR]))}  {row[SCORE]:.4f}")
    if found.is_empty():
        say("none: training saw nothing of it, or no other item may be listed")


if __name__ == "__main__":
    raise SystemExit(run(main))
