"""The peak of memory, as each system tells it."""

import ctypes
import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from infer.system import memory
from infer.system.memory import peak_memory

MIB = 2**20
STATM = Path("/proc/self/statm")


def test_the_peak_stays_when_the_memory_is_given_back() -> None:
    held = np.ones(64 * MIB, dtype=np.uint8)
    peak = peak_memory()
    assert peak > held.nbytes
    del held
    assert peak_memory() > peak - MIB  # the kernel counts pages in batches


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can forget a peak")
def test_the_peak_can_be_counted_anew() -> None:
    held = np.ones(256 * MIB, dtype=np.uint8)
    peak = peak_memory()
    del held
    memory.reset_peak_memory()
    assert peak_memory() < peak - 128 * MIB


def test_where_the_system_cannot_forget_a_peak_it_stays(monkeypatch) -> None:
    monkeypatch.setattr(memory, "STATUS", Path("/no/such/file"))
    memory.reset_peak_memory()


@pytest.mark.parametrize(("platform", "unit"), [("darwin", 1), ("freebsd14", 1024)])
def test_without_proc_the_system_is_asked_in_its_own_unit(platform: str, unit: int, monkeypatch) -> None:
    monkeypatch.setattr(memory, "STATUS", Path("/no/such/file"))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=7 if who == 0 else 0))
    assert peak_memory() == 7 * unit


def test_windows_has_no_resource_and_is_asked_through_psutil(monkeypatch) -> None:
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=5, peak_wset=9))
    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace(Process=lambda: process))
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr(sys, "platform", "win32")
    assert peak_memory() == 9


def test_what_is_free_is_the_machines_or_the_containers_if_that_has_less(tmp_path: Path, monkeypatch) -> None:
    machine, container = tmp_path / "meminfo", tmp_path / "cgroup"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(memory, "MACHINE", machine)
    monkeypatch.setattr(memory, "CONTAINER", container)
    assert memory.free_memory() is None
    machine.write_text("MemTotal:  9000 kB\nMemAvailable:    3000 kB\nSwapFree:  500 kB\nHugePages_Total: 0\n")
    assert memory.free_memory() == 3500 * 1024
    container.mkdir()
    (container / "memory.max").write_text("max\n")
    (container / "memory.current").write_text(f"{2000 * 1024}\n")
    assert memory.free_memory() == 3500 * 1024, "a container without a limit"
    (container / "memory.max").write_text(f"{2500 * 1024}\n")
    assert memory.free_memory() == 500 * 1024
    (container / "memory.stat").write_text(f"anon 7\ninactive_file {100 * 1024}\nactive_file 9\n")
    assert memory.free_memory() == 600 * 1024, "what files in the cache take is given back"
    machine.write_text("MemTotal:  9000 kB\n")
    assert memory.free_memory() is None


@pytest.mark.skipif(sys.platform != "linux", reason="as Linux tells it")
def test_this_machine_says_what_is_free() -> None:
    assert MIB < memory.free_memory() < 2**50


@pytest.mark.skipif(not STATM.exists() or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc has it")
def test_gaps_between_what_is_used_are_given_back_when_it_is_time(monkeypatch) -> None:
    def resident() -> int:
        return int(STATM.read_text().split()[1]) * resource.getpagesize()

    trimming = memory.Trimming()
    blocks = [np.ones(100_000, dtype=np.uint8) for _ in range(1000)]  # so small that they stand beside each other
    del blocks[::2]
    before = resident()
    assert not trimming.trim() and resident() > before - 10 * MIB, "a minute has not passed"
    monkeypatch.setattr(memory, "TRIMMED_EVERY", 0.0)
    assert trimming.trim() and resident() < before - 30 * MIB
    monkeypatch.setattr(memory, "TRIMMED_EVERY", 60.0)
    assert not trimming.trim() and len(blocks) == 500


def test_without_glibc_nothing_is_given_back(monkeypatch) -> None:
    monkeypatch.setattr(memory, "TRIMMED_EVERY", 0.0)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    assert memory.Trimming().trim()
