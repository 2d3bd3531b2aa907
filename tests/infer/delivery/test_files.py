"""Files of lists: their bytes, whose they are, and what happens where the disk refuses."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infer.delivery import files
from infer.delivery.delivering import Delivery, deliver
from infer.delivery.receipts import receipt_of
from infer.delivery.targets import target_of
from infer.errors import InputError
from infer.system.fingerprints import sha256
from infer.system.ownership import MARK, is_ours
from tests.helpers.disks import full, mounted, read_only
from tests.helpers.published import PARTS, publish

ROWS = "user,rank,item,score\n1,1,30,2.5\n1,2,10,1.0\n2,1,20,0.5\n2,2,10,0.5\n9,1,30,-1.25\n"


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    publish(tmp_path / "l.parquet", *PARTS)
    return tmp_path / "l.parquet"


def to(lists: Path, place: Path, **options: str) -> None:
    deliver(lists, Delivery(target_of(place, ""), **options))


def test_a_file_of_each_kind_holds_all_rows_in_order(lists: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "a.csv.gz", "a.ndjson", "a.JSONL", "a.jsonl.gz", "a.parquet"):
        to(lists, tmp_path / name)
    assert (tmp_path / "a.csv").read_text() == ROWS
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).decode() == ROWS
    first, *_, last = (tmp_path / "a.ndjson").read_text().splitlines()
    assert first == '{"user":1,"rank":1,"item":30,"score":2.5}' and json.loads(last)["user"] == 9
    assert (tmp_path / "a.JSONL").read_bytes() == (tmp_path / "a.ndjson").read_bytes()
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == (tmp_path / "a.ndjson").read_bytes()
    assert pl.read_parquet(tmp_path / "a.parquet").equals(pl.concat(PARTS))


def test_lists_stand_in_one_row_a_user(lists: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "a.ndjson", "a.parquet"):
        to(lists, tmp_path / name, lists_as="lists")
    rows = ['1,"[30,10]","[2.5,1.0]"', '2,"[20,10]","[0.5,0.5]"', "9,[30],[-1.25]"]
    assert (tmp_path / "a.csv").read_text().splitlines() == ["user,items,scores", *rows]
    second = '{"user":2,"items":[20,10],"scores":[0.5,0.5]}'
    assert (tmp_path / "a.ndjson").read_text().splitlines()[1] == second
    assert pl.read_parquet(tmp_path / "a.parquet").row(0) == (1, [30, 10], [2.5, 1.0])


def test_columns_that_lists_may_have_are_delivered_too(tmp_path: Path) -> None:
    marked = PARTS[1].with_columns(source=pl.lit('popular, "as"|ever'))
    publish(tmp_path / "l.parquet", PARTS[0], marked)  # as where an earlier night's lists are kept
    to(tmp_path / "l.parquet", tmp_path / "a.csv", lists_as="lists")
    last = '9,[30],[-1.25],"[""popular, \\""as\\""|ever""]"'
    assert (tmp_path / "a.csv").read_text().splitlines()[1:4:2] == ['1,"[30,10]","[2.5,1.0]","[null,null]"', last]
    to(tmp_path / "l.parquet", tmp_path / "a.ndjson")
    assert json.loads((tmp_path / "a.ndjson").read_text().splitlines()[-1])["source"] == 'popular, "as"|ever'


@pytest.mark.parametrize("name", ["a.csv.gz", "a.ndjson.gz", "a.parquet"])
def test_bytes_follow_from_the_rows_alone(name: str, tmp_path: Path) -> None:
    users = list(range(3000))
    many = pl.DataFrame({"user": users, "rank": 1, "item": users, "score": [x / 7 for x in users]})
    publish(tmp_path / "one.parquet", many)
    publish(tmp_path / "many.parquet", *many.iter_slices(700))
    for lists in ("one", "many"):
        to(tmp_path / f"{lists}.parquet", tmp_path / lists / name, lists_as="lists")
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()


@pytest.mark.parametrize(("name", "content"), [("a.csv", "user,rank,item,score\n"), ("a.ndjson", "")])
def test_lists_of_nobody_are_an_empty_table(name: str, content: str, tmp_path: Path) -> None:
    publish(tmp_path / "l.parquet")
    to(tmp_path / "l.parquet", tmp_path / name)
    assert (tmp_path / name).read_text() == content


def test_a_receipt_says_what_was_delivered(lists: Path, tmp_path: Path) -> None:
    to(lists, tmp_path / "a.csv")
    found = json.loads(receipt_of(tmp_path / "a.csv").read_text())
    assert found["sha256"] == sha256(tmp_path / "a.csv") and found["bytes"] == len(ROWS)
    assert [found[key] for key in ("users", "rows", "publication", "model")] == [3, 5, "000001", "m.onnx"]
    assert is_ours(tmp_path / "a.csv.json")


def test_later_lists_take_the_place_of_earlier_ones(lists: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet"):
        to(lists, tmp_path / name)
    publish(lists, PARTS[1], run=1)
    for name in ("a.csv", "a.parquet"):
        to(lists, tmp_path / name)
    assert (tmp_path / "a.csv").read_text().splitlines()[1:] == ["9,1,30,-1.25"]
    assert pl.read_parquet(tmp_path / "a.parquet").height == 1
    assert "replaces" not in receipt_of(tmp_path / "a.csv").read_text()


@pytest.mark.parametrize("moment", ["announce", "confirm"])
def test_a_receipt_is_of_its_file_though_other_lists_are_delivered_there_at_once(
    moment: str, lists: Path, tmp_path: Path, monkeypatch
) -> None:
    publish(tmp_path / "other.parquet", PARTS[0])
    place, real = tmp_path / "a.csv", getattr(files, moment)
    to(lists, place)

    def beside_another(*given: Any) -> Any:
        monkeypatch.undo()
        if moment == "confirm":
            to(tmp_path / "other.parquet", place)
            return real(*given)
        done = real(*given)
        to(tmp_path / "other.parquet", place)
        return done

    monkeypatch.setattr(files, moment, beside_another)
    to(lists, place)
    receipt = json.loads(receipt_of(place).read_text())
    assert receipt["sha256"] == sha256(place) and receipt["users"] == pl.read_csv(place)["user"].n_unique()
    to(lists, place)


@pytest.mark.parametrize("name", ["a.csv", "a.ndjson.gz", "a.parquet"])
def test_a_file_of_somebody_else_stays(name: str, lists: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_text(ROWS)  # even if it looks the same
    with pytest.raises(InputError, match="move it away"):
        to(lists, tmp_path / name)
    assert (tmp_path / name).read_text() == ROWS


@pytest.mark.parametrize("columns", [["item", "title", "genres"], ["user", "item", "timestamp"], ["user", "vector"]])
def test_a_table_of_ours_that_holds_no_lists_stays(columns: list[str], lists: Path, tmp_path: Path) -> None:
    pl.DataFrame({name: ["x"] for name in columns}).write_parquet(tmp_path / "a.parquet", metadata=dict(MARK))
    before = (tmp_path / "a.parquet").read_bytes()
    with pytest.raises(InputError, match=r"a\.parquet exists and holds no lists, but .*: choose another place"):
        to(lists, tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == before


def test_a_delivered_file_that_was_changed_stays(lists: Path, tmp_path: Path) -> None:
    to(lists, tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("mine\n")
    with pytest.raises(InputError, match=r"a\.csv is not what a\.csv\.json says was delivered, so it may be"):
        to(lists, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "mine\n"


def test_what_has_the_name_of_a_receipt_stays(lists: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv.json").write_text("[]")
    with pytest.raises(InputError, match=r"a\.csv\.json exists and was not written by this project"):
        to(lists, tmp_path / "a.csv")
    assert (tmp_path / "a.csv.json").read_text() == "[]" and not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("renamed", [False, True])
def test_a_delivery_that_was_killed_between_receipt_and_file_is_made_again(
    renamed: bool, lists: Path, tmp_path: Path, monkeypatch
) -> None:
    to(lists, tmp_path / "a.csv")
    publish(lists, PARTS[1], run=1)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*((files, "confirm", killed) if renamed else (Path, "replace", _not_of(tmp_path / "a.csv"))))
        with pytest.raises(KeyboardInterrupt):
            to(lists, tmp_path / "a.csv")
    assert "replaces" in receipt_of(tmp_path / "a.csv").read_text()
    assert ((tmp_path / "a.csv").read_text() == ROWS) is not renamed
    to(lists, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines()[1:] == ["9,1,30,-1.25"]


def _not_of(path: Path) -> object:
    rename = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if Path(target) == path:
            raise KeyboardInterrupt
        return rename(self, target)

    return replace


@pytest.mark.parametrize("place", ["l.parquet", "l.publications/a.csv", "l.publications/current/lists/a.csv"])
def test_nothing_is_delivered_into_the_lists(place: str, lists: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"would be written"):
        to(lists, tmp_path / place)
    assert not (tmp_path / "l.publications" / "a.csv").exists()


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_full_disk_loses_nothing(name: str, lists: Path, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    many = pl.DataFrame({"user": range(9000), "rank": 1, "item": 7, "score": 0.5})
    with mounted(place, "-t", "tmpfs", "-o", "size=128k", "none") as worked:
        if not worked:
            pytest.skip("nothing may be mounted here")
        to(lists, place / name)
        before = (place / name).read_bytes()
        publish(lists, many, run=1)
        with full(place, 4096), pytest.raises(InputError, match=rf"cannot write .*{name}.*: .*earlier files are unch"):
            to(lists, place / name)
        assert (place / name).read_bytes() == before and not list(place.glob(".a.*"))


def test_a_folder_that_cannot_be_written_is_told(lists: Path, tmp_path: Path) -> None:
    place = tmp_path / "closed"
    place.mkdir()
    with read_only(place) as closed:
        if not closed:
            pytest.skip("nothing may be mounted here")
        with pytest.raises(InputError, match=r"cannot write .*closed/a\.csv: "):
            to(lists, place / "a.csv")
