"""Synthetic interactions of any size in the shape of MovieLens, with a structure that is known.

In: a size and a seed. Out: one Parquet table (user, item, timestamp, rating), ordered by (user,
timestamp, item), no pair twice.

    python -m bench.synthetic --size=32m --output=32m.parquet

A user rates 20 films or more, half of them about 73, a few many thousands (lognormal). Films are
long-tailed. Ratings come in sessions, many within the same second. With the chance `follow` the next
film is the successor of the one before, in a fixed ring of films of about equal popularity;
otherwise it is drawn anew. So a perfect model finds the next item in first place in about that
share of cases, and no model without order does.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from infer.cli import option, parse, run
from infer.errors import InputError
from infer.system.files import replacing
from infer.system.ownership import claim
from infer.system.progress import progress
from infer.tables.columns import DATASET_KEY, ITEM, RATING, TIDY_KEY, TIMESTAMP, USER

# Users, items and interactions: of MovieLens latest-small, 1M, 20M and 32M, and of shops.
SIZES = {
    "small": (610, 9_724, 100_836),
    "1m": (6_040, 3_706, 1_000_209),
    "20m": (138_493, 26_744, 20_000_263),
    "32m": (200_948, 87_585, 32_000_204),
    # Large catalogues with few users, who meet some of the items only.
    "1m-items": (8_192, 1_000_000, 800_000),
    "10m-items": (2_048, 10_000_000, 200_000),
}
LEAST, SPREAD = 20, 1.39  # ratings of a user; sigma of the lognormal part
TAIL = 3.0  # item rank = items * uniform^TAIL
FIRST_SECOND, LAST_SECOND = 820_454_400, 1_697_000_000
BLOCK = 2_000_000  # interactions generated at once
NAMED = "synthetic "  # how the name of such a data set begins


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Options of `python -m bench.synthetic`."""

    size: Literal["small", "1m", "20m", "32m", "1m-items", "10m-items"] = option(
        "small", "which MovieLens set has this shape, or how many items a shop has"
    )
    output: Path = option(Path("synthetic.parquet"), "Parquet file to write")
    users: int | None = option(None, "users, instead of the size's", minimum=1)
    items: int | None = option(None, "items, instead of the size's", minimum=2)
    interactions: int | None = option(None, "interactions, about, instead of the size's", minimum=1)
    follow: float = option(0.5, "chance that an item follows from the one before, up to 1", minimum=0)
    ids: Literal["numbers", "texts"] = option("numbers", "type of user and item ids")
    seed: int = option(0, "seed of everything", minimum=0)


@dataclass(frozen=True)
class Shape:
    """How large, and which item follows which.

    lengths: (users,) interactions of each.  ring: (items,) the item at each popularity rank; the
    successor of the item at rank r is the item at rank r + 1, and of the last the first.
    """

    lengths: np.ndarray
    ring: np.ndarray

    def successor(self) -> np.ndarray:
        """(items,) what follows each item, by item number."""
        following = np.empty_like(self.ring)
        following[self.ring] = np.roll(self.ring, -1)
        return following


