"""The study: killed and resumed it gives the same tables."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bench.study.baselines import baseline_ranks
from bench.study.experiments import EXPERIMENTS, Experiment
from bench.study.kept import keep, kept_file
from bench.study.page.answers import answers_top
from bench.study.page.page import sections
from bench.study.record import read_record, write_record
from bench.study.trials import Trial
from infer.scoring.baselines import popular_lists, random_lists
from infer.scoring.options import ScoringConfig
from infer.scoring.popularity import Popularity
from infer.scoring.task import prepare
from infer.system.locks import locked
from tests.helpers.checkerboard import HANGS, ROOT

TRIALS = 6  # three experiments with two seeds
TIMES = ("seconds", "preparation_seconds")


def command(artifacts: Path, output: Path, *words: str) -> list[str]:
    options = ["--short", "--epochs=1", "--workers=1", "--negatives=3", "--only=mf-paper,hybrid-paper,scratch"]
    given = {word.partition("=")[0] for word in words}
    options = [option for option in options if option.partition("=")[0] not in given]
    return [sys.executable, "-m", "bench.study", f"--artifacts={artifacts}", f"--output={output}", *options, *words]


def run_study(artifacts: Path, output: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(artifacts, output, *words), cwd=ROOT, capture_output=True, text=True, timeout=HANGS)


@pytest.fixture(scope="module")
def made(artifacts: Path, tmp_path_factory) -> Path:
    """A study that was killed after its second trial and resumed; its record lies beside it, in kept."""
    folder = tmp_path_factory.mktemp("study")
    killed, words = folder / "killed", f"--record={folder / 'kept'}"
    running = subprocess.Popen(command(artifacts, killed, words), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for line in running.stdout:
        if line.startswith("[2/"):
            break
    # The command alone: its worker has to notice.
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (killed / "study.html").exists()
    done = run_study(artifacts, killed, words)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"{TRIALS} trials, [2-4] of them finished already", done.stdout), done.stdout
    assert re.search(
        rf"\[{TRIALS}/{TRIALS}\] hybrid, paper seed \d {artifacts.name} leave-one-out hit@10 \d+\.\d % \d+ s",
        done.stdout,
    )
    return killed


def elsewhere(study: Path, output: Path) -> Path:
    """Another output folder, for which the losses' speed is not measured again: that takes most of a short study."""
    (output / "trials").mkdir(parents=True)
    shutil.copy(study / "trials" / "speed.json", output / "trials")
    return output


def test_a_killed_study_goes_on_and_makes_what_one_that_is_left_alone_makes(
    made, artifacts: Path, tmp_path: Path
) -> None:
    alone = elsewhere(made, tmp_path / "alone")
    done = run_study(artifacts, alone, "--seeds=1", "--only=mf-paper,hybrid-paper")
    assert done.returncode == 0 and len(_made(done)) == 2, done.stderr
    seed = Path("trials") / artifacts.name / "leave-one-out" / "seed0"
    names = sorted(path.name for path in (alone / seed).glob("*.parquet"))
    assert "hybrid-paper.validation.ranks.parquet" in names and "mf-paper.history.parquet" in names
    for name in names:
        one, other = (pl.read_parquet(study / seed / name) for study in (made, alone))
        shared = [column for column in one.columns if column not in TIMES]
        assert one.select(shared).equals(other.select(shared)), name
    for name in ("mf-paper", "hybrid-paper"):
        one, other = (json.loads((study / seed / f"{name}.trial.json").read_text()) for study in (made, alone))
        assert one["weights"] == other["weights"] and one["provenance"] == other["provenance"]
    assert len(list((made / "tables").iterdir())) == 15 and not list(made.rglob("*.partial.pt"))


def test_the_page_needs_no_network_and_shows_every_part(made) -> None:
    text = (made / "study.html").read_text()
    own = re.sub(r"<script>/\*\*.*?</script>", "", text, count=1, flags=re.S)
    assert not re.search(r"(src|href)\s*=\s*[\"']", own) and "@import" not in own and "http" not in own
    for title in ("RQ1", "RQ2", "RQ3", "Protocols", "The best five", "How to reproduce"):
        assert f"<h2>{title}" in own
    assert (
        "Does it help where data are scarce?, Beside published results, Is the effort the same?, Ties and time split."
        in own
    )
    plots = re.findall(r'draw\("(plot-\d+-\d+)"', own)
    assert len(plots) == len(set(plots)) == 11 and 'draw("picture"' in own
    assert "prefers-color-scheme: dark" in own and "width=device-width" in own
    assert "transformer from scratch" in own and "held out" in own and "3 uniform" in own


