"""The search for options: two or three trials on the checkerboard, in this process."""

import json
import logging
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.system.locks import locked
from infer.system.ownership import is_ours
from train.data.dataset import load
from train.loop.loop import DivergedError
from train.presets import PRESETS, configuration
from train.sizing import sized
from train.tune import __main__ as command
from train.tune import search as tuning
from train.tune.chosen import read_tuned, tuned_text, words
from train.tune.search import Search, search
from train.tune.spaces import SPACES, Choice, Numbers, beside, space
from train.tune.table import SCHEMA, Trial, best_of, read_table, trials_of, write_table

TINY = ["--dim=8", "--heads=1", "--feedforward=8", "--max-length=4", "--epochs=2", "--batch-size=64", "--layers=1"]


@pytest.fixture
def folder(artifacts: Path, tmp_path: Path) -> Path:
    for name in ("interactions.parquet", "items.parquet"):
        shutil.copy(artifacts / name, tmp_path)
    return tmp_path


def wanted(folder: Path, kind: str = "knn", **changes) -> Search:
    return replace(
        Search(kind, "default", kind, configuration(kind, artifacts=folder), space(kind, "default")), **changes
    )


def found(looked_for: Search, trials: int) -> list[Trial]:
    return [replace(trial, seconds=0.0) for trial, _ in search(looked_for, trials)]


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset != "paper"])
@pytest.mark.parametrize("kind", ["mf", "bert", "hybrid", "knn", "markov", "ease"])
def test_every_space_holds_its_preset_and_every_extreme_is_a_valid_configuration(kind: str, preset: str) -> None:
    config = sized(configuration(kind, preset))
    for field, of in space(kind, preset).items():
        value = getattr(config, field)
        inside = value in of.values if isinstance(of, Choice) else of.low <= value <= of.high
        assert inside, f"{field} {value}"
        for extreme in of.values if isinstance(of, Choice) else (of.low, of.high):
            replace(config, **{field: extreme}).check()
            for heads in SPACES["sasrec" if preset in ("sasrec", "gsasrec") else "bert"]["heads"].values:
                if kind in ("bert", "hybrid"):
                    replace(config, **{"heads": heads} | ({"dim": 64} if field != "dim" else {"dim": extreme})).check()
    assert not {"patience", "seed", "artifacts"} & set(space(kind, preset))


