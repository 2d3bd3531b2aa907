"""Waiting for code that Python cannot interrupt: a signal tells it to end, and ends the process if it does not.

In: what cancels the wait. Out: a block, whose signals are Python's own as soon as the wait is over.

    with cancelled_by_signals(connection.adbc_cancel): cursor.execute("...")

Python calls the handlers of signals between its own steps, of which there is none while C code waits for a server.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

ENDING = {number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None}
PATIENCE = 5.0  # seconds from the signal until the process ends without what it waits for


@contextmanager
def cancelled_by_signals(cancel: Callable[[], None]) -> Iterator[None]:
    """A block whose waits `cancel`, called from another thread, ends; a plain one outside of the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    over = threading.Event()
    heard, told = os.pipe()
    os.set_blocking(told, False)

    def watch() -> None:
        for byte in iter(lambda: os.read(heard, 1), b""):
            if byte[0] in ENDING:
                threading.Thread(target=_quietly, args=(cancel,), daemon=True).start()
                if not over.wait(PATIENCE):
                    os.write(2, b"error: ended while a server did not answer\n")
                    os._exit(128 + byte[0])

    watching = threading.Thread(target=watch, daemon=True)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    watching.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        os.close(told)
        watching.join()
        os.close(heard)


def _quietly(cancel: Callable[[], None]) -> None:
    with suppress(Exception):  # of whatever driver: who cancels has no use for the reason
        cancel()
