"""Training anew with what validation found for an earlier model: the options and epochs of it, and its weights of chain
and members, on all rows."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from bench.curves.history import read as read_training
from export.exporter import export
from infer.errors import InputError
from infer.model.session import open_model
from infer.tables.columns import SPLIT
from train import command, trainer
from train.data.dataset import load
from train.loop.loop import fit
from train.loop.run import Run
from train.models.registry import build
from train.presets import configuration
from train.saved import checkpoint, refit

SIZES = ["--dim=4", "--max-length=6", "--feedforward=8", "--stride=3"]


def wandering(user: int, random: np.random.Generator) -> np.ndarray:
    """All items of a ring in turn from a place of the user's own, each moved by a few places."""
    return np.argsort((np.arange(25) - user) % 25 + random.normal(0, 3, 25))


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    """A table that holds items out, and the same of which all are trained on but the test items."""
    random, splits = np.random.default_rng(4), ["train"] * 6 + ["validation", "test"]
    rows = [
        (user, int(item), step, split)
        for user in range(40)
        for step, (item, split) in enumerate(zip(wandering(user, random), splits, strict=False))
    ]
    table = pl.DataFrame(rows, ["user", "item", "timestamp", SPLIT], orient="row")
    for name, split in (("choice", pl.col(SPLIT)), ("again", pl.col(SPLIT).replace("validation", "train"))):
        (tmp_path / name).mkdir()
        table.with_columns(split).write_parquet(tmp_path / name / "interactions.parquet")
    return tmp_path / "choice", tmp_path / "again"


def trained(kind: str, folder: Path, *words: str) -> dict:
    command.main([kind, f"--artifacts={folder}", *words])
    return checkpoint.read(folder / f"{kind}.pt", "")


def found(kind: str, folder: Path, epoch: int, *words: str, **options: float) -> dict:
    """A trained model of which another epoch was the best, and these options were found."""
    content = trained(kind, folder, *SIZES, *words)
    content["best"]["epoch"] = epoch
    content["provenance"]["config"] |= options
    checkpoint.save(folder / f"{kind}.pt", content)
    return content


def test_it_is_trained_as_the_earlier_one_to_its_best_epoch_and_with_its_chain(tables, capsys) -> None:
    choice, again = tables
    best, weight = 3, 0.42
    words = ["--chain=3", "--epochs=5", "--patience=4", "--learning-rate=0.02"]
    earlier = found("hybrid", choice, best, *words, chain_weight=weight)
    capsys.readouterr()
    refitted = trained("hybrid", again, f"--refit={choice / 'hybrid.pt'}")
    said = capsys.readouterr().out
    assert f"nothing is held out for validation: {best} epochs are trained, as the earlier training found" in said
    assert f"ended since epoch {best} was the best of an earlier training (--refit)" in said
    assert [record["epoch"] for record in refitted["history"]] == list(range(1, best + 1))
    assert refitted["provenance"]["config"]["chain_weight"] == weight
    # The control: the same options on the same table, and as many epochs as were found.
    values = earlier["provenance"]["config"] | {"artifacts": again, "epochs": best, "patience": 0}
    control = trainer.train("hybrid", replace(configuration("hybrid"), **values), "control")
    assert all(torch.equal(refitted["model"][name], w) for name, w in control.model.state_dict().items())
    assert not torch.equal(refitted["model"]["items.weight"], earlier["model"]["items.weight"])
    assert refitted["provenance"]["refit"]["epochs"] == best
    assert refitted["provenance"]["refit"]["name"] == "hybrid.pt"
    assert read_training(again, "hybrid").ended == f"epoch {best} was the best of an earlier training (--refit)"


def test_of_the_earlier_model_no_weights_are_held(tables) -> None:
    choice, _ = tables
    trained("bert", choice, *SIZES, "--epochs=1")
    held = refit.read(choice / "bert.pt", "bert").content
    assert held["model"] == {} and set(held) == {"provenance", "rules", "best", "model"}


def test_a_falling_learning_rate_falls_as_it_did_in_the_earlier_training(tables) -> None:
    choice, again = tables
    best, words = 3, ["--epochs=5", "--patience=4", "--schedule=linear", "--learning-rate=0.02"]
    earlier = found("bert", choice, best, *words)
    refitted = trained("bert", again, f"--refit={choice / 'bert.pt'}")
    data = load(again)
    values = earlier["provenance"]["config"] | {"artifacts": again}
    config = replace(configuration("bert"), **values)
    model, _ = build("bert", data, config)
    run = Run(model, model.optimizer())
    list(islice(fit(run, data, config), best))
    run.finish()
    assert all(torch.equal(refitted["model"][name], w) for name, w in model.state_dict().items())