@pytest.mark.parametrize(
    ("kind", "preset", "said"),
    [
        ("best", "default", "nothing to tune in best"),
        ("sasrec", "default", "choose one of mf, bert"),
        ("bert", "paper", "not tuned"),
    ],
)
def test_what_has_no_space_is_refused(kind: str, preset: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        space(kind, preset)


@pytest.mark.parametrize(
    ("kind", "preset", "given", "changed"),
    [
        ("bert", "default", {}, {}),
        ("bert", "default", {"dim": 50}, {"heads": Choice((1, 2))}),
        ("bert", "default", {"dim": 96}, {"heads": Choice((1, 2, 4, 3))}),  # of 32 dimensions each
        ("bert", "default", {"heads": 64}, {"dim": Choice((64, 128))}),
        ("bert", "default", {"codes": 64}, {"dim": Choice((64, 128))}),
        ("bert", "default", {"loss": "softmax"}, {"negatives": None, "negative_power": None}),
        ("bert", "sasrec", {"block": "hstu"}, {"feedforward": None}),
        ("bert", "bert4rec", {"masking": "span", "mask_ratio": None}, {"mask_ratio": None}),
        ("hybrid", "default", {"chain": 0}, {"chain_ease": None, "chain_power": None, "chain_decay": None}),
        ("hybrid", "default", {"masking": "cloze", "chain": 0, "initial": "random"}, {"content": None}),
        ("mf", "default", {"objective": "ratings"}, {"confidence": None, "regularization": None}),
    ],
)
def test_what_the_given_options_contradict_is_not_searched(kind: str, preset: str, given: dict, changed: dict) -> None:
    config = sized(configuration(kind, preset, **given))
    config.check()
    searched = {name: of for name, of in space(kind, preset).items() if name not in given}
    found = beside(command.to_search(searched, config, set(given)), config)
    for name in searched:
        if name not in changed and not (given.get("chain") == 0 and name.startswith("chain")):
            assert found[name] == searched[name]
    assert {name: found.get(name) for name in changed} == changed


def test_a_search_beside_a_given_option_comes_to_its_end(folder: Path) -> None:
    config = configuration("bert", artifacts=folder, dim=75, feedforward=8, max_length=4, epochs=1)
    assert sized(config).heads == 1
    heads = {"heads": Choice((2, 4, 5))}
    trials = found(wanted(folder, "bert", config=config, space=heads), 4)
    assert [trial.state for trial in trials] == ["finished"] * 4
    assert trials[0].values == {"heads": 1} and {trial.values["heads"] for trial in trials} == {1, 5}
    with pytest.raises(InputError, match="the options that were given leave nothing to tune"):
        found(wanted(folder, "bert", config=config, space={"heads": Choice((2, 4))}, name="x"), 1)
    with pytest.raises(InputError, match="--dim 75 is not a multiple of --heads 2"):
        found(wanted(folder, "bert", config=replace(config, heads=2), name="y"), 1)


def test_fewer_trials_than_there_are_change_nothing(run, folder: Path) -> None:
    tune = ("train", "tune", "knn", f"--artifacts={folder}")
    said = run(*tune, "--trials=4").stdout.splitlines()[-3:]
    again = run(*tune, "--trials=1").stdout.splitlines()
    assert said[0].startswith("best of 4 trials: ") and again[-3:] == said
    assert "4 trials are there, more than --trials 1: none was added" in again
    assert len(found(wanted(folder), 1)) == 4


def test_the_first_trial_is_the_preset_and_an_interrupted_search_finds_what_a_whole_one_does(
    folder: Path, monkeypatch
) -> None:
    monkeypatch.setattr(tuning, "RANDOM_TRIALS", 2)  # so that the last two trials depend on those before
    whole = found(wanted(folder), 4)
    config = configuration("knn")
    assert whole[0].values == {name: getattr(config, name) for name in space("knn", "default")}
    assert len({json.dumps(trial.values) for trial in whole}) == 4
    found(wanted(folder, name="cut"), 2)
    again = found(wanted(folder, name="cut"), 4)
    assert again == whole
    other = found(wanted(folder, name="other", config=replace(config, artifacts=folder, seed=1)), 2)
    assert other[0].values == whole[0].values and other[1].values != whole[1].values


@pytest.mark.parametrize("name", SPACES)
def test_a_table_gives_back_the_trials_of_every_space(name: str, tmp_path: Path) -> None:
    ends = [
        {
            field: of.values[end] if isinstance(of, Choice) else (of.low, of.high)[end]
            for field, of in SPACES[name].items()
        }
        for end in (0, -1)
    ]
    trials = [
        Trial(1, "finished", 0.5, 2, 3, 1.5, [0.1, 0.5, 0.2], ends[0], 1),
        Trial(2, "diverged", None, None, 0, 0.5, [], ends[1], 1),
    ]
    write_table(trials, json.dumps({"kind": name}), tmp_path / "x.trials.parquet")
    said, rows = read_table(tmp_path / "x.trials.parquet")
    assert said == {"kind": name} and trials_of(rows) == trials
    assert not set(SCHEMA) & set(SPACES[name])


def test_a_search_for_epochs_goes_on_also_from_a_table_of_before(folder: Path) -> None:
    whole = found(wanted(folder, "mf", name="whole"), 4)
    options = json.loads((folder / "whole.tuned.json").read_text())["options"]
    cut = wanted(folder, "mf", name="cut")
    for trials in (2, 2):  # the second time nothing is new
        assert found(cut, trials) == whole[:trials]
    table = pl.read_parquet(cut.table).drop("epochs_trained")  # whose place the option `epochs` took
    table.write_parquet(cut.table, metadata=pl.read_parquet_metadata(cut.table))
    assert found(cut, 4) == whole
    assert json.loads((folder / "cut.tuned.json").read_text())["options"] == options


def test_epochs_of_an_earlier_table_are_those_trained_where_none_were_searched(folder: Path) -> None:
    before = found(wanted(folder), 2)
    table = wanted(folder).table
    pl.read_parquet(table).rename({"epochs_trained": "epochs"}).write_parquet(
        table, metadata=pl.read_parquet_metadata(table)
    )
    assert found(wanted(folder), 2) == before and all(trial.epochs == 1 for trial in before)


def test_ctrl_c_keeps_what_is_finished(folder: Path, monkeypatch) -> None:
    numbers = iter([False, False, True])
    fit = tuning.fit

    def stopping(*arguments):
        if next(numbers):
            raise KeyboardInterrupt
        return fit(*arguments)

    monkeypatch.setattr(tuning, "fit", stopping)
    with pytest.raises(KeyboardInterrupt):
        found(wanted(folder), 4)
    table = pl.read_parquet(folder / "knn.trials.parquet")
    assert table["trial"].to_list() == [1, 2] and table["state"].to_list() == ["finished"] * 2
    assert table.columns == [*SCHEMA, "decay", "neighbours"]
    assert is_ours(folder / "knn.trials.parquet") and is_ours(folder / "knn.tuned.json")


def test_a_trial_that_diverges_is_kept_and_no_best(folder: Path, monkeypatch) -> None:
    def diverging(*arguments):
        raise DivergedError("the loss of epoch 1 is nan")
        yield

    monkeypatch.setattr(tuning, "fit", diverging)
    trials = found(wanted(folder), 2)
    assert [trial.state for trial in trials] == ["diverged"] * 2 and best_of(trials) is None
    assert not (folder / "knn.tuned.json").exists()
    monkeypatch.undo()
    assert [trial.state for trial in found(wanted(folder), 3)] == ["diverged", "diverged", "finished"]


def test_of_equal_trials_the_first_is_best_and_pruned_ones_never() -> None:
    def trial(number: int, ndcg: float, state: str = "finished") -> Trial:
        return Trial(number, state, ndcg, 1, 1, 0.0, [ndcg], {})

    assert best_of([trial(1, 0.1), trial(2, 0.3), trial(3, 0.3), trial(4, 0.9, "pruned")]).number == 2


def test_a_table_of_another_search_is_refused(folder: Path) -> None:
    found(wanted(folder), 1)
    before = (folder / "knn.trials.parquet").read_bytes()
    other = wanted(folder, config=configuration("knn", artifacts=folder, max_length=3))
    with pytest.raises(InputError, match=r"holds trials with other options, spaces or data: give --name"):
        found(other, 2)
    assert (folder / "knn.trials.parquet").read_bytes() == before
    (folder / "knn.tuned.json").write_text("mine")
    with pytest.raises(InputError, match="not written by this project"):
        found(wanted(folder), 1)


def test_two_processes_do_not_work_on_one_search(folder: Path) -> None:
    with (
        locked(folder / "locks" / "knn.tune.lock", wait=False),
        pytest.raises(InputError, match=r"another process.*knn"),
    ):
        found(wanted(folder), 1)


def test_below_the_median_a_trial_is_pruned(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(tuning, "LEAST_EPOCHS", 0)
    monkeypatch.setattr(tuning, "LEAST_TRIALS", 1)
    config = configuration("bert", artifacts=folder, dim=8, heads=1, feedforward=8, epochs=3, patience=0)
    looked_for = wanted(folder, "bert", config=config, space={"weight_decay": Numbers(1e-4, 1e-1)}, prune=True)
    better = Trial(1, "finished", 2.0, 1, 3, 0.0, [2.0, 2.0, 2.0], {"weight_decay": 0.01})
    trial = tuning._next(looked_for, load(folder), [better])
    assert (trial.state, trial.epochs) == ("pruned", 1)


def test_both_estimates_of_the_time_left_agree(folder: Path, monkeypatch, capsys, caplog) -> None:
    now = 0.0

    def searching(looked_for: Search, trials: int) -> Iterator[tuple[Trial, bool]]:
        nonlocal now
        for number, seconds in enumerate((512.0, 512.0, 64.0), 1):
            now += seconds
            yield Trial(number, "finished", 0.1, 1, 1, seconds, [0.1], {}), True
        raise KeyboardInterrupt

    monkeypatch.setattr("tqdm.std.time", lambda: now)
    monkeypatch.setattr("train.tune.search.search", searching)
    with caplog.at_level(logging.INFO), pytest.raises(KeyboardInterrupt):
        command.main(["knn", "--trials=4", f"--artifacts={folder}"])
    assert "about 6 min left" in caplog.messages[-1]
    assert "tuning knn: 3/4 trials, 18:08 so far, 06:02 left" in capsys.readouterr().err


def test_the_command_prints_a_command_that_trains_what_it_found(run, folder: Path) -> None:
    folder = folder.rename(folder.with_name("my shop"))  # as a shell reads it
    done = run("train", "tune", "bert", "--preset=sasrec", *TINY, "--trials=2", f"--artifacts={folder}", "--name=small")
    assert done.returncode == 0, done.stderr
    assert "trial   2/2" in done.stdout and "about 0 s left" in done.stdout
    said = json.loads((folder / "small.tuned.json").read_text())
    assert (said["kind"], said["preset"], said["trials"]) == ("bert", "sasrec", 2) and said["options"]["dim"] == 8
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("python -m train bert"))
    printed = shlex.split(line)[4:]
    assert "--preset=sasrec" in printed and "--epochs=2" in printed
    tuned = folder / "small.tuned.json"
    for name, options in (("one", printed), ("two", [f"--from-tuned={tuned}", f"--artifacts={folder}"])):
        trained = run("train", "bert", *options, f"--name={name}")
        assert trained.returncode == 0, trained.stderr
    columns = ["epoch", "train_loss", "validation_ndcg_at_10"]
    one, two = (pl.read_parquet(folder / f"{name}.history.parquet").select(columns) for name in ("one", "two"))
    assert one.equals(two) and max(one["validation_ndcg_at_10"]) == said["validation_ndcg_at_10"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name one kind of model to tune, of mf, bert, hybrid, knn, markov, ease; found none"),
        (["bort"], "found bort"),
        (["content"], "nothing to tune in content"),
        (["knn", "--trials=0"], "--trials is at least 1"),
        (["knn", "--decay=0.5", "--neighbours=5"], "nothing to tune: leave some out"),
        (["knn", "--name=a/b"], "is not a plain file name"),
        (["bert", "--preset=paper"], "not tuned"),
        (["bert", "--trails=3"], "did you mean --trials?"),
    ],
)
def test_bad_input_is_one_clear_line(words: list[str], said: str, run, refused) -> None:
    refused(run("train.tune", *words), said)


