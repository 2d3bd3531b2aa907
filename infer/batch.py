"""Score every user of a table with one ONNX file: top-k lists and metrics.

In: a model written by `python -m export` and interactions (the table the model was trained on, or
--interactions FILE). Out: MODEL.topk.parquet (user, rank, item, score) and MODEL.metrics.json.

    python -m infer.batch --model hybrid.onnx

If the table carries the leave-one-out split, each history ends just before the held-out item and
the metrics are of that item. If it does not, or with --no-metrics, whole histories are used.
Items of the history are never recommended. Users whom the model cannot personalise are left out,
counted, and count as misses in the metrics.
"""

import json
import platform
import time
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
import polars as pl
from tqdm import tqdm

from infer import references
from infer.cli import option, parse, run
from infer.errors import InputError
from infer.files import replacing, sha256, write_text
from infer.metrics import list_metrics, ranks, summarise
from infer.schema import DROPPED, ITEM, PAD, RANK, SCORE, SPLIT, TEST, USER, vocabulary
from infer.sequences import Histories, before, build_histories
from infer.session import Model, open_model
from infer.tables import Columns, read_interactions


@dataclass(frozen=True, kw_only=True)
class ScoringConfig:
    """What batch scoring and single recommendations have in common."""

    model: Path = option(MISSING, "model file; looked for as given, then in artifacts/")
    interactions: Path | None = option(None, "table to score (default: the one the model was trained on)")
    user_column: str | None = option(None, "name of the user column in --interactions")
    item_column: str | None = option(None, "name of the item column in --interactions")
    timestamp_column: str | None = option(None, "name of the timestamp column in --interactions")
    split: Literal["validation", "test"] = option(TEST, "which held-out item the metrics are of")
    device: Literal["cpu", "cuda"] = option("cpu", "where the model runs; never another silently")
    threads: int = option(0, "threads of ONNX Runtime; 0 means one for each core", minimum=0)


@dataclass(frozen=True, kw_only=True)
class BatchConfig(ScoringConfig):
    """Options of `python -m infer.batch`."""

    k: int = option(10, "items in each list", minimum=1)
    batch_size: int = option(256, "users scored at once", minimum=1)
    users: str | None = option(None, "only these: ids separated by commas, or a file with one id a line")
    output: Path | None = option(None, "top-k Parquet file (default: beside the model)")
    metrics: bool = option(True, "measure the held-out items if the table has a split")
    seed: int = option(0, "seed of the random reference lists", minimum=0)


@dataclass(frozen=True)
class Task:
    """One model and the histories it is to score.

    targets: (user, item) held-out items, None without a split.  user_index: (users,) the model's
    own index of each user, PAD if it has none.  table: the file and its checksum.
    """

    model: Model
    histories: Histories
    user_index: np.ndarray
    targets: pl.DataFrame | None
    table: Path
    checksum: str


def prepare(config: ScoringConfig, measure: bool) -> Task:
    """Open the model, read the interactions and cut them at the held-out items.

    Raises InputError if a file cannot be used, if ids have another type than the model's, or if the
    table that the model names is no longer the one it was trained on.
    """
    model = open_model(config.model, config.device, config.threads)
    metadata = model.metadata
    table = config.interactions or model.path.parent / metadata.interactions
    if config.interactions is None and not table.is_file():
        raise InputError(f"{table}, which {model.path.name} was trained on, is not there; give --interactions FILE")
    columns = Columns(config.user_column, config.item_column, config.timestamp_column)
    interactions = read_interactions(table, columns).interactions
    checksum = sha256(table)
    if checksum != metadata.dataset_checksum and config.interactions is None:
        raise InputError(
            f"{table} is not the table {model.path.name} was trained on ({metadata.dataset}): train and "
            "export again, or pass it as --interactions to score it all the same"
        )
    items = vocabulary(metadata.item_ids, ITEM)
    if interactions.schema[ITEM] != items.schema[ITEM]:
        raise InputError(
            f"{table} has {_kind(interactions, ITEM)} as item ids; {model.path.name} knows {_kind(items, ITEM)}"
        )
    targets = None
    if measure and SPLIT in interactions.columns:
        interactions, targets = before(interactions, config.split)
        if targets.is_empty():
            raise InputError(f"{table} has no {config.split} items to measure; use --no-metrics")
    histories = build_histories(interactions, items)
    return Task(model, histories, _user_index(model, histories.users), targets, table, checksum)


