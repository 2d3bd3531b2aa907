"""Means and intervals from whole numbers: the same to the last digit however the users are cut into parts.

In: a value of each user, as a multiple of a fixed step, and the user's group. Out: sums a group, as plain JSON values,
which add up without rounding; then (value, low, high).

    Sums.of(to_steps(np.array([0.5, 1.5]), BITS), np.array([0, 0]), groups=1).interval(0, BITS)
"""

from dataclasses import dataclass

import numpy as np

from infer.metrics.intervals import Z

# Steps to one, for values up to 1, 64 and 4,096: of 2^40 steps the sums of millions of users fit in 64 bits.
SHARE, BITS, DISTANCE = 2**40, 2**34, 2**28
HALF = 20  # bits of the lower half of such a number


def to_steps(values: np.ndarray, steps: int) -> np.ndarray:
    """(n,) int64: values in units of 1 / steps, rounded."""
    return np.asarray(np.rint(values * steps), dtype=np.int64)


def segment_sums(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(segments,) int64 sums of values[offsets[n]:offsets[n + 1]], 0 where it is empty.

    Running sums may wrap around; their differences do not, as long as a segment's sum fits.
    """
    running = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    return np.asarray(running[offsets[1:]] - running[offsets[:-1]])


def divided(sums: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """(n,) int64 sums / numbers, rounded, a half upwards; exact, and numbers are above 0."""
    return np.asarray((2 * sums + numbers) // (2 * numbers))


@dataclass(frozen=True)
class Sums:
    """For each group the number of users, the sum of their values in steps, and the sum of their squares."""

    users: list[int]
    totals: list[int]
    squares: list[int]

    @classmethod
    def of(cls, steps: np.ndarray, group: np.ndarray, groups: int) -> "Sums":
        """steps: (users,) int64, each user's value.  group: (users,) from 0 to groups - 1."""
        high, low = steps >> HALF, steps & (2**HALF - 1)
        # A square does not fit in 64 bits, but these three parts of it do, and the sums of millions of them.
        users, totals, *squares = (_added(v, group, groups) for v in (1, steps, high * high, 2 * high * low, low * low))
        squared = [(a << 2 * HALF) + (b << HALF) + c for a, b, c in zip(*squares, strict=True)]
        return cls(users, totals, squared)

    def __add__(self, other: "Sums") -> "Sums":
        mine, theirs = (self.users, self.totals, self.squares), (other.users, other.totals, other.squares)
        return Sums(*([a + b for a, b in zip(x, y, strict=True)] for x, y in zip(mine, theirs, strict=True)))

    @property
    def together(self) -> "Sums":
        """All groups as one."""
        return Sums([sum(self.users)], [sum(self.totals)], [sum(self.squares)])

    def mean(self, group: int, steps: int) -> float | None:
        """The mean value of a group's users; None without any."""
        return self.totals[group] / (self.users[group] * steps) if self.users[group] else None

    def interval(self, group: int, steps: int) -> tuple[float | None, float | None, float | None]:
        """Mean, and the ends of its 95% normal interval, of values that are not negative; None without users, and no
        interval of one user."""
        mean, n = self.mean(group, steps), self.users[group]
        if mean is None or n < 2:
            return mean, None, None
        # Whole numbers of any size: nothing cancels.
        spread = n * self.squares[group] - self.totals[group] ** 2
        half = Z * (spread / (n * n * (n - 1) * steps**2)) ** 0.5
        return mean, max(0.0, mean - half), mean + half


def _added(values: np.ndarray | int, group: np.ndarray, groups: int) -> list[int]:
    """Whole numbers, added up by group."""
    sums = np.zeros(groups, dtype=np.int64)
    np.add.at(sums, group, values)
    return [int(value) for value in sums]
