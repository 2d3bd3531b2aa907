"""How the times of a column are written: by hand, in every notation that is found, and what is refused."""

import json
import time
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.errors import InputError
from infer.tables.timestamps import Notation, notation_of, unix_seconds

NOON = 1_505_111_364  # 2017-09-11 06:29:24 UTC
DAY = 1_505_088_000  # ... and its midnight
MINUTE = DAY + 6 * 3600 + 29 * 60


def read(*texts: object, stated: str | None = None) -> list[float | None]:
    values = pl.Series(texts, strict=False)
    return unix_seconds(values, notation_of(values, stated))[0].to_list()


FOUND = {
    "2017-09-11 06:29:24 UTC": (NOON, ""),
    "2017-09-11 06:29:24.250000 UTC": (NOON + 0.25, ""),
    "2017-09-11 06:29:24+00": (NOON, ""),
    "2017-09-11 06:29:24.5-07": (NOON + 7 * 3600 + 0.5, ""),
    "2017-09-11 06:29:24+0530": (NOON - 19_800, ""),
    "2017-09-11T06:29:24Z": (NOON, ""),
    "2040-01-01": (2_208_988_800, ""),
    "1505111364": (NOON, ""),
    "1505111364000": (NOON, ""),
    "Mon Sep 11 06:29:24 +0000 2017": (NOON, "%a %b %d %H:%M:%S%.f %#z %Y"),
    "Mon Sep 11 06:29:24 -0700 2017": (NOON + 7 * 3600, "%a %b %d %H:%M:%S%.f %#z %Y"),
    "Mon Sep 11 06:29:24 2017": (NOON, "%a %b %d %H:%M:%S%.f %Y"),
    "Mon Sep 11 06:29:24 UTC 2017": (NOON, "%a %b %d %H:%M:%S%.f UTC %Y"),
    "Mon, 11 Sep 2017 06:29:24 GMT": (NOON, "%a, %d %b %Y %H:%M:%S%.f GMT"),
    "Mon, 11 Sep 2017 06:29:24 +0200": (NOON - 7200, "%a, %d %b %Y %H:%M:%S%.f %#z"),
    "09 11, 2017": (DAY, "%m %d, %Y"),
    "9 1, 2017": (DAY - 10 * 86_400, "%m %d, %Y"),
    "Sep 11, 2017": (DAY, "%b %d, %Y"),
    "September 11, 2017": (DAY, "%B %d, %Y"),
    "11 Sep 2017": (DAY, "%d %b %Y"),
    "11 September 2017 06:29": (MINUTE, "%d %B %Y %H:%M"),
    "11-Sep-2017": (DAY, "%d-%b-%Y"),
    "20170911": (DAY, "%Y%m%d"),
    "20170911.0": (DAY, "%Y%m%d"),
    "20170911062924": (NOON, "%Y%m%d%H%M%S"),
    "201709110629": (MINUTE, "%Y%m%d%H%M"),
    "20170911T062924": (None, ""),
    "20170911 06:29:24": (NOON, "%Y%m%d %H:%M:%S%.f"),
    "11.09.2017 06:29": (MINUTE, "%d.%m.%Y %H:%M"),
    "11.9.2017": (DAY, "%d.%m.%Y"),
    "2017/09/11": (DAY, "%Y/%m/%d"),
    "2017/9/11 6:29:24": (NOON, "%Y/%m/%d %H:%M:%S%.f"),
    "2017-9-1 6:29": (MINUTE - 10 * 86_400, "%Y-%m-%d %H:%M"),
    "2017-09-11 6:29:24 PM": (NOON + 12 * 3600, "%Y-%m-%d %I:%M:%S%.f %p"),
    "31/08/2017": (DAY - 11 * 86_400, "%d/%m/%Y"),
    "08/31/2017": (DAY - 11 * 86_400, "%m/%d/%Y"),
    "08-31-2017 12:05AM": (DAY - 11 * 86_400 + 300, "%m-%d-%Y %I:%M%p"),
    "31/08/2017, 06:29:24": (NOON - 11 * 86_400, "%d/%m/%Y, %H:%M:%S%.f"),
    "noon": (None, ""),
    "40/40/2017": (None, ""),
    "11.09.17": (None, ""),
    "Mon Sep 11 06:29:24 CEST 2017": (None, ""),
}


