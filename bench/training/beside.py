"""Targets a second of our training beside other libraries', in turn on the same sequences, each at its best batch size.

In: options of `python -m bench training`. Out: a line for each way; a JSON record.

    python -m bench.peers --only=rectools
    python -m bench training --peers --record=training-peers.json

Every user of the workload is one training sequence of a table, so that all sides train on the same windows. A target is
a position that is asked for and is no padding; a library that counts others is an error. Seconds are processor time of
one thread, of the fastest round: loss, gradients and optimizer on batches made before, and of ours also the moving
average. In a round each takes passes for at least a second, of which the mean counts. Each library has its own losses;
the fastest of its losses and batch sizes counts.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.peers.peer import PEERS, TRAINER, Peer, is_installed
from bench.records.records import about
from bench.training.steps import TrainingConfig
from bench.training.ways import NARROW, OURS, as_users, in_turn, ours, theirs, write_sequences
from infer.errors import InputError
from infer.system.ownership import claim
from infer.system.progress import progress
from train.config import BertConfig
from train.data.dataset import Data
from train.presets import configuration
from train.sizing import sized_for

LIBRARIES = ("rectools", "replay")
NOTES = {
    OURS: "feed-forward block of 256, GELU; item bias; AdamW with clipped gradients, moving average of the weights; "
    "padding is left out; negatives are drawn by popularity, shared by a step, with logQ correction",
    NARROW: f"as {OURS}, with a feed-forward block as wide as an item vector, as the libraries have it",
    "hstu": "gated sums with a bias by distance in place of attention and feed-forward block, otherwise the same",
}


def batch_sizes(text: str, most: int, of: str) -> list[int]:
    """Sizes from text, ascending, each once; raises InputError if one is no whole number from 1 to `most`.

    of: which sequences there are, for the message.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise InputError(f"--batch-sizes takes whole numbers from 1, separated by commas; found '{text}'")
    sizes = sorted(set(map(int, words)))
    if sizes[-1] > most:
        raise InputError(f"--batch-sizes: a step of {sizes[-1]} is larger than all {of}")
    return sizes


def best(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row with the most targets a second."""
    return max(rows, key=lambda row: row["targets_per_second"])


def summed_up(rows: Sequence[dict[str, Any]], default: int) -> dict[str, dict[str, Any]]:
    """Of each way its best row, and how many times the seconds of `OURS` a target takes it.

    default: the batch size that ours has by default.
    """
    own = [row for row in rows if row["way"] == OURS]
    usual, fast = (row["targets_per_second"] for row in (best([r for r in own if r["batch"] == default]), best(own)))
    found = {}
    for way in dict.fromkeys(row["way"] for row in rows):
        row = best([row for row in rows if row["way"] == way])
        rate = row["targets_per_second"]
        ratios = {"ratio_to_default": usual / rate, "ratio_to_best": fast / rate}
        found[way] = {key: row[key] for key in ("loss", "batch", "targets_per_second")} | ratios
    return found


def measure(config: TrainingConfig, data: Data, folder: Path) -> dict[str, Any]:
    """What the record holds; raises InputError where sizes make no sense, or a library fails or counts others."""
    sizes = batch_sizes(config.batch_sizes, config.sequences, f"--sequences={config.sequences}")
    options: dict[str, Any] = {"layers": config.layers, "dim": config.dim, "max_length": config.window}
    plain = configuration("bert", block="transformer", **options)
    assert isinstance(plain, BertConfig)
    default = min(sized_for(plain, data).batch_size, config.sequences)
    data = as_users(data, config.sequences, config.window, plain.stride)
    usual = sized_for(replace(plain, stride=0), data)
    if len(data.item_ids) <= usual.negatives:
        raise InputError(
            f"--peers draws {usual.negatives} negatives from the catalogue, which has {len(data.item_ids)} items"
        )
    shared: dict[str, Any] = {
        "items": len(data.item_ids), "window": config.window, "dim": usual.dim, "layers": usual.layers,
        "heads": usual.heads, "dropout": usual.dropout, "negatives": usual.negatives,
    }  # fmt: skip
    write_sequences(folder, data, shared)
    ways = ours(data, sorted({*sizes, default}), **options)
    peers, without = started(folder)
    try:
        for peer in peers:
            more, lacking = theirs(peer, sizes, shared)
            ways += more
            without |= lacking
        load = os.getloadavg()[0]
        in_turn(ways, config.rounds, shared["items"])
    finally:
        for peer in peers:
            peer.close()
    rows = [way.row(shared["items"]) for way in ways]
    return about("training beside others", "bert", "cpu", ran_on="cpu") | shared | {
        "blocks": {way.way: f"{way.steps.config.layers} {way.steps.config.block}" for way in ways if way.steps},
        "sequences": config.sequences,
        "targets": ways[0].targets,
        "rounds": config.rounds,
        "load": [load, os.getloadavg()[0]],
        "default_batch": default,
        "seconds_of": "processor time of one thread, of all sequences once: a mean of each round",
        "rows": rows,
        "best": summed_up(rows, default),
        "libraries": {peer.name: {key: peer.about[key] for key in ("versions", "note")} for peer in peers},
        "notes": NOTES,
        "left_out": without,
    }  # fmt: skip


def started(folder: Path) -> tuple[list[Peer], dict[str, str]]:
    """The libraries' processes, when they are ready, and why others are left out."""
    peers, without = [], {}
    for name in progress(LIBRARIES, desc="starting", unit=" libraries", leave=False):
        if not is_installed(PEERS[name][0]):
            without[name] = f"its environment is not made: python -m bench.peers --only={PEERS[name][0]}"
            continue
        try:
            peers.append(Peer(name, folder, TRAINER))
        except InputError as error:
            without[name] = str(error)
    return peers, without


def lines(record: dict[str, Any]) -> Iterator[str]:
    """What is printed."""
    yield (
        f"{record['items']:,} items, {record['dim']} dimensions, windows of {record['window']}: {record['targets']:,} "
        f"targets of {record['sequences']} sequences, one thread; our batches have {record['default_batch']} by default"
    )
    for way, found in record["best"].items():
        version = record["libraries"].get(way, {}).get("versions", {}).get(way)
        name = f"{way} {version}" if version else record["blocks"][way] + way.removeprefix(OURS) * (way == NARROW)
        yield (
            f"{name:24}{found['targets_per_second']:>9,.0f} targets/s, batch {found['batch']} ({found['loss']}): "
            f"{found['ratio_to_default']:.2f} x the seconds of {OURS} at its default batch, "
            f"{found['ratio_to_best']:.2f} x at its best"
        )
    for row in record["rows"]:
        if "times_floor" in row:
            yield f"{row['way']:24}{row['targets_per_second']:>9,.0f} targets/s, batch {row['batch']}: " + (
                f"{row['step_ms']:.1f} ms a step, {row['times_floor']:.1f} x floor"
            )
    for name, reason in record["left_out"].items():
        yield f"{name:24}left out: {reason}"


def compare(config: TrainingConfig, data: Data) -> dict[str, Any]:
    """The record; raises InputError where its file is not to be written, or as `measure` does."""
    if config.record is not None:
        claim([config.record])
    with tempfile.TemporaryDirectory() as folder:
        return measure(config, data, Path(folder))
