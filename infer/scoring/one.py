"""The list of one history, from arrays alone: what a service asks for, a user at a time.

In: a `Job`, whose rules are resolved once, and the item indexes of one history. Out: item indexes and scores, best
first; or (rank, item, score). No table is read, and none made on the way: beside a small catalogue's scores a join
would take most of the time.

    python -c "import infer; print(infer.Recommender('hybrid.onnx').recommend([1, 50, 260], k=5))"

The lists are those that `infer.scoring.lists` gives the same history in a table. Only how rules reach the graph
differs: see `EXCLUDE`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from infer.candidates.options import DROP, ONLY
from infer.errors import InputError
from infer.histories.vocabulary import PAD
from infer.model.choice import Choice
from infer.model.session import Model
from infer.model.signature import DROPPED, K_INPUT, LEVELS_INPUT, WINDOW_INPUT
from infer.scoring.job import Job
from infer.tables.columns import ITEM, RANK, SCORE

# Share of the catalogue from which on the others are dropped for one user, instead of gathering the vectors of those
# that may be recommended. A gathered column costs a batch once and one user as much; docs/benchmarks.md has the times.
EXCLUDE = 0.2


@dataclass(frozen=True)
class OneHistory:
    """What gives single histories their lists. job: the open model and the rules of all of them. Threads may share one.

    Rules of pairs and of times say nothing of a history without a user and without times: they are not looked at.
    """

    job: Job

    @property
    def model(self) -> Model:
        """The open model."""
        return self.job.model

    def table(self, history: np.ndarray, k: int) -> pl.DataFrame:
        """(rank, item, score) of `best`."""
        items, scores = self.best(history, k)
        known = self.model.metadata.item_ids
        ids = pl.Series(ITEM, [known[item - 1] for item in items.tolist()], dtype=self.job.items.schema[ITEM])
        ranks = pl.Series(RANK, np.arange(1, len(items) + 1, dtype=np.int32))
        return pl.DataFrame([ranks, ids, pl.Series(SCORE, scores)])

    def best(self, history: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """(n,) item indexes and float32 scores of the n best, n at most k.

        history: (length,) indexes of known items, oldest first, at least one; an item may come again.
        Raises InputError if a score is not a number.
        """
        choice = self._choice(history)
        if choice is None:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        length = int(self.model.window_lengths(np.array([len(history)]))[0])
        latest = history[-length:]
        window = np.full((1, length), PAD, dtype=np.int64)
        window[0, length - len(latest) :] = latest
        available: dict[str, Callable[[], np.ndarray]] = {
            WINDOW_INPUT: lambda: window,
            LEVELS_INPUT: lambda: np.zeros_like(window),
            K_INPUT: lambda: np.array([k], dtype=np.int64),
        }
        rules = choice.inputs
        items, scores = self.model.run({n: rules[n] if n in rules else available[n]() for n in self.model.inputs})
        if not np.isfinite(scores).all():
            raise InputError(f"{self.model.path} gives this history a NaN or infinite score")
        found = scores[0] > DROPPED
        return items[0, found], scores[0, found].astype(np.float32, copy=False)

    def _choice(self, history: np.ndarray) -> Choice | None:
        """What this history may get; None: nothing."""
        rules = self.job.candidates
        candidates, excluded, own = *self._rules, None
        # Of few items quicker than `np.unique`.
        distinct = np.array(sorted(set(history.tolist())), dtype=np.int64)
        if rules.seen == ONLY:
            candidates, excluded = distinct[rules.mask[distinct]], excluded[:0]
            if not len(candidates):
                return None
            own = _row(candidates, 8)
        seen = _row(distinct if rules.seen == DROP else distinct[:0], 64, excluded)
        return Choice(seen, candidates, own, rules.boosts.items, rules.boosts.values)  # type: ignore[arg-type]

    @cached_property
    def _rules(self) -> tuple[np.ndarray, np.ndarray]:
        """The only items to score (none: all), and of all those that nobody gets: one of the two is empty."""
        rules, none = self.job.candidates, np.zeros(0, dtype=np.int64)
        if rules.allowed is None:
            return none, none
        if len(rules.allowed) < EXCLUDE * rules.items:
            return rules.allowed.astype(np.int64), none
        return none, np.flatnonzero(~rules.mask)[1:]


def _row(items: np.ndarray, multiple: int, others: np.ndarray | None = None) -> np.ndarray:
    """(1, width) int64: these items, padded in front to a multiple of some, then the others."""
    width, more = -(-max(1, len(items)) // multiple) * multiple, 0 if others is None else len(others)
    row = np.full((1, width + more), PAD, dtype=np.int64)
    row[0, width - len(items) : width] = items
    if others is not None:
        row[0, width:] = others
    return row
