"""How long one user waits for a list, by size of the catalogue and rules, on one thread.

In: sizes of catalogues and kinds of models. Out: p50, p95 and p99 of each rule; a JSON record.

    python -m bench.latency --items=10000,100000 --record=latency.json

Timed is `infer.Recommender.recommend` of one history, as a service calls it: from ids to a frame, with rules that were
read before. Models have random weights, which cost as much as trained ones. Each round asks for one user under every
rule in turn, so that what else the machine does falls on all of them alike. Every list of the first round is checked
against the model's scores of all items.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from bench.records.records import about, ran_on, save, workplace
from bench.workloads.cases import K, percentiles
from bench.workloads.untrained import write_untrained
from infer import Recommender
from infer.cli import option, parse, run
from infer.errors import InputError
from infer.recommender import Rules
from infer.system.ownership import claim
from infer.system.progress import progress
from infer.tables.columns import ITEM, TIMESTAMP, USER
from train.config import BertConfig
from train.presets import configuration
from train.sizing import sized

KINDS = ("bert", "hybrid")
LONGEST = 100  # a history
CHECKED = 2  # users whose lists are checked and not timed: with the first ones come what is worked out once
LARGE, LARGE_CHAIN = 500_000, 64  # from so many items on the chain is of this rank: with more a file outgrows 2 GB


@dataclass(frozen=True, kw_only=True)
class LatencyConfig:
    """Options of `python -m bench.latency`."""

    items: str = option("10000,100000,1000000", "sizes of the catalogue, separated by commas")
    kinds: str = option("bert,hybrid", "kinds of model, separated by commas")
    rounds: int = option(200, "users that are asked for, one after the other", minimum=2)
    folder: Path | None = option(None, "keep the models here, in a folder a size (default: a temporary folder)")
    record: Path | None = option(None, "JSON file to write")


def rules_of(model: Recommender, seed: int = 0) -> dict[str, Rules | None]:
    """The rules that are compared, by name."""
    ids = np.random.default_rng(seed).permutation(np.array(model.metadata.item_ids))
    boosts = dict.fromkeys(ids[:10].tolist(), 2.0)
    return {
        "no rules": None,
        "100 allowed": model.rules(only_items=ids[:100]),
        "half allowed": model.rules(only_items=ids[: len(ids) // 2]),
        "1% excluded": model.rules(exclude_items=ids[: max(1, len(ids) // 100)]),
        "10 boosts": model.rules(boost=boosts),
    }


def untrained(kind: str, items: int, folder: Path) -> Path:
    """The model file of a kind for so many items, made if it is not there."""
    path = folder / str(items) / f"{kind}.onnx"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        ids = pl.DataFrame({ITEM: range(1, items + 1)})
        table = path.with_name("items.parquet")
        ids.with_columns(pl.lit(1).alias(USER), pl.col(ITEM).alias(TIMESTAMP)).write_parquet(table)
        config = sized(configuration(kind))
        if items >= LARGE and isinstance(config, BertConfig) and config.chain:
            config = replace(config, chain=LARGE_CHAIN)
        write_untrained(kind, config, table, path.parent, compared=False)
    return path


def histories(items: int, number: int, seed: int = 0) -> list[list[int]]:
    """Histories of random items, of 1 to LONGEST."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, min(LONGEST, items // 2) + 1, number)
    return [(rng.choice(items, length, replace=False) + 1).tolist() for length in lengths]


def measure(path: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each round by rule; raises AssertionError if a list is not the one that the scores give."""
    model = Recommender(path, threads=1)
    rules = rules_of(model)
    calls: dict[str, Callable[[list[int]], pl.DataFrame]] = {
        name: partial(model.recommend, k=K, rules=rule) for name, rule in rules.items()
    }
    asked = histories(len(model.metadata.item_ids), CHECKED + rounds)
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for number, history in enumerate(progress(asked, desc=path.name, unit=" users", leave=False)):
        for name, call in calls.items():
            began = time.perf_counter()
            found = call(history)
            seconds = time.perf_counter() - began
            if number < CHECKED:
                check(model, rules[name], history, found)
            else:
                taken[name].append(seconds)
    return taken


def check(model: Recommender, rules: Rules | None, history: list[int], found: pl.DataFrame) -> None:
    """Raise AssertionError unless these are the best by the scores of all unseen items, some of them allowed."""
    everything = model.recommend(history, len(model.metadata.item_ids))
    if rules is not None:
        candidates = rules.one.job.candidates
        score = everything["score"].to_numpy().copy()
        boosted = np.isin(everything[ITEM].to_numpy(), candidates.boosts.items)
        score[boosted] = np.where(score[boosted] < 0, score[boosted] / 2, score[boosted] * 2)
        allowed = candidates.mask[everything[ITEM].to_numpy()]
        everything = everything.with_columns(pl.Series("score", score)).filter(allowed).sort("score", descending=True)
    best = everything.head(K)
    assert best.height == found.height, "a list is shorter than it should be"
    assert np.allclose(best["score"], found["score"], rtol=1e-4, atol=1e-5), "a list misses a better item"


def record_of(path: Path, kind: str, rounds: int) -> dict:
    """What the record holds of one model."""
    load = os.getloadavg()[0]
    taken = measure(path, rounds)
    model = Recommender(path, threads=1)
    ends = {
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "seconds": {n: percentiles(t) for n, t in taken.items()},
    }
    sizes = {"items": len(model.metadata.item_ids), "k": K, "rounds": rounds, "vector": file_width(path)}
    return about("latency of one user", kind, "cpu", session_threads=1, ran_on=ran_on(model.model)) | sizes | ends


def file_width(path: Path) -> float:
    """32-bit numbers for each item in the file, about."""
    return round(path.stat().st_size / 4 / int(path.parent.name), 1)


def main(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    config = parse(LatencyConfig, argv, __doc__)
    sizes, kinds = config.items.split(","), config.kinds.split(",")
    if not all(size.isdecimal() and int(size) >= 200 for size in sizes):
        raise InputError(f"--items takes whole numbers from 200, separated by commas; found '{config.items}'")
    unknown = next((kind for kind in kinds if kind not in KINDS), None)
    if unknown is not None:
        raise InputError(f"--kinds are among {', '.join(KINDS)}; found '{unknown}'")
    if config.record is not None:
        claim([config.record])
    records = []
    with workplace(config.folder) as folder:
        for size in map(int, sizes):
            for kind in kinds:
                path = untrained(kind, size, folder)
                records.append(record_of(path, kind, config.rounds))
                shown = ", ".join(
                    f"{name} {t['p50'] * 1e3:.1f}/{t['p99'] * 1e3:.1f}" for name, t in records[-1]["seconds"].items()
                )
                print(f"{kind}, {size:,} items: p50/p99 ms: {shown}", flush=True)
                if config.folder is None:
                    path.unlink()
    save({"records": records}, config.record)


if __name__ == "__main__":
    raise SystemExit(run(main))
