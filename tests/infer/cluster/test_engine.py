"""Parts that the workers of a Ray cluster score: the bytes of one process, whatever is lost on the way."""

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from infer import batch
from infer.errors import InputError
from tests.helpers.checkerboard import HANGS, ROOT
from tests.helpers.nights import parts, score, work, write_night

pytestmark = pytest.mark.skipif(
    find_spec("ray") is None or sys.platform != "linux", reason="needs Ray (the extra `ray`) and Linux"
)
MEMORY = 4 * 2**30
# A command whose workers are those of the tests.
FAULTY = """
import sys
from infer import batch, cli
real = batch._engine
def faulty(cluster):
    real(cluster)
    from infer.cluster.engine import on_ray
    from tests.helpers.workers import FaultyWorker
    return on_ray(cluster, FaultyWorker)
batch._engine = faulty
raise SystemExit(cli.run(batch.main))
"""
# A cluster whose head is killed at the first line that is read, and all else at the second.
MORTAL = f"""
from ray.cluster_utils import Cluster
found = Cluster()
node = found.add_node(num_cpus=2, object_store_memory=100 * 2**20, memory={MEMORY}, include_dashboard=False)
print(found.address, flush=True)
input()
node.kill_gcs_server(check_alive=False)
input()
found.shutdown()
"""
# Looks for the head of the cluster at once.
IMPATIENT = """
from infer.cluster import engine
engine.QUIET_SECONDS, engine.GONE_SECONDS = 0.5, 1.0
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A Ray cluster of one node with two cores, whose nodes import the modules of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        from ray.cluster_utils import Cluster

        found = Cluster()
        shared = {"object_store_memory": 100 * 2**20, "memory": MEMORY, "include_dashboard": False}
        found.add_node(num_cpus=2, **shared)
        yield SimpleNamespace(
            address=found.address,
            add=lambda: found.add_node(num_cpus=1, **shared),
            remove=lambda node: found.remove_node(node, allow_graceful=False),
        )
        found.shutdown()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The model and table of `write_night`, and the lists of one process, one.topk.parquet."""
    write_night(tmp_path)
    score(tmp_path, f"--output={tmp_path / 'one.topk.parquet'}")
    return tmp_path


@pytest.fixture
def on_cluster(cluster: SimpleNamespace, folder: Path, monkeypatch) -> Callable[..., None]:
    """Score with workers of some kind, by default those to which something happens."""

    def call(*words: str, kind: str = "FaultyWorker") -> None:
        from infer.cluster.engine import on_ray
        from tests.helpers import workers

        monkeypatch.setattr("infer.cluster.joining.check_address", lambda *given: None)  # takes a new Python
        monkeypatch.setattr(batch, "_engine", lambda cluster: on_ray(cluster, getattr(workers, kind)))
        score(folder, "--engine=ray", f"--address={cluster.address}", *words)

    return call


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until something is true."""
    end = time.monotonic() + HANGS
    while not condition():
        assert time.monotonic() < end, f"{what} within {HANGS} s"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process runs, and is no more than an entry in its parent's table."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def mentioning(text: str) -> list[int]:
    """Processes in whose command line a text stands."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def test_lists_are_those_of_one_process_though_workers_are_killed_hang_or_meet_a_full_disk(
    folder: Path, on_cluster, capsys, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("kill-1", "full-5"):
        (folder / name).touch()
    with pytest.raises(InputError, match=r"cannot write .*00005.*File too large"):
        on_cluster()
    assert "a worker was lost, 1 so far: what it had is scored by another" in caplog.text
    done = len(list((work(folder) / "publication" / "lists").iterdir()))
    assert 0 < done < 8 and not any((work(folder) / "pending").iterdir())
    capsys.readouterr()
    hangs = next(
        number for number in range(8) if not (work(folder) / f"publication/lists/part-{number:05}.parquet").exists()
    )
    (folder / f"stop-{hangs}").touch()
    on_cluster()
    assert not [*folder.glob("kill-*"), *folder.glob("stop-*"), *folder.glob("full-*")]
    assert f"going on: {4 * done} users were scored before" in capsys.readouterr().out
    assert parts(folder) == parts(folder, "one") and not work(folder).exists()


