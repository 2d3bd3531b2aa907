"""Reading tables: every format gives the same rows, every rule is stated here, every fault is one line."""

import gzip
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.formats import packed, probe
from infer.formats.layout import Layout
from infer.formats.opening import read_table
from infer.scoring import lists
from infer.sources import cutting, sorting, source
from infer.tables.interactions import read_interactions
from infer.tables.items import read_items
from infer.tables.options import TableOptions
from infer.tables.tidy import tidy
from infer.tables.timestamps import unix_seconds

ROWS = [(1, 10, 100, 4.0), (1, 11, 101, 3.5), (2, 10, 99, 5.0)]
NAMES = ["user", "item", "timestamp", "rating"]


def text(separator: str) -> str:
    return "\n".join(separator.join(map(str, row)) for row in [NAMES, *ROWS]) + "\n"


def write(path: Path, kind: str) -> Path:
    path = path / f"r.{kind}"
    if kind == "parquet":
        pl.DataFrame(ROWS, schema=NAMES, orient="row").write_parquet(path)
    elif kind == "csv.gz":
        path.write_bytes(gzip.compress(text(",").encode()))
    else:
        path.write_text(text({"csv": ",", "tsv": "\t", "dat": "::"}[kind]))
    return path


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "tsv", "dat", "parquet"])
def test_every_format_gives_the_same_rows(kind: str, tmp_path: Path) -> None:
    table = read_interactions(write(tmp_path, kind)).interactions
    assert table.rows() == ROWS
    assert list(table.schema.values()) == [pl.Int64, pl.Int64, pl.Int64, pl.Float64]


def rows(*found: tuple, **types) -> pl.DataFrame:
    return pl.DataFrame(found, schema=["user", "item", "timestamp"], orient="row").cast(types)


def test_a_repeated_pair_keeps_its_latest_row_and_is_counted() -> None:
    found = tidy(rows((1, 5, 10), (1, 5, 30), (1, 5, 20), (1, 6, 25), (1, 6, 25)), "t")
    assert found.interactions.rows() == [(1, 6, 25), (1, 5, 30)] and found.repeated == 3


def test_a_pair_repeated_in_one_second_keeps_its_highest_rating() -> None:
    table = rows((1, 5, 10), (1, 5, 10), (1, 5, 10)).with_columns(rating=pl.Series([4.0, 5.0, 3.0]))
    assert tidy(table, "t").interactions.rows() == [(1, 5, 10, 5.0)]


def test_rows_of_the_same_second_are_ordered_by_item() -> None:
    assert tidy(rows((1, 10, 5), (1, 9, 5), (1, 11, 4)), "t").interactions["item"].to_list() == [11, 9, 10]
    texts = tidy(rows((1, "b", 5), (1, "a10", 5), (1, "a9", 5)), "t").interactions
    assert texts["item"].to_list() == ["a10", "a9", "b"]


@pytest.mark.parametrize(
    ("ids", "dtype"),
    [
        (["1", "22", "-3"], pl.Int64),
        (["007", "8", "9"], pl.String),
        (["1.5", "2", "3"], pl.String),
        (["9223372036854775808", "2", "3"], pl.String),
        (["u1", "u2", "é🎬"], pl.String),
    ],
)
def test_ids_are_numbers_only_if_all_are_are_canonical(ids: list[str], dtype, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("user,item,timestamp\n" + "".join(f"1,{i},5\n" for i in ids))
    found = read_interactions(path).interactions["item"]
    assert found.dtype == dtype and set(found.cast(pl.String)) == set(ids)


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["a", "b"])])
def test_categories_are_text_ids(dtype) -> None:
    found = tidy(rows((1, "b", 5), (1, "a", 5), item=dtype), "t").interactions["item"]
    assert found.dtype == pl.String and found.to_list() == ["a", "b"]


