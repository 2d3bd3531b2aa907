"""Recommend over HTTP: lists for histories, published lists by user, similar items; one process, several models.

In: model files, and outputs of `python -m infer.batch`. Out: answers, until SIGTERM or Ctrl-C.

    python -m infer.serve --model hybrid.onnx
    python -m infer.serve --model hybrid.onnx,mf.onnx --lists artifacts/hybrid.topk.parquet --token-file token.txt

`GET /openapi.json` describes the paths. A model or lists that change on disk are loaded by themselves, as SIGHUP makes
them all be; what cannot be loaded leaves the earlier one serving. Ends with status 0 if it was asked to, and waits for
no load.
"""

import ipaddress
import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass
from importlib.util import find_spec
from pathlib import Path

from infer.cli import leave, option, parse, run, say
from infer.errors import InputError, system_says
from infer.model.session import check_threads
from infer.recommend import models_of
from infer.system.addresses import place
from infer.system.project import PROJECT

TOKEN = "RECOMMENDER_TOKEN"
LONGEST_TOKEN = 16_384  # characters, with blanks around it
NEEDED = ("prometheus_client", "pydantic", "starlette", "uvicorn", "httptools", "uvloop")
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """Options of `python -m infer.serve`."""

    model: Path = option(MISSING, "model file, or several separated by commas; looked for as given, then in artifacts/")
    lists: str | None = option(
        None, "lists of infer.batch, or several separated by commas: answers by user", files=True
    )
    host: str = option("127.0.0.1", "address to listen at")
    port: int = option(8000, "port; 0: a free one, which the first line names", minimum=0)
    token_file: Path | None = option(None, f"file with the token that readers need (or ${TOKEN})")
    without_token: bool = option(False, "let everybody who reaches another address than this machine's own ask")
    workers: int = option(0, "answers that are worked out at once; 0 means one for each core", minimum=0)
    threads: int = option(1, "threads of ONNX Runtime for each answer", minimum=1)
    queue: int = option(64, "further requests that wait; more are refused with status 503", minimum=0)
    timeout: float = option(5.0, "seconds for an answer, and for its request's body", minimum=0.01)
    max_body: int = option(2**20, "bytes of a request's body", minimum=1)
    max_history: int = option(10_000, "items of a history", minimum=1)
    max_k: int = option(1_000, "items of a list", minimum=1)
    poll: float = option(1.0, "seconds between looks at files that may have changed", minimum=0.01)
    drain: float = option(
        0.0, "seconds between SIGTERM, which ends readiness, and the last accepted request", minimum=0
    )
    grace: float = option(30.0, "seconds for what was accepted then", minimum=1)


def token_of(config: ServeConfig) -> str | None:
    """The token that readers need; None if nothing says one.

    Raises InputError if the file cannot be read, or the token is none that a header can carry.
    """
    if config.token_file is None:
        text = os.environ.get(TOKEN)
        if text is None:
            return None
    else:
        try:
            with config.token_file.open(encoding="utf-8") as file:
                text = file.read(LONGEST_TOKEN + 1)  # a device would never end
        except OSError as error:
            raise InputError(f"--token-file: {system_says(error)}") from None
        except UnicodeDecodeError:
            raise InputError(f"--token-file {config.token_file}: expected text; found something else") from None
    token = text.strip()
    fits = token.isascii() and token.isprintable() and " " not in token and len(token) >= 16
    if not fits or len(text) > LONGEST_TOKEN:
        source = f"--token-file {config.token_file}" if config.token_file is not None else f"${TOKEN}"
        raise InputError(f"{source}: a token is one line of at least 16 printable ASCII characters without blanks")
    return token


def is_own(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def main(argv: Sequence[str]) -> None:
    """Parse, load, answer; ends the process."""
    asked = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: asked.set())
    config = parse(ServeConfig, argv, __doc__)
    missing = next((name for name in NEEDED if find_spec(name) is None), None)
    if missing is not None:
        raise InputError(f"{missing.replace('_', '-')} is not installed: pip install '{PROJECT}[serve]'")
    token = token_of(config)
    if token is None and not config.without_token and not is_own(config.host):
        raise InputError(
            f"--host {config.host} is reached from other machines: give --token-file, or --without-token if something "
            "else keeps strangers out"
        )
    _serve(config, token, asked)
    leave()


def _serve(config: ServeConfig, token: str | None, asked: threading.Event) -> None:
    # Here, so that other commands need none of it.
    from infer.serving.application import application
    from infer.serving.limits import Limits
    from infer.serving.loaded import Served, named
    from infer.serving.measured import Figures
    from infer.serving.server import Running, bound, serve

    check_threads(config.threads)
    models = named(models_of(config.model), "--model", (".onnx",))
    given = [] if config.lists is None else config.lists.split(",")
    if not all(given):
        raise InputError(f"--lists: '{config.lists}' names lists without a name between its commas")
    lists = named([place(name) for name in given], "--lists", (".parquet", ".topk"))
    # What rules of a request say of themselves is for whoever wrote them, and would be lines without end.
    logging.getLogger("infer.recommender").setLevel(logging.WARNING)
    figures = Figures()
    with bound(config.host, config.port) as listening:
        served = Served(models, lists, figures, config.threads)
        limits = Limits(
            max_body=config.max_body, max_history=config.max_history, max_k=config.max_k, timeout=config.timeout,
            workers=config.workers or _cores(), queue=config.queue,
        )  # fmt: skip
        secret = _Secret(token, lambda: token_of(config))
        built = application(served, limits, figures, lambda: secret.now)
        host, port = listening.getsockname()[:2]
        listening.listen(2048)  # who reads the next line may ask at once
        names = ", ".join([*models, *(f"lists of {name}" for name in lists)])
        say(f"serving {names} at http://{f'[{host}]' if ':' in host else host}:{port}")
        serve(built, served, listening, Running(config.poll, config.drain, config.grace), asked, secret.reread)


class _Secret:
    """The token that is needed now."""

    def __init__(self, now: str | None, read: Callable[[], str | None]) -> None:
        self.now, self._read = now, read

    def reread(self) -> None:
        """Take the present one; what cannot be read leaves the earlier one in force, and none is never taken for it."""
        try:
            self.now = self._read() or self.now
        except InputError as error:
            log.warning("the earlier token holds: %s", error)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    raise SystemExit(run(main))
