"""A command's `main` to an exit status: one line on standard error if it failed, log messages as lines of output.

In: a function of argv. Out: 0; 1 for a failing system, 2 for wrong input, 3 if lists are held back, 129 if the
terminal was closed, 130 interrupted, 141 if nobody reads, 143 terminated.

    raise SystemExit(run(main))
"""

import atexit
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO

from infer.cli.streams import can_write, complain, flush, ready
from infer.errors import HeldError, InputError, system_says
from infer.system.columns import printable
from infer.system.project import PROJECT

UNWRITTEN = "cannot write to standard output: "
# Ends of a process that are asked for, and those of a terminal that was closed.
SIGNALS = {"SIGTERM": "terminated", "SIGHUP": "the terminal was closed"}


class Terminated(KeyboardInterrupt):
    """One of `SIGNALS`: ends a command as Ctrl-C does, so that `finally` blocks run."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status, self.message = 128 + number, SIGNALS[signal.Signals(number).name]


def run(main: Callable[[Sequence[str]], None]) -> int:
    """Call `main(argv)`; return an exit status, with one line on standard error if it failed."""
    ready()
    tell()
    _interruptible()
    with _terminable():
        status, message = _ended(main)
    return _flushed(status, message)


def leave() -> NoReturn:
    """End the process as if `main` had returned, but wait for no thread."""
    status = _flushed(0, "")
    atexit._run_exitfuncs()  # folders of what was fetched
    os._exit(status)


def _flushed(status: int, message: str) -> int:
    """Write what is left; returns the exit status, which is another one if that fails."""
    unwritten = flush(sys.stdout)
    if isinstance(unwritten, BrokenPipeError) and status in (0, 1):
        status, message = 141, ""
    elif unwritten is not None and status in (0, 1):
        status, message = 1, f"{UNWRITTEN}{system_says(unwritten)}"
    if message:
        complain(f"error: {printable(' '.join(message.split()))}")
    return status


def _ended(main: Callable[[Sequence[str]], None]) -> tuple[int, str]:
    """How a call ended: an exit status, and a message unless there is nothing to say."""
    try:
        main(sys.argv[1:])
        return 0, ""
    except SystemExit as end:  # of --help, and of fire
        return (end.code or 0, "") if isinstance(end.code, int | None) else (1, str(end.code))
    except HeldError as error:
        return 3, str(error)
    except InputError as error:
        return 2, str(error)
    except BrokenPipeError:  # the reader (`| head`) has gone
        return 141, ""
    except ModuleNotFoundError as error:
        return 1, f"{error.name} is not installed: pip install '{PROJECT}[study,train]'"
    except OSError as error:
        if error.filename is None and not can_write(sys.stdout):
            return 1, f"{UNWRITTEN}{system_says(error)}"
        return 1, system_says(error)
    except MemoryError:
        return 1, "out of memory: try a smaller --batch-size"
    except Terminated as end:
        return end.status, end.message
    except KeyboardInterrupt:
        return 130, "interrupted"


def _interruptible() -> None:
    """Let Ctrl-C end a wait for threads or processes: where Polars is imported, the system would go on waiting.

    A command that imports it later waits for nobody.
    """
    if "polars" in sys.modules and hasattr(signal, "siginterrupt"):  # which Windows has not
        signal.siginterrupt(signal.SIGINT, True)


@contextmanager
def _terminable() -> Iterator[None]:
    """Let the first of `SIGNALS` raise `Terminated`; a second one, and one that the caller has ignored, do as ever."""

    def terminate(number: int, *_: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Terminated(number)

    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]  # Windows has no SIGHUP
    ours = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, terminate)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def say(text: str, stream: TextIO | None = None, end: str = "\n") -> None:
    """Print lines, on standard output unless told otherwise, in which names of a table or a report may stand: without
    what could steer a terminal."""
    print("\n".join(map(printable, text.split("\n"))), file=stream, end=end, flush=True)


class _Told(logging.Handler):
    """Log messages as lines: on standard output, warnings on standard error, wherever these go just then."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage(), sys.stderr if record.levelno >= logging.WARNING else sys.stdout)


def tell() -> None:
    """Print what the project's libraries log, which is silent elsewhere."""
    for package in ("infer", "train", "export", "bench"):
        logger = logging.getLogger(package)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(_Told())
