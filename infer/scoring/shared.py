"""What machines that share the work do once: the checksum of the table, under a lock.

In: the publications that the machines write into. Out: a function as `checked_sha256`.

    open_job(model, table, check=check_once(publications))
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infer.publishing.publication import read_json
from infer.publishing.publications import Publications
from infer.publishing.recovery import STORE, lock
from infer.scoring.job import checked_sha256, files_in
from infer.system.files import write_text
from infer.system.fingerprints import fingerprint

FILE = "table.json"
# A file that was written to within a step of the clock of its file system could look the same as before.
SETTLED = 2 * 10**9  # nanoseconds


def check_once(publications: Publications) -> Callable[[Path, str], str]:
    """A check of which one machine's answer serves all, for as long as the table is not written to."""

    def check(table: Path, trusted: str) -> str:
        publications.check()
        # Held all the while, or a process that fails just now would take the store for one that nobody works in.
        with lock(publications, "table"):
            with lock(publications, STORE):
                publications.check()
                publications.create()
            known = read_json(publications.store / FILE)
            mark = _mark(table)
            if isinstance(known, dict) and known.get("mark") == mark and mark["written"] + SETTLED < known["taken"]:
                return str(known["sha256"])
            taken = time.time_ns()
            checksum = checked_sha256(table, trusted)
            content = {"mark": mark, "taken": taken, "sha256": checksum}
            write_text(publications.store / FILE, json.dumps(content) + "\n")
            return checksum

    return check


def _mark(table: Path) -> dict[str, Any]:
    """What is the same on every machine while the table is: the fingerprint without the number of the device."""
    values = fingerprint(table, files_in(table))
    return {"files": [list(values[n + 1 : n + 4]) for n in range(0, len(values), 4)], "written": max(values[3::4])}
