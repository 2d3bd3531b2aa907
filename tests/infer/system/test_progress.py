"""Progress in a log: lines with the time left, and none of what is soon done."""

import os
import re
import subprocess
import sys

from infer.system import progress as module
from infer.system.progress import no_progress, progress
from tests.helpers.checkerboard import HANGS


def test_a_log_has_lines_with_what_is_left(capsys, monkeypatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.0)
    with progress(total=4, desc="counting", unit=" parts") as bar:
        for _ in range(4):
            bar.update()
    said = capsys.readouterr().err
    lines = said.splitlines()
    assert len(lines) >= 4 and "\r" not in said
    assert re.fullmatch(r"counting: 3/4 parts, 00:00 so far, 00:00 left", lines[-2]), lines
    assert list(progress(range(3), desc="again")) == [0, 1, 2]


def test_a_name_steers_no_terminal(capsys, monkeypatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.0)
    with progress(total=1, desc="lists/\x1b]0;owned\x07.onnx") as bar:
        bar.update()
    assert capsys.readouterr().err.startswith("lists/?]0;owned?.onnx: 1/1")


# A process of its own, as the thread that looks is never ended.
SLOW = """
import time
from infer.system import progress
progress.EVERY, progress.TICK = 0.1, 0.02
for _ in progress.progress(range(2), desc="training", unit=" trials"):
    time.sleep(0.55)
"""


def test_a_step_that_takes_long_is_told_while_it_lasts() -> None:
    done = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0, done.stderr
    begun = re.findall(r"^training: 0/2 trials, 00:00 so far, .* left$", done.stderr, re.M)
    later = re.findall(r"^training: 1/2 trials, 00:0\d so far, .* left$", done.stderr, re.M)
    assert 3 <= len(begun) <= 5 and 3 <= len(later) <= 6, done.stderr


MANY = """
import sys
from infer.system import progress
progress.TICK = 0.0
sys.setswitchinterval(1e-6)
kept = [progress.progress(total=1) for _ in range(2_000)]
"""


def test_bars_are_made_while_others_are_looked_at() -> None:
    done = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0 and "Exception" not in done.stderr, done.stderr


HELD = """
import threading
from infer.system import progress
progress.LONGEST_END = 0.2
kept = progress.progress(total=1)
holder = threading.Thread(target=progress._Lines.get_lock().acquire)
holder.start()
holder.join()
"""


def test_the_end_waits_for_no_lock_of_a_thread_that_is_gone() -> None:
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_soon_done_leaves_none(capsys) -> None:
    assert list(progress(range(1000), desc="counting", unit=" parts", leave=False)) == list(range(1000))
    with progress(total=3) as bar:
        bar.update(3)
        bar.refresh()
    assert capsys.readouterr().err == ""


def test_the_library_s_own_switch_turns_it_off() -> None:
    code = "from infer.system.progress import progress\nwith progress(total=2, desc='x') as bar: bar.update()\ndel bar"
    environment = os.environ | {"TQDM_DISABLE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nobody_is_told_where_silence_was_asked_for(capsys, monkeypatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.0)
    with no_progress():
        assert list(progress(range(3))) == [0, 1, 2]
    monkeypatch.setattr(sys, "stderr", None)
    assert list(progress(range(3))) == [0, 1, 2]
    assert capsys.readouterr().err == ""
