"""The page of `python -m export.web`: made without packages, served, and visited by a headless Chromium.

In: a folder. Out: its address while a block lasts, and what `tests/export/web/page/visit.mjs` saw.
"""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from export.web.runtime import FILES, pinned
from tests.helpers.browser import browser
from tests.helpers.checkerboard import HANGS, ROOT

PACKAGES = ("playwright-core", "axe-core", "onnxruntime-web", "minisearch")
PAGE_TESTS = ROOT / "tests" / "export" / "web" / "page"


def stand_in(folder: Path) -> Path:
    """A node_modules whose files are none that run: for folders that no browser opens."""
    for package, names in FILES.items():
        for name in names:
            path = folder / "node_modules" / package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{package} {name}")
        about = {"name": package, "version": pinned()[package]}
        (folder / "node_modules" / package / "package.json").write_text(json.dumps(about))
    return folder / "node_modules"


def installed() -> Path | None:
    """The node_modules of the page's tests, if all of them are there."""
    modules = PAGE_TESTS / "node_modules"
    return modules if all((modules / package).is_dir() for package in PACKAGES) else None


def can_visit() -> None:
    """Skip the test where there is no browser, or nothing that drives it."""
    browser()
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    if installed() is None:
        pytest.skip(f"{', '.join(PACKAGES)} are not installed: `npm ci --ignore-scripts` in tests/export/web/page")


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a plain file server of a folder, and the paths that it was asked for."""
    asked: list[str] = []

    class Server(SimpleHTTPRequestHandler):
        def log_message(self, form: str, *args: Any) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def visited(url: str, **scenarios: Any) -> dict[str, Any]:
    """What scenarios of visit.mjs saw, one after the other on one page."""
    command = ["node", str(PAGE_TESTS / "visit.mjs"), browser(), url, json.dumps(scenarios)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
