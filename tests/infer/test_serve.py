"""The service as a process: start, answers, new files under load without a failed request, and its ends."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from infer import serve
from tests.helpers.checkerboard import HANGS, ROOT

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
BODY = json.dumps({"history": [1001, 1003, 1005], "k": 3})
TOKEN = "0123456789abcdef"
# A service that loads no model and gives no list while there is a file `wait` beside the model; `waits` says that it is
# about to.
WAITING = """
import sys, time
import infer
from infer import cli, serve
from infer.serving import loaded
def waiting(real, place):
    def call(*given, **named):
        while place(*given).with_name("wait").exists():
            place(*given).with_name("waits").touch()
            time.sleep(0.02)
        return real(*given, **named)
    return call
loaded.opened = waiting(loaded.opened, lambda path, threads: path)
infer.Recommender.best = waiting(infer.Recommender.best, lambda model, *given: model.model.path)
raise SystemExit(cli.run(serve.main))
"""


class Service:
    """A process that answers at a port."""

    def __init__(self, process: subprocess.Popen, port: int) -> None:
        self.process, self.port = process, port

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} | headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if "json" in answer.headers["content-type"] else {"text": text}
        finally:
            connection.close()

    def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < end, "it does not come to hold"
            time.sleep(0.05)

    def version(self, what: str = "models") -> str:
        return self.ask("GET", "/v1/models")[1][what][0]["version"]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=60)
        return self.process.returncode, out, errors


@contextmanager
def service(
    *words: str, program: Sequence[str] = ("-m", "infer.serve"),
    begun: Callable[[subprocess.Popen], None] = lambda process: None, **environment: str,
) -> Iterator[Service]:  # fmt: skip
    """begun: what is done before the process is ready."""
    command = [sys.executable, *program, "--port=0", "--poll=0.05", *words]
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        begun(process)
        first = process.stdout.readline()
        found = re.search(r" at http://127\.0\.0\.1:(\d+)$", first.strip())
        assert found, first + process.stderr.read()
        yield Service(process, int(found[1]))
    finally:
        process.kill()
        process.communicate(timeout=HANGS)


@pytest.fixture
def files(artifacts: Path, tmp_path: Path, run) -> Path:
    """A folder with m.onnx, other.onnx and the lists of the first."""
    shutil.copy(artifacts / "hybrid.onnx", tmp_path / "m.onnx")
    shutil.copy(artifacts / "bert.onnx", tmp_path / "other.onnx")
    words = (f"--model={artifacts / 'hybrid.onnx'}", f"--output={tmp_path / 'm.topk.parquet'}", "--production")
    assert run("infer.batch", *words, "--k=3").returncode == 0
    return tmp_path


def replace(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)


def test_models_and_lists_change_under_load_without_a_failed_request(files: Path, artifacts: Path, run) -> None:
    models = [(files / name).read_bytes() for name in ("m.onnx", "other.onnx")]
    with service(f"--model={files / 'm.onnx'}", f"--lists={files / 'm.topk.parquet'}", "--queue=100") as served:
        done, statuses, versions = threading.Event(), [], set()

        def load(number: int) -> None:
            while not done.is_set():
                asked = ("POST", "/v1/recommend", BODY) if number % 2 else ("GET", "/v1/users/101", None)
                status, answer = served.ask(*asked)
                statuses.append(status)
                versions.add(answer.get("version"))

        with ThreadPoolExecutor(4) as pool:
            readers = [pool.submit(load, number) for number in range(4)]
            try:
                first = served.version()
                served.until(lambda: len(versions) == 2)  # by the readers too: a model's answer, and lists
                replace(files / "m.onnx", models[1])
                served.until(lambda: len(versions) == 3)
                replace(files / "m.onnx", b"garbage")
                text = b'recommender_loads_total{name="m",outcome="failed",what="model"} 1.0'
                served.until(lambda: text in served.ask("GET", "/metrics")[1]["text"])
                assert served.version() != first, "the last good one goes on serving"
                replace(files / "m.onnx", models[0])
                served.until(lambda: served.version() == first)
                again = run("infer.batch", f"--model={artifacts / 'bert.onnx'}",
                            f"--output={files / 'm.topk.parquet'}", "--production", "--k=2")  # fmt: skip
                assert again.returncode == 0, again.stderr
                served.until(lambda: served.version("lists") == "000002")
                served.until(lambda: len(versions) == 4 and len(statuses) > 20)
            finally:
                done.set()
            [reader.result() for reader in readers]
        assert set(statuses) == {200}
        assert len(versions) == 4, "answers were of both models and both publications, and of nothing else"
        assert len(served.ask("GET", "/v1/users/101")[1]["items"]) == 2
        status, out, errors = served.end()
    assert status == 0
    [line] = errors.splitlines()
    assert line.startswith("model m: the earlier one goes on serving: ")
    assert "model m: loaded again" in out and "lists m: loaded again" in out


def test_what_was_accepted_is_finished_before_the_end(files: Path) -> None:
    with service(f"--model={files / 'm.onnx'}", "--workers=1", "--queue=200", "--timeout=60") as served:
        with ThreadPoolExecutor(40) as pool:
            long = json.dumps({"history": [1001, 1003, 1005], "k": 20, "reasons": 10})
            answers = [pool.submit(served.ask, "POST", "/v1/recommend", long) for _ in range(40)]
            served.until(lambda: sum(answer.done() for answer in answers) >= 1)
            served.until(lambda: b"progress 1.0" not in served.ask("GET", "/metrics")[1]["text"] or answers[-1].done())
            status, _, errors = served.end()
            ended = [answer.exception() or answer.result()[0] for answer in answers]
        # One that the system had not yet handed over at the end is refused as a connection, never as an answer.
        assert {end for end in ended if not isinstance(end, OSError | http.client.HTTPException)} == {200}
        assert (status, errors) == (0, "")


def test_readiness_ends_first_and_requests_are_answered_meanwhile(files: Path) -> None:
    with service(f"--model={files / 'm.onnx'}", "--drain=2") as served:
        assert served.ask("GET", "/health/ready")[0] == 200
        served.process.send_signal(signal.SIGTERM)
        served.until(lambda: served.ask("GET", "/health/ready")[0] == 503)
        assert served.ask("GET", "/health/live")[0] == 200
        assert served.ask("POST", "/v1/recommend", BODY)[0] == 200
        assert served.process.wait(60) == 0


def test_while_readiness_ends_connections_end_with_their_answers(files: Path) -> None:
    with service(f"--model={files / 'm.onnx'}", "--drain=2") as served:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)

        def closes() -> bool:
            connection.request("GET", "/health/live")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b'{"status":"live"}')
            return answer.will_close

        assert not closes()
        served.process.send_signal(signal.SIGTERM)
        served.until(lambda: served.ask("GET", "/health/ready")[0] == 503)
        assert closes()
        connection.close()


def test_what_is_not_whole_at_the_end_is_answered_too(files: Path) -> None:
    with service(f"--model={files / 'm.onnx'}", "--grace=1", "--timeout=60") as served:
        with socket.create_connection(("127.0.0.1", served.port), timeout=HANGS) as connection:
            lines = ["POST /v1/recommend HTTP/1.1", "Host: a", "Content-Type: application/json", "Content-Length: 99"]
            connection.sendall("\r\n".join([*lines, "", "{"]).encode())
            served.until(lambda: b"in_progress 2.0" in served.ask("GET", "/metrics")[1]["text"])
            served.process.send_signal(signal.SIGTERM)
            found = b""
            while piece := connection.recv(2**16):
                found += piece
        assert found.startswith(b"HTTP/1.1 503 ") and b"the service is stopping" in found
        assert served.process.wait(60) == 0


def test_a_model_that_is_served_needs_its_file_no_more(files: Path) -> None:
    asked = {
        "similar": {"item": 1001, "k": 2, "exclude_items": [1002]},
        "recommend": {"history": [1001], "k": 2, "reasons": 1},
    }
    with service(f"--model={files / 'm.onnx'}") as served:
        (files / "m.onnx").unlink()
        for path, body in asked.items():
            status, answer = served.ask("POST", f"/v1/{path}", json.dumps(body))
            assert status == 200 and len(answer["items"]) == 2, answer


def test_sighup_loads_everything_and_the_token_again(files: Path) -> None:
    (files / "token").write_text(TOKEN + "\n")
    with service(f"--model={files / 'm.onnx'}", f"--token-file={files / 'token'}") as served:
        assert served.ask("GET", "/v1/models")[0] == 401
        assert served.ask("GET", "/v1/models", Authorization=f"Bearer {TOKEN}")[0] == 200
        (files / "token").write_text("fedcba9876543210")
        served.process.send_signal(signal.SIGHUP)
        served.until(lambda: served.ask("GET", "/v1/models", Authorization="Bearer fedcba9876543210")[0] == 200)
        assert served.ask("GET", "/v1/models", Authorization=f"Bearer {TOKEN}")[0] == 401
        (files / "token").write_text("short")
        served.process.send_signal(signal.SIGHUP)
        text = b'recommender_loads_total{name="m",outcome="loaded",what="model"} 3.0'
        served.until(lambda: text in served.ask("GET", "/metrics", Authorization="Bearer fedcba9876543210")[1]["text"])
        assert served.ask("GET", "/v1/models", Authorization="Bearer fedcba9876543210")[0] == 200
        status, out, errors = served.end(signal.SIGINT)
    assert status == 0 and "model m: loaded again" in out and errors.startswith("the earlier token holds: ")


def until_there(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path} does not appear"
        time.sleep(0.02)


def test_the_end_waits_for_no_load_and_no_answer_that_nobody_waits_for(files: Path) -> None:
    words = (f"--model={files / 'm.onnx'}", "--grace=1", "--timeout=0.2")
    with service(*words, program=("-c", WAITING)) as served:
        (files / "wait").touch()
        served.process.send_signal(signal.SIGHUP)
        until_there(files / "waits")
        assert served.ask("GET", "/health/ready")[0] == 200
        assert served.end() == (0, "stopping: what was accepted is finished\n", "")
        (files / "wait").unlink()
    with service(*words, program=("-c", WAITING)) as served:
        (files / "wait").touch()
        assert served.ask("POST", "/v1/recommend", BODY)[0] == 503
        assert served.end()[0] == 0


def test_sighup_before_it_is_ready_loads_again_once_it_is(files: Path) -> None:
    def hang_up(process: subprocess.Popen) -> None:
        until_there(files / "waits")
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        (files / "wait").unlink()

    (files / "wait").touch()
    with service(f"--model={files / 'm.onnx'}", program=("-c", WAITING), begun=hang_up) as served:
        text = b'recommender_loads_total{name="m",outcome="loaded",what="model"} 2.0'
        served.until(lambda: text in served.ask("GET", "/metrics")[1]["text"])
        status, out, _ = served.end()
    assert status == 0 and out.count("model m: loaded again") == 1


def test_a_flood_is_answered_and_the_service_lives_on(files: Path) -> None:
    with service(f"--model={files / 'm.onnx'}", "--workers=1", "--queue=8") as served:
        with ThreadPoolExecutor(100) as pool:
            asked = [pool.submit(served.ask, "POST", "/v1/recommend", BODY) for _ in range(1000)]
            statuses = {answer.result()[0] for answer in asked}
        assert statuses <= {200, 503} and 200 in statuses
        assert served.ask("POST", "/v1/recommend", BODY)[0] == 200
        assert served.end()[0] == 0


def test_lines_without_end_and_what_is_no_http_are_refused(files: Path) -> None:
    def said(*pieces: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", served.port), timeout=HANGS) as connection:
            with contextlib.suppress(OSError):  # it closes while more is sent
                for piece in pieces:
                    connection.sendall(piece)
            found = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := connection.recv(2**16):
                    found += piece
            return found

    ask = b"GET /health/live HTTP/1.1\r\nHost: a\r\n"
    close = b"Connection: close\r\n\r\n"
    with service(f"--model={files / 'm.onnx'}") as served:
        assert said(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        header = b"X-Long: " + b"a" * 60_000 + b"\r\n"
        assert said(ask, header, close).startswith(b"HTTP/1.1 200 ")
        assert said(ask + b"\r\n" + ask, header, close).count(b"HTTP/1.1 200 ") == 2, "each request counts from 0"
        text = BODY[:-1] + " " * 200_000 + "}"
        lines = ["POST /v1/recommend HTTP/1.1", "Host: a", "Content-Type: application/json"]
        long = "\r\n".join([*lines, f"Content-Length: {len(text)}", "", text]).encode()
        assert said((ask + b"\r\n") * 2 + long + ask + close).count(b"HTTP/1.1 200 ") == 4, "bodies are no headers"
        assert said(long, long + ask + close).count(b"HTTP/1.1 200 ") == 3
        many = [b"X-Long: " + b"a" * 10_000 + b"\r\n"] * 40
        for endless in ([ask, b"X-Long: ", *[b"a" * 10_000] * 40], [ask, *many]):
            assert not said(*endless).startswith(b"HTTP/1.1 200 ")
        refused = said(b"nonsense\r\n\r\n").partition(b"\r\n\r\n")
        assert b"content-type: application/problem+json" in refused[0] and json.loads(refused[2])["status"] == 400
        assert b'recommender_requests_total{path="other",status="400"} ' in served.ask("GET", "/metrics")[1]["text"]
        assert served.ask("GET", "/health/live")[0] == 200


def test_trailers_without_end_are_refused(files: Path) -> None:
    def said(*pieces: bytes) -> tuple[bytes, int]:
        """What is answered, and how many of the pieces were taken."""
        with socket.create_connection(("127.0.0.1", served.port), timeout=HANGS) as connection:
            taken, found = 0, b""
            with contextlib.suppress(OSError):  # it closes while more is sent
                for piece in pieces:
                    connection.sendall(piece)
                    taken += 1
            with contextlib.suppress(ConnectionResetError):
                while piece := connection.recv(2**16):
                    found += piece
            return found, taken

    chunked = b"Host: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    body = f"{len(BODY):x}\r\n{BODY}\r\n0\r\n".encode()
    ask, live = b"POST /v1/recommend HTTP/1.1\r\n" + chunked, b"GET /health/live HTTP/1.1\r\n" + chunked
    short, endless = b"X-Sum: 1\r\n\r\n", 2_000
    with service(f"--model={files / 'm.onnx'}") as served:
        assert said(ask + b"Connection: close\r\n\r\n" + body + short)[0].startswith(b"HTTP/1.1 200 ")
        for trailers in ([b"X-Long: ", *[b"a" * 10_000] * endless], [b"X: a\r\n" * 2_000] * endless):
            answer, taken = said(ask + b"\r\n" + body, *trailers)
            assert taken < endless and answer.count(b"HTTP/1.1 ") <= 1 and b"HTTP/1.1 200 " not in answer
            answer, taken = said(live + b"\r\n0\r\n", *trailers)
            assert taken < endless and answer.count(b"HTTP/1.1 ") <= 1, "of a request that is answered, too"
        assert b'recommender_requests_total{path="other",status="400"} 4.0' in served.ask("GET", "/metrics")[1]["text"]
        assert served.end()[0] == 0


def test_an_offer_of_another_protocol_is_passed_over(files: Path) -> None:
    def statuses(*pieces: bytes) -> list[bytes]:
        with socket.create_connection(("127.0.0.1", served.port), timeout=HANGS) as connection:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.1)
            found = b"".join(iter(lambda: connection.recv(2**16), b""))
        assert found.count(b'"items"') == found.count(b" 200 "), "each has its list, whose request has a body"
        return re.findall(rb"HTTP/1.1 (\d+) ", found)

    # As Java's client asks, unless it is told HTTP/1.1.
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
    ask = b"POST /v1/recommend HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    body = b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY.encode())
    pieces = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY.encode())
    last = ask + b"Connection: close\r\n" + body
    with service(f"--model={files / 'm.onnx'}") as served:
        assert statuses(ask + offer + body, last) == [b"200"] * 2
        assert statuses((ask + offer + body) * 2 + ask + body + ask + offer + pieces + last) == [b"200"] * 5
        head, _, rest = body.partition(b"\r\n\r\n")
        assert statuses(ask, offer, head + b"\r\n", b"\r\n", rest[:9], rest[9:], last) == [b"200"] * 2
        assert statuses(ask + offer.replace(b"Upgrade,", b"Upgrade, close,") + body) == [b"200"]
        long = ask + offer + b"X-Long: " + b"a" * 30_000
        assert statuses(long, b"a" * 30_000, b"a" * 30_000) == [b"400"]
        assert statuses(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n" + offer + b"\r\n") == [b"400"]


@pytest.mark.parametrize(("words", "text"), [
    (["--host=0.0.0.0"], "--host 0.0.0.0 is reached from other machines: give --token-file, or --without-token"),
    (["--host=::"], "is reached from other machines"),
    (["--host=example.org"], "is reached from other machines"),
    (["--token-file={f}/none"], "none: No such file"),
    (["--token-file={f}/short"], "a token is one line of at least 16"),
    (["--token-file={f}/long"], "a token is one line of at least 16"),
    (["--token-file=/dev/zero"], "a token is one line of at least 16"),
    (["--lists={f}/none.parquet"], "holds no published lists"),
    (["--lists=a.parquet,"], "names lists without a name"),
    (["--model={f}/none.onnx"], "none.onnx does not exist"),
    (["--model={f}/short"], "short is not"),
    (["--port={taken}"], "cannot listen at 127.0.0.1, port "),
    (["--host=example..com", "--without-token"], "cannot listen at example..com, port 8000: it is no name"),
    (["--threads=4294967296"], "--threads is at most 4096; found 4294967296"),
    (["--port=70000"], "cannot listen at 127.0.0.1, port 70000"),
])  # fmt: skip
def test_what_cannot_be_served_is_one_line(
    words: list[str], text: str, artifacts: Path, tmp_path: Path, run, refused
) -> None:
    (tmp_path / "short").write_text("short")
    (tmp_path / "long").write_text("a" * 20_000)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = [word.format(f=tmp_path, taken=taken.getsockname()[1]) for word in words]
        if not any(word.startswith("--model") for word in given):
            given.append(f"--model={artifacts / 'hybrid.onnx'}")
        refused(run("infer.serve", *given, cwd=tmp_path), text)


def test_a_token_comes_from_the_environment_and_loopback_needs_none(monkeypatch) -> None:
    config = serve.ServeConfig(model=Path("m.onnx"))
    assert serve.token_of(config) is None
    monkeypatch.setenv("RECOMMENDER_TOKEN", f" {TOKEN}\n")
    assert serve.token_of(config) == TOKEN
    assert all(map(serve.is_own, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(serve.is_own, ("0.0.0.0", "::", "10.0.0.1", "localhost.example.org", "")))


def test_without_the_extra_it_says_what_to_install(monkeypatch, run, refused) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    refused(run("infer.serve", "--model=m.onnx"), "pip install 'hybrid-recommender-onnx[serve]'")
