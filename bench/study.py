"""The study: models and seeds side by side, as Parquet tables and one HTML page.

In: a prepared data folder (`python -m train.data`). Out: OUTPUT/study.html, OUTPUT/tables/*.parquet, and
the cells they are made of. A study that was stopped goes on where it was.

    python -m bench.study
    python -m bench.study --short --output=study-short
"""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import polars as pl

from bench.cells import EXPERIMENTS, LEAVE_ONE_OUT, VARIATIONS, Cell, finished, prepare_folder, run_safely

# from bench.page import write_page
from bench.page import write_page
from bench.tables import write_tables
from infer.cli import option, parse, run
from infer.errors import InputError
from infer.files import replacing
from infer.schema import DATASET_KEY, INTERACTIONS_FILE, ITEMS_FILE, PROTOCOL_KEY, SPLIT, USER
from train.data import DataConfig, hold_out


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """Options of `python -m bench.study`."""

    artifacts: Path = option(Path("artifacts"), "folder with interactions.parquet and items.parquet")
    output: Path = option(Path("study"), "folder to write to")
    seeds: int = option(5, "seeds 0, 1, ... of every model that has randomness", minimum=1)
    epochs: int | None = option(None, "at most so many, for a quick look", minimum=1)
    short: bool = option(False, "fewer models, two seeds, six epochs: about ten minutes on two cores")
    only: str | None = option(None, "only these experiments, by name, separated by commas")
    negatives: int = option(100, "sampled negatives of each user", minimum=1)
    user: str | None = option(None, "whose five best films are shown (default: the first user)")
    workers: int = option(0, "processes at once, each with one thread; 0 means one for each core", minimum=0)


def cells(config: StudyConfig) -> list[Cell]:
    """Every cell of the study, in the order in which they can be made."""
    table = pl.read_parquet(config.artifacts / INTERACTIONS_FILE)
    user = config.user or str(table[USER][0])
    seeds, epochs = (
        (min(config.seeds, 2), min(config.epochs or 6, 6)) if config.short else (config.seeds, config.epochs)
    )
    chosen = [e for e in EXPERIMENTS if e.short or not config.short]
    if config.only is not None:
        wanted = config.only.split(",")
        strange = set(wanted) - {e.name for e in EXPERIMENTS}
        if strange:
            raise InputError(
                f"--only: no experiment is called '{min(strange)}'; {', '.join(e.name for e in EXPERIMENTS)}"
            )
        chosen = [e for e in EXPERIMENTS if e.name in wanted]
    data = [LEAVE_ONE_OUT] if config.short else [LEAVE_ONE_OUT, *VARIATIONS]
    found = []
    for kind in data:
        some = chosen if kind == LEAVE_ONE_OUT else [e for e in chosen if e.varied]
        most = seeds if kind == LEAVE_ONE_OUT else min(seeds, 2)
        found += [
            Cell(e, kind, seed, config.output / "cells" / kind / f"seed{seed}", epochs, config.negatives, user)
            for e in some
            for seed in range(min(most, e.seeds))
        ]
    return sorted(found, key=lambda cell: (cell.experiment.stage, data.index(cell.data)))


def prepare_data(config: StudyConfig, kinds: set[str]) -> dict[str, Path]:
    """The data folder of each kind of split; other splits are made from the same interactions."""
    found = {LEAVE_ONE_OUT: config.artifacts}
    path = config.artifacts / INTERACTIONS_FILE
    options = {"random-ties": DataConfig(ties="random"), "time-split": DataConfig(split="time")}
    for kind in sorted(kinds - {LEAVE_ONE_OUT}):
        folder = config.output / "data" / kind
        made = hold_out(pl.read_parquet(path).drop(SPLIT), options[kind])
        name = pl.read_parquet_metadata(path).get(DATASET_KEY, path.name)
        with replacing(folder / INTERACTIONS_FILE) as part:
            made.interactions.write_parquet(part, metadata={DATASET_KEY: name, PROTOCOL_KEY: made.protocol})
        with replacing(folder / ITEMS_FILE) as part:
            part.write_bytes((config.artifacts / ITEMS_FILE).read_bytes())
        found[kind] = folder
    return found


def make_all(config: StudyConfig, todo: list[Cell], total: int) -> None:
    """Make the cells, those that others start from first; a line for each as it is finished."""
    done = total - len(todo)
    workers = config.workers or os.cpu_count() or 1
    for stage in sorted({cell.experiment.stage for cell in todo}):
        part = [cell for cell in todo if cell.experiment.stage == stage]
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            running = {pool.submit(run_safely, cell): cell for cell in part}
            try:
                for future in as_completed(running):
                    cell, result = running[future], future.result()
                    if isinstance(result, str):
                        raise InputError(f"{cell.experiment.name}, seed {cell.seed}, {cell.data}: {result}")
                    done += 1
                    print(
                        f"[{done}/{total}] {cell.experiment.title}, seed {cell.seed}, {cell.data}: {result:.0f} s",
                        flush=True,
                    )
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def main(words: Sequence[str]) -> None:
    """Parse, make what is missing, write tables and page."""
    config = parse(StudyConfig, words, __doc__)
    if not (config.artifacts / INTERACTIONS_FILE).is_file():
        raise InputError(f"{config.artifacts / INTERACTIONS_FILE} does not exist: run `python -m train.data` first")
    wanted = cells(config)
    sources = prepare_data(config, {cell.data for cell in wanted})
    for folder, source in {cell.folder: sources[cell.data] for cell in wanted}.items():
        prepare_folder(folder, source)
    todo = [cell for cell in wanted if not finished(cell)]
    print(f"{len(wanted)} cells, {len(wanted) - len(todo)} of them finished already", flush=True)
    make_all(config, todo, len(wanted))
    tables = write_tables(wanted, config.output / "tables")
    page = write_page(tables, config.output / "study.html", "python -m bench.study " + " ".join(words))
    print(f"-> {config.output / 'tables'}, {page}")


if __name__ == "__main__":
    raise SystemExit(run(main))
