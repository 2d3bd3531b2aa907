"""What is done anew for every table and every graph, done faster for the tests of a process.

In: nothing. Out: `probing`, which forks the process that reads a table before the scorer does; `operators_read_once`.
A command that is typed, in a process of its own, has neither.
"""

import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock

from tests.helpers.checkerboard import ROOT

# A process that has imported what a probe needs, and used none of its threads, forks one for every line it is given.
SERVE = """
import io, json, os, sys
from infer.cli import run
from infer.formats import probe
for line in sys.stdin:
    files, folder, variables, errors = json.loads(line)
    child = os.fork()
    if not child:
        for number, name in ((1, os.devnull), (2, errors)):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(variables)
        sys.stdin = io.StringIO(files)
        status = run(probe.main)
        sys.stderr.flush()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextlib.contextmanager
def probing() -> Iterator[Callable[..., subprocess.CompletedProcess]]:
    """What takes the place of `subprocess.run` in `infer.formats.probe`: a fork instead of a new Python."""
    variables, lock = os.environ | {"PYTHONPATH": str(ROOT)}, Lock()
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables
    )

    with tempfile.TemporaryDirectory() as name:
        errors = Path(name) / "errors"

        def run(command: list[str], input: str, env: dict[str, str], **_) -> subprocess.CompletedProcess:
            assert command[1:3] == ["-m", "infer.formats.probe"]
            with lock:
                print(json.dumps([input, str(Path.cwd()), dict(env), str(errors)]), file=server.stdin, flush=True)
                status = int(server.stdout.readline())
                return subprocess.CompletedProcess(command, status, "", errors.read_text(errors="replace"))

        yield run
        server.communicate()


def operators_read_once() -> None:
    """Keep the table of operators that PyTorch makes of onnxscript's sources for each graph, in a second or two.

    It is a private part of PyTorch: where it is not found, exports take longer.
    """
    with contextlib.suppress(ImportError, AttributeError):
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        ONNXRegistry.from_torchlib = staticmethod(functools.cache(ONNXRegistry.from_torchlib))
