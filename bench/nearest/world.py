"""Many items whose structure is known, and users whose next item is known.

In: sizes and a seed. Out: vectors of items and users, popularity as the items' bias, and each user's held-out item.
"""

from dataclasses import dataclass

import numpy as np

# Standard deviations in each dimension: of topics, of styles within a topic, of items within a style, and of what a
# user's vector differs from the held-out item's.
TOPIC, STYLE, ITEM, USER = 1.0, 0.6, 0.5, 4.0
OTHERS = 4_096  # users by whom ways find what they need
EVENTS = 15  # for each item, in the mean
TOPIC_SIZE, STYLE_SIZE = 1_000, 50  # items, in the mean


@dataclass(frozen=True)
class World:
    """items: (items + 1, dim), row 0 padding.  bias: (items + 1,).  users: (users, dim).  wanted: (users,) held-out
    items.  counts: (items,) how often each occurs among `EVENTS` times as many events.  others: (others, dim) further
    users.  A score is the product of both vectors, plus the bias."""

    items: np.ndarray
    bias: np.ndarray
    users: np.ndarray
    wanted: np.ndarray
    counts: np.ndarray
    others: np.ndarray


def made(count: int, dim: int, users: int, seed: int = 0) -> World:
    """So many items and users; popularity falls as 1 / rank (Zipf) and does not depend on the topic."""
    rng = np.random.default_rng(seed)

    def drawn(rows: int, deviation: float) -> np.ndarray:
        return rng.normal(size=(rows, dim)).astype(np.float32) * np.float32(deviation)

    topics = drawn(max(2, count // TOPIC_SIZE), TOPIC)
    styles = topics[rng.integers(0, len(topics), max(4, count // STYLE_SIZE))]
    styles = styles + drawn(len(styles), STYLE)
    items = np.zeros((count + 1, dim), np.float32)
    items[1:] = styles[rng.integers(0, len(styles), count)] + drawn(count, ITEM)
    chance = 1.0 / (1 + rng.permutation(count))
    bias = np.zeros(count + 1, np.float32)
    bias[1:] = np.log(chance) - np.log(chance).mean()
    wanted = rng.choice(count, users, p=chance / chance.sum()) + 1
    vectors = items[wanted] + drawn(users, USER)
    others = items[rng.choice(count, OTHERS, p=chance / chance.sum()) + 1] + drawn(OTHERS, USER)
    # The logarithm of an item's chance: a product, less half its own square, both divided by the noise's variance.
    square = (items[1:] ** 2).sum(1) / 2
    bias[1:] -= (square - square.mean()) / USER**2
    counts = rng.poisson(chance / chance.sum() * count * EVENTS)
    return World(items, bias, vectors / np.float32(USER**2), wanted, counts, others / np.float32(USER**2))
