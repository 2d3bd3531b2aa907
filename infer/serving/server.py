"""The process: one socket, uvicorn, signals, and the watch over what is served.

In: an application and what it serves. Out: answers, until SIGTERM or Ctrl-C; what was accepted is finished first.

    serve(application, served, socket, Running(), threading.Event())

SIGHUP loads everything again; what changes on disk is loaded by itself. A load that has begun is not waited for at the
end.
"""

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import uvicorn
import uvloop

from infer.errors import InputError
from infer.serving.application import Application
from infer.serving.loaded import Served
from infer.serving.protocol import counted

log = logging.getLogger(__name__)
FILES = 65_536  # open files that the process allows itself, if the system does
SPARE = 64  # of them that are no connection


@dataclass(frozen=True)
class Running:
    """How the process runs. All in seconds.

    poll: between looks at the files.  drain: from the signal, with readiness refused, until no connection is accepted.
    grace: for what was accepted then.  idle: until an idle connection is closed.
    """

    poll: float = 1.0
    drain: float = 0.0
    grace: float = 30.0
    idle: int = 5


class _Server(uvicorn.Server):
    """uvicorn, which leaves signals to `serve`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: the loop has them."""
        yield


def bound(host: str, port: int) -> socket.socket:
    """A socket that is to listen there; raises InputError if the system refuses."""
    if port > 65_535:
        raise InputError(f"cannot listen at {host}, port {port}: a port is at most 65535")
    listening = None
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Of no stated protocol asyncio does not know that it is TCP, and would let answers wait for Nagle's algorithm.
        listening = socket.socket(family, kind, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except UnicodeError:  # of a name of which no lookup can be made
        raise InputError(f"cannot listen at {host}, port {port}: it is no name of a machine") from None
    except OSError as error:
        if listening is not None:
            listening.close()
        raise InputError(f"cannot listen at {host}, port {port}: {error.strerror or error}") from None
    return listening


def serve(
    application: Application, served: Served, listening: socket.socket, running: Running, asked: threading.Event,
    reread: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Answer until a signal ends it.

    asked: set by SIGHUP, here or while everything was loaded for the first time.  reread: what else SIGHUP does.
    """
    config = uvicorn.Config(
        application.asgi, http=counted(application.figures), ws="none", loop="none", lifespan="off", log_config=None,
        access_log=False, server_header=False, timeout_keep_alive=running.idle,
        timeout_graceful_shutdown=int(running.grace) or None, limit_concurrency=_more_files() - SPARE, backlog=2048,
    )  # fmt: skip
    # What uvicorn says of its own start and end is said by the command.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(_Server(config), application, served, listening, running, asked, reread))


async def _serve(
    server: _Server, application: Application, served: Served, listening: socket.socket, running: Running,
    asked: threading.Event, reread: Callable[[], None],
) -> None:  # fmt: skip
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if application.endpoints.stopping:  # asked twice: at once
            server.should_exit = server.force_exit = True
            return
        application.endpoints.stopping = True
        log.info("stopping: what was accepted is finished")
        loop.call_later(running.drain, setattr, server, "should_exit", True)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    # Of its own, and no task: the loop would wait for a load that cannot be cancelled.
    threading.Thread(target=_watch, args=(served, asked, running.poll, reread), name="watch", daemon=True).start()
    await server.serve(sockets=[listening])


def _watch(served: Served, asked: threading.Event, poll: float, reread: Callable[[], None]) -> None:
    """Load what changed, beside the answers; everything if that is asked for."""
    while True:
        everything = asked.wait(poll)
        asked.clear()
        if everything:
            reread()
        served.refresh(everything)


def _more_files() -> int:
    """As many open files as the system allows the process, up to `FILES`; each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return most
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