def test_an_interrupted_one_goes_on_and_one_of_another_earlier_model_begins_anew(tables, capsys) -> None:
    choice, again = tables
    content = found("bert", choice, 4, "--epochs=4", "--patience=0", "--learning-rate=0.02")
    again_from = f"--refit={choice / 'bert.pt'}"
    whole = trained("bert", again, again_from)
    (again / "bert.state.pt").unlink()

    def stop(record) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(trainer.messages, "line", stop)
        with pytest.raises(KeyboardInterrupt):
            command.main(["bert", f"--artifacts={again}", again_from])
    capsys.readouterr()
    resumed = trained("bert", again, again_from)
    assert "resuming after epoch 2" in capsys.readouterr().out
    assert all(torch.equal(resumed["model"][name], w) for name, w in whole["model"].items())
    checkpoint.save(choice / "bert.pt", content | {"best": content["best"] | {"epoch": 3}})
    assert len(trained("bert", again, again_from)["history"]) == 3
    assert "resuming" not in capsys.readouterr().out


def test_solved_models_take_their_options_and_a_blend_its_weights(tables, capsys) -> None:
    choice, again = tables
    words = {"markov": ["--lags=2", "--backward=0"], "ease": ["--regularization=3"], "mf": ["--dim=4", "--epochs=3"]}
    for kind, options in words.items():
        trained(kind, choice, *options)
        config = trained(kind, again, f"--refit={choice / kind}.pt")["provenance"]["config"]
        for word in options:
            name, _, value = word[2:].partition("=")
            assert config[name] == float(value)
    earlier = trained("best", choice, "--members=ease,markov")
    weights = torch.tensor([0.25, 1.5])
    both = {"model": earlier["model"] | {"weights": weights}} if len(earlier["model"]["weights"]) == 2 else {}
    assert both, "or nothing is shown"
    checkpoint.save(choice / "best.pt", earlier | both)
    capsys.readouterr()
    refitted = trained("best", again, f"--refit={choice / 'best.pt'}")
    assert torch.equal(refitted["model"]["weights"], weights)
    assert torch.equal(refitted["model"]["newcomers"], earlier["model"]["newcomers"])
    assert "ease: weight 0.250, as it was found" in capsys.readouterr().out
    members = checkpoint.read(again / "ease.pt", "")["model"]
    assert all(torch.equal(refitted["model"][f"members.0.{name}"], w) for name, w in members.items())
    assert refitted["provenance"]["config"]["members"] == "ease,markov"

    # Its file has no figures of validation by which it could be told from another.
    export("best", again)
    files = [open_model(again / "best.onnx").metadata]
    assert files[0].config["refit"] == refitted["provenance"]["refit"]
    trained("ease", again, f"--refit={choice / 'ease.pt'}", "--regularization=4")
    trained("best", again, f"--refit={choice / 'best.pt'}")
    export("best", again)
    files.append(open_model(again / "best.onnx").metadata)
    assert files[0].training_checksum != files[1].training_checksum

    trained("markov", again, "--name=ease")  # another kind in its member's place
    with pytest.raises(InputError, match="ease is of kind markov, but of ease in the blend whose weights"):
        command.main(["best", f"--artifacts={again}", f"--refit={choice / 'best.pt'}"])
    with pytest.raises(InputError, match=r"--members=ease contradicts --refit=.*best.pt, which takes what"):
        command.main(["best", f"--artifacts={again}", f"--refit={choice / 'best.pt'}", "--members=ease"])


def test_what_cannot_be_refitted_is_refused_and_leaves_what_was_there(tables) -> None:
    choice, again = tables
    trained("bert", choice, *SIZES, "--epochs=2")
    trained("markov", choice)
    trained("bert", again, f"--refit={choice / 'bert.pt'}")
    stored = (again / "bert.pt").read_bytes()
    given, into = f"--refit={choice / 'bert.pt'}", f"--artifacts={again}"
    command.main(["bert", f"--artifacts={choice}", "--from=bert.pt", "--name=next", "--epochs=1"])
    for words, message in (
        (["bert", f"--artifacts={choice}", given], "interactions.parquet holds items out for validation, which a mo"),
        (["bert", into, given, "--epochs=5"], "--epochs=5 contradicts --refit=.*bert.pt, which takes what validation"),
        (["bert", into, given, "--patience=3"], "--patience=3 contradicts --refit="),
        (["bert", into, given, "--from=bert.pt"], "--refit takes all options .* leave out --from$"),
        (["bert", into, given, "--preset=sasrec"], "leave out --preset$"),
        (["hybrid", into, given], "bert.pt is a bert: run `python -m train bert --refit="),
        (["bert", into, f"--refit={choice / 'next.pt'}"], "next.pt went on from an earlier model, so its epochs do no"),
        (["bert", into, "--refit=gone.pt"], "gone.pt does not exist: name an earlier checkpoint with --refit"),
    ):
        with pytest.raises(InputError, match=message):
            command.main(words)
        assert (again / "bert.pt").read_bytes() == stored
    # An option that says how it is learned, and not for how long, may be another one.
    again_with = trained("bert", again, given, "--seed=7", "--learning-rate=0.01")["provenance"]["config"]
    assert (again_with["seed"], again_with["learning_rate"], again_with["dim"]) == (7, 0.01, 4)
