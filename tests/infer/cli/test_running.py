"""Every end of a process: a status, at most one line, no traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infer.cli import running
from tests.helpers.checkerboard import HANGS, ROOT

PRINTS = "print('x')"
LONG = "print('x' * 100_000)"  # more than is kept back until the end
WRONG = "print('x'); raise InputError('wrong')"
FULL = "error: cannot write to standard output: No space left on device\n"


PROGRAM = """
import os, sys
from infer.cli import run
from infer.errors import InputError

def main(words):
    {}

raise SystemExit(run(main))
"""


def ended(body: str, redirect: str = "", stdout: int = subprocess.PIPE, **variables: str) -> tuple[int, str, str]:
    """Status, output and errors of a command whose main is `body`, started by a shell that redirects its streams."""
    command = ["bash", "-c", f'exec "$0" -c "$1" {redirect}', sys.executable, PROGRAM.format(body)]
    options = {"cwd": ROOT, "stdout": stdout, "stderr": subprocess.PIPE, "text": True, "timeout": HANGS}
    done = subprocess.run(command, env=os.environ | {"PYTHONUNBUFFERED": ""} | variables, **options)
    return done.returncode, done.stdout or "", done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("body", "status", "errors"),
    [
        (PRINTS, 1, FULL),
        (LONG, 1, "error: cannot write to standard output: No space left on device\n"),
        ("print('x', flush=True)", 1, FULL),
        ("print('x'); raise SystemExit(0)", 1, FULL),
        (WRONG, 2, "error: wrong\n"),
        ("pass", 0, ""),
    ],
)
def test_a_full_output_is_one_line(body: str, status: int, errors: str) -> None:
    assert ended(body, ">/dev/full") == (status, "", errors)


def test_a_full_output_that_is_not_buffered_is_one_line() -> None:
    assert ended(PRINTS, ">/dev/full", PYTHONUNBUFFERED="1") == (
        1,
        "",
        "error: cannot write to standard output: No space left on device\n",
    )


@pytest.mark.parametrize("body", [PRINTS, LONG, "print('x'); raise SystemExit(0)"])
@pytest.mark.parametrize("errors", ["", "2>&-", "2>/dev/full"])
def test_a_reader_that_has_gone_is_silent(body: str, errors: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert ended(body, errors, stdout=writer) == (141, "", "")
    finally:
        os.close(writer)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- 2>&- >&-"])
def test_a_closed_stream_is_the_null_device(closed: str, tmp_path: Path) -> None:
    file = tmp_path / "data"
    body = (
        f"file = open({str(file)!r}, 'w'); assert file.fileno() > 2; print('out'); print('err', file=sys.stderr); "
        "sys.stdin.read(); os.system('echo child'); file.write('data')"
    )
    status, printed, _ = ended(body, closed if "<" in closed else f"{closed} </dev/null")
    shown = [] if closed.endswith(" >&-") or closed == ">&-" else ["child", "out"]
    assert (status, sorted(printed.split()), file.read_text()) == (0, shown, "data")


def test_what_an_import_has_opened_in_the_place_of_a_closed_output_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "opened").write_text("theirs")
    code = f"import os\nassert os.open({str(tmp_path / 'opened')!r}, os.O_RDWR) == 1\n{PROGRAM.format(PRINTS)}"
    command = ["bash", "-c", 'exec "$0" -c "$1" >&-', sys.executable, code]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=HANGS)
    assert (done.returncode, done.stderr) == (0, "") and (tmp_path / "opened").read_text() == "theirs"


@pytest.mark.parametrize("errors", ["2>&-", "2>/dev/full"])
def test_an_error_that_cannot_be_told_keeps_its_status(errors: str) -> None:
    assert ended(WRONG, errors) == (2, "x\n", "")


def test_a_title_that_the_terminal_cannot_print_is_shown_with_question_marks() -> None:
    assert ended("print('Am\\u00e9lie \\udcff')", PYTHONIOENCODING="ascii") == (0, "Am?lie ?\n", "")
    assert ended("raise InputError('Am\\u00e9lie')", PYTHONIOENCODING="ascii") == (2, "", "error: Am\\xe9lie\n")


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals on Windows")
def test_ctrl_c_ends_a_wait_for_another_thread() -> None:
    body = """import threading
    threading.Timer(0.5, os.kill, [os.getpid(), 2]).start()
    threading.Event().wait()"""
    program = PROGRAM.replace("import os, sys", "import os, sys, polars").format(body)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=HANGS)
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")


def test_sigterm_ends_like_ctrl_c_and_what_is_being_done_is_put_away() -> None:
    body = """try:
        print('began', flush=True)
        import time
        time.sleep(60)
    finally:
        print('put away')"""
    ends = [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
    for number, status, line in [*ends, (signal.SIGHUP, 129, "the terminal was closed")]:
        command = [sys.executable, "-c", PROGRAM.format(body)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
            assert process.stdout.readline() == "began\n"
            process.send_signal(number)
            printed, errors = process.communicate(timeout=HANGS)
        assert (process.returncode, printed, errors) == (status, "put away\n", f"error: {line}\n")


@pytest.mark.parametrize("earlier", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_sigterm_that_the_caller_ignores_stays_ignored_and_the_handler_is_put_back(earlier, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["command"])
    before, seen = signal.signal(signal.SIGTERM, earlier), []
    try:
        assert running.run(lambda _: seen.append(signal.getsignal(signal.SIGTERM))) == 0
        assert (seen == [signal.SIG_IGN]) == (earlier == signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) == earlier
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("code", "status"), [(None, 0), (0, 0), (2, 2), ("why", 1)])
def test_what_ends_a_command_early_is_its_status(code: object, status: int, monkeypatch, capsys) -> None:
    def main(words: object) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(sys, "argv", ["command"])
    assert running.run(main) == status
    assert capsys.readouterr().err == ("error: why\n" if status == 1 else "")


def test_the_help_of_infer_lists_the_statuses() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infer", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=HANGS
    )
    listed = " ".join(done.stdout.split())
    assert "Exit statuses: 0 done, 1 the system failed, 2 wrong input, 3 lists are held back, 129" in listed
    assert done.returncode == 0
