"""Times written in one notation for the whole column: which it is, and their seconds.

In: texts. Out: a notation of strftime as Polars takes it (chrono's; `%.f` is a fraction with its dot, or nothing),
and seconds since 1970.

    guess(pl.Series(["Mon Sep 11 06:29:24 +0000 2017"]))  # %a %b %d %H:%M:%S%.f %#z %Y
    seconds(pl.Series(["11.09.2017 06:29"]), "%d.%m.%Y %H:%M")

Of dates whose year stands last, those with dots are day first, those with slashes or hyphens either: a number above 12
tells. Two-digit years and names of zones other than UTC and GMT are not guessed.
"""

import re
from datetime import datetime

import polars as pl

from infer.errors import InputError

# {} is day and month in an order that is still to be found.
DATES = {
    r"\d{4}-\d{1,2}-\d{1,2}": "%Y-%m-%d",
    r"\d{4}/\d{1,2}/\d{1,2}": "%Y/%m/%d",
    r"\d{4}\.\d{1,2}\.\d{1,2}": "%Y.%m.%d",
    r"\d{8}": "%Y%m%d",
    r"\d{1,2}\.\d{1,2}\.\d{4}": "%d.%m.%Y",
    r"\d{1,2}/\d{1,2}/\d{4}": "{}/{}/%Y",
    r"\d{1,2}-\d{1,2}-\d{4}": "{}-{}-%Y",
    r"\d{1,2} \d{1,2}, \d{4}": "%m %d, %Y",
    r"[A-Za-z]{3} \d{1,2}, \d{4}": "%b %d, %Y",
    r"[A-Za-z]{4,9} \d{1,2}, \d{4}": "%B %d, %Y",
    r"\d{1,2} [A-Za-z]{3} \d{4}": "%d %b %Y",
    r"\d{1,2} [A-Za-z]{4,9} \d{4}": "%d %B %Y",
    r"\d{1,2}-[A-Za-z]{3}-\d{4}": "%d-%b-%Y",
    r"[A-Za-z]{3}, \d{1,2} [A-Za-z]{3} \d{4}": "%a, %d %b %Y",
}
CLOCK = r"(?P<hour>\d{1,2}:\d\d)(?P<second>:\d\d(?:\.\d+)?)?(?P<half> ?[AaPp][Mm])?"
ZONE = r"(?P<zone> ?(?:UTC|GMT|Z|[+-]\d\d(?::?\d\d)?))?"
# As the commands date and asctime write it, and Goodreads and Twitter.
YEAR_LAST = re.compile(rf"[A-Za-z]{{3}} [A-Za-z]{{3}} +\d{{1,2}} {CLOCK}{ZONE} \d{{4}}")
YEAR_FIRST = re.compile(rf"(?P<date>.+?)(?:(?P<between>T| |, ){CLOCK}{ZONE})?")
# Without anything between the parts, each has its full width.
DIGITS = {"%Y%m%d": 8, "%Y%m%d%H%M": 12, "%Y%m%d%H%M%S": 14}
EARLIEST = 1000  # a smaller year is one of two digits
EXAMPLE = datetime(2017, 9, 23, 17, 5, 6)


def guess(sample: pl.Series) -> str | None:
    """The notation of most of some texts, `{}` in place of day and month where either may stand; None: no known one."""
    found = sample.map_elements(_notation, return_dtype=pl.String, skip_nulls=True).drop_nulls()
    return None if found.is_empty() else str(found.value_counts().sort("count", found.name, descending=True)[0, 0])


def day_or_month(notation: str, texts: pl.Series) -> str:
    """The same with day and month in place of `{}`; raises InputError if no text tells which comes first."""
    if "{}" not in notation:
        return notation
    day_first, month_first = (notation.format(*order) for order in (("%d", "%m"), ("%m", "%d")))
    as_day, as_month = (seconds(texts, order).is_not_null() for order in (day_first, month_first))
    only_day, only_month = as_day & ~as_month, as_month & ~as_day
    if only_day.any() != only_month.any():
        return day_first if only_day.any() else month_first
    option = f"--timestamp-format='{day_first}' or '{month_first}' says which"
    if only_day.any():
        first, second = (texts.filter(mask)[0][:40] for mask in (only_day, only_month))
        raise InputError(f"the timestamp {first!r} can only be day first, {second!r} only month first: {option}")
    if not as_day.any():
        return day_first
    example = texts.filter(as_day)[0][:40]
    raise InputError(f"the timestamp {example!r} may be day first or month first, and no other one tells: {option}")


def checked(notation: str) -> str:
    """A notation that a user states, as Polars takes it; raises InputError if it gives no moments."""
    # Python's fraction of a second is %f; chrono's %f counts nanoseconds without leading zeros.
    used = notation.replace(".%f", "%.f")
    if re.search(r"%Z|%f", used):
        raise InputError(
            f"--timestamp-format='{notation}': names of zones (%Z) and fractions without a dot (%f) cannot be read; "
            "%z is +0200, and UTC or .%f may stand as they are"
        )
    try:
        written = pl.Series([EXAMPLE]).dt.replace_time_zone("UTC").dt.to_string(used.replace("%#z", "%z"))
        year = written.str.to_datetime(used, strict=False).dt.year()[0]
    except pl.exceptions.PolarsError:
        year = None
    if year != EXAMPLE.year:
        raise InputError(
            f"--timestamp-format='{notation}' is neither a notation of strftime for a date, such as "
            "'%d/%m/%Y %H:%M:%S', nor one of seconds, milliseconds, microseconds, nanoseconds and iso"
        )
    return used


def seconds(texts: pl.Series, notation: str) -> pl.Series:
    """Float64 seconds since 1970 of texts in a notation, null for all others."""
    texts = texts.str.strip_chars()
    if notation in DIGITS:
        texts = texts.str.replace(r"\.0+$", "")  # whole numbers, where a float's column was written as text
        texts = texts.set(texts.str.len_bytes() != DIGITS[notation], None)
    moments = texts.str.to_datetime(notation, strict=False, time_unit="us")
    return (moments.dt.epoch("us") / 1_000_000).set(moments.dt.year() < EARLIEST, None)


def _notation(text: str) -> str | None:
    """The notation of one text, `{}` in place of day and month where either may stand; None: no known one."""
    if parts := YEAR_LAST.fullmatch(text):
        return f"%a %b %d {_clock(parts)} %Y"
    parts = YEAR_FIRST.fullmatch(text)
    date = parts and next((n for shape, n in DATES.items() if re.fullmatch(shape, parts["date"])), None)
    if parts is None or date is None:
        return None
    return date if parts["between"] is None else f"{date}{parts['between']}{_clock(parts)}"


def _clock(parts: re.Match[str]) -> str:
    """The notation of a time of day and its zone."""
    half, zone = parts["half"] or "", parts["zone"] or ""
    clock = ("%I:%M" if half else "%H:%M") + (":%S%.f" if parts["second"] else "")
    return clock + re.sub("(?i)[ap]m", "%p", half) + re.sub(r"[+-].*", "%#z", zone)
