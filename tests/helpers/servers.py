"""Servers of this machine for the tests: an S3, a PostgreSQL and a Redis, each for as long as a block lasts.

In: a folder for what they keep. Out: how to reach them; where they are not installed, the test is skipped.
"""

import io
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest

BUCKET = "shelf"
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "sesame", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass
class Store:
    """A bucket. url: of the server.  client: boto3's."""

    url: str
    client: Any

    @property
    def environment(self) -> dict[str, str]:
        """How to reach it."""
        return KEYS | {"AWS_ENDPOINT_URL": self.url}

    def reach(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this process, and those that it starts, find it."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    def put(self, key: str, content: bytes) -> None:
        """Write an object."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        """What an object holds."""
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def keys(self, below: str = "") -> list[str]:
        """All objects whose names begin with a text."""
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=below)
        return [each["Key"] for each in found.get("Contents", [])]

    def put_parquet(self, key: str, table: pl.DataFrame, **options: Any) -> None:
        """Write a table."""
        buffer = io.BytesIO()
        table.write_parquet(buffer, **options)
        self.put(key, buffer.getvalue())

    @contextmanager
    def asking_for_keys(self) -> Iterator[None]:
        """Refuse whoever has no key of a user."""
        self._let_in(0)
        try:
            yield
        finally:
            self._let_in(10**9)

    def _let_in(self, requests: int) -> None:
        header, place = {"Content-Type": "text/plain"}, f"{self.url}/moto-api/reset-auth"
        urllib.request.urlopen(urllib.request.Request(place, data=str(requests).encode(), headers=header)).read()


@contextmanager
def s3() -> Iterator[Store]:
    """A server of S3 with one bucket, in a thread."""
    moto = pytest.importorskip("moto.server", reason="moto, an S3 server for tests, is not installed")
    boto3 = pytest.importorskip("boto3", reason="boto3, which moto's server is filled with, is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        names = ("aws_access_key_id", "aws_secret_access_key", "region_name")
        client = boto3.client("s3", endpoint_url=url, **dict(zip(names, KEYS.values(), strict=True)))
        client.create_bucket(Bucket=BUCKET)
        yield Store(url, client)
    finally:
        server.stop()


def _program(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


@contextmanager
def postgresql(folder: Path) -> Iterator[tuple[str, Callable[[str], None]]]:
    """A PostgreSQL server; gives the address of a database (user `reader`, password `se@same`), and what runs SQL."""
    initdb, server, psql = map(_program, ("initdb", "postgres", "psql"))
    if not (initdb and server and psql):
        pytest.skip("PostgreSQL's server is not installed")
    become: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("runuser") is None or subprocess.run(["id", "postgres"], capture_output=True).returncode:
            pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres to become")
        become = ["runuser", "-u", "postgres", "--"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "pg"
    data.mkdir()
    if become:
        shutil.chown(data, "postgres")
        for above in folder.parents[: len(folder.parents) - 2]:
            above.chmod(above.stat().st_mode | 0o11)
        folder.chmod(folder.stat().st_mode | 0o11)
    subprocess.run(
        [*become, initdb, "-D", data, "-U", "owner", "--auth-local=trust", "--auth-host=scram-sha-256", "-E", "UTF8"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    settings = ["listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={data}", "fsync=off"]
    running = subprocess.Popen(
        [*become, server, "-D", data, *(word for setting in settings for word in ("-c", setting))],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip

    def sql(text: str) -> None:
        words = [psql, "-h", str(data), "-p", str(port), "-U", "owner", "-v", "ON_ERROR_STOP=1", "-d", "postgres"]
        subprocess.run([*become, *words, "-c", text], check=True, capture_output=True, cwd="/")

    try:
        _wait(running, lambda: sql("select 1"))
        sql("create role reader login password 'se@same'")
        yield f"postgresql://reader:se%40same@127.0.0.1:{port}/postgres", sql
    finally:
        running.terminate()
        running.wait(30)


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A Redis server that keeps nothing; gives its address."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("redis-server is not installed")
    client = pytest.importorskip("redis", reason="the client of Redis is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [server, "--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"]
    running = subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                client.Redis(port=port).ping()
                break
            except client.ConnectionError:
                assert running.poll() is None, "Redis' server has ended"
                time.sleep(0.1)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        running.terminate()
        running.wait(30)


def _wait(running: subprocess.Popen, answers: Callable[[], None]) -> None:
    for _ in range(100):
        try:
            return answers()
        except subprocess.CalledProcessError:
            assert running.poll() is None, "PostgreSQL's server has ended"
            with pytest.raises(subprocess.TimeoutExpired):
                running.wait(0.1)
    raise AssertionError("PostgreSQL's server does not answer")


class _Pages(BaseHTTPRequestHandler):
    """Files by name, and ranges of their bytes."""

    content: ClassVar[dict[str, bytes]] = {}

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self.wfile.write(self._answer())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self) -> bytes:
        whole = self.content.get(self.path.partition("?")[0])
        asked = self.headers.get("Range")
        if whole is None:
            self.send_error(404)
            return b""
        first, _, last = (asked or "bytes=0-").removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, len(whole) - int(last))
        stop = min(int(last) + 1 if first and last else len(whole), len(whole))
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(whole)}")
        self.end_headers()
        return whole[start:stop]


@contextmanager
def web(content: dict[str, bytes]) -> Iterator[str]:
    """A web server with files by their names (`/t.csv`), in a thread; gives its address."""
    handler = type("Pages", (_Pages,), {"content": content})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