def shape(config: SyntheticConfig) -> Shape:
    """Lengths that sum to about the interactions asked for, and the ring of items."""
    users, items, interactions = SIZES[config.size]
    users, items = config.users or users, config.items or items
    interactions = config.interactions or round(interactions * users / SIZES[config.size][0])
    if config.follow > 1:
        raise InputError(f"--follow {config.follow} is above 1")
    rng = np.random.default_rng([config.seed, 0])
    most = max(1, items // 3)
    least = min(LEAST, max(1, interactions // users), most)
    free = rng.lognormal(sigma=SPREAD, size=users)
    lengths = np.full(users, least)
    for _ in range(20):  # capping the longest leaves some over for the others
        scale = (interactions - least * users) / free.sum()
        lengths = np.clip(np.round(least + free * scale), least, most).astype(np.int64)
        if abs(lengths.sum() - interactions) < 0.001 * interactions:
            break
        free *= np.where(lengths < most, 1 + (interactions - lengths.sum()) / interactions, 1.0)
    return Shape(lengths, rng.permutation(items))


def blocks(config: SyntheticConfig, plan: Shape) -> Iterator[pl.DataFrame]:
    """Tables of consecutive users, each generated from the seed and its number alone."""
    ends = np.cumsum(plan.lengths)
    cuts = np.searchsorted(ends, np.arange(BLOCK, ends[-1], BLOCK))
    bounds = np.unique(np.concatenate([[0], cuts, [len(ends)]]))
    for number, (start, stop) in enumerate(pairwise(bounds)):
        rng = np.random.default_rng([config.seed, 1, number])
        yield _block(config, plan, rng, int(start), plan.lengths[start:stop])


def _block(
    config: SyntheticConfig, plan: Shape, rng: np.random.Generator, first: int, lengths: np.ndarray
) -> pl.DataFrame:
    """The users first, first + 1, ...: more draws than needed, then repeated pairs and the excess go."""
    items = len(plan.ring)
    # The larger the share of the catalogue that a user rates, the more draws repeat.
    drawn = (lengths * (1.5 + 12 * lengths / items)).astype(np.int64) + 20
    user = np.repeat(np.arange(len(lengths), dtype=np.int32), drawn)
    start = np.repeat(np.cumsum(drawn) - drawn, drawn)  # where each draw's user begins
    here = np.arange(len(user))
    fresh = (rng.random(len(user), dtype=np.float32) >= config.follow) | (here == start)
    provenance = np.maximum.accumulate(np.where(fresh, here, 0))  # the draw that each one follows from
    rank = (items * rng.random(len(user)) ** TAIL).astype(np.int64)
    item = plan.ring[(rank[provenance] + here - provenance) % items]
    # A session's ratings share seconds or are seconds apart; between sessions lie days.
    kind = rng.random(len(user), dtype=np.float32)
    gap = np.where(kind < 0.3, 0, np.where(kind < 0.95, rng.integers(1, 60, len(user)), 200_000))
    table = pl.DataFrame({USER: user, ITEM: item.astype(np.int32), "gap": gap.astype(np.int32)})
    kept = table.unique([USER, ITEM], keep="first", maintain_order=True)
    who = kept[USER].to_numpy()
    kept = kept.filter(_count_within(who) <= lengths[who])
    who, joined = kept[USER].to_numpy(), rng.integers(FIRST_SECOND, LAST_SECOND, len(lengths))
    elapsed = np.cumsum(kept["gap"].to_numpy(), dtype=np.int64)
    begins = np.flatnonzero(_count_within(who) == 1)
    return pl.DataFrame(
        {
            USER: who.astype(np.int64) + first + 1,
            ITEM: kept[ITEM].cast(pl.Int64) + 1,
            TIMESTAMP: elapsed + (joined[who[begins]] - elapsed[begins]).repeat(np.diff([*begins, len(who)])),
            RATING: rng.integers(1, 11, kept.height) / 2,
        }
    )


def _count_within(values: np.ndarray) -> np.ndarray:
    """(n,) 1, 2, ... within each run of equal values."""
    begins = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return np.arange(len(values)) - np.repeat(begins, np.diff([*begins, len(values)])) + 1


def generate(config: SyntheticConfig) -> pl.DataFrame:
    """The whole table, ordered by (user, timestamp, item)."""
    plan = shape(config)
    parts = []
    with progress(total=int(plan.lengths.sum()), unit=" rows", desc=config.size) as bar:
        for block in blocks(config, plan):
            if config.ids == "texts":
                block = block.with_columns(
                    pl.format("u{}", pl.col(USER).cast(pl.String).str.zfill(9)).alias(USER),
                    pl.format("i{}", pl.col(ITEM).cast(pl.String).str.zfill(9)).alias(ITEM),
                )
            parts.append(block.sort(USER, TIMESTAMP, ITEM))
            bar.update(block.height)
    return pl.concat(parts)


def write(config: SyntheticConfig) -> pl.DataFrame:
    """Generate and write; returns the table."""
    claim([config.output])
    if config.output.exists():  # one of `train.data` is ours, too
        name = pl.read_parquet_metadata(config.output).get(DATASET_KEY, "of another kind")
        if not name.startswith(NAMED):
            raise InputError(f"{config.output} exists and is no synthetic table, but {name}: choose another place")
    table = generate(config)
    name = f"{NAMED}{config.size}, seed {config.seed}"
    with replacing(config.output, owned=True) as temporary:
        table.write_parquet(temporary, metadata={DATASET_KEY: name, TIDY_KEY: "1"})
    return table


def main(argv: Sequence[str]) -> None:
    """Parse, generate, print."""
    config = parse(SyntheticConfig, argv, __doc__)
    began = time.perf_counter()
    table = write(config)
    print(
        f"{table.height} interactions of {table[USER].n_unique()} users with {table[ITEM].n_unique()} items in "
        f"{time.perf_counter() - began:.1f} s -> {config.output}"
    )


if __name__ == "__main__":
    raise SystemExit(run(main))
