"""Tables are read whatever has become of standard error, and what keeps one from being read is named."""

import errno
import gzip
import os
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.formats.databases import asked
from infer.formats.faults import told
from infer.formats.reading import reading
from infer.system.addresses import Address
from infer.tables.interactions import read_interactions
from infer.tables.options import TableOptions
from tests.helpers.checkerboard import HANGS, ROOT

READS = """
import sys
import threading
from pathlib import Path
from infer.cli import run
from infer.formats.reading import reading
from infer.tables.interactions import read_interactions

raise SystemExit(run(lambda words: print(read_interactions(Path(sys.argv[1])).interactions.height)))
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("errors", ["2>&-", "2>/dev/full", "2</dev/null", "2>/dev/null"])
def test_a_standard_error_that_cannot_be_written_to_does_not_keep_a_table_from_being_read(
    errors: str, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("user,item,timestamp\n1,7,1\n2,8,2\n")
    command = ["bash", "-c", f'exec "$0" -c "$1" "$2" {errors}', sys.executable, READS, str(table)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANGS)
    assert (done.returncode, done.stdout) == (0, "2\n")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("options", [TableOptions(), TableOptions(drop_bad_rows=True)])
def test_a_row_that_is_too_wide_is_named(separator: str, options: TableOptions, tmp_path: Path) -> None:
    rows = [f"k{n % 7},i{n % 9},{1_700_000_000 + n}" for n in range(150)]
    rows[120] += ",extra"
    text = "\n".join(["user,item,timestamp", *rows, ""]).replace(",", separator)
    (tmp_path / "r.csv").write_text(text)
    shown = rows[120].replace(",", separator).replace("\t", r"\\t")
    said = rf"r\.csv cannot be read: row 121 has 4 fields, the first line 3: '{shown}'$"
    with pytest.raises(InputError, match=said):
        read_interactions(tmp_path / "r.csv", options)
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(text.encode()))
    with pytest.raises(InputError, match=said.replace("csv", r"csv\.gz")):
        read_interactions(tmp_path / "r.csv.gz", options)


def test_threads_that_read_at_once_leave_standard_error_where_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    before = os.fstat(2).st_ino
    inside, leave = threading.Event(), threading.Event()

    def read() -> None:
        with reading(Path("a")):
            os.write(2, b"first ")
            inside.set()
            assert leave.wait(10)

    thread = threading.Thread(target=read)
    thread.start()
    assert inside.wait(10)
    with reading(Path("b")):  # begins within the other, and ends after it
        leave.set()
        thread.join()
        os.write(2, b"second")
    assert os.fstat(2).st_ino == before and capfd.readouterr().err == "first second"


@pytest.mark.parametrize(
    "error",
    [
        pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)\nmore"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
    ],
)
def test_a_disk_that_is_full_is_not_taken_for_damage_of_the_table(error: Exception) -> None:
    with (
        pytest.raises(InputError, match=r"^t\.csv cannot be copied: .*; free space where "),
        reading(Path("t.csv")),
    ):
        raise error
    with pytest.raises(InputError, match=r"^s3://b/t\.csv cannot be copied: [^;]*; free space"):
        raise InputError(told(Address("s3://b/t.csv"), error))
    with pytest.raises(InputError, match="cannot be copied: "), asked(Address("postgresql://h/d")):
        raise error
    with pytest.raises(InputError, match=r"^t\.csv cannot be read: row 28$"), reading(Path("t.csv")):
        raise pl.exceptions.ComputeError("row 28")