def test_a_tuned_file_says_what_differs_and_is_read_back(tmp_path: Path, run, refused) -> None:
    values = asdict(configuration("bert", "sasrec", learning_rate=0.25, item_bias=True, unseen_negatives=False, seed=7))
    path = tmp_path / "x.tuned.json"
    path.write_text(tuned_text("bert", "sasrec", values, 0.5, 3))
    expected = ["--item-bias", "--no-unseen-negatives", "--learning-rate=0.25"]
    assert (
        read_tuned(path, "bert") == ("sasrec", expected) == ("sasrec", words(json.loads(path.read_text())["options"]))
    )
    refused(run("train", "hybrid", f"--from-tuned={path}"), "was tuned for bert: run `python -m train bert` with it")
    refused(
        run("train", "bert", f"--from-tuned={path}", "--preset=gsasrec"), "was tuned with --preset=sasrec: leave it out"
    )
    refused(
        run("train", "bert", f"--from-tuned={tmp_path / 'y'}"), "does not exist: run `python -m train tune bert` first"
    )
    none = ('{"options": {}, "kind": "x", "preset": "default"}', '{"options": {}, "kind": ["bert"], "preset": "paper"}')
    for content in ("", "[1]", "{}", *none):
        path.write_text(content)
        refused(run("train", "bert", f"--from-tuned={path}"), "is not what `python -m train tune` writes")


def test_a_tuned_file_says_nothing_of_places(tmp_path: Path) -> None:
    path = tmp_path / "x.tuned.json"
    for name in ("artifacts", "device", "seed", "help", "no_such"):
        path.write_text(json.dumps({"kind": "bert", "preset": "default", "options": {"dim": 8, name: "elsewhere"}}))
        with pytest.raises(InputError, match=f"has '{name}', which is no option that a search of bert finds"):
            read_tuned(path, "bert")
