"""Break the code, one small fault at a time, and see whether the tests notice.

In: train, infer and export, and the tests. Out: OUTPUT/mutants.json, a row a fault: where, what, and whether a test
failed; the faults that nothing noticed are printed. A run that was stopped can be resumed.

    python -m tests.tools.mutants --sample=400

First the tests run once under coverage, to know which of them reach which line. Then every fault of a seeded sample
is put into a copy of the project, and tests that reach its line run there until one fails: those that reach the
fewest lines first, for a budget of their usual time (`tests.tools.reach`). A fault that no such test noticed counts as
unnoticed, though one that was not run might.
"""

import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

import pytest

from infer.cli import option, parse, run
from infer.errors import InputError
from tests.tools.mutations import PACKAGES, ROOT, Mutant, files, mutants
from tests.tools.reach import Notes, Reach

HANGS = 300.0  # seconds: a fault that makes a loop endless was noticed
PRELOADED = [
    "torch", "torch.onnx", "onnxscript", "onnx", "onnxruntime", "polars", "scipy.sparse.linalg", "implicit.als",
    "hypothesis", "pytest", "pytest_benchmark.plugin", "pytest_cov.plugin", "ranx", "plotly",
]  # fmt: skip


def cover(folder: Path) -> None:
    """Run all tests once, in a copy, and note what each reaches."""
    whole = copied(folder / "whole")
    include = "".join(f"\n    {whole / package}/*" for package in PACKAGES)
    (folder / "coveragerc").write_text(f"[run]\ndata_file = {folder / 'coverage'}\ninclude = {include}\n")
    words = ["--cov", "--cov-context=test", "--cov-report=", f"--cov-config={folder / 'coveragerc'}", "tests"]
    print(f"running all tests under coverage; {whole / 'log'} shows how far they are", flush=True)
    child = multiprocessing.get_context("forkserver").Process(target=_child, args=(whole, words, folder / "tests.json"))
    child.start()
    child.join()
    if child.exitcode:
        raise InputError(f"tests fail without any fault, see {whole / 'log'}: mend them first")


def _child(folder: Path, words: list[str], notes: Path | None = None) -> None:
    """Run tests in a copy; the exit status says how they went."""
    os.chdir(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] in (*PACKAGES, "bench", "tests")]:
        del sys.modules[name]  # this command's own, of the project without faults
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.path[:] = [str(folder), *(path for path in sys.path if path and Path(path) != ROOT)]
    sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
    more = ["-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", f"--basetemp={folder / 'tmp'}"]
    status = pytest.main([*more, *words], [] if notes is None else [Notes(notes)])
    sys.stdout.flush()
    os._exit(int(status))


def notice(mutant: Mutant, tests: list[str], folder: Path) -> str:
    """How tests ended with the fault in a copy of the project: failed, hung, or passed."""
    path = folder / mutant.file
    whole = path.read_bytes()
    path.write_bytes(whole[: mutant.start] + mutant.new.encode() + whole[mutant.stop :])
    context = multiprocessing.get_context("forkserver")
    child = context.Process(target=_child, args=(folder, ["-x", *tests]))
    try:
        child.start()
        child.join(HANGS)
        hung = child.is_alive()
        if hung:
            child.kill()
            child.join()
        return "hung" if hung else "passed" if child.exitcode == 0 else "failed"
    finally:
        path.write_bytes(whole)


def copied(target: Path) -> Path:
    """The project's files in a folder of their own."""
    shutil.rmtree(target, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the command."""

    sample: int = option(400, "faults, drawn from all that can be made", minimum=1)
    seed: int = option(0, "seed of the draw", minimum=0)
    jobs: int = option(2, "faults tried at once", minimum=1)
    again: bool = option(False, "try those again that nothing noticed, after tests were added")
    output: Path = option(ROOT / "build" / "mutants", "folder to write to; without it all tests run first")


def main(words: list[str]) -> None:
    """Parse, draw, try, print."""
    config = parse(Options, words, __doc__)
    folder = config.output.resolve()
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    if not (folder / "tests.json").is_file():
        cover(folder)
    reach, everything = Reach(folder), [mutant for path in files() for mutant in mutants(path)]
    chosen = random.Random(config.seed).sample(everything, min(config.sample, len(everything)))
    path, rows, lock = folder / "mutants.json", {}, Lock()
    if path.is_file():
        rows = {(row["file"], row["line"], row["old"], row["new"]): row for row in json.loads(path.read_text())}
    wanted = [m for m in chosen if rows.get((m.file, m.line, m.old, m.new), {}).get("end", "passed") == "passed"]
    if not config.again:
        wanted = [m for m in chosen if (m.file, m.line, m.old, m.new) not in rows]
    places = [copied(folder / f"copy-{number}") for number in range(config.jobs)]
    began, done = time.monotonic(), 0

    def judge(mutant: Mutant) -> None:
        nonlocal done
        with lock:
            place = places.pop()
        tests = reach.tests(mutant)
        started = time.monotonic()
        end = notice(mutant, tests, place) if tests else "passed"
        with lock:
            places.append(place)
            row = asdict(mutant) | {"end": end, "tests": len(tests), "seconds": round(time.monotonic() - started, 1)}
            rows[mutant.file, mutant.line, mutant.old, mutant.new] = row
            path.write_text(json.dumps(list(rows.values()), indent=1))
            done += 1
            left = (time.monotonic() - began) / done * (len(wanted) - done) / 60
            print(f"[{done}/{len(wanted)}, {left:.0f} min left] {end} {mutant.file}:{mutant.line}", flush=True)

    with ThreadPoolExecutor(config.jobs) as pool:
        list(pool.map(judge, wanted))
    found = [rows[m.file, m.line, m.old, m.new] for m in chosen]
    unnoticed = [row for row in found if row["end"] == "passed"]
    for row in sorted(unnoticed, key=lambda row: (row["file"], row["line"])):
        print(f"{row['file']}:{row['line']}: {row['old'][:100]!r} -> {row['new'][:100]!r} ({row['tests']} tests)")
    print(f"{len(found)} faults of {len(everything)}, {len(unnoticed)} unnoticed ({len(unnoticed) / len(found):.1%})")


if __name__ == "__main__":
    raise SystemExit(run(main))
