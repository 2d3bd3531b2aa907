"""Timestamps of any notation to seconds since 1970, value by value.

In: a column of numbers, dates or texts. Out: Float64 seconds, null where a value is no moment, and how many values
were converted from what.

    unix_seconds(pl.Series(["1704067200", "2024-01-01T00:00:00Z", "1704067200000"]))

Numbers are seconds; from 1e11 on (the year 5138) milliseconds, from 1e14 on microseconds, from 1e17 on nanoseconds,
from 1e20 on nothing.
Texts are numbers or ISO 8601: a date, or date and time with T or a space between them, with or without fractions and
zone; without a zone they are UTC. Dates and times of Parquet are moments; without a zone UTC.
"""

from dataclasses import dataclass

import polars as pl

LATEST = 1e11  # seconds
UNITS = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
ISO = (
    r"^\s*(?<date>\d{4}-\d\d-\d\d)(?:[T ](?<hour>\d\d):(?<minute>\d\d)(?::(?<second>\d\d)(?<fraction>[.,]\d{1,9})?)?)?"
    r"\s*(?:(?<zulu>[Zz])|(?<sign>[+-])(?<zone_hour>\d\d):?(?<zone_minute>\d\d))?\s*$"
)
DAY = 86_400
LIMITS = {"hour": 23, "minute": 59, "second": 60, "zone_hour": 23, "zone_minute": 59}  # 60: leap seconds


@dataclass(frozen=True)
class Notation:
    """."""

    format: str = ""
    said: str = ""


def notation_of(values: pl.Series, stated: str | None = None) -> Notation:
    """."""
    return Notation()


def unix_seconds(values: pl.Series, notation: Notation = Notation()) -> tuple[pl.Series, dict[str, int]]:
    """Seconds since 1970, Float64, and how many values were in another unit or written as a date.

    values: numbers, texts, Date or Datetime; raises TypeError for anything else.
    """
    if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
        return values.cast(pl.Datetime("us")).dt.epoch("us") / 1_000_000, {}
    if not (values.dtype.is_numeric() or values.dtype in (pl.String, pl.Null)):
        raise TypeError(values.dtype)
    stated = values.cast(pl.Float64, strict=False)
    size, numbers, counts = stated.abs(), stated, {}
    if (size >= LATEST).any():
        for unit, scale in UNITS.items():
            in_unit = ((size >= LATEST * scale / 1e3) & (size < LATEST * scale)).fill_null(False)
            if in_unit.any():
                counts[unit] = int(in_unit.sum())
                numbers = numbers.zip_with(~in_unit, stated / scale)
        numbers = numbers.set(size >= LATEST * max(UNITS.values()), float("nan"))
    if values.dtype == pl.String and numbers.null_count() > values.null_count():
        dates = _iso_seconds(values)
        written = numbers.is_null() & dates.is_not_null()
        if written.any():
            counts["dates"] = int(written.sum())
            numbers = numbers.zip_with(~written, dates)
    return numbers, counts


def _iso_seconds(values: pl.Series) -> pl.Series:
    """Seconds of ISO 8601 texts, null for all others."""
    parts = values.to_frame("text").select(pl.col("text").str.extract_groups(ISO)).unnest("text")
    number = {name: pl.col(name).cast(pl.Float64).fill_null(0.0) for name in LIMITS}
    right = pl.all_horizontal(number[name] <= limit for name, limit in LIMITS.items())
    day = pl.col("date").str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32)
    fraction = pl.col("fraction").str.replace(",", ".").cast(pl.Float64).fill_null(0.0)
    time = number["hour"] * 3600 + number["minute"] * 60 + number["second"] + fraction
    zone = number["zone_hour"] * 3600 + number["zone_minute"] * 60
    ahead = pl.when(pl.col("sign") == "-").then(-zone).otherwise(zone)
    return parts.select(pl.when(right).then(day * DAY + time - ahead).alias("seconds"))["seconds"]
