"""The rules of a shop in plain Python, to check the lists of the scorer against.

In: every user's scores of all items and history, and rules as plain sets and dictionaries. Out: the list that each user
must get.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Plain:
    """allowed: None: all items.  only, blocked: (user, item) pairs.  boosts: item -> (weight, added).  seen: drop, keep
    or only.  within: seconds that a seen item counts, before `moment`; 0: always."""

    allowed: set | None = None
    only: set | None = None
    blocked: set = field(default_factory=set)
    boosts: dict = field(default_factory=dict)
    seen: str = "drop"
    within: float = 0.0
    moment: float = 0.0


def plain_list(user, scores: dict, history: list[tuple], rules: Plain, k: int) -> list[tuple]:
    """The k best (item, score) that a user may get; equal scores by item.

    scores: of every item.  history: (item, time) rows.
    """
    counts = {item for item, time in history if not rules.within or time >= rules.moment - rules.within}
    found = {}
    for item, score in scores.items():
        if rules.allowed is not None and item not in rules.allowed:
            continue
        if rules.only is not None and (user, item) not in rules.only:
            continue
        if (user, item) in rules.blocked:
            continue
        if (rules.seen == "drop" and item in counts) or (rules.seen == "only" and item not in counts):
            continue
        weight, added = map(np.float32, rules.boosts.get(item, (1, 0)))
        value = np.float32(score)
        found[item] = float((value / weight if value < 0 else value * weight) + added)
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:k]
