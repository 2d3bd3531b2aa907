"""A wait in C code, which signals end: by what cancels it, or with the process."""

import signal
import subprocess
import sys
import threading
import time

from infer.system.waiting import cancelled_by_signals
from tests.helpers.checkerboard import HANGS, ROOT

# A digest of many rounds is C code that looks at no signal; what would cancel it does nothing.
STUCK = """
import hashlib
from infer.system import waiting
waiting.PATIENCE = 0.5
with waiting.cancelled_by_signals(lambda: None):
    print("waiting", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""


def test_a_wait_that_cannot_be_cancelled_ends_with_the_process() -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", STUCK], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout.readline() == "waiting\n"
    time.sleep(1)  # from there it is a step of Python's to the C code
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=HANGS)
    # Without a handler of Python's the system ends the process at once.
    assert running.returncode == -signal.SIGTERM and errors == ""
    running = subprocess.Popen(
        [sys.executable, "-c", STUCK], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout.readline() == "waiting\n"
    time.sleep(1)
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=HANGS)
    assert (running.returncode, errors) == (130, "error: ended while a server did not answer\n")
    assert 0.4 < time.monotonic() - began < 30


def test_a_signal_cancels_and_python_s_handler_follows() -> None:
    cancelled, handled = threading.Event(), []
    before = signal.signal(signal.SIGHUP, lambda number, frame: handled.append(number))
    try:
        with cancelled_by_signals(cancelled.set):
            signal.raise_signal(signal.SIGHUP)
            assert cancelled.wait(HANGS)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert handled == [signal.SIGHUP] and signal.set_wakeup_fd(-1) == -1


def test_other_signals_and_other_threads_are_left_alone() -> None:
    calls = []
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with cancelled_by_signals(lambda: calls.append(1)):
            signal.raise_signal(signal.SIGUSR1)
            time.sleep(0.05)
    finally:
        signal.signal(signal.SIGUSR1, before)

    def within() -> None:
        with cancelled_by_signals(lambda: calls.append(1)):
            pass

    other = threading.Thread(target=within)
    other.start()
    other.join()
    assert calls == []