def test_only_what_is_missing_is_made_again(made, artifacts: Path, tmp_path: Path) -> None:
    killed = shutil.copytree(made, tmp_path / "killed")
    done = run_study(artifacts, killed)
    assert f"{TRIALS} trials, {TRIALS} of them finished already" in done.stdout
    assert "[" not in done.stdout and "measuring" not in done.stdout
    # A model that was made again and came out the same leaves what starts from it as it is ...
    marker = killed / "trials" / artifacts.name / "leave-one-out/seed1/mf-paper.trial.json"
    marker.unlink()
    done = run_study(artifacts, killed, "--user=103")
    assert _made(done) == [f"MF, paper seed 1 {artifacts.name}"]
    # ... and another one does not.
    marker.write_text(re.sub(r'"weights": "...', '"weights": "xyz', marker.read_text()))
    done = run_study(artifacts, killed, "--user=103")
    assert _made(done) == [f"hybrid, paper seed 1 {artifacts.name}"]
    assert pl.read_parquet(killed / "tables/top.parquet")["user"].unique().to_list() == ["103"]
    provenance = json.loads(
        (killed / "trials" / artifacts.name / "leave-one-out/seed0/scratch.trial.json").read_text()
    )["provenance"]
    assert provenance["config"]["epochs"] == 1 and provenance["versions"]["torch"] and len(provenance["data"]) == 64


