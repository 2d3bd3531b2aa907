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
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from infer.cluster.options import Cluster
from infer.errors import InputError
from infer.system.project import PROJECT

# Bytes for what is sent to the workers once; Ray writes more than that to disk.
OBJECT_STORE = 256 * 2**20
AUTO = "auto"
# Nothing is sent to its makers.
SILENT = {"RAY_USAGE_STATS_ENABLED": "0"}
SECONDS = 10.0  # until an address has to answer
# Longest name of a folder in which Ray's sockets still get names that the system takes.
LONGEST = 32


def prepare(cluster: Cluster) -> None:
    """Set the environment that Ray reads when it is imported: silent, and one of our own open to nobody else.

    Raises InputError if Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError(f"--engine=ray needs Ray: pip install '{PROJECT}[ray]'")
    if "ray" in sys.modules:
        return
    os.environ.update(SILENT)
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
                _temp_dir=str(folder),
                _node_ip_address="127.0.0.1",
                include_dashboard=False,
                object_store_memory=OBJECT_STORE,
            )
        return
    _check_address(cluster.address)
    yield from _connected(f"--address {cluster.address}", address=cluster.address)


def _connected(option: str, **how: Any) -> Iterator[None]:
    import ray

    try:
        try:
            with _own_signals():
                ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **how)
        except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
            raise InputError(f"{option}: {_shortened(error)}; nothing was published") from None
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raises InputError, sooner than Ray does, if nobody listens there."""
    if address == AUTO:
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise InputError(f"--address is HOST:PORT of a Ray cluster, or {AUTO}; found '{address}'")
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer"
        raise InputError(f"--address {address}: no Ray cluster is there ({reason}); nothing was published") from None


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


def _shortened(error: BaseException) -> str:
    """What Ray says, on one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
