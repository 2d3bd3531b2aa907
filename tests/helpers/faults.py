"""Commands that are killed, starved or locked out, and what must be true afterwards.

A command runs in a child that is forked from a process which has imported everything, so that hundreds can be
killed in minutes. It dies at a share of its usual time, from outside, or at one of its own file operations.
"""

import io
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path

import polars as pl

from tests.helpers.checkerboard import HANGS, ROOT

COMMANDS = (
    "train.data.__main__", "train.__main__", "export.__main__", "infer.batch", "infer.evaluate", "bench.study.__main__",
)  # fmt: skip
OPERATIONS = {
    "open",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.listdir",
    "os.scandir",
    "os.symlink",
    "os.link",
}
TIMES = ("seconds", "elapsed", "goal_seconds", "preparation_seconds", "seconds_per_epoch")
NEVER = 10**9
LINK, PUBLICATIONS = b"LINK:", ".publications"
BESIDE = ("earlier", "users_again", "users_new", "users_gone", "overlap", "items_earlier", "items_new", "items_gone")


@dataclass(frozen=True)
class Done:
    """How a command ended. operations: how many file operations it made, as far as it came."""

    status: int
    errors: list[str]
    text: str
    operations: int
    seconds: float


def server() -> multiprocessing.context.BaseContext:
    """Where children are forked: a process that has imported the commands and used none of their threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*COMMANDS, "onnxscript", "torch.onnx", "tests.helpers.faults"])
    earlier = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    forkserver.ensure_running()
    os.environ.pop("PYTHONPATH") if earlier is None else os.environ.update(PYTHONPATH=earlier)
    return context


def run(
    module: str,
    words: list[str],
    log: Path,
    seconds: float | None = None,
    operation: int = NEVER,
    limits: dict[str, int] | None = None,
) -> Done:
    """Run a command, killed after so many seconds or at so many file operations.

    limits: resource limits by name.  log: a folder for what it prints, outside of what it writes.
    """
    log.mkdir(exist_ok=True)
    child = server().Process(target=_child, args=(module, [str(word) for word in words], log, operation, limits or {}))
    began = time.monotonic()
    (log / "begun").unlink(missing_ok=True)
    child.start()
    while not (log / "begun").exists() and child.is_alive():
        time.sleep(0.0005)
    ready = time.monotonic()
    child.join(HANGS if seconds is None else seconds)
    if child.is_alive():
        child.kill()
        child.join()
        assert seconds is not None, f"{module} did not end within {HANGS} s, begun {ready - began:.1f} s before"
    errors = [line for line in (log / "err").read_text().splitlines() if line.strip()]
    counted = (log / "operations").stat().st_size if (log / "operations").exists() else 0
    return Done(child.exitcode, errors, (log / "out").read_text(), counted, time.monotonic() - ready)


def _child(module: str, words: list[str], log: Path, operation: int, limits: dict) -> None:
    """The command itself, with its outputs in files; a byte in `operations` for each file operation."""
    import importlib

    import torch

    torch.set_num_threads(1)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(log / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
    main, run_command = importlib.import_module(module).main, importlib.import_module("infer.cli").run
    if module == "bench.study":
        _study_in_one_process()
    counter, place = os.open(log / "operations", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), f"{log.parent}/"
    calls = [0]

    def watch(event: str, arguments: tuple) -> None:
        # The first path of a symbolic link is where it leads.
        if event not in OPERATIONS or not any(str(path).startswith(place) for path in arguments[:2]):
            return
        calls[0] += 1
        os.write(counter, b".")
        if calls[0] == operation:
            os.kill(os.getpid(), signal.SIGKILL)

    for name, most in limits.items():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # else a full disk kills
        resource.setrlimit(getattr(resource, name), (most, most))
    sys.argv = [module, *words]
    sys.addaudithook(watch)
    (log / "begun").touch()
    status = run_command(main)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _study_in_one_process() -> None:
    """Let the study make its cells in this process: starting its workers takes longer than all the rest."""
    from concurrent.futures import ThreadPoolExecutor

    import bench.study
    import bench.study.speed

    bench.study.ProcessPoolExecutor = lambda workers, context, initializer: ThreadPoolExecutor(1)
    bench.study.speed.ROUNDS, bench.study.speed.STEPS, bench.study.speed.WARM_UP = 2, 2, 1


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but for locks; a symbolic link as LINK and where it leads."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = LINK + os.fsencode(path.readlink())
        elif path.is_file() and path.parent.name != "locks":
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def seen(files: dict[str, bytes]) -> dict[str, bytes]:
    """What readers find: publications through the links to the current one, and unfinished work."""
    found = {}
    for name, content in files.items():
        if content.startswith(LINK) and PUBLICATIONS not in Path(name).parts[0]:
            store, _, inside = os.fsdecode(content.removeprefix(LINK)).split("/")
            current = os.fsdecode(files.get(f"{store}/current", b"").removeprefix(LINK))
            place = f"{store}/{current}/{inside}"
            found |= {
                name + n.removeprefix(place): c for n, c in files.items() if n == place or n.startswith(f"{place}/")
            }
        elif PUBLICATIONS not in name or "/work/" in name:
            found[name] = content
    return found


def temporary(name: str) -> bool:
    """Whether a file is part of an unfinished run, and not yet output."""
    return any(part.startswith(".") or ".partial" in part or part == "work" for part in Path(name).parts)


def meaning(name: str, content: bytes) -> object:
    """What two equal runs agree about: all but the times. Raises whatever its reader does if it is not whole."""
    suffix = Path(name).suffix
    if suffix == ".json":
        return _timeless(json.loads(content))
    if suffix == ".parquet":
        table = pl.read_parquet(io.BytesIO(content))
        timed = [c for c in table.columns if c in TIMES]
        if "tables/speed" in name or name.endswith("tables/about.parquet"):
            return table.columns
        return table.drop(timed).to_dict(as_series=False) if timed else content
    if suffix == ".pt":
        import torch

        state = torch.load(io.BytesIO(content[:-32]), weights_only=True)
        weights = {key: weight.tolist() for key, weight in state.pop("model").items()}
        return weights, _timeless(json.loads(json.dumps(state, default=str)))
    if suffix == ".onnx":
        import onnx

        onnx.checker.check_model(content)
    if suffix == ".html":
        assert content.rstrip().endswith(b"</html>")
        return None
    return content


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        dropped = {
            *TIMES,
            "peak_memory_bytes",
            "parents",  # checksums of files that hold times
            # A run that was killed once its lists were there is compared with them, and followed.
            *((*BESIDE, "items") if "overlap" in value else BESIDE),
            "follows",
            "rows" if "steps" in value.get("provenance", {}) else "",
        }
        return {key: _timeless(v) for key, v in value.items() if key not in dropped}
    return [_timeless(v) for v in value] if isinstance(value, list) else value


def check_whole(folder: Path, earlier: dict[str, bytes], expected: dict[str, bytes]) -> None:
    """Every file that is there is the earlier one or the new one; none is gone; lists are of one run."""
    earlier, expected = seen(earlier), seen(expected)
    found = {name: content for name, content in seen(snapshot(folder)).items() if not temporary(name)}
    assert set(earlier) <= set(found) | {n for n in earlier if n not in expected}, "an earlier file is gone"
    for name, content in found.items():
        if content != earlier.get(name):
            assert name in expected, f"{name} is nobody's"
            own = meaning(name, content)
            assert own == meaning(name, expected[name]) or _unfinished(name, found), f"{name} is neither of the two"
    for lists in {str(Path(name).parent) for name in found if ".topk.parquet/" in name}:
        own = {name: found[name] for name in found if str(Path(name).parent) == lists}
        of = [{n: c for n, c in run.items() if str(Path(n).parent) == lists} for run in (earlier, expected)]
        assert own in of, f"{lists} holds lists of two runs"


def _unfinished(name: str, found: dict[str, bytes]) -> bool:
    """Whether a file belongs to a cell of a study that is still being made: it measures validation items first, under
    the names that the test items' files get."""
    path = Path(name)
    return "cells" in path.parts and str(path.with_name(f"{path.name.partition('.')[0]}.cell.json")) not in found


def check_complete(folder: Path, expected: dict[str, bytes]) -> None:
    """The folder holds what an undisturbed run leaves, and nothing else."""
    found, expected = seen(snapshot(folder)), seen(expected)
    assert sorted(found) == sorted(expected)
    for name, content in found.items():
        assert meaning(name, content) == meaning(name, expected[name]), f"{name} differs from an undisturbed run's"


def restore(folder: Path, files: dict[str, bytes]) -> None:
    """Let the folder hold these files and nothing else, written in place so that the folder itself stays."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if content.startswith(LINK):
            (folder / name).symlink_to(os.fsdecode(content.removeprefix(LINK)))
        else:
            (folder / name).write_bytes(content)