@pytest.mark.parametrize("text", FOUND)
def test_what_is_found_without_an_option(text: str) -> None:
    seconds, notation = FOUND[text]
    values = pl.Series([None, text, f" {text} "])
    found = notation_of(values)
    assert found.format == notation and bool(found.said) == bool(notation)
    assert unix_seconds(values, found)[0].to_list() == [None, seconds, seconds]
    assert Notation(**json.loads(json.dumps(asdict(found)))) == found


@pytest.mark.parametrize(
    "text",
    [
        "31.02.2017", "11.09.2017 25:00", "11.09.2017 06:60", "1.13.2017", "0.09.2017", "Sep 31, 2017", "11.09.17",
        "Tue Sep 11 06:29:24 +0000 2017", "Mon Sep 11 06:29:24 +2500 2017", "Mon Foo 11 06:29:24 +0000 2017",
        "13:05 PM", "20170231", "2017911", "13 11, 2017", "2017/02/30", "11 Sep 2017 24:00",
    ],
)  # fmt: skip
def test_what_is_no_date_is_none_whatever_stands_around_it(text: str) -> None:
    right = {"%d.%m.%Y": "11.09.2017", "%d.%m.%Y %H:%M": "11.09.2017 06:00", "%b %d, %Y": "Sep 11, 2017"}
    right |= {"%a %b %d %H:%M:%S %z %Y": "Mon Sep 11 06:29:24 +0000 2017", "%Y%m%d": "20170911"}
    right |= {"%m %d, %Y": "09 11, 2017", "%Y/%m/%d": "2017/09/11", "%d %b %Y %H:%M": "11 Sep 2017 06:29"}
    for other in right.values():
        found = read(*[other] * 3, text)
        assert found[0] is not None and found[3] is None


def test_days_as_numbers_are_days_if_most_are_dates_and_said_so() -> None:
    for values in ([20170911, 20171231], [20170911.0, None, 20171231.0]):
        found = notation_of(pl.Series(values))
        assert found.format == "%Y%m%d"
        assert found.said.endswith(" read as %Y%m%d in UTC (--timestamp-format=seconds: as seconds)")
        assert unix_seconds(pl.Series(values), found)[0].drop_nulls().to_list() == [DAY, 1_514_678_400]
    assert read(20170911062924) == [NOON] and read(201709110629) == [MINUTE]
    assert read(20170911, 20170931) == [20170911, 20170931], "half of them are no dates"
    assert read(20170911, 20170912, 0) == [DAY, DAY + 86_400, None]
    assert read(19691231) == [19691231] and read(21010101) == [21010101]
    assert read(19700101, 21001231) == [0, 4_133_894_400]
    assert read(20170911, stated="seconds") == [20170911]


def test_a_number_above_twelve_tells_day_from_month() -> None:
    assert read("03/04/2017", "13/04/2017") == [1_491_177_600, 1_492_041_600], "3 and 13 April"
    assert read("03/04/2017", "03/13/2017") == [1_488_585_600, 1_489_363_200], "4 and 13 March"
    assert read("13/04/2017", "03/04/2017", "04/14/2017 x") == [1_492_041_600, 1_491_177_600, None]
    # Proven in the first block; further on, what does not fit is no time.
    notation = notation_of(pl.Series(["13-04-2017"]))
    assert unix_seconds(pl.Series(["04-13-2017", "04-03-2017"]), notation)[0].to_list() == [None, 1_488_585_600]


