"""Score a synthetic table of any size with the real command, and say how far from the floor that is.

In: a size (of `bench.synthetic`) and a kind of model. Out: stage times, peak memory, the floor measured in
the same run, and the same work by other means in alternation; a JSON record.

    python -m bench.scale --size=32m --record=bench/results/scale-32m.json

The model has random weights: they cost as much as trained ones. The command runs in a process of its own, so
its peak memory is its own. The floor is the model's multiply-adds on the real lengths at the rate of a
matrix product of the head's shape; measured before and after, the faster counts.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from torch import nn

from bench.floor import floor_seconds, head_width
from bench.rates import Rates, measure_rates
from bench.records.records import about, ran_on
from bench.synthetic import SyntheticConfig, write
from bench.workloads.untrained import write_untrained
from infer.cli import option, parse, run
from infer.errors import InputError
from infer.histories.histories import Histories, build_histories
from infer.histories.vocabulary import PAD, vocabulary
from infer.histories.windows import seen, windows
from infer.model.session import Model, open_model
from infer.model.signature import DROPPED
from infer.system.files import write_text
from infer.tables.columns import ITEM, USER
from train.config import TrainConfig
from train.presets import configuration

K = 10


@dataclass(frozen=True, kw_only=True)
class ScaleConfig:
    """Options of `python -m bench.scale`."""

    size: Literal["small", "1m", "20m", "32m"] = option("1m", "which MovieLens set the table has the shape of")
    kind: Literal["bert", "hybrid", "mf"] = option("bert", "transformer, the same with a chain, or mf")
    device: Literal["cpu", "cuda"] = option("cpu", "where the model runs")
    batch_size: int = option(256, "users scored at once", minimum=1)
    rounds: int = option(3, "batches on which the alternatives are timed in turn", minimum=1)
    folder: Path | None = option(None, "keep the table and the model here (default: a temporary folder)")
    record: Path | None = option(None, "JSON file to write")


def scored(model: Path, table: Path, config: ScaleConfig) -> dict:
    """Run the command in its own process; returns its manifest."""
    argv = [f"--model={model}", f"--interactions={table}", "--restart", f"--device={config.device}"]
    argv += ["--no-metrics", f"--batch-size={config.batch_size}", f"--k={K}"]
    done = subprocess.run([sys.executable, "-m", "infer.batch", *argv], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise InputError(f"python -m infer.batch {' '.join(argv)} ended with status {done.returncode}")
    return json.loads(model.with_suffix(".topk.json").read_text())


def alternatives(
    network: nn.Module, model: Model, histories: Histories
) -> dict[str, Callable[[Histories], np.ndarray]]:
    """Ways to the same lists, by name: histories of some users -> (users, K) item indexes."""
    users = vocabulary(model.metadata.user_ids or [0], USER)
    index = histories.users.to_frame(USER).join(users, on=USER, how="left", maintain_order="left")["index"]
    rows = dict(zip(histories.users.to_list(), index.fill_null(PAD).to_list(), strict=True))

    def user_index(part: Histories) -> np.ndarray:
        return np.array([rows[user] for user in part.users.to_list()], dtype=np.int64)

    def top(scores: torch.Tensor, part: Histories) -> np.ndarray:
        scores = scores.scatter(1, torch.from_numpy(seen(part)), DROPPED)
        scores[:, PAD] = DROPPED
        return scores.topk(K).indices.numpy()

    def window(part: Histories) -> torch.Tensor:
        return torch.from_numpy(windows(part, network.window))

    ways = {"onnxruntime": lambda part: model.top(part, user_index(part), K)[0]}
    if model.metadata.user_ids:
        ways["torch"] = lambda part: top(network(torch.from_numpy(user_index(part))), part)
        return ways | _peers(network, rows)
    ways["torch, last position"] = lambda part: top(network.score(network.states(window(part))[:, -1]), part)
    ways["torch, last query"] = lambda part: top(network(window(part)), part)
    ways["torch, all positions"] = lambda part: top(network.score(network.states(window(part)))[:, -1], part)
    return ways


def _peers(network: nn.Module, rows: dict) -> dict[str, Callable[[Histories], np.ndarray]]:
    """Exact top-k of other libraries on MF's own factors, where they are installed."""
    vectors, items = network.users.weight.detach().numpy(), network.items.weight.detach().numpy().copy()
    items[PAD] = 0
    found = {}

    def queries(part: Histories) -> np.ndarray:
        return np.ascontiguousarray(vectors[[rows[user] for user in part.users.to_list()]])

    try:
        from implicit.cpu.topk import topk
        from scipy.sparse import csr_matrix
    except ImportError as error:
        print(f"implicit is left out: {error}")
    else:

        def implicit(part: Histories) -> np.ndarray:
            begin = part.offsets - part.offsets[0]
            columns = part.items[part.offsets[0] : part.offsets[-1]]
            filtered = csr_matrix((np.ones(len(columns), np.float32), columns, begin), (len(part), len(items)))
            return topk(items, queries(part), K, filter_query_items=filtered, filter_items=np.array([PAD], np.int32))[0]

        found["implicit"] = implicit
    try:
        import faiss
    except ImportError as error:
        print(f"faiss is left out: {error}")
    else:
        flat = faiss.IndexFlatIP(items.shape[1])
        flat.add(items)
        # faiss knows no seen items: it must be asked for as many more as the longest history has.
        found["faiss"] = lambda part: _unseen(flat.search(queries(part), K + 1 + int(part.lengths.max()))[1], part)
    return found


