"""Tables are read whatever has become of standard error."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.checkerboard import HANGS, ROOT

READS = """
import sys
from pathlib import Path
from infer.cli import run
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
