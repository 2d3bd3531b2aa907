"""Segments: an output for each or a column, users without one, and tables that do not fit."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from infer.delivery import segments
from infer.delivery.delivering import Delivered, Delivery, deliver
from infer.delivery.segments import Segments
from infer.delivery.targets import target_of
from infer.errors import InputError
from tests.helpers.published import PARTS, publish

PLANS = "customer,plan\n2,gold\n1,basic\n77,vip\n3,gold\n"  # user 9 has none; 77 and 3 have no list


def to(folder: Path, name: str, content: str = PLANS, column: str | None = "plan", **options: str) -> Delivered:
    lists = folder / "l.parquet"
    if not lists.exists():
        publish(lists, *PARTS)
    (folder / "plans.csv").write_text(content)
    given = Segments(folder / "plans.csv", column)
    return deliver(lists, Delivery(target_of(folder / name, ""), segments=given, **options))


def test_each_segment_has_a_file_and_so_do_those_without_one(tmp_path: Path) -> None:
    done = to(tmp_path, "out/{segment}.csv")
    found = {path.stem: path.read_text().splitlines() for path in (tmp_path / "out").glob("*.csv")}
    assert {name: lines[1:] for name, lines in found.items()} == {
        "basic": ["1,1,30,2.5", "1,2,10,1.0"], "gold": ["2,1,20,0.5", "2,2,10,0.5"],
        "none": ["9,1,30,-1.25"], "vip": [],
    }  # fmt: skip
    assert {lines[0] for lines in found.values()} == {"user,rank,item,score"}
    first, second = done.told()
    assert first.endswith("{segment}.csv; users by segment: basic 1, gold 1, none 1, vip 0")
    assert second == f"1 of these users are not in {tmp_path}/plans.csv: they are in the segment none"


def test_without_a_placeholder_the_segment_is_a_column(tmp_path: Path) -> None:
    to(tmp_path, "a.csv")
    column = pl.read_csv(tmp_path / "a.csv")["segment"]
    assert column.to_list() == ["basic", "basic", "gold", "gold", "none"]
    to(tmp_path, "a.ndjson", lists_as="lists")
    last = (tmp_path / "a.ndjson").read_text().splitlines()[-1]
    assert last == '{"user":9,"items":[30],"scores":[-1.25],"segment":"none"}'


def test_a_user_whose_segment_is_empty_has_none(tmp_path: Path) -> None:
    done = to(tmp_path, "{segment}.csv", "user,segment\n1,\n2,none\n9,a\n", column=None)
    assert done.users == {"a": 1, "none": 2} and done.delivery.segments.absent == 0


def test_a_table_of_any_order_and_length_is_read_in_runs(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(segments, "RUN", 2)
    monkeypatch.setattr(segments, "GROUP", 1)
    content = "user,plan\n" + "".join(f"{user},p{user % 3}\n" for user in (9, 5, 1, 1, 8, 2, 4))
    assert to(tmp_path, "{segment}.csv", content).users == {"none": 0, "p0": 1, "p1": 1, "p2": 1}
    with pytest.raises(InputError, match=r"plans\.csv has user 1 in the segments p1 and p2; expected one"):
        to(tmp_path, "{segment}.csv", content + "1,p2\n")
    assert (tmp_path / "p1.csv").read_text().splitlines()[1:] == ["1,1,30,2.5", "1,2,10,1.0"]


def test_users_written_with_a_point_are_the_whole_numbers_of_the_lists(tmp_path: Path) -> None:
    done = to(tmp_path, "{segment}.csv", "user,plan\n2.0,gold\n1,basic\n9.0,gold\n")
    assert done.users == {"basic": 1, "gold": 2, "none": 0}
    with pytest.raises(InputError, match="has texts as users, as '009'; the lists have whole numbers"):
        to(tmp_path, "{segment}.csv", "user,plan\n2.0,gold\n009,basic\n")


def test_texts_and_numbers_are_compared_as_texts_where_lists_have_texts(tmp_path: Path) -> None:
    publish(tmp_path / "l.parquet", *(part.with_columns(pl.col("user").cast(pl.String)) for part in PARTS))
    assert to(tmp_path, "{segment}.csv").users == {"basic": 1, "gold": 1, "none": 1, "vip": 0}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("plan,x\ngold,1\n", "has no user column; its columns: plan, x; call it 'user'"),
        ("user,tier\n1,gold\n", "has no column 'plan' for --segment-column; it has: tier"),
        ("user,plan\nann,gold\n1,gold\n", "has texts as users, as 'ann'; the lists have whole numbers"),
        ("user,plan\n4,gold\n", "has none of the 3 users of the lists: name another --segments"),
        ("user,plan\n,gold\n", "has none of the 3 users of the lists"),
        ("user,plan\n1,a/b\n", "the segment 'a/b' can be no file name: rename it, or deliver to one file without"),
        ("user,plan\n1,..\n", r"the segment '\.\.' can be no file name"),
        ("user,plan,plan\n1,gold,none\n2,none,gold\n", "names the column 'plan' twice"),
        ("user,plan\n1,Gold\n2,gold\n", "the segments 'Gold' and 'gold' would be one file on some systems"),
        ("user,plan\n" + "".join(f"{n},p{n}\n" for n in range(300)), "has over 256 values"),
    ],
)
def test_a_table_that_does_not_fit_is_told_and_nothing_is_written(content: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=told):
        to(tmp_path, "out/{segment}.csv", content)
    assert not list(tmp_path.glob("out/*"))


def test_any_name_will_do_in_a_column(tmp_path: Path) -> None:
    to(tmp_path, "a.csv", "user,plan\n1,a/b\n2,A/B\n")
    assert pl.read_csv(tmp_path / "a.csv")["segment"].unique().sort().to_list() == ["A/B", "a/b", "none"]


def test_files_of_all_segments_change_together(tmp_path: Path) -> None:
    to(tmp_path, "{segment}.csv")
    before = (tmp_path / "basic.csv").read_bytes()
    publish(tmp_path / "l.parquet", PARTS[0].with_columns(item=pl.lit(7)), run=1)
    (tmp_path / "vip.csv").write_text("mine")
    with pytest.raises(InputError, match=r"vip\.csv is not what vip\.csv\.json says was delivered"):
        to(tmp_path, "{segment}.csv")
    assert (tmp_path / "basic.csv").read_bytes() == before


def test_a_column_of_a_type_that_is_no_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plans.parquet"
    pl.DataFrame({"user": [1, 2], "plan": [timedelta(1), timedelta(2)]}).write_parquet(path)
    with pytest.raises(InputError, match=r"column 'plan' holds Duration.*; expected names of segments"):
        Segments(path, "plan").sort(tmp_path, pl.Int64())