def test_day_and_month_that_could_change_places_are_refused() -> None:
    message = (
        r"the timestamp '11/11/2019 9:05:58 AM' may be day first or month first, and no other one tells: "
        r"--timestamp-format='%d/%m/%Y %I:%M:%S%.f %p' or '%m/%d/%Y %I:%M:%S%.f %p' says which$"
    )
    with pytest.raises(InputError, match=message):
        notation_of(pl.Series(["11/11/2019 9:05:58 AM", "11/12/2019 9:05:58 AM", "nothing"]))
    with pytest.raises(InputError, match=r"'13/04/2017' can only be day first, '04/13/2017' only month first: "):
        notation_of(pl.Series(["01/01/2017", "13/04/2017", "04/13/2017"]))
    assert read("11/11/2019 9:05:58 AM", stated="%m/%d/%Y %I:%M:%S %p") == [1_573_463_158]
    assert read("03/04/2017", stated="%d/%m/%Y") == [1_491_177_600]


def test_most_values_decide_and_the_others_are_none() -> None:
    found = read("n/a", "11.09.2017", "12.09.2017")
    assert found == [None, DAY, DAY + 86_400]
    assert read("11.09.2017", "2017-09-11") == [None, DAY], "half and half: each by itself"
    assert read("", "Sep 11, 2017") == [None, None]
    assert notation_of(pl.Series(["11.09.2017"] * 3 + ["1505111364"] * 4)) == Notation()


def test_a_stated_notation_is_the_only_one() -> None:
    assert read("11.09.17 06:29", stated="%d.%m.%y %H:%M") == [MINUTE]
    assert read("11.09.17", "2017-09-11", "1505111364", stated="%d.%m.%Y") == [None] * 3, "a year of two digits"
    assert read("2017-09-11 06:29:24.25", stated="%Y-%m-%d %H:%M:%S.%f") == [NOON + 0.25], "as Python writes it"
    assert read("2017-09-11 06:29:24 +0200", stated="%Y-%m-%d %H:%M:%S %z") == [NOON - 7200]
    assert read("2017-09-11", "1505111364", stated="iso") == [DAY, None]
    assert read("1505111364", "2017-09-11", stated="seconds") == [NOON, None]
    for number, unit in ((1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")):
        assert read(5 * number, -number, stated=unit) == [5, -1]
        assert unix_seconds(pl.Series([number]), Notation(unit))[1] == {unit: 1}
    for number, unit in ((1e11, "seconds"), (1e14, "milliseconds"), (1e20, "nanoseconds")):
        assert read(number, -number, stated=unit) == [None, None], "no times, as without an option"
    assert read(20170911, 2017111, stated="%Y%m%d") == [DAY, None], "1 November or 11 January"
    assert notation_of(pl.Series(["1"]), "seconds").said == ""


@pytest.mark.parametrize("stated", ["dd/mm/yyyy", "%Q", "%", "", "%H:%M", "%d/%m", "%Y-%m-%d %H", "%Y-%m-%d %I:%M"])
def test_what_is_no_notation_is_refused(stated: str) -> None:
    with pytest.raises(InputError, match="is neither a notation of strftime for a date, such as '%d/%m/%Y %H:%M:%S', "):
        notation_of(pl.Series(["x"]), stated)


def test_zones_by_name_and_formats_of_dates_are_refused() -> None:
    with pytest.raises(InputError, match=r"names of zones \(%Z\)"):
        notation_of(pl.Series(["x"]), "%Y-%m-%d %H:%M:%S %Z")
    with pytest.raises(InputError, match="the timestamps are Date, which needs no format"):
        notation_of(pl.Series([date(2017, 9, 11)]), "%Y")
    assert unix_seconds(pl.Series([date(2017, 9, 11)]), Notation("%Y%m%d"))[0].to_list() == [DAY]
    assert unix_seconds(pl.Series([datetime(2017, 9, 11, tzinfo=UTC)]))[0].to_list() == [DAY]


def test_what_was_expected_is_said_in_words() -> None:
    assert [Notation(n).expected for n in ("", "iso", "nanoseconds", "seconds", "%Y%m%d")] == [
        "seconds or a date", "a date in ISO 8601", "nanoseconds", "seconds", "a time written as %Y%m%d",
    ]  # fmt: skip


def test_a_sentence_tells_what_was_found() -> None:
    assert notation_of(pl.Series(["n/a", "11.09.2017", "1.1.2018"])).said == (
        "timestamps such as '11.09.2017' read as %d.%m.%Y in UTC (--timestamp-format states another)"
    )
    assert " in UTC" not in notation_of(pl.Series(["Mon Sep 11 06:29:24 +0000 2017"])).said


MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2099, 12, 31), timezones=st.builds(
    lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-12 * 60, 14 * 60)
)).map(lambda moment: moment.replace(microsecond=0))  # fmt: skip
ZONED = ["%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%S%z", "%a %b %d %H:%M:%S %z %Y", "%a, %d %b %Y %H:%M:%S %z"]
PLAIN = ["%Y-%m-%d %H:%M:%S UTC", "%d.%m.%Y %H:%M:%S", "%Y%m%d%H%M%S", "%Y/%m/%d %H:%M:%S", "%b %d, %Y %I:%M:%S %p"]


