"""Objects in the cloud: whole or absent, replaced only as they were read, and errors in one line without keys."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infer.errors import InputError
from infer.system import stores
from infer.system.addresses import Address
from infer.system.objects import Objects, fetched
from tests.helpers.servers import BUCKET, KEYS, Store, s3

pytest.importorskip("obstore", reason="obstore, which reaches the cloud, is not installed")
DAY = "Sun, 06 Nov 1994 08:49:37 GMT"
READS_ALONE = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}


@pytest.fixture(scope="module")
def started() -> Iterator[Store]:
    with s3() as store:
        yield store


@pytest.fixture
def store(started: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    started.reach(monkeypatch)
    return started


def objects(name: str = BUCKET) -> Objects:
    return Objects(Address(f"s3://{name}/a folder"))


def refused(name: str = BUCKET) -> str:
    """What is said when something is to be written; soon, and without keys."""
    start = time.monotonic()
    with pytest.raises(InputError) as error:
        objects(name).create("new", b"1")
    assert time.monotonic() - start < 10
    said = str(error.value)
    assert said.startswith(f"s3://{name}/a folder") and KEYS["AWS_SECRET_ACCESS_KEY"] not in said
    return said


def test_an_object_is_made_once_and_replaced_as_it_was_read(store: Store) -> None:
    shelf = objects()
    assert shelf.read("x") is None and not shelf.download("x", Path("x"))
    assert shelf.create("x", b"1") and not shelf.create("x", b"2")
    content, version = shelf.read("x")
    assert content == b"1" and store.get("a folder/x") == b"1"
    assert shelf.replace("x", b"2", version) and not shelf.replace("x", b"3", version)
    assert store.get("a folder/x") == b"2" and not shelf.replace("y", b"3", version)


@pytest.mark.parametrize("written", [True, False])
def test_an_object_whose_answer_is_lost_is_looked_at_again(store: Store, written: bool, monkeypatch) -> None:
    import obstore

    shelf, put = objects(), obstore.put
    assert shelf.create(f"lost {written}", b"1")
    _, version = shelf.read(f"lost {written}")

    def losing(*words, **options) -> None:
        if written:
            put(*words, **options)
        raise obstore.exceptions.GenericError("error sending request")

    monkeypatch.setattr(obstore, "put", losing)
    if written:
        assert shelf.replace(f"lost {written}", b"2", version)
    else:
        with pytest.raises(InputError, match="cannot be reached"):
            shelf.replace(f"lost {written}", b"2", version)
    assert store.get(f"a folder/lost {written}") == (b"2" if written else b"1")


@pytest.mark.parametrize(
    "text", ["s3://shop//x", "s3://shop/a//x", "s3://shop/./x", "s3://shop/../x", "s3://", "s3:///x"]
)
def test_an_address_with_an_empty_part_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"has a part that is empty, '\.' or '\.\.'"):
        Objects(Address(text))


def test_a_folder_may_end_with_a_slash(store: Store) -> None:
    Objects(Address(f"s3://{BUCKET}/with/slash/")).create("x", b"1")
    assert store.get("with/slash/x") == b"1"


def test_files_go_there_and_come_back(store: Store, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    shelf = objects()
    for key in ("7/f", "7/g", "8/f"):
        shelf.upload(key, tmp_path / "f")
    assert shelf.keys("7/") == ["7/f", "7/g"] and {"7", "8"} <= set(shelf.folders())
    shelf.fetch({"7/f": tmp_path / "a" / "1", "8/f": tmp_path / "a" / "2"})
    assert [(tmp_path / "a" / name).read_bytes() for name in "12"] == [b"abc", b"abc"]
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"1", "2"}
    with pytest.raises(InputError, match="s3://shelf/a folder/9/f is not there any more"):
        shelf.fetch({"9/f": tmp_path / "a" / "3"})
    shelf.remove(shelf.keys("7/"))
    shelf.remove([])
    assert shelf.keys("7/") == [] and shelf.keys("8/") == ["8/f"]


def test_a_file_comes_under_its_own_name(store: Store, tmp_path: Path) -> None:
    store.put("models/m.onnx", b"abc")
    found = fetched(Address(f"s3://{BUCKET}/models/m.onnx"), tmp_path)
    assert found.read_bytes() == b"abc" and found.name == "m.onnx" and str(found) == f"s3://{BUCKET}/models/m.onnx"


def test_a_bucket_that_is_not_there_says_so(store: Store) -> None:
    assert "there is no bucket of this name" in refused("gone")
    with pytest.raises(InputError, match="there is no bucket of this name"):
        objects("gone").read("x")


def test_without_credentials_it_says_so(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert "no credentials are found: give them in the environment, as AWS_ACCESS_KEY_ID" in refused()


def test_the_keys_of_a_profile_are_taken(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "keys").write_text("[shop]\naws_access_key_id = key\naws_secret_access_key = sesame\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("AWS_PROFILE", "shop")
    assert objects().create("of a profile", b"1")
    monkeypatch.setenv("AWS_PROFILE", "another")
    assert "the profile another (AWS_PROFILE) has no credentials that are valid: log in again" in refused()


def test_keys_that_are_wrong_or_may_only_read_say_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    names = ("aws_access_key_id", "aws_secret_access_key", "region_name")
    people = boto3.client("iam", endpoint_url=store.url, **dict(zip(names, KEYS.values(), strict=True)))
    people.create_user(UserName="reader")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [READS_ALONE]})
    people.put_user_policy(UserName="reader", PolicyName="reads", PolicyDocument=policy)
    own = people.create_access_key(UserName="reader")["AccessKey"]
    store.put("a folder/there", b"1")
    with store.asking_for_keys():
        assert "access is denied: check the credentials" in refused()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", own["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", own["SecretAccessKey"])
        assert objects().read("there")[0] == b"1"
        assert "whether they may read and write there" in refused()


def test_a_server_that_does_not_answer_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert "cannot be reached: check the host" in refused()


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken"])
def test_a_token_that_has_expired_says_so(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "old")
    with _answering(f"<Error><Code>{code}</Code></Error>".encode(), monkeypatch, status=400):
        expected = "the credentials have expired: renew" if code == "ExpiredToken" else "access is denied"
        assert expected in refused()


def test_a_file_may_take_long_as_long_as_something_comes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(stores.RETRIES, "max_retries", 0)  # the server here knows no ranges
    usual = {"timeout": timedelta(seconds=30)}  # of the library
    monkeypatch.setattr(stores, "TIMES", {name: time / 60 for name, time in (usual | stores.TIMES).items()})
    with _answering(b"x" * 20, monkeypatch, pause=0.1):
        assert objects().download("slow", tmp_path / "slow") and (tmp_path / "slow").read_bytes() == b"x" * 20
    with _answering(b"xy", monkeypatch, pause=3), pytest.raises(InputError, match="cannot be reached: check the host"):
        objects().download("stalled", tmp_path / "stalled")
    with _answering(b"xy", monkeypatch, cut=True), pytest.raises(InputError, match="cannot be reached: check the host"):
        objects().download("broken", tmp_path / "broken")
    assert [path.name for path in tmp_path.iterdir()] == ["slow"]


@contextmanager
def _answering(
    body: bytes, monkeypatch: pytest.MonkeyPatch, status: int = 200, pause: float = 0, cut: bool = False
) -> Iterator[None]:
    """A server that answers everything with these bytes, one after the other; cut: and ends before the last."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            for name, value in (("Content-Length", str(len(body))), ("ETag", '"1"'), ("Last-Modified", DAY)):
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):
                for byte in body[: len(body) - cut]:
                    self.wfile.write(bytes([byte]))
                    time.sleep(pause)

        do_PUT = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in (KEYS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}).items():
        monkeypatch.setenv(name, value)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
