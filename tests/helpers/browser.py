"""Open a page in headless Chromium and read what its scripts made of it.

In: an HTML file. Out: the document's text after its scripts ran. Without a Chromium the test is skipped.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.checkerboard import HANGS

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def browser() -> str:
    """The command of a Chromium: $CHROMIUM, or one on the path; skips the test without one."""
    found = next((path for name in (os.environ.get("CHROMIUM", ""), *NAMES) if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no Chromium here: none of {', '.join(NAMES)} is on the path and CHROMIUM is not set")
    return found


def opened(page: Path, probe: str, width: int, dark: bool = False) -> str:
    """What the script `probe` returns, run in the page `page` (its `window` is `w`) `width` pixels wide.

    The page is opened in a frame, because a window of a headless browser is never as narrow as a phone.
    """
    outer = page.with_name(f"{page.stem}-{width}.html")
    outer.write_text(
        f"<!doctype html><html><body><pre id=found>not loaded</pre><iframe id=f src={page.name} width={width} "
        "height=900></iframe><script>const f = document.getElementById('f'), errors = []; f.onload = () => "
        "setTimeout(() => { const w = f.contentWindow; document.getElementById('found').textContent = "
        f"(() => {{ {probe} }})(); }}, 1500);</script></body></html>"
    )
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom"]
    words += ["--virtual-time-budget=20000", f"--user-data-dir={page.parent / 'profile'}"]
    words += [f"--blink-settings=preferredColorScheme={0 if dark else 1}", outer.as_uri()]
    done = subprocess.run([browser(), *words], capture_output=True, text=True, timeout=HANGS)
    assert "<pre id=" in done.stdout, done.stderr[-2000:]
    return done.stdout.partition('<pre id="found">')[2].partition("</pre>")[0]
