"""The study: killed and resumed it gives the same tables; its sentences say what the numbers say."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from bench.study.answers import answers_cold, answers_convergence, compared, paper_note
from bench.study.baselines import baseline_ranks
from bench.study.curves import CONVERGENCE, convergence, speed
from bench.study.differences import SCHEMA, _same_seeds
from bench.study.experiments import COHORT_PAIRS, EXPERIMENTS, PAIRS, VARIATIONS
from bench.study.page import sections
from bench.study.trials import Trial
from infer.scoring.baselines import baseline_lists
from infer.scoring.options import ScoringConfig
from infer.scoring.task import prepare
from tests.helpers.checkerboard import HANGS, ROOT
from train.presets import CONFIGS

TRIALS = 6  # three experiments with two seeds
TIMES = ("seconds", "elapsed", "goal_seconds")
NOTHING = pl.DataFrame(schema={"experiment": pl.String, "metric": pl.String})


def command(artifacts: Path, output: Path, *words: str) -> list[str]:
    options = ("--short", "--epochs=1", "--workers=1", "--negatives=3", "--only=mf-paper,hybrid-paper,scratch")
    return [sys.executable, "-m", "bench.study", f"--artifacts={artifacts}", f"--output={output}", *options, *words]


def run_study(artifacts: Path, output: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(artifacts, output, *words), cwd=ROOT, capture_output=True, text=True, timeout=HANGS)


@pytest.fixture(scope="module")
def made(artifacts: Path, tmp_path_factory) -> tuple[Path, Path]:
    """A study killed after its second trial and resumed, and one that was left alone."""
    folder = tmp_path_factory.mktemp("study")
    killed, whole = folder / "killed", folder / "whole"
    running = subprocess.Popen(command(artifacts, killed), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for line in running.stdout:
        if line.startswith("[2/"):
            break
    # The command alone: its worker has to notice.
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (killed / "study.html").exists()
    done = run_study(artifacts, killed)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"{TRIALS} trials, [2-4] of them finished already", done.stdout), done.stdout
    assert re.search(rf"\[{TRIALS}/{TRIALS}\] hybrid, paper seed \d leave-one-out hit@10 \d+\.\d % \d+ s", done.stdout)
    assert run_study(artifacts, whole).returncode == 0
    return killed, whole


def test_a_killed_study_goes_on_and_gives_the_same_tables(made) -> None:
    killed, whole = made
    names = sorted(path.name for path in (whole / "tables").iterdir())
    assert len(names) == 10 and names == sorted(path.name for path in (killed / "tables").iterdir())
    for name in names:
        one, other = (pl.read_parquet(folder / "tables" / name) for folder in made)
        shared = [column for column in one.columns if column not in TIMES]
        if name != "speed.parquet":
            assert one.select(shared).equals(other.select(shared)), name
    assert not list(killed.rglob("*.partial.pt"))


def test_the_page_needs_no_network_and_shows_every_part(made) -> None:
    text = (made[1] / "study.html").read_text()
    own = re.sub(r"<script>/\*\*.*?</script>", "", text, count=1, flags=re.S)
    assert not re.search(r"(src|href)\s*=\s*[\"']", own) and "@import" not in own and "http" not in own
    for title in ("RQ1", "RQ2", "RQ3", "Protocols", "Five films", "How to reproduce"):
        assert f"<h2>{title}" in own
    assert "Left out, because this study has no trials for it: Ties and time split." in own
    plots = re.findall(r'draw\("(plot-\d+-\d+)"', own)
    assert len(plots) == len(set(plots)) == 9
    assert "prefers-color-scheme: dark" in own and "width=device-width" in own
    assert "transformer from scratch" in own and "held out" in own and "3 uniform" in own


def test_only_what_is_missing_is_made_again(made, artifacts: Path) -> None:
    killed = made[0]
    done = run_study(artifacts, killed)
    assert f"{TRIALS} trials, {TRIALS} of them finished already" in done.stdout
    assert "[" not in done.stdout and "measuring" not in done.stdout
    # What starts from a model that was made again is made again too.
    (killed / "trials/leave-one-out/seed1/mf-paper.trial.json").unlink()
    done = run_study(artifacts, killed, "--user=103")
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert [line.split("leave")[0].partition("] ")[2] for line in lines] == [
        "MF, paper seed 1 ",
        "hybrid, paper seed 1 ",
    ]
    assert pl.read_parquet(killed / "tables/top.parquet")["user"].unique().to_list() == ["103"]
    provenance = json.loads((killed / "trials/leave-one-out/seed0/scratch.trial.json").read_text())["provenance"]
    assert provenance["config"]["epochs"] == 1 and provenance["versions"]["torch"] and len(provenance["data"]) == 64


def test_what_cannot_be_studied_is_refused(made, artifacts: Path, tmp_path: Path, refused) -> None:
    other = tmp_path / "other"
    shutil.copytree(artifacts, other)
    table = pl.read_parquet(other / "interactions.parquet").head(300)
    table.write_parquet(other / "interactions.parquet")
    refused(run_study(other, made[1]), "is of a study of other data: choose another --output")
    refused(run_study(tmp_path / "nowhere", made[1]), "run `python -m train.data` first")
    refused(run_study(artifacts, made[1], "--user=7"), "has no held-out item of user '7'")
    words = [sys.executable, "-m", "bench.study", f"--artifacts={artifacts}", f"--output={tmp_path / 's'}"]
    for only, text in (("bert5", "no experiment is called 'bert5'"), ("hybrid-mf", "hybrid-mf starts from mf-64")):
        done = subprocess.run([*words, f"--only={only}"], cwd=ROOT, capture_output=True, text=True)
        refused(done, text)
    assert not (tmp_path / "s").exists()


def test_baselines_rank_as_their_lists_do(made) -> None:
    scratch = next(e for e in EXPERIMENTS if e.name == "scratch")
    trial = Trial(scratch, "leave-one-out", 0, made[1] / "trials/leave-one-out/seed0", 1, 3)
    task = prepare(ScoringConfig(model=trial.file("onnx")).job())
    for name, lists in baseline_lists(task, task.counts, 24, seed=0).items():
        ranks = baseline_ranks(trial)[name].select("user", "item", "rank")
        found = ranks.join(lists.select("user", "item", "rank"), on=["user", "item"], suffix="_listed")
        assert found.height == ranks.height > 30 and (found["rank"] == found["rank_listed"]).all(), name


def row(value: float, low: float, high: float, **more) -> dict:
    return {"metric": "hit@10", "value": value, "low": low, "high": high, "p": 0.01, "users": 610, "seeds": 5} | more


def test_an_interval_with_zero_is_not_distinguishable() -> None:
    assert compared(row(0.02, 0.01, 0.03, seeds_low=0.005, seeds_high=0.035), "A", "B") == (
        "A is better than B: +2.00 points of Hit@10 [+1.00, +3.00], p = 0.0100 (610 users; 5 seeds: [+0.50, +3.50])."
    )
    assert compared(row(0.02, -0.01, 0.05), "A", "B").startswith("A is not distinguishable from B: +2.00")
    assert compared(row(0.0, 0.0, 0.0), "A", "B").startswith("A is not distinguishable from B: +0.00")
    assert compared(row(-0.02, -0.03, -0.01, seeds=1), "the A", "B").startswith("The A is worse than B: -2.00")
    assert "10 against 17 hits of 610 users: z = 1.36, not significant" in paper_note()


def test_cold_start_in_words() -> None:
    cold = row(0.1, -0.01, 0.2, metric="hit@100", by="target_count", cohort="0", one="hybrid", other="scratch")
    differences = pl.DataFrame([{name: cold.get(name) for name in SCHEMA}], schema=SCHEMA)
    (sentence,) = answers_cold({"differences": differences, "newcomers": NOTHING})
    assert sentence.startswith("Held-out items rated 0 times before: The hybrid is not distinguishable from")


def test_convergence_in_words() -> None:
    rows = [("hybrid", "hybrid", 0, 7.4, 1, 5, 4.0, 16.0), ("hybrid", "hybrid", 1, 7.4, 2, 5, 8.0, 17.0)]
    rows.append(("hybrid", "hybrid", 2, 7.4, 1, 5, 30.0, 16.0))
    table, no_speed = pl.DataFrame(rows, CONVERGENCE, orient="row"), pl.DataFrame()
    (sentence,) = answers_convergence({"convergence": table, "speed": no_speed})
    assert "training from scratch sooner in epochs and at a time not distinguishable in seconds: 1.3 inst" in sentence
    never = table.with_columns(epochs=pl.when(pl.col("seed") == 0).then(pl.col("epochs")))
    (sentence,) = answers_convergence({"convergence": never, "speed": no_speed})
    assert "does not reach" in sentence and "for 2 of 3 seeds" in sentence
    measured = pl.DataFrame({"loss": ["sampled", "softmax"] * 2, "round": [0, 0, 1, 1]})
    equal = speed(measured.with_columns(pl.Series("seconds_per_epoch", [1.0, 1.1, 1.1, 1.0])))
    (sentence,) = answers_convergence({"convergence": table.clear(), "speed": equal})
    assert sentence.startswith("An epoch with sampled softmax is not distinguishable in length: 1.05 s against 1.05 s")


def test_convergence_asks_for_the_goal_of_the_same_seed() -> None:
    losses = {("scratch", 0): [8.0, 7.0, 7.5], ("scratch", 1): [6.0, 6.5], ("hybrid", 0): [6.9], ("hybrid", 1): [6.9]}
    rows = [
        {"experiment": name, "title": name, "seed": seed, "epoch": n + 1, "elapsed": 2.0 * n, "validation_loss": loss}
        for (name, seed), values in (losses | {("ials", 0): [0.1]}).items()
        for n, loss in enumerate(values)
    ]
    found = convergence(pl.DataFrame(rows)).select("experiment", "seed", "epochs", "goal_epochs", "seconds")
    expected = [
        ("scratch", 0, 2, 2, 2.0),
        ("scratch", 1, 1, 1, 0.0),
        ("hybrid", 0, 1, 2, 0.0),
        ("hybrid", 1, None, 1, None),
    ]
    assert found.rows() == expected


def test_a_model_with_one_seed_stands_beside_every_seed_of_another() -> None:
    tables = [pl.DataFrame({"n": [n]}) for n in range(4)]
    one, other = _same_seeds({0: tables[0], 1: tables[1]}, {0: tables[2]})
    assert one == tables[:2] and other == [tables[2]] * 2
    one, other = _same_seeds(dict(enumerate(tables)), {1: tables[0], 2: tables[3]})
    assert one == tables[1:3] and other == [tables[0], tables[3]]
    assert _same_seeds({}, {0: tables[0]}) == ([], [])


def test_the_list_of_experiments_is_consistent() -> None:
    stages = {e.name: e.stage for e in EXPERIMENTS}
    assert len(stages) == len(EXPERIMENTS) and {n for pair in PAIRS + COHORT_PAIRS for n in pair} <= set(stages)
    for experiment in EXPERIMENTS:
        assert experiment.kind in CONFIGS
        assert all(stages[name] < experiment.stage for name in experiment.parents)
        # The short study, and the other splits, must hold what their models start from.
        parents = [e for e in EXPERIMENTS if e.name in experiment.parents]
        assert all(e.short for e in parents) or not experiment.short
        assert all(e.varied for e in parents) or not experiment.varied
    assert set(VARIATIONS) == {"random-ties", "time-split"}


def test_sections_without_trials_have_no_tables(made) -> None:
    tables = {path.stem: pl.read_parquet(path) for path in (made[1] / "tables").iterdir()}
    found = {section["title"]: section for section in sections(tables)}
    assert found["Ties and time split"]["tables"] == [] and len(found["RQ3: does it converge sooner?"]["tables"]) == 2