def _made(done: subprocess.CompletedProcess) -> list[str]:
    """The trials that a study says it made."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    return [line.split(" leave")[0].partition("] ")[2] for line in lines]


@pytest.fixture
def recorded(made) -> tuple[Path, Path]:
    """The study, and its record."""
    return made, made.with_name("kept")


def test_a_study_goes_on_elsewhere_from_its_record(recorded, artifacts: Path, tmp_path: Path) -> None:
    study, record = recorded
    kept, output = tmp_path / "kept", elsewhere(study, tmp_path / "elsewhere")
    shutil.copytree(record, kept)
    names = pl.read_parquet_schema(kept / "trials" / f"{artifacts.name}.parquet").names()
    assert "rank_uniform" in names and not {"user", "item"} & set(names), "whose ranks they are is the data's"
    done = run_study(artifacts, output, f"--record={kept}")
    assert done.returncode == 0 and f"{TRIALS} trials, {TRIALS} of them finished already" in done.stdout, done.stderr
    assert _made(done) == [] and not (output / "trials" / artifacts.name / "leave-one-out/seed0/scratch.pt").exists()
    for path in sorted((study / "tables").iterdir()):
        if path.stem != "top":  # of models that are not here
            assert pl.read_parquet(output / "tables" / path.name).equals(pl.read_parquet(path)), path.stem
    # What starts from a kept model has it made again; what was kept stays.
    done = run_study(artifacts, output, f"--record={kept}", "--seeds=1", "--only=scratch,markov,scratch-markov")
    seed = f"seed 0 {artifacts.name}"
    assert _made(done)[2:] == [f"from scratch + Markov {seed}"], done.stderr
    assert set(_made(done)[:2]) == {f"transformer from scratch {seed}", f"Markov {seed}"}
    assert pl.read_parquet(kept / "trials" / f"{artifacts.name}.parquet").height == TRIALS + 2
    # One of other options is not taken for it.
    other = elsewhere(study, tmp_path / "other")
    done = run_study(artifacts, other, f"--record={kept}", "--seeds=1", "--only=scratch", "--epochs=2")
    assert _made(done) == [f"transformer from scratch {seed}"]


def test_what_is_finished_can_be_looked_at(recorded, artifacts: Path, tmp_path: Path, refused) -> None:
    study = tmp_path / "s"
    shutil.copytree(recorded[0], study)
    (study / "trials" / artifacts.name / "leave-one-out/seed1/scratch.trial.json").unlink()
    done = run_study(artifacts, study, "--finished", f"--record={tmp_path / 'kept'}")
    assert done.returncode == 0 and _made(done) == [], done.stderr
    assert f"{TRIALS - 1} trials, {TRIALS - 1} of them finished already" in done.stdout
    kept = pl.read_parquet(tmp_path / "kept/trials" / f"{artifacts.name}.parquet")
    assert kept.height == TRIALS - 1, "also what was made without a record"
    measured = pl.read_parquet(study / "tables/metrics.parquet").filter(pl.col("experiment") != "random")
    assert measured.filter(pl.col("experiment") == "scratch")["seed"].unique().to_list() == [0]
    assert measured["seed"].unique().sort().to_list() == [0, 1]
    note = f"1 of {TRIALS} trials are not finished and left out, of scratch"
    assert pl.read_parquet(study / "tables/notes.parquet")["note"].to_list()[0] == note
    assert f": {note}.</p>" in (study / "study.html").read_text()
    refused(run_study(artifacts, tmp_path / "none", "--finished"), "is finished in this study")


def test_studies_that_share_a_record_lose_nothing_of_each_other(made, artifacts: Path, tmp_path: Path) -> None:
    folder, scratch = made / "trials" / artifacts.name / "leave-one-out", _experiment("scratch")
    trials = [Trial(scratch, "ratings.csv", "leave-one-out", seed, folder / f"seed{seed}", 1, 3) for seed in (0, 1)]
    path = kept_file(trials[0], tmp_path)
    with ThreadPoolExecutor() as pool:  # each has a lock of its own, as processes have
        list(pool.map(lambda trial: keep([trial], tmp_path), trials * 4))
    assert pl.read_parquet(path)["seed"].to_list() == [0, 1] and list(tmp_path.iterdir()) == [path.parent]
    before = path.stat().st_ino
    keep(trials, tmp_path)
    assert path.stat().st_ino == before, "what is kept already is not written again"
    with locked(tmp_path / "locks" / "record.lock", wait=False):
        waiting = threading.Thread(target=keep, args=(trials[:1], tmp_path))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
    waiting.join(HANGS)
    assert not waiting.is_alive()


def _experiment(name: str) -> Experiment:
    return next(e for e in EXPERIMENTS if e.name == name)


def test_a_record_of_other_data_is_refused(recorded, artifacts: Path, tmp_path: Path, refused) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(recorded[1], kept)
    path = kept / "trials" / f"{artifacts.name}.parquet"
    table = pl.read_parquet(path)
    table.with_columns(pl.col("rank").list.head(3)).write_parquet(
        path, metadata={"generator": "hybrid-recommender-onnx"}
    )
    done = run_study(artifacts, tmp_path / "s", f"--record={kept}", "--seeds=1", "--only=scratch")
    refused(done, "another number of users")


def test_what_cannot_be_studied_is_refused(made, artifacts: Path, tmp_path: Path, refused) -> None:
    other = tmp_path / "other" / artifacts.name
    shutil.copytree(artifacts, other)
    table = pl.read_parquet(other / "interactions.parquet").head(300)
    table.write_parquet(other / "interactions.parquet")
    refused(run_study(other, made), "is of a study of other data: choose another --output")
    refused(run_study(tmp_path / "nowhere", made), "run `python -m train.data` first")
    refused(run_study(artifacts, made, "--user=7"), "has no held-out item of user '7'")
    words = [sys.executable, "-m", "bench.study", f"--artifacts={artifacts}", f"--output={tmp_path / 's'}"]
    for only, text in (("bert5", "no experiment is called 'bert5'"), ("hybrid-mf", "hybrid-mf starts from mf-ratings")):
        done = subprocess.run([*words, f"--only={only}"], cwd=ROOT, capture_output=True, text=True)
        refused(done, text)
    assert not (tmp_path / "s").exists()


def test_two_studies_do_not_write_the_same_trials(made, artifacts: Path, refused) -> None:
    with locked(made / "locks" / "study.lock", wait=False):
        refused(run_study(artifacts, made), "another process is working on")


def test_baselines_rank_as_their_lists_do(made, artifacts: Path) -> None:
    folder = made / "trials" / artifacts.name / "leave-one-out/seed0"
    trial = Trial(_experiment("scratch"), "ratings.csv", "leave-one-out", 0, folder, 1, 3)
    task = prepare(ScoringConfig(model=trial.file("onnx")).job())
    popularity = Popularity(task.counts, len(task.histories))
    made_lists = {
        "popularity": popular_lists(task, popularity, 24),
        "random": random_lists(task, 24, 0, np.arange(len(task.histories))),
    }
    assert list(baseline_ranks(trial)) == list(baseline_ranks(trial, "validation")) == ["random", "popularity"]
    for name, lists in made_lists.items():
        ranks = baseline_ranks(trial)[name].select("user", "item", "rank")
        found = ranks.join(lists.select("user", "item", "rank"), on=["user", "item"], suffix="_listed")
        assert found.height == ranks.height > 30 and (found["rank"] == found["rank_listed"]).all(), name


def test_sections_without_trials_have_no_tables(made) -> None:
    tables = {path.stem: pl.read_parquet(path) for path in (made / "tables").iterdir()}
    found = {section["title"]: section for section in sections(tables)}
    assert found["Ties and time split"]["tables"] == [] and len(found["RQ3: does it converge sooner?"]["tables"]) == 2


def test_the_tables_say_of_which_data_and_how_sure_they_are(made, artifacts: Path) -> None:
    tables = {path.stem: pl.read_parquet(path) for path in (made / "tables").iterdir()}
    for name, table in tables.items():
        assert table.columns[: 1 if name == "notes" else 2] == ["data", "split", "x"][: 1 if name == "notes" else 2]
        assert table["data"].unique().to_list() in ([], [artifacts.name])
    summary = tables["summary"]
    assert (summary["low"] <= summary["value"]).all() and (summary["value"] <= summary["high"]).all()
    assert summary["low"].min() >= 0 and summary["high"].max() <= 1
    over = summary.group_by("seeds").agg(pl.col("over").unique()).sort("seeds").rows()
    assert over == [(1, ["users"]), (2, ["users and seeds"])]
    row = summary.row(by_predicate=(pl.col("experiment") == "scratch") & (pl.col("metric") == "hit@10")
                      & (pl.col("protocol") == "full"), named=True)  # fmt: skip
    means = [
        np.mean([
            (pl.read_parquet(path)["rank"] <= 10).fill_null(False).mean()
            for path in sorted(made.glob(f"trials/*/leave-one-out/seed?/scratch{part}.ranks.parquet"))
        ])
        for part in ("", ".validation")
    ]  # fmt: skip
    assert (row["value"], row["validation"]) == pytest.approx(means)
    assert row["optimism"] == pytest.approx(means[1] - means[0]) and row["users"] > 30


def test_a_record_holds_the_tables_without_users_and_answers_follow_from_it(
    made, tmp_path: Path, run, refused, artifacts: Path
) -> None:
    tables = {path.stem: pl.read_parquet(path) for path in (made / "tables").iterdir()}
    schema = tables["differences"].schema
    row = {"data": artifacts.name, "split": "leave-one-out", "one": "hybrid-ials", "other": "scratch", "seeds": 2}
    row |= {
        "p": 0.01,
        "metric": "hit@10",
        "value": 0.1,
        "low": 0.1,
        "high": 0.2,
        "p_corrected": 0.01,
        "significant": True,
    }
    tables["differences"] = pl.DataFrame([dict.fromkeys(schema) | row | {"users": 40}], schema=schema)
    write_record(tables, tmp_path)
    kept = read_record(tmp_path)
    assert kept["top"].is_empty() and tables["top"].height and kept.keys() == tables.keys()
    assert all(kept[name].equals(tables[name]) for name in kept if name != "top")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 100_000
    assert not any("user" in table.columns for name, table in kept.items() if name != "top")
    assert answers_top(kept) == answers_top(tables) and sections(kept)
    done = run("bench.study.record", f"--record={tmp_path}")
    assert done.stdout.startswith("This study trained for at most 1 epoch, fewer than configured"), done.stderr
    assert answers_top(tables)[-1] in done.stdout.splitlines() and "better than" not in done.stdout
    refused(run("bench.study.record", f"--record={tmp_path / 'none'}"), "holds no record of a study")


def test_ctrl_c_ends_a_study_and_its_workers_at_once(artifacts: Path, tmp_path: Path) -> None:
    options = ("--seeds=1", "--only=markov,bert4rec", "--negatives=3", "--workers=1")  # the second takes minutes
    words = [sys.executable, "-m", "bench.study", f"--artifacts={artifacts}", f"--output={tmp_path / 's'}", *options]
    running = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in running.stdout:
        if line.startswith("[1/"):
            break
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: the command and its workers
    began = time.monotonic()
    _, errors = running.communicate(timeout=HANGS)
    assert (running.returncode, errors) == (130, "error: interrupted\n") and time.monotonic() - began < 20
    while _alive(running.pid) and time.monotonic() - began < 20:  # Python's own tracker ends after the command
        time.sleep(0.1)
    assert not _alive(running.pid), "nobody is left of the group"
    folder = tmp_path / "s" / "trials" / artifacts.name / "leave-one-out" / "seed0"
    assert [path.name for path in folder.glob("*.trial.json")] == ["markov.trial.json"]
    assert not (tmp_path / "s" / "study.html").exists()


def _alive(group: int) -> list[int]:
    """Processes of a group that still run; one that ended may wait for somebody to ask how."""
    found = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in found.splitlines()]
    return [int(pid) for pid, own, state in rows if int(own) == group and not state.startswith("Z")]
