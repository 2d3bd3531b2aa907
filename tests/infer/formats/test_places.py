"""Tables in the cloud: read as the same files here, and told by their addresses, without keys."""

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import infer
from infer import batch, evaluate
from infer.errors import InputError
from infer.formats.faults import told
from infer.formats.layout import Layout
from infer.formats.places import located, open_files, read_place
from infer.system.addresses import Address, place, public
from infer.system.fingerprints import sha256
from infer.tables.interactions import names_in, read_interactions, scan_interactions
from infer.tables.items import read_items
from infer.tables.options import TableOptions
from tests.helpers import nights
from tests.helpers.servers import BUCKET, KEYS, Store, s3, web

TABLE = pl.DataFrame({"user": [1, 2], "item": ["a", "007"], "timestamp": [5, 6]})
CSV = TABLE.write_csv().encode()
SAID = ("quote that encloses no value", "looks like whole rows", "has no item", "twice", "fields")
SECRET = KEYS["AWS_SECRET_ACCESS_KEY"]


@pytest.fixture(scope="module")
def filled() -> Iterator[Store]:
    with s3() as store:
        store.put_parquet("t.parquet", TABLE)
        store.put("t.csv", CSV)
        store.put("t.csv.gz", gzip.compress(CSV))
        store.put("t.txt", CSV.replace(b",", b";"))
        store.put("odd.jsonl", TABLE.write_ndjson().encode())
        store.put("hive/_SUCCESS", b"")
        store.put_parquet("hive/day=2024-01-02/part-0.parquet", TABLE)
        store.put_parquet("hive/day=a%20b/part-0.parquet", TABLE)
        store.put_parquet("hive/day=__HIVE_DEFAULT_PARTITION__/part-0.parquet", TABLE)
        store.put_parquet("begun/_temporary/0/part-0.parquet", TABLE)
        store.put_parquet("begun/part-0.parquet", TABLE)
        store.put("texts/day=1/a.csv", CSV)
        store.put("texts/day=2/b.csv", CSV)
        store.put("tabs/a.tsv.gz", gzip.compress(CSV.replace(b",", b"\t")))
        store.put("lines/_SUCCESS", b"")
        store.put("lines/a.jsonl", TABLE.write_ndjson().encode())
        store.put("mixed/a.csv", CSV)
        store.put_parquet("mixed/b.parquet", TABLE)
        store.put("unlike/a.csv", CSV)
        store.put("unlike/b.csv", CSV.replace(b"user,item", b"item,user"))
        yield store