def select_users(task: Task, wanted: str | None) -> Task:
    """Keep the users in `wanted` (ids separated by commas, or a file with one id a line)."""
    if wanted is None:
        return task
    path = Path(wanted)
    texts = path.read_text().split("\n") if path.is_file() else wanted.split(",")
    texts = [text.strip() for text in texts if text.strip()]
    known = task.histories.users
    rows = pl.DataFrame({USER: known.cast(pl.String)}).with_row_index("row")
    chosen = rows.filter(pl.col(USER).is_in(list(dict.fromkeys(texts))))
    strange = [text for text in dict.fromkeys(texts) if text not in set(chosen[USER])]
    if strange or not texts:
        raise InputError(f"--users: {task.table} has no user '{strange[0] if strange else wanted}'")
    keep = chosen["row"].to_numpy()
    picked = task.histories.take(keep)
    targets = None if task.targets is None else task.targets.filter(pl.col(USER).is_in(picked.users.implode()))
    return Task(task.model, picked, task.user_index[keep], targets, task.table, task.checksum)


def batches(task: Task, batch_size: int) -> Iterator[tuple[slice, Histories]]:
    """Consecutive users with a progress bar: which rows, and their histories."""
    users = len(task.histories)
    with tqdm(total=users, unit=" users", desc=task.model.path.name, disable=None) as bar:
        for start in range(0, users, batch_size):
            stop = min(start + batch_size, users)
            yield slice(start, stop), task.histories.rows(start, stop)
            bar.update(stop - start)


def score(task: Task, k: int, batch_size: int) -> pl.DataFrame:
    """The model's lists: (user, rank, item, score), best first, without seen items or padding.

    Raises InputError naming the user if a score is not a number.
    """
    covered = task.model.covers(task.histories, task.user_index)
    found_items, found_scores, found_rows = [], [], []
    for rows, part in batches(task, batch_size):
        items, scores = task.model.top(part, task.user_index[rows], k)
        broken = ~np.isfinite(scores) & covered[rows, None]
        if broken.any():
            user = part.users[int(np.argwhere(broken)[0, 0])]
            raise InputError(f"{task.model.path} gives user {user} a score that is not a finite number")
        row, column = np.nonzero((scores > DROPPED) & covered[rows, None])
        found_items.append(items[row, column].astype(np.int32))
        found_scores.append(scores[row, column].astype(np.float32))
        found_rows.append((rows.start + row).astype(np.int32))
    table = _lists(task, np.concatenate(found_rows), np.concatenate(found_items))
    return table.with_columns(pl.Series(SCORE, np.concatenate(found_scores)))


def reference_lists(task: Task, k: int, batch_size: int, seed: int) -> dict[str, pl.DataFrame]:
    """Random and popular lists for the same users: name -> (user, rank, item)."""
    items = len(task.model.metadata.item_ids)
    order = references.popularity_order(task.histories, items)
    found: dict[str, list[np.ndarray]] = {"random": [], "popularity": []}
    for start in range(0, len(task.histories), batch_size):
        part = task.histories.rows(start, min(start + batch_size, len(task.histories)))
        found["random"].append(references.random(part, items, start, k, seed))
        found["popularity"].append(references.popular(part, order, k))
    tables = {}
    for name, parts in found.items():
        lists = np.concatenate(parts)
        row, column = np.nonzero(lists != PAD)
        tables[name] = _lists(task, row.astype(np.int32), lists[row, column].astype(np.int32))
    return tables


def measure(task: Task, lists: dict[str, pl.DataFrame], k: int) -> dict[str, pl.DataFrame]:
    """Metrics of each list by name: (metric, value, low, high); users without a list are misses."""
    items = vocabulary(task.model.metadata.item_ids, ITEM)
    counts = np.bincount(task.histories.items, minlength=items.height + 1)[1:]
    popularity = items.select(ITEM).with_columns(pl.Series("count", counts))
    return {
        name: pl.concat(
            [
                summarise(ranks(table, task.targets), k),
                list_metrics(table, popularity, len(task.histories), k),
            ]
        )
        for name, table in lists.items()
    }


def report(task: Task, config: BatchConfig, metrics: dict[str, pl.DataFrame]) -> dict[str, Any]:
    """Everything a reader needs to trust the numbers, as plain JSON values."""
    metadata = task.model.metadata
    return {
        "model": task.model.path.name,
        "kind": metadata.kind,
        "dataset": metadata.dataset,
        "dataset_checksum": metadata.dataset_checksum,
        "interactions": str(task.table),
        "interactions_checksum": task.checksum,
        "protocol": f"leave-one-out {config.split}, full ranking of {len(metadata.item_ids)} items, "
        "seen items dropped, ties in time ordered by item id",
        "k": config.k,
        "users_measured": task.targets.height,
        "users_omitted": int((~task.model.covers(task.histories, task.user_index)).sum()),
        "unknown_interactions": task.histories.unknown,
        "options": {k: str(v) if isinstance(v, Path) else v for k, v in asdict(config).items()},
        "versions": {
            "python": platform.python_version(),
            "onnxruntime": ort.__version__,
            "polars": pl.__version__,
            "numpy": np.__version__,
        },
        "metrics": {
            name: {row["metric"]: {n: row[n] for n in ("value", "low", "high")} for row in table.to_dicts()}
            for name, table in metrics.items()
        },
    }


