"""A command's `main` to an exit status: one line on standard error if it failed, log messages as lines of output.

In: a function of argv. Out: 0; 1 for a failing system, 2 for wrong input, 3 if lists are held back, 130 interrupted,
141 if nobody reads, 143 terminated.

    raise SystemExit(run(main))
"""

import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from infer.cli.streams import complain, flush, ready
from infer.errors import HeldError, InputError, system_says
from infer.system.project import PROJECT


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends a command as Ctrl-C does, so that `finally` blocks run."""


def run(main: Callable[[Sequence[str]], None]) -> int:
    """Call `main(argv)`; return an exit status, with one line on standard error if it failed."""
    ready()
    tell()
    with _terminable():
        status, message = _ended(main)
    unwritten = flush(sys.stdout)
    if isinstance(unwritten, BrokenPipeError) and status in (0, 1):
        status, message = 141, ""
    elif unwritten is not None and status in (0, 1):
        status, message = 1, f"cannot write to standard output: {system_says(unwritten)}"
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
        return 1, system_says(error)
    except MemoryError:
        return 1, "out of memory: try a smaller --batch-size"
    except Terminated:
        return 143, "terminated"
    except KeyboardInterrupt:
        return 130, "interrupted"


@contextmanager
def _terminable() -> Iterator[None]:
    """Let the first SIGTERM raise `Terminated`; a second one, and one where the caller has it ignored, do as ever."""

    def terminate(*_: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class _Told(logging.Handler):
    """Log messages as lines: on standard output, warnings on standard error, wherever these go just then."""

    def emit(self, record: logging.LogRecord) -> None:
        warning = record.levelno >= logging.WARNING
        print(record.getMessage(), file=sys.stderr if warning else sys.stdout, flush=True)


def tell() -> None:
    """Print what the project's libraries log, which is silent elsewhere."""
    for package in ("infer", "train", "export", "bench"):
        logger = logging.getLogger(package)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(_Told())


def printable(text: str) -> str:
    """The text without what could steer a terminal: such characters become `?`."""
    return "".join(c if c.isprintable() else "?" for c in text)