@pytest.fixture
def store(filled: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    filled.reach(monkeypatch)
    return filled


def address(key: str) -> Address:
    return Address(f"s3://{BUCKET}/{key}")


def refused(path: Path, layout: Layout = Layout()) -> str:
    start = time.monotonic()
    with pytest.raises(InputError) as error:
        read_place(path, layout)
    assert time.monotonic() - start < 60
    assert str(error.value).startswith(str(path)) and SECRET not in str(error.value)
    return str(error.value).removeprefix(str(path))


def test_a_parquet_file_keeps_its_types_and_a_text_has_none(store: Store) -> None:
    assert read_place(address("t.parquet")).equals(TABLE)
    (_, opened), *_ = open_files(address("t.parquet"))
    assert not opened.untyped
    for key in ("t.csv", "t.csv.gz"):
        (path, opened), *_ = open_files(address(key))
        assert opened.rows.collect().rows() == [("1", "a", "5"), ("2", "007", "6")]
        assert opened.untyped == {"user", "item", "timestamp"} and str(path) == f"s3://{BUCKET}/{key}"
    assert read_interactions(address("t.csv")).interactions.rows() == [(1, "a", 5), (2, "007", 6)]


def test_the_layout_of_a_text_is_used(store: Store) -> None:
    table = read_place(address("t.txt"), Layout(separator=";", header="a,b,c", nulls="007"))
    assert table.rows() == [("user", "item", "timestamp"), ("1", "a", "5"), ("2", None, "6")]
    assert table.columns == ["a", "b", "c"]
    assert "the separator '::' is read of local files only" in refused(address("t.txt"), Layout(separator="::"))
    assert "the encoding utf-16 is read of local files" in refused(address("t.csv"), Layout(encoding="utf-16"))


def test_texts_are_read_as_those_of_a_disk(store: Store, tmp_path: Path) -> None:
    """Spaces, texts that are no value, quotes and rows that are too wide: rows or refusals, but for their words."""
    stray = "user,item,text,timestamp\n" + "".join(f"{n},{n + 1},fine,{n}\n" for n in range(400, 404))
    cases = {
        "user, item ,timestamp\n1, 5,3\n2, 6,4\n": Layout(),
        "user,item,timestamp\n1, NA,3\n2, 6,4\n": Layout(nulls="NA"),
        "user,item,timestamp,item \n1,5,3,9\n": Layout(),
        stray.replace("fine", '"wow', 1): Layout(),
        stray.replace("fine", '"wow', 1).replace("401,402,fine", '401,402,"ah'): Layout(quote="none"),
        stray.replace("fine", '"wow', 1).replace("401,402,fine", '401,402,ah"'): Layout(),
        stray.replace("fine", '"wow', 1).replace("402,403,fine", '402,403,ah"'): Layout(),
        stray.replace("fine", '"well, ""so\nsaid"""'): Layout(),
        stray.replace("402,fine", "402,well, well"): Layout(),
    }
    for text, layout in cases.items():
        (tmp_path / "t.csv").write_text(text)
        store.put("same.csv", text.encode())
        options, found = TableOptions(layout=layout), []
        for path in (tmp_path / "t.csv", address("same.csv")):
            try:
                found.append(read_interactions(path, options).interactions)
            except InputError as error:
                found.append(next(said for said in SAID if said in str(error)))
        assert type(found[0]) is type(found[1]), (text, found)
        assert found[0] == found[1] if isinstance(found[0], str) else found[0].equals(found[1]), (text, found)


def test_lines_of_json_have_types(store: Store) -> None:
    (_, opened), *_ = open_files(address("odd.jsonl"))
    assert opened.rows.collect().equals(TABLE) and not opened.untyped


def test_folders_names_are_untyped_columns(store: Store) -> None:
    scanned = scan_interactions(address("hive/"), TableOptions(rating="day"))
    rows = scanned.rows.collect().sort("rating", "user").rows()
    values = [None, "2024-01-02", "a b"]
    assert rows == [(user, item, at, value) for value in values for user, item, at in TABLE.rows()]
    assert scanned.untyped == {"rating"} and scanned.rows.collect_schema()["rating"] == pl.String
    texts = read_place(address("texts/**/*.csv"))
    assert texts.sort("day", "user")["day"].to_list() == ["1", "1", "2", "2"]


def test_a_folder_of_texts_or_lines_is_known_by_its_files(store: Store) -> None:
    assert read_place(address("texts/")).sort("day", "user")["day"].to_list() == ["1", "1", "2", "2"]
    assert read_place(address("tabs/")).rows() == [("1", "a", "5"), ("2", "007", "6")]
    assert read_place(address("lines/")).equals(TABLE)


def test_files_that_are_no_one_table_are_refused(store: Store) -> None:
    assert "holds files of several kinds: say which are the table" in refused(address("mixed/"))
    assert "holds files with unlike columns" in refused(address("unlike/"))


def test_what_a_writer_has_not_finished_is_refused(store: Store) -> None:
    assert "holds the folder _temporary" in refused(address("begun/"))


def test_delta_is_read_as_its_log_says(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("deltalake", reason="deltalake is not installed")
    TABLE.write_delta(tmp_path / "d")
    TABLE.head(1).write_delta(tmp_path / "d", mode="overwrite")
    for file in (tmp_path / "d").rglob("*"):
        if file.is_file():
            store.put(str(file.relative_to(tmp_path)), file.read_bytes())
    assert read_place(address("d/")).equals(TABLE.head(1))
    assert "is part of a Delta table: give its folder" in refused(address("d/*.parquet"))


def test_an_absent_key_is_one_line(store: Store) -> None:
    for key in ("absent.parquet", "absent.csv", "absent/"):
        assert refused(address(key)).startswith(" does not exist")
    assert "unknown type '': say what it is with --format" in refused(address("t"))


def test_wrong_credentials_are_one_line(store: Store) -> None:
    with store.asking_for_keys():
        assert "access is denied: check the credentials" in refused(address("t.csv"))


def test_a_server_that_is_not_there_is_one_line(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert " cannot be reached: check the host" in refused(address("t.parquet"))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("Client error with status 403 Forbidden", "access is denied"),
        ("HTTP 401: no", "access is denied"),
        ("status code: 400 Bad Request: <Code>ExpiredToken</Code>", "the credentials have expired: renew those"),
        ("status code: 400 Bad Request: <Code>InvalidToken</Code>", "access is denied"),
        ("error sending request after 2 retries, elapsed 0.401s", "cannot be reached"),
        ("error sending request to the port 40312", "cannot be reached"),
    ],
)
def test_a_status_is_a_number_by_itself(error: str, expected: str) -> None:
    assert expected in told(address("t.parquet"), OSError(error))


def test_schemes_that_are_not_read_are_named() -> None:
    assert refused(place("ftp://me:hush@host/t.csv")).startswith(" begins with ftp://, which is not read; expected one")


def test_the_whole_command_and_python_score_an_address(store: Store, tmp_path: Path) -> None:
    nights.write_night(tmp_path)
    nights.score(tmp_path)
    expected = nights.lists(tmp_path)
    table = pl.read_parquet(tmp_path / "interactions.parquet")
    store.put_parquet("night.parquet", table, metadata=pl.read_parquet_metadata(tmp_path / "interactions.parquet"))
    nights.score(tmp_path, f"--interactions=s3://{BUCKET}/night.parquet")
    assert nights.lists(tmp_path).equals(expected)
    model = infer.load(tmp_path / "m.onnx")
    assert model.score(f"s3://{BUCKET}/night.parquet").rows() == expected.rows()


def test_no_output_holds_a_password(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.write_night(tmp_path)
    table = pl.read_parquet(tmp_path / "interactions.parquet").with_columns(split=pl.lit("train"))
    last = pl.int_range(pl.len()).over("user", order_by="timestamp", descending=True) == 0
    table = table.with_columns(split=pl.when(last).then(pl.lit("test")).otherwise("split"))
    store.put_parquet("held.parquet", table)
    given = f"s3://key:{SECRET}@{BUCKET}/held.parquet"
    held = located(address("held.parquet"))
    monkeypatch.setattr("infer.scoring.job.located", lambda *_: Address(given, held.copy))
    nights.score(tmp_path, f"--interactions={given}", "--split-column=split")
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err
    assert not [name for name, content in nights.tree(tmp_path).items() if SECRET.encode() in content]
    metrics = json.loads((tmp_path / "m.metrics.json").read_text())
    assert metrics["interactions"] == metrics["options"]["interactions"] == f"s3://{BUCKET}/held.parquet"


def test_items_may_lie_in_the_cloud(store: Store) -> None:
    store.put("items.csv", b"item,title\n1,One\n")
    assert read_items(address("items.csv")).rows() == [(1, "One", None)]
    assert names_in(address("t.csv")) == ["user", "item", "timestamp"]


def test_the_same_rows_give_the_same_copy(store: Store) -> None:
    one, other = located(address("hive/")), located(address("hive/"))
    assert one.copy != other.copy and sha256(one) == sha256(other)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://me:s@c/r@host:5/db?password=x", "postgresql://host:5/db?..."),
        ("https://me:pw@host/t.csv?sig=abc", "https://host/t.csv?..."),
        ("s3://key:pw@bucket/a@b.csv", "s3://bucket/a@b.csv"),
        ("s3://key:p/w@bucket/a@b.csv", "s3://bucket/a@b.csv"),
        ("S3://bucket/a@b.csv", "s3://bucket/a@b.csv"),
        ("abfss://box@account.dfs.core.windows.net/t.csv", "abfss://box@account.dfs.core.windows.net/t.csv"),
        ("s3://bucket/day=?/*.csv", "s3://bucket/day=?/*.csv"),
    ],
)
def test_what_is_shown_of_an_address(given: str, shown: str) -> None:
    assert public(given) == str(place(given)) == f"{place(given)}" == shown