def render(metrics: dict[str, pl.DataFrame]) -> str:
    """The metrics as text: a line a metric, a column a list; percentages, except novelty in bits."""
    width = 24
    lines = ["".join([f"{'':15}", *(f"{name:>{width}}" for name in metrics)])]
    for metric in next(iter(metrics.values()))["metric"]:
        scale, unit = (1, " bits") if metric.startswith("novelty") else (100, " %")
        cells = []
        for table in metrics.values():
            value, low, high = table.row(by_predicate=pl.col("metric") == metric)[1:]
            interval = "" if low is None else f" [{low * scale:.2f}, {high * scale:.2f}]"
            cells.append(f"{f'{value * scale:.2f}{interval}':>{width}}")
        lines.append("".join([f"{metric + unit:15}"[:15].ljust(15), *cells]))
    return "\n".join(lines)


def main(words: list[str]) -> None:
    """Parse, score, measure, write, print."""
    config = parse(BatchConfig, words, __doc__)
    task = prepare(config, config.metrics)
    output = config.output or task.model.path.with_suffix(".topk.parquet")
    if output.suffix != ".parquet":
        raise InputError(f"--output {output}: expected a name that ends in .parquet")
    task = select_users(task, config.users)
    began = time.perf_counter()
    lists = score(task, config.k, config.batch_size)
    seconds = time.perf_counter() - began
    _say_what_was_left_out(task)
    with replacing(output) as part:
        lists.write_parquet(part)
    name = task.model.path.stem
    print(
        f"{name} on {task.model.metadata.dataset}: {lists[USER].n_unique()} users, {lists.height} "
        f"recommendations in {seconds:.2f} s ({len(task.histories) / seconds:.0f} users/s) -> {output}"
    )
    if task.targets is None:
        why = "--no-metrics" if not config.metrics else f"{task.table} carries no split"
        print(f"no metrics ({why}): whole histories used")
        return
    if task.targets.is_empty():
        print("no metrics: none of these users has a held-out item")
        return
    rows = {**reference_lists(task, config.k, config.batch_size, config.seed), name: lists}
    metrics = measure(task, rows, config.k)
    target = output.with_name(output.name.removesuffix(".parquet").removesuffix(".topk") + ".metrics.json")
    write_text(target, json.dumps(report(task, config, metrics), indent=2) + "\n")
    print(f"held-out {config.split} items of {task.targets.height} users, 95% intervals -> {target}")
    print(render(metrics))


def _lists(task: Task, row: np.ndarray, item: np.ndarray) -> pl.DataFrame:
    """Flat (row of the user, item index), ordered by user and rank, to (user, rank, item)."""
    ids = vocabulary(task.model.metadata.item_ids, ITEM)[ITEM]
    change = np.concatenate([[True], row[1:] != row[:-1]]) if len(row) else np.zeros(0, dtype=bool)
    first = np.maximum.accumulate(np.where(change, np.arange(len(row)), 0))
    rank = np.arange(len(row)) - first + 1
    return pl.DataFrame(
        [task.histories.users.gather(row), pl.Series(RANK, rank, dtype=pl.Int32), ids.gather(item - 1)]
    )


def _user_index(model: Model, users: pl.Series) -> np.ndarray:
    """(users,) the index each user has in the model, PAD for a user it does not know."""
    table = vocabulary(model.metadata.user_ids, USER)
    if table.is_empty() or table.schema[USER] != users.dtype:
        return np.full(len(users), PAD, dtype=np.int64)
    joined = users.to_frame(USER).join(table, on=USER, how="left", maintain_order="left")
    return joined["index"].fill_null(PAD).cast(pl.Int64).to_numpy()


def _kind(table: pl.DataFrame, column: str) -> str:
    return "texts" if table.schema[column] == pl.String else "whole numbers"


def _say_what_was_left_out(task: Task) -> None:
    omitted = int((~task.model.covers(task.histories, task.user_index)).sum())
    if omitted:
        print(
            f"left out: {omitted} of {len(task.histories)} users whom {task.model.path.name} does not know "
            "(not in its training data, or without a known item in their history)"
        )
    if task.histories.unknown:
        print(f"left out: {task.histories.unknown} interactions with items that {task.model.path.name} does not know")
    if task.checksum != task.model.metadata.dataset_checksum and task.targets is not None:
        print(
            f"note: {task.table} is not the table {task.model.path.name} was trained on "
            f"({task.model.metadata.dataset}); the model may have been trained on what is measured here"
        )


if __name__ == "__main__":
    raise SystemExit(run(main))
