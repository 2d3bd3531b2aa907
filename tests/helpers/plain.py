"""Lists made in plain Python, to check those of the batch scorer against.

In: rows, and the score of each item after each newest item. Out: what every user's list must be.
"""

from collections.abc import Iterable

Row = tuple[int, int, int]


def histories(rows: Iterable[Row]) -> dict[int, list[int]]:
    """Each user's items (user, item, timestamp), oldest first; of a repeated pair the latest counts."""
    latest: dict[int, dict[int, int]] = {}
    for user, item, time in rows:
        own = latest.setdefault(user, {})
        own[item] = max(time, own.get(item, time))
    return {user: sorted(own, key=lambda item: (own[item], item)) for user, own in latest.items()}


def plain_lists(rows: Iterable[Row], scores: list[list[float]], k: int) -> dict[int, list[tuple[int, float]]]:
    """user -> the k best (item, score) after the newest item of those 1..n that the user has not had.

    scores: row = newest item, column = scored item, from 0 = padding.  Equal scores go by item.
    """
    lists = {}
    for user, items in histories(rows).items():
        row = scores[items[-1]]
        unseen = [item for item in range(1, len(row)) if item not in items]
        lists[user] = [(item, row[item]) for item in sorted(unseen, key=lambda item: (-row[item], item))[:k]]
    return lists