def test_an_address_is_taken_only_where_it_can_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^--output s3://bucket/x: an address here carries no keys: give them in"):
        batch.main([f"--model={tmp_path}/m.onnx", "--output=s3://key:pw@bucket/x"])
    with pytest.raises(InputError, match=r"^--model takes a path; found the address s3://bucket/m\.onnx$"):
        evaluate.main(["--model=s3://key:pw@bucket/m.onnx"])


def test_what_else_polars_says_is_told_without_addresses() -> None:
    given = Address("https://host/t.csv?sig=hush")
    line = told(given, OSError("GET https://host/t.csv?sig=hush failed\nand more"))
    assert line.startswith("https://host/t.csv?... cannot be read: GET the address failed; say what it is")
    assert told(given, OSError("the token hush is odd")).startswith("https://host/t.csv?... cannot be read: OSError;")


def test_files_of_a_web_server_are_read(tmp_path: Path) -> None:
    TABLE.write_parquet(tmp_path / "t.parquet")
    with web({"/t.csv": CSV, "/t.parquet": (tmp_path / "t.parquet").read_bytes()}) as url:
        assert read_place(place(f"{url}/t.parquet")).equals(TABLE)
        assert read_place(place(f"{url}/t.csv")).rows() == [("1", "a", "5"), ("2", "007", "6")]
        assert refused(place(f"{url}/absent.csv?sig=hush")).startswith(" does not exist")
