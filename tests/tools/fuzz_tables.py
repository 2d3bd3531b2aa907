"""Tables as chance writes them, and what the readers make of them in a process of its own.

    python -m tests.tools.fuzz_tables parquet 1000 0

changes, cuts, doubles and mixes bytes of small tables of one format 1,000 times (seed 0), reads each whole and in
parts, with bad rows refused and dropped, and prints how many were refused and how many read. It ends with status 0
unless something else than rows or an InputError came of one.
"""

import bz2
import gzip
import io
import lzma
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import RLock

import numpy as np
import polars as pl
import zstandard
from tqdm import tqdm

from infer.errors import InputError
from infer.sources.source import open_source
from infer.tables.interactions import read_interactions
from infer.tables.options import TableOptions

FORMATS = (
    "csv", "tsv", "dat", "utf16", "jsonl", "parquet", "arrow", "csv.gz", "csv.bz2", "csv.xz", "csv.zst", "csv.zip",
    "jsonl.gz",
)  # fmt: skip
# Of which the reader, Polars 2.1, believes sizes that stand in a damaged file, and ends the process where it cannot.
ABORTS = ("parquet", "arrow")
CONTEXT = get_context("spawn")
# How text is packed and unpacked, by the last suffix.
PACKINGS = {
    "gz": (gzip.compress, gzip.decompress),
    "bz2": (bz2.compress, bz2.decompress),
    "xz": (lzma.compress, lzma.decompress),
    "zst": (zstandard.compress, zstandard.decompress),
}
# What tables are made of, and what readers have stumbled over.
WORDS = (
    b"user", b"item", b"timestamp", b"rating", b"split", b",", b"\t", b"::", b"\n", b"\r\n", b'"', b'""', b"1", b"-7",
    b"007", b"nan", b"inf", b"1e309", b"9" * 30, b"2024-01-01T00:00:00Z", b"2024-02-30", b"train", b"test",
    b"\xef\xbb\xbf", b"\xff", b"\0", "🎬".encode(), b" ", b"=1+1", b"x" * 300,
    b";", b"|", b"{", b"}", b"[", b'{"user":', b"null", b"1.5", b"\xff\xfe", b"\0" * 8, b"PAR1", b"ARROW1",
)  # fmt: skip


def seeds(ending: str) -> list[bytes]:
    """Whole tables of a format."""
    found = []
    for columns in (
        {"user": [1, 1, 2, 3], "item": [5, 6, 5, 7], "timestamp": [9, 8, 7, 7], "rating": [4.0, 3.5, None, 1.0]},
        {"user": ["a", "b", "b"], "item": ["x", "y", "é\n🎬"], "timestamp": ["1", "2024-01-01", "1704067200000"]},
        {"user": [1, 1, 1], "item": [1, 2, 3], "timestamp": [1, 2, 3], "split": ["train", "validation", "test"]},
    ):
        table = pl.DataFrame(columns)
        buffer = io.BytesIO()
        if ending == "parquet":
            for compression in ("zstd", "snappy", "uncompressed"):
                buffer = io.BytesIO()
                table.write_parquet(buffer, compression=compression)
                found.append(buffer.getvalue())
            continue
        if ending == "arrow":
            for compression in ("uncompressed", "lz4", "zstd"):
                buffer = io.BytesIO()
                table.write_ipc(buffer, compression=compression)
                found.append(buffer.getvalue())
            continue
        if ending.startswith("jsonl"):
            table.write_ndjson(buffer)
            text = buffer.getvalue()
        elif ending == "dat":
            lines = [table.columns, *table.rows()]
            text = "\n".join("::".join(str(v).replace("\n", " ") for v in line) for line in lines).encode()
        else:
            encoding = "utf-16" if ending == "utf16" else "utf-8"
            text = table.write_csv(separator="\t" if ending == "tsv" else ",").encode(encoding)
        found.append(packed(text, ending))
    return found