@given(moments=st.lists(MOMENTS, min_size=1, max_size=5), written=st.sampled_from(ZONED + PLAIN))
@settings(max_examples=150, deadline=None)
def test_what_strftime_writes_is_read_back(moments: list[datetime], written: str) -> None:
    if written in PLAIN:
        moments = [moment.astimezone(UTC) for moment in moments]
    texts = pl.Series([moment.strftime(written) for moment in moments])
    expected = [moment.timestamp() for moment in moments]
    assert unix_seconds(texts, notation_of(texts))[0].to_list() == expected
    assert unix_seconds(texts, notation_of(texts, written))[0].to_list() == expected


@given(moments=st.lists(MOMENTS, min_size=1, max_size=5), separator=st.sampled_from("/-"), first=st.booleans())
@settings(max_examples=100, deadline=None)
def test_slashes_are_read_rightly_or_refused(moments: list[datetime], separator: str, first: bool) -> None:
    written = separator.join(["%d", "%m", "%Y"] if first else ["%m", "%d", "%Y"])
    texts = pl.Series([moment.strftime(written) for moment in moments])
    if any(moment.day > 12 for moment in moments):
        expected = [datetime(m.year, m.month, m.day, tzinfo=UTC).timestamp() for m in moments]
        assert unix_seconds(texts, notation_of(texts))[0].to_list() == expected
    else:
        with pytest.raises(InputError, match="may be day first or month first"):
            notation_of(texts)


@given(
    values=st.lists(st.one_of(st.none(), st.text(max_size=20), st.from_regex(r"\d{1,8}[/. -]\d{1,4}.*")), max_size=5)
)
@settings(max_examples=200, deadline=None)
def test_nothing_that_is_written_ends_in_more_than_a_line(values: list[str | None]) -> None:
    texts = pl.Series(values, dtype=pl.String)
    try:
        found = unix_seconds(texts, notation_of(texts))[0]
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 300
    else:
        assert found.dtype == pl.Float64 and len(found) == len(texts)


def test_a_million_values_take_no_longer_than_a_few_seconds() -> None:
    moments = (pl.Series(range(1_000_000)) * 997_000_000 + 10**15).cast(pl.Datetime("us", "UTC"))
    expected = moments.dt.epoch("us") / 1e6
    for written in ("%a %b %d %H:%M:%S %z %Y", "%d/%m/%Y %I:%M:%S %p", "%Y-%m-%d %H:%M:%S UTC"):
        texts = moments.dt.to_string(written)
        started = time.perf_counter()
        found, _ = unix_seconds(texts, notation_of(texts))
        assert time.perf_counter() - started < 15, "about a second and a half; other work may run beside it"
        assert found.equals(expected.floor())
