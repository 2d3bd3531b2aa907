"""Ways to find the best of very many items: bytes of an item, seconds, and what is lost, where the best are known.

In: how many items. Out: of each way, in turn in one process, the seconds of one user and of a batch, the share of the
exact top ten that it finds, and NDCG@10 of the held-out item; a JSON record.

    python -m bench.nearest --record=bench/results/nearest-1m-cpu-2-cores.json

    fp32, int8   one product of users and items, as model files have it
    codes        as files of --codes have it: vectors are put together when the file is opened, then as fp32
    summed       the same scores as sums of looked-up parts (PQTopK, Petrov, Macdonald & Tonellotto, RecSys 2024)
    cells        as files of --probes: the products with the items of the cells that are nearest to a user
    ivf, ivfpq   indexes of faiss that search some of their lists, with whole vectors and with codes

Nothing is trained: vectors are drawn (`bench.nearest.world`), and codes are those that k-means gives them, by how often
items occur among drawn events. All ways have one thread. The encoder, which they share, is not in it. Needs the extra
`vectors`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.nearest.world import World, made
from bench.ratios import calm_ratio
from bench.records.records import about, save
from export.cells.cells import cell_count
from export.cells.probing import CELLS
from infer.cli import option, parse, run
from infer.errors import InputError
from infer.publishing.vector_files import faiss
from infer.system.ownership import claim
from infer.system.progress import progress

EXACT = "fp32"
PARTS, PROBES, SEARCHED = (8, 16, 32), (8, 32, 128), (16, 32, 64)
PROBED = 32  # cells that are searched of items with codes
# ONNX Runtime keeps the looked-up scores of all parts until they are summed: of more parts they take many gigabytes.
SUMMED = 16
INDEXED = 16  # parts of the index with codes


@dataclass(frozen=True, kw_only=True)
class NearestConfig:
    """Options of `python -m bench.nearest`."""

    items: int = option(1_000_000, "how many", minimum=1_000)
    dim: int = option(64, "length of item vectors, beside the bias; a multiple of 32", minimum=32)
    batch_size: int = option(16, "users of a batch", minimum=2)
    users: int = option(1_024, "by whom the lists are judged", minimum=1)
    rounds: int = option(5, "in which all ways take turns", minimum=1)
    seed: int = option(0, "of items, users and codes", minimum=0)
    record: Path | None = option(None, "JSON file to write")


def ways(world: World, seed: int) -> dict[str, Callable[[], Any]]:
    """What makes each way, by name; codes and indexes are made when they are first needed."""
    from bench.nearest import ways as kinds

    found: dict[str, Callable[[], Any]] = {name: partial(kinds.whole, world, name) for name in (EXACT, "int8")}
    cuts = {parts: cache(partial(kinds.cut, world, parts, seed)) for parts in PARTS}
    for parts, codes in cuts.items():
        found[f"codes {parts}"] = partial(_coded, kinds.unpacked, world, codes)
        if parts <= SUMMED:
            found[f"summed {parts}"] = partial(_coded, kinds.summed, world, codes)
    count = cell_count(len(world.items) - 1)
    cells = cache(partial(kinds.in_cells, world))
    for number in SEARCHED:
        if number * CELLS <= count:
            found[f"cells, {number} of {count:,}"] = partial(_searched, kinds, world, cells, number)
    if PROBED * CELLS <= count:
        for parts in PARTS[1:]:
            codes = cuts[parts]
            found[f"cells and {parts} codes"] = partial(_searched_codes, kinds, world, codes, PROBED)
    lists = max(16, int(2 * len(world.items) ** 0.5))
    for name, parts in (("ivf", 0), (f"ivfpq {INDEXED}", INDEXED)):
        index = cache(partial(kinds.Inverted, world, lists, parts))
        for probes in [number for number in PROBES if number <= lists]:
            found[f"{name}, {probes} of {lists:,} lists"] = partial(_searching, index, probes)
    return found


def _coded(kind: Callable[..., Any], world: World, codes: Callable[[], Any]) -> Any:
    return kind(world, codes())


def _searched(kinds: Any, world: World, cells: Callable[[], Any], number: int) -> Any:
    return kinds.searched(world, cells(), number)


def _searched_codes(kinds: Any, world: World, codes: Callable[[], Any], number: int) -> Any:
    return kinds.searched(world, kinds.in_cells(world, codes()), number, codes())


def _searching(index: Callable[[], Any], probes: int) -> Any:
    return index().searching(probes)


def measure(config: NearestConfig) -> dict[str, dict[str, float]]:
    """Of each way bytes of an item, seconds, ratios to the exact one, and what its lists are worth."""
    faiss().omp_set_num_threads(1)
    world = made(config.items, config.dim, config.users, config.seed)
    batch = world.users[: config.batch_size]
    exact = None
    rows: dict[str, dict[str, float]] = {}
    makers = ways(world, config.seed)
    first = makers[EXACT]()
    for name, make in progress(list(makers.items()), desc="ways", unit=" ways", leave=False):
        way = first if name == EXACT else make()
        lists = np.concatenate(
            [way.find(part) for part in np.array_split(world.users, -(-len(world.users) // config.batch_size))]
        )
        exact = lists if exact is None else exact
        same = np.mean([len(np.intersect1d(mine, best)) / len(best) for mine, best in zip(lists, exact, strict=True)])
        rows[name] = {
            "bytes_per_item": way.size / config.items,
            "recall@10": float(same),
            "ndcg@10": gain(lists, world),
        }
        for size, users in (("one", world.users[:1]), ("batch", batch)):
            theirs, ours = taken(way, users, first, config.rounds)
            rows[name] |= {f"seconds_{size}": min(theirs), f"ratio_{size}": calm_ratio(theirs, ours)}
        del way  # before the next is made
    return rows


def taken(way: Any, users: np.ndarray, first: Any, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each round of this way and of the first, in turn."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for one, noted in zip((way, first), seconds, strict=True):
            began = time.perf_counter()
            one.find(users)
            noted.append(time.perf_counter() - began)
    return seconds


def gain(lists: np.ndarray, world: World) -> float:
    """Mean NDCG@10 of the users' held-out items in their lists (users, 10)."""
    found = lists == world.wanted[:, None]
    return float((found / np.log2(np.arange(lists.shape[1]) + 2)).sum(1).mean())