def test_a_node_that_is_lost_costs_nothing_but_time(
    cluster: SimpleNamespace, folder: Path, on_cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    node = cluster.add()
    (folder / "wait").touch()
    problems = []

    def lose() -> None:
        try:
            until(lambda: list(folder.glob(f"at-*-{node.node_id}")), "a worker on the second node")
            cluster.remove(node)
        except BaseException as error:
            problems.append(error)
        finally:
            (folder / "wait").unlink()

    # What is in memory travels to the workers, too: rows of chosen users, rules, fallbacks.
    words = [f"--users={','.join(map(str, range(1, 31)))}", "--seen=keep", "--fallback=popular"]
    (folder / "boost.csv").write_text("item,weight\n3,2\n")
    words.append(f"--boost={folder / 'boost.csv'}")
    score(folder, *words, f"--output={folder / 'chosen.topk.parquet'}")
    thread = threading.Thread(target=lose)
    thread.start()
    on_cluster(*words, f"--output={folder / 'm.topk.parquet'}")
    thread.join()
    assert not problems and parts(folder) == parts(folder, "chosen") != parts(folder, "one")
    said = capfd.readouterr()
    assert "raylet" not in said.out + said.err


@pytest.mark.parametrize(
    ("kind", "words", "says"),
    [
        ("AlienWorker", ["--workers=1"], "has onnxruntime 0.1, this machine .*: install the same everywhere"),
        pytest.param(
            "MortalWorker",
            ["--workers=1"],
            "3 workers were lost before they had opened m.onnx",
            marks=pytest.mark.long,
        ),
        ("Worker", ["--worker-memory=5"], r"m.onnx takes 5.0 GiB in a worker, and no node .* more than 4.0"),
        ("Worker", ["--worker-cores=3"], "--worker-cores 3: no node of the cluster has more than 2"),
        ("Worker", ["--device=cuda"], "no node of the cluster has a GPU"),
    ],
)
def test_what_cannot_work_is_said_in_one_line_and_nothing_is_published(
    folder: Path, on_cluster, kind: str, words: list[str], says: str
) -> None:
    with pytest.raises(InputError, match=says) as raised:
        on_cluster(*words, kind=kind)
    assert "nothing was published" in str(raised.value)
    assert not (folder / "m.topk.parquet").exists() and not work(folder).exists()


def test_a_worker_on_a_machine_that_does_not_see_the_folder_says_so(folder: Path) -> None:
    from infer.cluster.engine import _sent
    from infer.cluster.options import Cluster
    from infer.cluster.worker import Worker
    from infer.model.session import open_model
    from infer.publishing.output import Output
    from infer.publishing.publications import Publications
    from infer.scoring.job import open_job
    from infer.scoring.parts import How
    from infer.scoring.work import Work
    from infer.sources.source import open_source
    from infer.system.stages import Stages

    job = open_job(open_model(folder / "m.onnx", threads=1))
    output = Output(Publications(folder / "l.parquet"), {})
    source = open_source(job.table, job.options, folder, 4)
    work = Work(job, output, (0, 1), source, False, 4, How(10, 256), None, Stages())
    sent = _sent(work, folder, Cluster())
    Worker().open(replace(sent, prepared=folder))
    (folder / "other.parquet").write_bytes(job.table.read_bytes())
    for name, value, says in (
        ("folder", folder / "none", "does not see .*/none as this machine does"),
        ("model", folder / "no.onnx", "does not see .*/no.onnx as"),
        ("job", replace(sent.job, table=folder / "other.parquet"), "does not see .*/other.parquet as"),
        ("checksum", "0", "does not see .*/m.onnx as"),
    ):
        with pytest.raises(InputError, match=says):
            Worker().open(replace(sent, **{name: value}))


def begun(folder: Path, *words: str, faulty: str = FAULTY) -> subprocess.Popen:
    """A run in a process of its own, once a worker waits with a part."""
    command = [sys.executable, "-c", faulty, f"--model={folder / 'm.onnx'}", "--part-users=4", "--engine=ray", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    (folder / "wait").touch()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until(lambda: list(folder.glob("at-*")) or process.poll() is not None, "a worker that waits")
    return process


def workers_of(folder: Path) -> list[int]:
    return [int(path.name.split("-")[1]) for path in folder.glob("at-*")]


def test_a_run_whose_process_is_killed_goes_on_without_the_workers_of_the_first(
    cluster: SimpleNamespace, folder: Path, on_cluster
) -> None:
    process = begun(folder, f"--address={cluster.address}")
    process.kill()
    process.communicate()
    left = workers_of(folder)
    assert left
    (folder / "wait").unlink()  # some may still write, where nobody looks
    on_cluster()
    assert parts(folder) == parts(folder, "one") and not work(folder).exists()
    until(lambda: not any(map(alive, left)), "the first run's workers end")


def test_a_cluster_that_is_gone_is_told_in_one_line_before_ray_ends_the_process(folder: Path, monkeypatch) -> None:
    for name, value in {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}.items():
        monkeypatch.setenv(name, value)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", MORTAL], env=environment, **pipes) as head:
        address = head.stdout.readline().strip()
        monkeypatch.setenv("RAY_ADDRESS", address)
        process = begun(folder, faulty=FAULTY.replace("raise", IMPATIENT + "raise"))
        head.stdin.write("\n")
        head.stdin.flush()
        out, errors = process.communicate(timeout=HANGS)
        head.communicate("\n", timeout=HANGS)
    last = f"error: the Ray cluster at {address} is gone; the parts that are done stay, the same command goes on"
    assert process.returncode == 2 and errors.splitlines()[-1] == last, out + errors
    assert not (folder / "m.topk.parquet").exists()


def test_a_variable_of_ray_does_not_reach_a_cluster_of_our_own(folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    process = begun(folder, "--address=local")
    (folder / "wait").unlink()
    out, errors = process.communicate(timeout=HANGS)
    assert process.returncode == 0, out + errors
    assert parts(folder) == parts(folder, "one")


def test_an_interrupted_run_on_this_machine_leaves_no_process_and_no_file(folder: Path) -> None:
    process = begun(folder)
    places = clusters_of(process.pid)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=HANGS)
    assert (process.returncode, errors) == (130, "error: interrupted\n"), out + errors
    until(lambda: not any(map(alive, workers_of(folder))), "workers end")
    assert places
    for place in places:
        assert not Path(place).exists() and not mentioning(place)
    assert not work(folder).exists(), "nothing was done yet, so nothing is left"


def test_ray_that_is_killed_on_this_machine_is_told_before_it_ends_the_process(folder: Path) -> None:
    process = begun(folder, "--address=local")
    (place,) = clusters_of(process.pid)
    for pid in mentioning(place):
        if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(b"/raylet"):
            os.kill(pid, signal.SIGKILL)
    out, errors = process.communicate(timeout=HANGS)
    says = "error: Ray's process on this machine was ended, for want of memory perhaps; the parts that are done stay"
    assert process.returncode == 2 and errors.splitlines()[-1].startswith(says), out + errors
    until(lambda: not mentioning(place), "what Ray had started ends")
    assert not Path(place).exists()


def clusters_of(pid: int) -> set[str]:
    """Folders of clusters that the children of a process work in."""
    found = set()
    for other in mentioning("--session-dir") + mentioning("--session_dir"):
        words = Path(f"/proc/{other}/cmdline").read_bytes().decode().split("\0")
        parent = Path(f"/proc/{other}/stat").read_text().rpartition(")")[2].split()[1]
        for word in words:
            if parent == str(pid) and word.startswith(("--session-dir=", "--session_dir=")):
                found.add(str(Path(word.partition("=")[2]).parent))
    return found
