"""The most memory that this process has held.

    python -c "from infer.system.memory import peak_memory; print(peak_memory())"

Linux says it in /proc, Windows to psutil (whose figures on other systems are of the moment), others to `getrusage`.
"""

import sys
from contextlib import suppress
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    if STATUS.exists():
        # `getrusage` would count what the parent held when it started this process.
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def reset_peak_memory() -> None:
    """Let `peak_memory` count from now on, where the system can (Linux); elsewhere it goes on as it was."""
    with suppress(OSError):
        STATUS.with_name("clear_refs").write_text("5")
