"""Which items are alike: for each item the k nearest others, by the model file alone.

In: an open model, and rules of which items may be listed. Out: tables (item, rank, similar_item, score), a block of
items at a time.

    python -m infer.similar --model hybrid.onnx --item 1

Of a file with vectors the score is the cosine of the first part of two items' vectors: what its encoder knows an item
by, without what the chain leads to and without the bias, neither of which says what an item is like. On MovieLens
latest-small (one seed, ten nearest of 3,000 films) that part's neighbours share more genres (0.43 of them, against 0.40
with the chain's and 0.33 by the chain's alone) and more users (0.24, 0.22, 0.15), and are as popular as the films
themselves (mean 25 ratings; the others 19 and 11).
Of another file that reads windows it is what the model recommends to somebody who has seen this item alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from infer.candidates.options import DROP, CandidateOptions
from infer.errors import InputError
from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD
from infer.model.session import Model
from infer.model.signature import SAYS_NOTHING, WINDOW_INPUT
from infer.model.vectors import Directions
from infer.scoring.job import Job, rows_job
from infer.scoring.lists import model_lists
from infer.scoring.task import Task
from infer.tables.columns import ITEM, RANK, SCORE, USER

SIMILAR = "similar_item"
COLUMNS = [ITEM, RANK, SIMILAR, SCORE]
# Items whose cosines are in memory at once, always so many: products of other sizes end in other digits.
BLOCK = 64
# Cosines are compared in whole steps, so that equal vectors tie exactly, whatever the order of the sum.
STEPS = 1_000_000
PLACES = 2**32
ABSENT = np.float32(-2)  # no cosine
GROUP = 128  # columns of which the highest is known before they are compared one by one


@dataclass(frozen=True)
class Similar:
    """What finds similar items. job: the open model, and which items may be listed.  directions: of all its items."""

    job: Job
    directions: Directions

    def ruled(self, rules: CandidateOptions) -> "Similar":
        """The same under other rules; the model's file is not read again. Raises InputError as `open_similar` does."""
        return Similar(_job(self.model, rules), self.directions)

    @property
    def model(self) -> Model:
        """The open model."""
        return self.job.model

    @property
    def measure(self) -> str:
        """What the scores are, for a reader."""
        if self.model.metadata.vectors:
            return "by the cosine of their vectors"
        return "by what the model recommends after it alone"

    def tables(self, k: int, items: np.ndarray | None = None) -> Iterator[pl.DataFrame]:
        """(item, rank, similar_item, score) of these item indexes, or of all, best first; equal scores in the order of
        `metadata.item_ids`.  An item of which nothing is known is listed nowhere and has no list."""
        indexes = np.arange(1, self.job.items.height + 1) if items is None else items
        for start in range(0, len(indexes), BLOCK):
            block = indexes[start : start + BLOCK]
            yield self._by_cosine(block, k) if self.model.metadata.vectors else self._recommended_after(block, k)

    def _recommended_after(self, block: np.ndarray, k: int) -> pl.DataFrame:
        """The model's lists after a history of one item, up to where scores say nothing of it."""
        offsets = np.arange(len(block) + 1)
        levels = np.zeros(len(block), dtype=np.int64) if self.model.metadata.rating_levels else None
        ids = self.job.items[ITEM].gather(block - 1).alias(USER)
        histories = Histories(ids, block.astype(np.int32), offsets, levels=levels)
        task = Task(self.job, histories, np.full(len(block), PAD), targets=None)
        lists = model_lists(task, k, BLOCK).rename({ITEM: SIMILAR, USER: ITEM})
        least = pl.col(SCORE).min().over(ITEM)
        return lists.select(COLUMNS).filter((pl.col(SCORE).abs() > SAYS_NOTHING) | (least < 0))

    def _by_cosine(self, block: np.ndarray, k: int) -> pl.DataFrame:
        """The nearest of the items that may be listed."""
        unit, candidates = self.directions.unit, self._candidates
        rows = np.zeros((BLOCK, unit.shape[1]), dtype=np.float32)
        rows[: len(block)] = unit[block - 1]
        cosines = (rows @ self._listed.T)[: len(block)]
        known = rows[: len(block)].any(1)
        cosines[~known] = ABSENT
        listed = np.flatnonzero(known & self.job.candidates.mask[block])
        cosines[listed, np.searchsorted(candidates, block[listed])] = ABSENT  # of an item itself
        best, steps = highest(cosines, k)
        row, place = np.nonzero(steps > ABSENT * STEPS)
        found = best[row, place]
        ids = self.job.items[ITEM]
        return pl.DataFrame(
            [
                ids.gather(block[row] - 1),
                pl.Series(RANK, place + 1, dtype=pl.Int32),
                ids.gather(candidates[found] - 1).alias(SIMILAR),
                pl.Series(SCORE, (steps[row, place] / STEPS).astype(np.float32)),
            ]
        )

    @cached_property
    def _candidates(self) -> np.ndarray:
        """(n,) ascending indexes of the items that may be listed and of which something is known."""
        return np.flatnonzero(self.job.candidates.mask[1:] & self.directions.unit.any(1)) + 1

    @cached_property
    def _listed(self) -> np.ndarray:
        """(n, dim) float32: where the candidates point to."""
        unit, candidates = self.directions.unit, self._candidates
        return unit if len(candidates) == len(unit) else unit[candidates - 1]


