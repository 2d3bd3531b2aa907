"""The most memory that this process has held, what is free, and memory that it keeps for itself.

    python -c "from infer.system.memory import peak_memory; print(peak_memory())"

Linux says it in /proc, Windows to psutil (whose figures on other systems are of the moment), others to `getrusage`.
"""

import sys
import time
from contextlib import suppress
from pathlib import Path

STATUS, MACHINE = Path("/proc/self/status"), Path("/proc/meminfo")
CONTAINER = Path("/sys/fs/cgroup")  # of cgroup v2; in a container its own
# glibc's names of what `mallopt` sets (malloc.h), and the largest size that it takes for the second.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT_BYTES, MOST_MMAP = 256 * 2**20, 32 * 2**20
TRIMMED_EVERY = 60.0  # seconds


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    if STATUS.exists():
        # `getrusage` would count what the parent held when it started this process.
        line = next(line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def reset_peak_memory() -> None:
    """Let `peak_memory` count from now on, where the system can (Linux); elsewhere it goes on as it was."""
    with suppress(OSError):
        STATUS.with_name("clear_refs").write_text("5", encoding="utf-8")


def free_memory() -> int | None:
    """Bytes that processes may still take, swap included, of the machine or of this container if that has less; None
    where the system does not say.
    """
    if sys.platform == "win32":
        import psutil

        return int(psutil.virtual_memory().available)
    if not MACHINE.is_file():
        return None
    sizes = dict(line.split(":", 1) for line in MACHINE.read_text(encoding="utf-8").splitlines())
    try:
        free = sum(int(sizes[name].split()[0]) * 1024 for name in ("MemAvailable", "SwapFree"))
    except (KeyError, ValueError):
        return None
    limit, used = (_number(CONTAINER / name) for name in ("memory.max", "memory.current"))
    # What files in the cache take is counted as used, and given back when it is wanted.
    cached = _number(CONTAINER / "memory.stat", "inactive_file ") or 0
    return free if limit is None or used is None else min(free, max(limit - used + cached, 0))


def _number(path: Path, start: str = "") -> int | None:
    """The number of a file, or of its line with this start; None where there is none, as of `max`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.removeprefix(start) for line in lines if line.startswith(start)]
    return int(found[0]) if found and found[0].isdigit() else None


def keep_freed_memory() -> None:
    """Let the C library keep up to KEPT_BYTES of freed memory for what is allocated next.

    Otherwise arrays of a few megabytes, as the gradient of a table of items, may be given back to the system and
    fetched page by page again in every step. Where the library is not glibc nothing changes.
    """
    import ctypes

    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, MOST_MMAP)
        library.mallopt(TRIM_THRESHOLD, KEPT_BYTES)


class Trimming:
    """Gives freed memory back to the system now and then.

    Blocks of many sizes, as of batches of different lengths, leave gaps between what is still used, into which the next
    ones do not fit: a training would take more memory with every epoch, several times of what it holds. Where the
    library is not glibc nothing happens.
    """

    def __init__(self) -> None:
        self._last = time.monotonic()

    def trim(self) -> bool:
        """Whether it was done: at most every TRIMMED_EVERY seconds, since the pages are then fetched again."""
        if time.monotonic() - self._last < TRIMMED_EVERY:
            return False
        import ctypes

        with suppress(AttributeError, OSError, TypeError):
            ctypes.CDLL(None).malloc_trim(0)
        self._last = time.monotonic()
        return True
