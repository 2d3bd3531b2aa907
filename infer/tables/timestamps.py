"""Timestamps of any notation to seconds since 1970.

In: a column of numbers, dates or texts. Out: how its first rows write times, as a `Notation`; and with it Float64
seconds of any rows, null where a value is no time, and how many values were converted from what.

    notation = notation_of(pl.Series(["11.09.2017 06:29"]), None)
    unix_seconds(pl.Series(["12.09.2017 18:00"]), notation)

A stated unit is that of all values; from the year 5138 on they are no times either.
Of themselves, each value alone, are read:
- numbers, as seconds; from 1e11 on (the year 5138) milliseconds, from 1e14 on microseconds, from 1e17 on nanoseconds,
  from 1e20 on nothing;
- texts that are such numbers, or ISO 8601: a date, or date and time with T or a space between them, with or without
  fractions and zone (`Z`, `UTC`, `+02`, `+0230`, `+02:30`);
- dates and times of Parquet.
Everything else is one notation of strftime for the whole column (`infer.tables.strftime`). Without a zone it is UTC.
"""

import re
from dataclasses import dataclass

import polars as pl

from infer.errors import InputError
from infer.tables import strftime

LATEST = 1e11  # seconds
UNITS = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
SECONDS, ISO_8601 = "seconds", "iso"
ISO = (
    r"^\s*(?<date>\d{4}-\d\d-\d\d)(?:[T ](?<hour>\d\d):(?<minute>\d\d)(?::(?<second>\d\d)(?<fraction>[.,]\d{1,9})?)?)?"
    r"\s*(?:(?<zulu>[Zz]|UTC)|(?<sign>[+-])(?<zone_hour>\d\d)(?::?(?<zone_minute>\d\d))?)?\s*$"
)
DAY = 86_400
LIMITS = {"hour": 23, "minute": 59, "second": 60, "zone_hour": 23, "zone_minute": 59}  # 60: leap seconds
SAMPLE = 1_000  # values that decide which notation is tried


@dataclass(frozen=True)
class Notation:
    """How the times of a column are written.

    format: a notation of strftime as Polars takes it, a unit, `iso`, or empty: numbers and ISO 8601, each value by
    itself.  said: a sentence for whoever ran the command; empty where there was nothing to decide.
    """

    format: str = ""
    said: str = ""

    @property
    def expected(self) -> str:
        """What a value should be, for a message."""
        named = {"": "seconds or a date", ISO_8601: "a date in ISO 8601", SECONDS: SECONDS, **{u: u for u in UNITS}}
        return named.get(self.format, f"a time written as {self.format}")


def notation_of(values: pl.Series, stated: str | None = None) -> Notation:
    """How times are written, from the first rows of a column.

    stated: what the user says of it: seconds, milliseconds, microseconds, nanoseconds, iso, or a notation of strftime.
    Where rows differ it is the notation of more than half of them; the others are then no times.
    Raises InputError if `stated` is none of these, or if day and month could change places.
    """
    if stated is not None:
        if values.dtype.is_temporal():
            raise InputError(f"--timestamp-format='{stated}': the timestamps are {values.dtype}, which needs no format")
        return Notation(stated if stated in (SECONDS, ISO_8601, *UNITS) else strftime.checked(stated))
    values = values.drop_nulls()
    if values.is_empty() or not (values.dtype.is_numeric() or values.dtype == pl.String):
        return Notation()
    if values.dtype.is_numeric():
        return _digits(values)
    texts = values.str.strip_chars()
    usual = _each_by_itself(texts.head(SAMPLE))[0].is_finite().fill_null(False)
    if 2 * usual.sum() > len(usual):
        return _digits(texts)
    found = strftime.guess(texts.head(SAMPLE))
    if found is None:
        return Notation()
    found = strftime.day_or_month(found, texts)
    fit = strftime.seconds(texts, found).is_not_null()
    if 2 * fit.sum() <= len(texts):
        return Notation()
    zone = "" if re.search(r"%#?z|UTC|GMT|Z$", found) else " in UTC"
    example = texts.filter(fit)[0]
    return Notation(found, f"timestamps such as '{example}' read as {found}{zone} (--timestamp-format states another)")


def unix_seconds(values: pl.Series, notation: Notation = Notation()) -> tuple[pl.Series, dict[str, int]]:
    """Seconds since 1970, Float64, null or NaN where a value is no time; how many were in another unit or dates.

    values: numbers, texts, Date or Datetime; raises TypeError for anything else.
    """
    if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
        return values.cast(pl.Datetime("us"), strict=False).dt.epoch("us") / 1_000_000, {}
    if not (values.dtype.is_numeric() or values.dtype in (pl.String, pl.Null)):
        raise TypeError(values.dtype)
    if not notation.format:
        return _each_by_itself(values)
    if notation.format in (SECONDS, *UNITS):
        found, kind = values.cast(pl.Float64, strict=False) / UNITS.get(notation.format, 1), notation.format
        found = found.set(found.abs() >= LATEST, None)
        if kind == SECONDS:
            return found, {}
    else:
        texts = values.cast(pl.String)
        found = _iso_seconds(texts) if notation.format == ISO_8601 else strftime.seconds(texts, notation.format)
        kind = "dates"
    return found, {kind: found.count()} if found.count() else {}


def _digits(values: pl.Series) -> Notation:
    """YYYYMMDD, YYYYMMDDhhmm or YYYYMMDDhhmmss, where more than half of the values are such dates from 1970 to 2100.

    As seconds they would be days of August 1970, as milliseconds of 1976 or of the 27th century.
    """
    numbers = values.cast(pl.Float64, strict=False)
    for notation, digits in strftime.DIGITS.items():
        least, most = (year * 10 ** (digits - 4) for year in (1970, 2101))
        near = values.filter((numbers >= least) & (numbers < most))
        if 2 * unix_seconds(near, Notation(notation))[0].count() > len(values):
            other = "seconds" if notation == "%Y%m%d" else "milliseconds"
            said = f"timestamps such as {near[0]} read as {notation} in UTC (--timestamp-format={other}: as {other})"
            return Notation(notation, said)
    return Notation()


def _each_by_itself(values: pl.Series) -> tuple[pl.Series, dict[str, int]]:
    """Numbers by their size, and ISO 8601."""
    values = values.str.strip_chars() if values.dtype == pl.String else values
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
    day = pl.col("date").str.to_date("%Y-%m-%d", strict=False).cast(pl.Int64)
    fraction = pl.col("fraction").str.replace(",", ".").cast(pl.Float64).fill_null(0.0)
    time = number["hour"] * 3600 + number["minute"] * 60 + number["second"] + fraction
    zone = number["zone_hour"] * 3600 + number["zone_minute"] * 60
    ahead = pl.when(pl.col("sign") == "-").then(-zone).otherwise(zone)
    return parts.select(pl.when(right).then(day * DAY + time - ahead).alias("seconds"))["seconds"]
