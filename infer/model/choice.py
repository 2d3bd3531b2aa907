"""Which items may be recommended to the users of one batch, as the graph takes it.

In: histories, and rules in item indexes. Out: a `Choice`, whose arrays are inputs of the graph.

    unseen(histories)   # all but what each user has seen
"""

from dataclasses import dataclass, field

import numpy as np

from infer.histories.histories import Histories
from infer.histories.windows import listed, seen
from infer.model.signature import BOOSTED_INPUT, BOOSTS_INPUT, CANDIDATES_INPUT, OWN_INPUT, SEEN_INPUT


@dataclass(frozen=True)
class Boosts:
    """items: (b,) int64 indexes, ascending.  values: (b, 2) float32, what their scores are multiplied by (divided below
    0), then what is added."""

    items: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    values: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), dtype=np.float32))


@dataclass(frozen=True)
class Choice:
    """seen: (users, n) items that each user does not get.  candidates: (n,) the only ones that anybody gets; none: all.
    own: (users, m) the only ones that each user gets; of width 0: all.  boosted, boosts: items and values of `Boosts`.

    All but `boosts` are int64 item indexes, each once; those of a row in ascending order, filled up with padding.
    """

    seen: np.ndarray
    candidates: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    own: np.ndarray = None  # type: ignore[assignment]
    boosted: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    boosts: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), dtype=np.float32))

    def __post_init__(self) -> None:
        if self.own is None:
            object.__setattr__(self, "own", np.zeros((len(self.seen), 0), dtype=np.int64))

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """The same by the names of the graph's inputs."""
        return {
            SEEN_INPUT: self.seen,
            CANDIDATES_INPUT: self.candidates,
            OWN_INPUT: self.own,
            BOOSTED_INPUT: self.boosted,
            BOOSTS_INPUT: self.boosts,
        }


def unseen(histories: Histories) -> Choice:
    """All items but those of each user's history."""
    return Choice(seen(histories))


def chosen(
    blocked: Histories, dropped: np.ndarray, candidates: np.ndarray, own: Histories | None, boosts: "Boosts"
) -> Choice:
    """The choice of a batch.

    blocked: items that each user does not get.  dropped: (n,) those that nobody gets.  candidates: (n,) ascending, the
    only ones that anybody gets; none: all.  own: of each user the only ones, which are candidates; None: no such rule.
    """
    seen = listed(blocked)
    if own is not None:
        # Their union is scored, whatever else is in the batch: scores do not depend on which others there are.
        candidates, dropped = np.unique(own.items).astype(np.int64), dropped[:0]
    if len(dropped):
        seen = np.concatenate([seen, np.broadcast_to(dropped, (len(seen), len(dropped)))], 1)
    each = np.zeros((len(seen), 0), dtype=np.int64) if own is None else listed(own, 8)
    return Choice(seen, candidates, each, boosts.items, boosts.values)