def highest(cosines: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, k) the columns of the highest of (rows, n) cosines, best first, and these in whole steps, which are
    compared; equal ones in the order of columns. With less than k columns there are n of each.

    Only the k groups of columns with the highest best are looked into: an item of another group comes after the best
    of each of these.
    """
    rows, n = cosines.shape
    count = min(k, n)
    if not count:
        return np.zeros((rows, 0), dtype=np.int64), np.zeros((rows, 0), dtype=np.int64)
    tops = _steps(np.maximum.reduceat(cosines, np.arange(0, n, GROUP), axis=1))
    groups = _first(_keys(tops, np.arange(tops.shape[1])), min(count, tops.shape[1]))
    columns = (groups[:, :, None] * GROUP + np.arange(GROUP)).reshape(rows, -1)
    steps = _steps(np.take_along_axis(cosines, np.minimum(columns, n - 1), 1))
    keys = np.where(columns < n, _keys(steps, columns), -np.iinfo(np.int64).max)
    best = _first(keys, count)
    best = np.take_along_axis(best, np.argsort(-np.take_along_axis(keys, best, 1), axis=1), 1)
    return np.take_along_axis(columns, best, 1), np.take_along_axis(steps, best, 1)


def _steps(cosines: np.ndarray) -> np.ndarray:
    steps: np.ndarray = np.rint(cosines * STEPS).astype(np.int64)
    return steps


def _keys(steps: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """One whole number each, which orders by steps, then by column."""
    keys: np.ndarray = steps * PLACES + (PLACES - 1 - columns)
    return keys


def _first(keys: np.ndarray, count: int) -> np.ndarray:
    """(rows, count) the places of the highest keys, in any order."""
    return np.argpartition(-keys, count - 1, axis=1)[:, :count]


def open_similar(model: Model, rules: CandidateOptions = CandidateOptions()) -> Similar:
    """What finds items that are similar by this model.

    rules: which items may be listed; only those of the items themselves make sense.
    Raises InputError if the file neither has vectors nor reads windows, or a rule cannot be used.
    """
    if not model.metadata.vectors and WINDOW_INPUT not in model.inputs:
        raise InputError(
            f"{model.path} has no vectors that can be compared and reads users, not items: "
            "give the file in fp32 or fp16"
        )
    return Similar(_job(model, rules), Directions(model))


def _job(model: Model, rules: CandidateOptions) -> Job:
    """A job under these rules, in which no item leads to itself, as it would where seen items are recommended."""
    job = rows_job(model, rules=rules)
    return replace(job, candidates=replace(job.candidates, seen=DROP))