def packed(text: bytes, ending: str) -> bytes:
    """The same as the last suffix says."""
    last = ending.rpartition(".")[2]
    if last == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.csv", text)
        return buffer.getvalue()
    return PACKINGS[last][0](text) if last in PACKINGS else text


def unpacked(content: bytes, ending: str) -> bytes:
    """What was packed."""
    last = ending.rpartition(".")[2]
    if last == "zip":
        return zipfile.ZipFile(io.BytesIO(content)).read("t.csv")
    return PACKINGS[last][1](content)


def changed(content: bytes, rng: np.random.Generator) -> bytes:
    """The same bytes after one to four accidents."""
    for _ in range(int(rng.integers(1, 5))):
        at, to = sorted(int(place) for place in rng.integers(0, len(content) + 1, 2))
        match int(rng.integers(6)):
            case 0:
                content = content[:at] + bytes([int(rng.integers(256))]) + content[at + 1 :]
            case 1:
                content = content[:at] + content[to:]
            case 2:
                content = content[:at] + WORDS[int(rng.integers(len(WORDS)))] + content[at:]
            case 3:
                content = content[:to] + content[at:]
            case 4:
                content = content[: max(at, len(content) // 2)]
            case _:
                content = content[:at] + bytes([content[at] ^ 1 << int(rng.integers(8))]) + content[at + 1 :] if (
                    at < len(content)
                ) else content  # fmt: skip
        content = content[:100_000] or b"\n"
    return content


def answer(path: Path, folder: Path) -> str:
    """What becomes of one table; anything but rows or an InputError is raised."""
    said = []
    for drop in (False, True):
        columns = TableOptions(drop_bad_rows=drop)
        work = folder / f"work-{drop}"
        work.mkdir()
        try:
            found = read_interactions(path, columns).interactions
            assert found.height and not found.select("user", "item", "timestamp").null_count().sum_horizontal().item()
            said.append("read")
        except InputError as error:
            assert "\n" not in str(error)
            said.append("refused")
        try:
            source = open_source(path, columns, work)
            rows = sum(source.read(part).height for part in source.parts)
            assert said[-1] == "refused" or rows == found.height, "other rows in parts"
        except InputError as error:
            assert "\n" not in str(error)
        for left in work.iterdir():
            left.unlink()
        work.rmdir()
    return "/".join(said)


class Apart:
    """`answer` in a process of its own, as a command has its `probe`: where that ends, the file is refused."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.pipe, other = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=serve, args=(other,), daemon=True)
        self.process.start()
        other.close()

    def __call__(self, path: Path, folder: Path) -> str:
        try:
            self.pipe.send((path, folder))
            found = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.start()
            for left in folder.glob("work-*"):
                shutil.rmtree(left)
            return "ended"
        if isinstance(found, BaseException):
            raise found
        return found


def serve(pipe: Connection) -> None:
    """Answer what comes through a pipe."""
    tqdm.set_lock(RLock())  # its own, of the system, is left behind where the process is ended
    while True:
        try:
            found = answer(*pipe.recv())
        except EOFError:
            return
        except BaseException as error:
            found = error
        pipe.send(found)


def answers(ending: str, times: int, seed: int) -> Counter:
    """How often tables were refused and read; `read` after a slash: with bad rows dropped."""
    rng, found = np.random.default_rng(seed), Counter()
    reader = Apart() if ending in ABORTS else answer
    whole = seeds(ending)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / f"t.{ending}"
        for number in range(times):
            content = whole[number % len(whole)]
            if "." in ending and number % 2:
                content = packed(changed(unpacked(content, ending), rng), ending)
            else:
                content = changed(content, rng)
            path.write_bytes(content)
            try:
                found[reader(path, Path(name))] += 1
            except BaseException:
                Path(f"/tmp/failing.{ending}").write_bytes(content)
                print(f"number {number} of seed {seed}: kept as /tmp/failing.{ending}", file=sys.stderr)
                raise
    return found


if __name__ == "__main__":
    print(dict(answers(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
