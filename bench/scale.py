"""Score a synthetic table of any size with the real command, and say how far from the floor that is.

In: a size (of `bench.synthetic`) and a kind of model. Out: stage times, peak memory, the floor measured in
the same run, and the same work by other engines in turn (`bench.engines`); a JSON record.

    python -m bench.scale --size=32m --record=bench/results/scale-32m.json

Where the catalogue is large enough the command is timed once more with a file of the same model that searches --probes
cells of items.

Of 1m-items and 10m-items the model knows so many items, of which few users have met some; ways that lack the memory for
that, or are not installed, are left out with the reason.

The model has random weights: they cost as much as trained ones. The command runs in a process of its own, so
its peak memory is its own. The floor is the model's MACs on the real lengths at the rate of a matrix product
of the head's shape; measured before and after, the faster counts.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from bench.engines import OURS, alternatives, compare
from bench.floor import floor_seconds, head_width
from bench.peers.beside import beside
from bench.rates import Rates, measure_rates
from bench.ratios import paired_ratio
from bench.records.records import about, ran_on, save, workplace
from bench.synthetic import SIZES, SyntheticConfig, write
from bench.workloads.cases import K
from bench.workloads.untrained import write_searched, write_untrained
from export.cells.cells import cell_count
from export.cells.probing import CELLS
from export.chunks import AT_ONCE
from infer.cli import option, parse, run
from infer.errors import InputError
from infer.histories.histories import build_histories
from infer.histories.vocabulary import vocabulary
from infer.model.beside import stated_in
from infer.model.session import open_model
from infer.system.ownership import claim
from infer.tables.columns import ITEM
from train.config import BertConfig, TrainConfig
from train.presets import configuration


@dataclass(frozen=True, kw_only=True)
class ScaleConfig:
    """Options of `python -m bench.scale`."""

    size: Literal["small", "1m", "20m", "32m", "1m-items", "10m-items"] = option(
        "1m", "which MovieLens set the table has the shape of, or how many items a model knows"
    )
    kind: Literal["bert", "hybrid", "mf"] = option("bert", "transformer, the same with a chain, or mf")
    device: Literal["cpu", "cuda"] = option("cpu", "where the model runs")
    batch_size: int = option(256, "users scored at once", minimum=1)
    rounds: int = option(3, "batches on which the alternatives are timed in turn", minimum=1)
    rules: bool = option(False, "time the command under rules of items, too, each once")
    probes: int = option(32, "cells that a second file searches, where there are enough; 0: no such file", minimum=0)
    folder: Path | None = option(None, "keep the table and the model here (default: a temporary folder)")
    record: Path | None = option(None, "JSON file to write")


def scored(model: Path, table: Path, config: ScaleConfig, *more: str) -> dict:
    """Run the command, with more options, in its own process; returns its manifest.

    The lists go to a folder of their own: beside earlier ones they would be compared with these, which takes its time,
    and be held where the table is another.
    """
    argv = [f"--model={model}", f"--interactions={table}", f"--device={config.device}", "--no-metrics"]
    argv += [f"--batch-size={config.batch_size}", f"--k={K}", *more]
    with tempfile.TemporaryDirectory(dir=model.parent) as folder:
        argv.append(f"--output={Path(folder) / 'lists.parquet'}")
        done = subprocess.run([sys.executable, "-m", "infer.batch", *argv], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise InputError(f"python -m infer.batch {' '.join(argv)} ended with status {done.returncode}")
        return json.loads((Path(folder) / "lists.json").read_bytes())


def rules_of(items: Sequence, folder: Path, seed: int = 0) -> dict[str, str]:
    """The rules that are timed, by name, as an option each; their files, of items drawn at random, lie in `folder`."""
    drawn = pl.DataFrame({ITEM: pl.Series(items).sample(fraction=1.0, shuffle=True, seed=seed)})
    named = {
        "half allowed": ("only-items", len(items) // 2),
        "1% allowed": ("only-items", len(items) // 100),
        "100 allowed": ("only-items", 100),
        "1% excluded": ("exclude-items", len(items) // 100),
        "1% boosted": ("boost", len(items) // 100),
    }
    found = {}
    for name, (option_, number) in named.items():
        path = folder / f"{name.replace(' ', '-').replace('%', '-percent')}.parquet"
        drawn.head(number).with_columns(weight=1.5).write_parquet(path)
        found[name] = f"--{option_}={path}"
    return found | {"seen items kept": "--seen=keep", "no figures": "--no-figures"}


def measure(config: ScaleConfig, folder: Path) -> dict:
    """Everything that the record holds."""
    table = folder / f"{config.size}.parquet"
    if not table.exists():
        write(SyntheticConfig(size=config.size, output=table))
    known = SIZES[config.size][1] if config.size.endswith("-items") else None
    compared = known is None or known <= AT_ONCE
    network, path = write_untrained(config.kind, configuration(config.kind), table, folder, compared, items=known)
    training = network.config  # with the sizes that follow from the table
    model = open_model(path, config.device)
    histories = build_histories(pl.read_parquet(table), vocabulary(model.metadata.item_ids, ITEM), in_order=True)
    items = len(model.metadata.item_ids)
    at_once = model.metadata.chunk or items
    before = _rates(config, training, at_once)
    manifest = scored(path, table, config)
    searched = {}
    if 0 < config.probes * CELLS <= cell_count(items):
        other = scored(write_searched(network, path, table, config.probes), table, config)
        searched = {"probes": config.probes, "cells": cell_count(items)}
        searched |= {name: other[name] for name in ("seconds", "peak_memory_bytes")}
    rates = max(before, _rates(config, training, at_once), key=lambda measured: measured.head)
    network.to(config.device)
    ways, without = alternatives(network, model, histories, config.batch_size)
    seconds = compare(ways, histories, config.batch_size, config.rounds)
    libraries: dict[str, dict] = {}
    if known is not None and config.kind == "bert":
        assert isinstance(training, BertConfig)
        libraries, absent = beside(model, histories, training, config.batch_size, config.rounds, folder)
        without |= absent
    floor = floor_seconds(training, histories.lengths, items, rates)
    total = manifest["seconds"]["total"]
    rules = rules_of(model.metadata.item_ids, folder) if config.rules else {}
    under = {name: scored(path, table, config, rule, "--accept")["seconds"]["total"] for name, rule in rules.items()}
    return about("scale", config.kind, config.device, ran_on=ran_on(model)) | {
        "size": config.size,
        "users": len(histories),
        "items": items,
        "interactions": len(histories.items),
        "config": asdict(training) | {"artifacts": None},
        "seconds": manifest["seconds"],
        "peak_memory_bytes": manifest["peak_memory_bytes"],
        "users_per_second": len(histories) / total,
        "rates": asdict(rates),
        "floor": asdict(floor),
        "times_floor": total / floor.seconds,
        "seconds_under_rules": under,
        "searched": searched,
        "chunk": model.metadata.chunk,
        "rates_columns": at_once,
        "file_bytes": file_bytes(path),
        "batch_seconds": seconds,
        "libraries": libraries,
        "left_out": without,
        "ratios": {name: paired_ratio(taken, seconds[OURS])["ratio"] for name, taken in seconds.items()},
    }


def file_bytes(path: Path) -> int:
    """Of a model, and of its data file if it has one."""
    said = stated_in(path)
    return path.stat().st_size + (int(said["bytes"]) if said else 0)


def _rates(config: ScaleConfig, training: TrainConfig, items: int) -> Rates:
    return measure_rates(config.batch_size, head_width(training), items, config.device, seconds=1.0)


def main(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    config = parse(ScaleConfig, argv, __doc__)
    if config.record is not None:
        claim([config.record])
    with workplace(config.folder) as folder:
        record = measure(config, folder)
    seconds, floor = record["seconds"], record["floor"]
    stages = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    print(f"{config.size}, {config.kind}, {config.device}: {record['users']} users, {record['items']} items: {stages}")
    print(
        f"{record['users_per_second']:.0f} users/s, {record['times_floor']:.2f} times the floor of "
        f"{floor['head_seconds']:.3g} s; peak memory {record['peak_memory_bytes'] / 2**30:.2f} GiB"
    )
    if record["searched"]:
        other = record["searched"]["seconds"]
        stages = ", ".join(f"{name} {value:.1f} s" for name, value in other.items())
        print(f"{record['searched']['probes']} of {record['searched']['cells']:,} cells: {stages}")
    for name, ratio in record["ratios"].items():
        print(f"{name:22}{ratio:8.2f} times the seconds of {OURS}")
    for name, about_it in record["libraries"].items():
        print(f"{name:22}{about_it['ratio']:8.2f} times the seconds of {OURS} ({about_it['note']})")
    for name, reason in record["left_out"].items():
        print(f"{name:22}left out: {reason}")
    for name, taken in record["seconds_under_rules"].items():
        print(f"{name:22}{taken / seconds['total']:8.2f} times the seconds without a rule")
    save(record, config.record)


if __name__ == "__main__":
    raise SystemExit(run(main))
