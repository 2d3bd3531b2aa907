"""A command's `main` to an exit status: one line on standard error if it failed, log messages as lines of output.

In: a function of argv. Out: 0; 1 for a failing system, 2 for wrong input, 130 interrupted, 141 if nobody reads.

    raise SystemExit(run(main))
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence

from infer.errors import InputError, system_says
from infer.system.project import PROJECT


def run(main: Callable[[Sequence[str]], None]) -> int:
    """Call `main(argv)`; return an exit status, with one line on standard error if it failed."""
    tell()
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
        return 0
    except InputError as error:
        message, status = str(error), 2
    except BrokenPipeError:
        # The reader (`| head`) has gone: keep the interpreter from failing again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except ModuleNotFoundError as error:
        message, status = f"{error.name} is not installed: pip install '{PROJECT}[study,train]'", 1
    except OSError as error:
        message, status = system_says(error), 1
    except MemoryError:
        message, status = "out of memory: try a smaller --batch-size", 1
    except KeyboardInterrupt:
        message, status = "interrupted", 130
    print("error:", printable(" ".join(message.split())), file=sys.stderr)
    return status


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
