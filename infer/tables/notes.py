"""What was found in the rows of a table, counted: one line for whoever ran the command.

In: counts of parts of a table. Out: their sum, as a line; or InputError if rows cannot be used and must not be dropped.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from infer.errors import InputError


def date(moment: float) -> str:
    """Seconds since 1970 in words."""
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{moment:g}"


@dataclass
class Notes:
    """What was found in the rows of a table: rows by reason for which they cannot be used, the first of them (its
    number from 0, and what is wrong, in words), timestamps by the unit they were in, repeated pairs (None: not looked
    for), rows rated below `least`, rows without a rating where there are ratings, further held-out rows of a user,
    rows that lie in the future, the first and the last moment of those that count (seconds since 1970; None: no
    times); and how the table was read, a sentence each."""

    unusable: Counter[str] = field(default_factory=Counter)
    first: tuple[int, str] | None = None
    units: Counter[str] = field(default_factory=Counter)
    repeated: int | None = None
    low: int = 0
    unrated: int = 0
    further: int = 0
    least: float | None = None
    future: int = 0
    earliest: float | None = None
    latest: float | None = None
    said: list[str] = field(default_factory=list)

    def add(self, other: "Notes") -> None:
        """Count the notes of further rows, too."""
        self.first = self.first or other.first
        self.unusable.update(other.unusable)
        self.units.update(other.units)
        self.low += other.low
        self.unrated += other.unrated
        self.further += other.further
        self.future += other.future
        self.earliest = min((moment for moment in (self.earliest, other.earliest) if moment is not None), default=None)
        self.latest = max((moment for moment in (self.latest, other.latest) if moment is not None), default=None)
        self.least = other.least if self.least is None else self.least
        self.said += [sentence for sentence in other.said if sentence not in self.said]
        if other.repeated is not None:
            self.repeated = (self.repeated or 0) + other.repeated

    @property
    def left_out(self) -> int:
        """How many rows do not count, though they are no repeats."""
        return self.unusable.total() + self.low

    @property
    def period(self) -> str:
        """From when to when the events are, in words, which shows a wrong column or unit; empty without times."""
        if self.earliest is None or self.latest is None:
            return ""
        return f"events from {date(self.earliest)} to {date(self.latest)}"

    @property
    def lines(self) -> list[str]:
        """What is to be said of the table."""
        return [line for line in (str(self), self.period) if line]

    def refuse(self, source: str, place: Callable[[int], str] = lambda row: "") -> None:
        """Raise InputError if there are rows that cannot be used.  place: says of a row where else it stands."""
        number = self.unusable.total()
        if number and self.first is not None:
            row, has = self.first
            more = f" (rows that cannot be used: {number}; --drop-bad-rows leaves them out)"
            raise InputError(f"{source} row {row + 1}{place(row)} {has}{more}")

    def __str__(self) -> str:
        """One line, empty if there is nothing to say."""
        parts = [*self.said, *(f"dropped {n:,} rows with {reason}" for reason, n in sorted(self.unusable.items()))]
        if self.low:
            parts.append(f"left out {self.low:,} rows rated below {self.least:g} (--least-rating)")
        if self.unrated:
            parts.append(f"{self.unrated:,} rows have no rating")
        parts += [f"{n:,} timestamps in {unit} made seconds" for unit, n in sorted(self.units.items())]
        if self.future and self.latest is not None:
            parts.append(f"{self.future:,} events lie in the future, the latest {date(self.latest)}")
        if self.further:
            parts.append(
                f"{self.further:,} further held-out rows of a user are not measured: those of validation are history "
                "for the test item, those of test are left out"
            )
        if self.repeated:
            parts.append(
                f"dropped {self.repeated:,} repeated (user, item) rows, of which the latest is kept "
                "(--repeats=keep keeps all)"
            )
        return "; ".join(parts)