def test_timestamps_may_be_whole_or_fractional_seconds_or_dates() -> None:
    assert tidy(rows((1, 2, 5.0)), "t").interactions["timestamp"].to_list() == [5]
    assert tidy(rows((1, 2, 5.25)), "t").interactions["timestamp"].to_list() == [5.25]
    dates = tidy(rows((1, 2, datetime(1970, 1, 2))), "t").interactions["timestamp"]
    assert dates.to_list() == [86400] and dates.dtype == pl.Int64
    assert tidy(rows((1, 2, date(1970, 1, 3))), "t").interactions["timestamp"].to_list() == [172800]
    # Microseconds count.
    assert tidy(rows((1, 2, datetime(1970, 1, 1, 0, 0, 0, 1))), "t").interactions["timestamp"].to_list() == [1e-6]


def test_stated_columns_are_used(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("who,what,item,when\n1,2,3,4\n")
    found = read_interactions(path, TableOptions(user="who", item="what", timestamp="when")).interactions
    assert found.rows() == [(1, 2, 4)]
    with pytest.raises(InputError, match="has no column 'whom'; its columns: who, what, item, when"):
        read_interactions(path, TableOptions(user="whom"))
    with pytest.raises(InputError, match=r"has no user column; its columns: who, .*; name it with --user-column"):
        read_interactions(path)


def test_a_split_is_kept_whichever_order_the_columns_have(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("split,timestamp,item,user\ntest,9,4,1\ntrain,8,3,1\n")
    assert read_interactions(path, TableOptions(split="split")).interactions.rows() == [
        (1, 3, 8, "train"),
        (1, 4, 9, "test"),
    ]
    assert read_interactions(path).interactions.rows() == [(1, 3, 8), (1, 4, 9)]


def test_a_file_without_a_header_is_read_with_the_given_names_quotes_and_encoding(tmp_path: Path) -> None:
    for separator in ("|", "::"):
        path = tmp_path / "i.dat"
        path.write_bytes(f'7{separator}"Amélie\n'.encode("latin-1"))
        assert read_table(path, Layout(separator=separator, header="item,title", encoding="latin-1")).rows() == [
            ("7", '"Amélie')
        ]


def test_items_have_one_row_each_and_lists_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "i.parquet"
    pl.DataFrame({"item": [2, 1, 2], "genres": [["War"], ["Drama", "War"], ["x"]]}).write_parquet(path)
    assert read_items(path).rows() == [(1, None, "Drama|War"), (2, None, "War")]
    pl.DataFrame({"item": [2]}).write_parquet(path)
    with pytest.raises(InputError, match="neither titles nor genres"):
        read_items(path)


FAULTS = {
    "object id": (
        rows((1, {"sku": 2}, 3)),
        "expected whole numbers or texts; write the field that is the id as a column of its own",
    ),
    "list id": (rows((1, [2], 3)), "t column item holds List(Int64); expected whole numbers or texts"),
    "null id": (rows((1, None, 3), item=pl.Int64), "t row 1 has no item"),
    "empty id": (rows((1, "a", 3), (1, "", 4)), "t row 2 has no item"),
    "float id": (rows((1, 2.5, 3)), "t column item holds Float64, as 2.5; expected whole numbers or texts"),
    "word": (rows((1, 2, "3"), (1, 4, "noon")), "t row 2 has the timestamp 'noon'; expected seconds or a date"),
    "url": (rows((1, 2, "88http://x/81")), "t row 1 has the timestamp '88http://x/81'"),
    "missing": (rows((1, 2, None), timestamp=pl.Int64), "t row 1 has the timestamp nothing"),
    "nan": (rows((1, 2, float("nan"))), "t row 1 has the timestamp nan"),
    "truth": (rows((1, 2, True)), "t column timestamp holds Boolean; expected numbers"),
    "nan rating": (rows((1, 2, 3)).with_columns(rating=pl.lit(float("nan"))), "t row 1 has the rating nan"),
    "infinite": (rows((1, 2, 3)).with_columns(rating=pl.lit(float("inf"))), "t row 1 has the rating inf"),
    "split": (rows((1, 2, 3)).with_columns(split=pl.lit("B")), "t row 1 has the split 'B'; expected train, validation"),
    "no split": (rows((1, 2, 3)).with_columns(split=pl.lit(None, pl.String)), "t row 1 has the split nothing"),
    "split in a list": (rows((1, 2, 3)).with_columns(split=pl.lit(["test"])), "split"),
    "too large": (rows((1, 2**63, 3), item=pl.UInt64), "beyond 64-bit signed integers"),
    "128 bits": (rows((1, 2**100, 3), item=pl.Int128), "64-bit"),
    "no rows": (rows().cast(pl.Int64), "t has no rows"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_table_names_the_row(fault: str) -> None:
    table, message = FAULTS[fault]
    with pytest.raises(InputError) as caught:
        tidy(table, "t")
    said = str(caught.value)
    assert said.startswith("t ") and message in said and "\n" not in said


FILES = {
    "text.parquet": (b"user,item\n", "cannot be read"),
    "empty.csv": (b"", "is empty"),
    "header.csv": (b"user,item,timestamp\n", "has no rows"),
    "header.dat": (b"user::item::timestamp\n", "has no rows"),
    "blank.csv": (b"\n", "cannot be read"),
    "blank.dat": (b"\n", ""),
    "twice.dat": (b"user::user::item::timestamp\n1::1::2::3\n", ""),
    "ragged.dat": (b"user::item::timestamp\n1::2::3\n1::2\n", "row 2 has 2 fields; expected 3"),
    "short.csv": (b"user,item,timestamp\n1,2,3\n1,4\n", "row 2 has the timestamp nothing"),
    "long.csv": (b"user,item,timestamp\n1,2,3,4\n", "cannot be read"),
    "pasted.csv": (b"user,item,timestamp\n1,2,3\n1,4,88http://x/81\n", "row 2 has the timestamp '88http://x/81'"),
    "latin.csv": ("user,item,timestamp\n1,日,2\n1,é,3\n".encode()[:-5] + b"\xe9,3\n", "cannot be read"),
    "note.doc": (b"x", "has one column alone: 'x'; name what separates its fields with --separator"),
    "cut.csv.gz": (gzip.compress(text(",").encode())[:-20], "cannot be read"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_faulty_file_is_named(name: str, tmp_path: Path) -> None:
    content, message = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_interactions(tmp_path / name)
    said = str(caught.value)
    assert name in said and message in said and "\n" not in said


def test_a_cut_parquet_file_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    whole = write(tmp_path, "parquet").read_bytes()
    for length in (2, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.parquet").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.parquet cannot be read: .+$"):
            read_interactions(tmp_path / "cut.parquet")
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="none is a folder without Parquet files"):
        read_interactions(tmp_path / "none")
    with pytest.raises(InputError, match="does not exist"):
        read_interactions(tmp_path / "none.csv")


def test_messages_quote_only_the_beginning_of_long_values(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        tidy(rows((1, 2, "x" * 5000)), "t")
    assert len(str(caught.value)) < 220
    (tmp_path / "wide.csv").write_text(",".join(f"{'c' * 50}{n}" for n in range(99)) + "\n")
    with pytest.raises(InputError, match=r"\.\.\.; name it with") as caught:
        read_interactions(tmp_path / "wide.csv")
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize("name", ["r*.csv", "r[1].csv", "r?.dat"])
def test_a_name_is_one_file_and_never_a_pattern(name: str, tmp_path: Path) -> None:
    separator = "::" if name.endswith(".dat") else ","
    (tmp_path / name.translate({ord(c): "X" for c in "*?"})).write_text(text(separator).replace("100", "900"))
    (tmp_path / name).write_text(text(separator))
    assert read_interactions(tmp_path / name).interactions.rows() == ROWS


def test_the_size_of_a_number_decides_its_unit() -> None:
    # At each edge, and just below the next: 1e8 seconds is the smallest value of every larger unit.
    numbers = [0.0, 99_999_999_999, 1e11, 99_999_999_999_999, 1e14, 1e16, 1e17, 9e19, 1e20, -1e11, -1e20]
    found, units = unix_seconds(pl.Series(numbers))
    seconds = [0.0, 99_999_999_999, 1e8, 99_999_999_999.999, 1e8, 1e10, 1e8, 9e10, None, -1e8, None]
    assert [None if value != value else value for value in found] == pytest.approx(seconds)
    assert units == {"milliseconds": 3, "microseconds": 2, "nanoseconds": 2}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T23:59:60Z", 86_400), ("1970-01-01T23:59:61Z", None), ("1970-01-01T00:60", None),
        ("1970-01-01T24:00", None), ("1970-01-01 00:00:01,25", 1.25), ("1970-01-01T01:30:05z", 5_405),
        ("1970-01-01T00:00+01:30", -5_400), ("1970-01-01T00:00-0130", 5_400), ("1970-01-01T00:00+24:00", None),
        ("1970-01-01T00:00+01:60", None), (" 1970-01-02 ", 86_400), ("1970-1-2", None), ("02.01.1970", None),
        ("1970-01-01T00:00:01.123456789", 1.123456789), ("1970-02-30", None), ("x1970-01-02", None),
    ],
)  # fmt: skip
def test_dates_and_times_by_hand(text: str, seconds: float | None) -> None:
    found, units = unix_seconds(pl.Series([text]))
    assert found.to_list() == [pytest.approx(seconds) if seconds is not None else None]
    assert units == ({} if seconds is None else {"dates": 1})


def test_a_user_may_have_several_items_between_validation_and_test() -> None:
    splits = ["train", "validation", "test-history", "test-history", "test"]
    table = rows(*((1, item, item) for item in range(5))).with_columns(split=pl.Series(splits))
    assert tidy(table, "t").interactions["split"].to_list() == splits


def test_of_a_users_held_out_rows_the_first_of_each_part_is_measured() -> None:
    splits = ["test", "validation", "validation", "train", "test"]
    table = rows(*((1, item, time) for item, time in zip("abcde", (5, 2, 3, 4, 1), strict=True))).with_columns(
        split=pl.Series(splits)
    )
    found = tidy(table, "t")
    assert found.interactions.select("item", "split").rows() == [
        ("e", "test"),
        ("b", "validation"),
        ("c", "test-history"),
        ("d", "train"),
    ]
    assert str(found.notes) == (
        "2 further held-out rows of a user are not measured: those of validation are history for the test item, "
        "those of test are left out"
    )


def test_other_words_for_validation_are_understood() -> None:
    table = rows((1, 1, 1), (2, 1, 1), (3, 1, 1)).with_columns(split=pl.Series(["valid", "val", "dev"]))
    assert tidy(table, "t").interactions["split"].to_list() == ["validation"] * 3


def test_the_latest_row_of_a_pair_is_so_by_time_and_keeps_its_own_split_and_rating() -> None:
    table = rows((1, 5, 30), (1, 5, 10), (1, 6, 20)).with_columns(
        rating=pl.Series([2.0, 5.0, 1.0]), split=pl.Series(["validation", "train", "train"])
    )
    assert tidy(table, "t").interactions.rows() == [(1, 6, 20, 1.0, "train"), (1, 5, 30, 2.0, "validation")]


def test_ids_at_the_ends_of_64_bits_and_fractions_of_seconds_are_kept() -> None:
    found = tidy(rows((-(2**63), 2**63 - 1, 1.5), (1, 2, 3.0)), "t").interactions
    assert found.rows() == [(-(2**63), 2**63 - 1, 1.5), (1, 2, 3.0)] and found.schema["timestamp"] == pl.Float64


def test_what_is_read_and_sorted_at_once_is_bounded() -> None:
    assert (sorting.ROWS, sorting.SORTED_ROWS) == (1_000_000, 1_000_000)
    assert (cutting.PART_ROWS, probe.VALUES) == (4_000_000, 2**24)
    assert source.PART_USERS == 8_192 and (lists.LARGEST_SCORES, lists.LARGEST_SEEN) == (2**26, 2**24)
    assert packed.MOST == 200 and packed.CHUNK == 2**20


def test_at_most_twelve_columns_are_named(tmp_path: Path) -> None:
    for number, shown in ((12, "c10, c11; name it"), (13, "c10, c11, ...; name it")):
        pl.DataFrame({f"c{n:02}": [1] for n in range(number)}).write_csv(tmp_path / "t.csv")
        with pytest.raises(InputError) as caught:
            read_interactions(tmp_path / "t.csv")
        assert shown in str(caught.value)
