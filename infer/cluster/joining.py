"""Join a Ray cluster that runs, or start one on this machine for this run alone, and leave it again.

In: an address or none. Out: a block within which Ray works; afterwards no process and no file of a cluster of our own
is left. Nothing is sent to Ray's makers, there is no dashboard, and Ray prints nothing.

    prepare(Cluster())
    with joined(Cluster()): ...
"""

import importlib.util
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from infer.cluster.options import LOCAL, Cluster
from infer.errors import InputError
from infer.system.project import PROJECT
from infer.system.telemetry import send_nothing

# Bytes for what is sent to the workers once; Ray writes more than that to disk.
OBJECT_STORE = 256 * 2**20
AUTO = "auto"
# Ray does not say that it is for want of one.
TOKEN = "; one that asks for a token is joined with RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
# Seconds until an address has to take a connection, and until a process has to have joined the cluster there.
LISTENS, ANSWERS = 10.0, 60.0
# Joins and leaves, or says why not.
JOINS = """
import sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level="CRITICAL")
except Exception as error:
    sys.exit(" ".join(str(error).split()) or type(error).__name__)
"""
# Longest name of a folder in which Ray's sockets still get names that the system takes.
LONGEST = 32
LONGEST_REASON = 300  # characters


def prepare(cluster: Cluster) -> None:
    """Set the environment that Ray reads when it is imported: silent, and one of our own open to nobody else.

    Raises InputError if Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError(f"--engine=ray needs Ray: pip install '{PROJECT}[ray]'")
    if "ray" in sys.modules:
        return
    send_nothing()
    if cluster.address is None:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))


@contextmanager
def joined(cluster: Cluster) -> Iterator[None]:
    """Be the driver of a cluster for as long as the block lasts.

    Raises InputError if there is no such cluster, or one of another version.
    """
    if cluster.address is None:
        with _folder() as folder:
            yield from _connected(
                "--engine=ray",
                address=LOCAL,  # else Ray would join what RAY_ADDRESS names
                _temp_dir=str(folder),
                _node_ip_address="127.0.0.1",
                include_dashboard=False,
                object_store_memory=OBJECT_STORE,
            )
        return
    check_address(cluster.address, cluster.said)
    yield from _connected(f"{cluster.said} {cluster.address}", address=cluster.address)


class Head:
    """The machine of the cluster that all others ask, and Ray's process on this one (the raylet). Ray would end our
    process a minute after the first is gone, 15 s after the second."""

    def __init__(self) -> None:
        import ray

        nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
        about = ray.get_runtime_context()
        self.address: str = about.gcs_address
        own = (node for node in nodes() if node["NodeID"] == about.get_node_id())
        self._raylet = next(((node["NodeManagerAddress"], str(node["NodeManagerPort"])) for node in own), None)
        self._gone: float | None = None
        self._next = 0.0

    def cut_off(self, every: float) -> bool:
        """Whether Ray's process on this machine refuses connections: it has ended, and does not come back. It is asked
        once in so many seconds."""
        if self._raylet is None or time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + every
        try:
            _connect(*self._raylet, 1)
        except ConnectionRefusedError:
            return True
        except OSError:  # which cannot be asked
            self._raylet = None
        return False

    def gone_for(self) -> float:
        """Seconds since it was first found to take no connection, and none has been taken since."""
        host, _, port = self.address.rpartition(":")
        try:
            _connect(host, port, 1)
        except OSError:
            self._gone = self._gone or time.monotonic()
            return time.monotonic() - self._gone
        self._gone = None
        return 0.0


def _connected(option: str, **how: Any) -> Iterator[None]:
    import ray
    from ray.exceptions import RayError

    _hush()
    try:
        try:
            with _own_signals():
                ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **how)
        except (RayError, RuntimeError, ValueError, OSError) as error:
            raise InputError(f"{option}: {_shortened(error)}; nothing was published") from None
        yield
    finally:
        ray.shutdown()


def check_address(address: str, said: str = "--address") -> None:
    """Raises InputError if there is no cluster, or one that cannot be joined; Ray itself would try for a quarter of an
    hour, and not in one line.

    said: what names the address.
    """
    if address != AUTO:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or "/" in host:
            raise InputError(f"{said} is HOST:PORT of a Ray cluster, or {AUTO}; found '{address}'")
        try:
            _connect(host, port, LISTENS)
        except UnicodeError:  # of a name of which no lookup can be made
            raise _unreachable(said, address, "it is no name of a machine") from None
        except (OSError, OverflowError) as error:
            raise _unreachable(said, address, getattr(error, "strerror", None) or str(error) or "no answer") from None
    try:
        joins = [sys.executable, "-c", JOINS, address]
        done = subprocess.run(joins, capture_output=True, text=True, errors="replace", timeout=ANSWERS)
    except subprocess.TimeoutExpired:
        raise _unreachable(said, address, f"no answer within {ANSWERS:.0f} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise _unreachable(said, address, lines[-1][:LONGEST_REASON] if lines else f"status {done.returncode}")


def _connect(host: str, port: str, seconds: float) -> None:
    """Connect once; an address of IPv6 stands in brackets."""
    socket.create_connection((host.removeprefix("[").removesuffix("]"), int(port)), timeout=seconds).close()


def _unreachable(said: str, address: str, reason: str) -> InputError:
    return InputError(
        f"{said} {address}: no Ray cluster is there that can be joined ({reason}){TOKEN}; nothing was published"
    )


@contextmanager
def _folder() -> Iterator[Path]:
    """Where a cluster of our own has its sockets and logs."""
    usual = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="ray-", dir=usual if len(usual) <= LONGEST else "/tmp")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Give back the handlers of signals that Ray takes, so that a command ends as it always does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            with suppress(TypeError):  # of one that was not set from Python
                signal.signal(number, handler)


def _hush() -> None:
    """Keep Ray from printing what it hears of lost machines: dozens of lines, whatever its logging level, where the
    engine says in one that a worker was lost. Where Ray has no such function any more, nothing is changed."""
    from ray._private import worker

    if hasattr(worker, "listen_error_messages"):
        worker.listen_error_messages = lambda *given: None


def _shortened(error: BaseException) -> str:
    """What Ray says, on one line."""
    return " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__