def main(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    config = parse(NearestConfig, argv, __doc__)
    if config.dim % 32:
        raise InputError(f"--dim is a multiple of 32, for codes of {max(PARTS)} parts; found {config.dim}")
    if config.users < config.batch_size:
        raise InputError(f"a batch has --batch-size={config.batch_size} of --users={config.users} users: give more")
    if config.record is not None:
        claim([config.record])
    rows = measure(config)
    print(f"{config.items:,} items, {config.dim} dimensions and a bias, one thread; ms, and times those of {EXACT}")
    print(f"{'':28}{'bytes/item':>10}{'one user':>16}{f'{config.batch_size} users':>18}{'recall@10':>11}{'NDCG@10':>9}")
    for name, row in rows.items():
        times = (f"{row[f'seconds_{size}'] * 1e3:.1f} ({row[f'ratio_{size}']:.2f})" for size in ("one", "batch"))
        one, batch = times
        print(
            f"{name:28}{row['bytes_per_item']:10.1f}{one:>16}{batch:>18}{row['recall@10']:11.3f}{row['ndcg@10']:9.4f}"
        )
    if config.record is not None:
        given = {"items": config.items, "dim": config.dim, "users": config.users, "batch_size": config.batch_size}
        found = about(
            "nearest", "none", "cpu", session_threads=1, ran_on="cpu", rounds=config.rounds, **given, ways=rows
        )
        save(found, config.record)


if __name__ == "__main__":
    raise SystemExit(run(main))