def _unseen(candidates: np.ndarray, part: Histories) -> np.ndarray:
    """The first K of each row that are neither seen nor padding."""
    blocked = np.zeros((len(part), int(candidates.max()) + 1), dtype=bool)
    drop = seen(part)
    np.put_along_axis(blocked, np.where(drop <= candidates.max(), drop, PAD), True, axis=1)
    out = np.take_along_axis(blocked, candidates, axis=1)
    return np.take_along_axis(candidates, np.argsort(out, axis=1, kind="stable")[:, :K], axis=1)


@torch.no_grad()
def compare(ways: dict[str, Callable], histories: Histories, batch_size: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each way on the same random batches, in turn; raises InputError if their lists differ."""
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        part = histories.take(np.sort(rng.choice(len(histories), min(batch_size, len(histories)), replace=False)))
        expected = None
        for name, way in ways.items():
            began = time.perf_counter()
            items = way(part)
            seconds = time.perf_counter() - began
            if number:  # the first batch warms up
                found[name].append(seconds)
            expected = items if expected is None else expected
            if np.mean(items == expected) < 0.999:  # rounding may exchange neighbours
                raise InputError(f"{name} lists other items than onnxruntime: {np.mean(items == expected):.1%} agree")
    return found


def measure(config: ScaleConfig, folder: Path) -> dict:
    """Everything that the record holds."""
    table = folder / f"{config.size}.parquet"
    if not table.exists():
        write(SyntheticConfig(size=config.size, output=table))
    kind: TrainConfig = configuration(config.kind, "hybrid")
    network, path = write_untrained(config.kind, kind, table, folder)
    rows = pl.read_parquet(table)
    model = open_model(path, config.device)
    histories = build_histories(rows, vocabulary(model.metadata.item_ids, ITEM), in_order=True)
    items = len(model.metadata.item_ids)
    del rows
    before = _rates(config, kind, items)
    manifest = scored(path, table, config)
    rates = max(before, _rates(config, kind, items), key=lambda found: found.head)
    seconds = compare(alternatives(network, model, histories), histories, config.batch_size, config.rounds)
    floor = floor_seconds(kind, histories.lengths, items, rates)
    total = manifest["seconds"]["total"]
    return about("scale", config.kind, config.device, ran_on=ran_on(model)) | {
        "size": config.size,
        "users": len(histories),
        "items": items,
        "interactions": len(histories.items),
        "config": asdict(kind) | {"artifacts": None},
        "seconds": manifest["seconds"],
        "peak_memory_bytes": manifest["peak_memory_bytes"],
        "users_per_second": len(histories) / total,
        "rates": asdict(rates),
        "floor": asdict(floor),
        "times_floor": total / floor.seconds,
        "batch_seconds": seconds,
        "ratios": {
            name: float(np.median(values) / np.median(seconds["onnxruntime"])) for name, values in seconds.items()
        },
    }


def _rates(config: ScaleConfig, kind: TrainConfig, items: int) -> Rates:
    return measure_rates(config.batch_size, head_width(kind), items, config.device, seconds=1.0)


def main(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    config = parse(ScaleConfig, argv, __doc__)
    with tempfile.TemporaryDirectory() as temporary:
        folder = config.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = measure(config, folder)
    seconds, floor = found["seconds"], found["floor"]
    stages = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    print(f"{config.size}, {config.kind}, {config.device}: {found['users']} users, {found['items']} items: {stages}")
    print(
        f"{found['users_per_second']:.0f} users/s, {found['times_floor']:.2f} times the floor of "
        f"{floor['head_seconds']:.1f} s; peak memory {found['peak_memory_bytes'] / 2**30:.2f} GiB"
    )
    for name, ratio in found["ratios"].items():
        print(f"{name:22}{ratio:8.2f} times the seconds of onnxruntime")
    if config.record is not None:
        write_text(config.record, json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    raise SystemExit(run(main))
