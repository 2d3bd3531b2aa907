"""Training curves: the best epoch and the end by hand, what is drawn, and installs without Plotly."""

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from bench.curves import __main__ as command
from bench.curves.history import COLUMNS, HIT, NDCG, Training, read
from bench.curves.page import head, overview, sections, sentence, write_curves
from bench.curves.plots import losses, metric
from infer.errors import InputError
from infer.system.ownership import MARK
from tests.helpers.browser import opened

ROWS = {
    "epoch": [1, 2, 3], "train_loss": [8.0, 7.0, 6.0], "validation_loss": [7.5, 7.25, 7.75],
    HIT: [0.1, 0.3, 0.2], NDCG: [0.05, 0.1, 0.1], "seconds": [2.0, 3.0, 4.0], "preparation_seconds": [1.0] * 3,
}  # fmt: skip
SOLVED = {name: ROWS[name][:1] for name in ROWS} | {"train_loss": [None], "validation_loss": [None]}
PROBE = """
  const d = w.document, root = d.documentElement, plots = [...d.querySelectorAll(".plot")];
  const drawn = plots.filter(p => p.querySelector(".main-svg") && p.querySelectorAll(".trace").length);
  return JSON.stringify({plots: plots.length, drawn: drawn.length, over: root.scrollWidth - root.clientWidth});
"""


def saved(folder: Path, name: str, rows: dict) -> None:
    losses_of = dict.fromkeys(("train_loss", "validation_loss"), pl.Float64)
    pl.DataFrame(rows, schema_overrides=losses_of).write_parquet(folder / f"{name}.history.parquet", metadata=MARK)


def trained(epochs: int = 3, patience: int = 0, kept: int | None = None, rows: dict = ROWS) -> Training:
    provenance = {"dataset": "films", "config": {"epochs": epochs, "patience": patience, "seed": 4}}
    table = pl.DataFrame(rows, schema_overrides={"train_loss": pl.Float64, "validation_loss": pl.Float64})
    elapsed = pl.col("seconds").cum_sum() + pl.col("preparation_seconds")
    return Training("bert", table.with_columns(elapsed=elapsed), date(2026, 11, 27), provenance, kept)


def test_the_first_of_equally_good_epochs_is_the_best_and_seconds_add_up(tmp_path: Path) -> None:
    saved(tmp_path, "bert", ROWS)
    training = read(tmp_path, "bert")
    assert training.epochs["elapsed"].to_list() == [3.0, 6.0, 10.0]
    assert training.best["epoch"] == 2 and training.least_loss["epoch"] == 2 and training.kept is None
    assert training.ended == "not known: no bert.pt of these epochs"
    assert sentence(trained(kept=3)) == (
        "bert ended after 3 epochs: all 3 epochs (--epochs) are done. Best was epoch 2, after 6 s: NDCG@10 10.00%, "
        "Hit@10 30.00%. The weights of epoch 3 were kept."
    )


def test_what_ended_a_training() -> None:
    assert trained(epochs=9, patience=1).ended == "no epoch was better for 1 (--patience)"
    assert trained(epochs=3, patience=1).ended == "all 3 epochs (--epochs) are done"
    stopped = replace(trained(epochs=9, patience=5), by="finish")
    assert stopped.ended == "it was stopped after 3 epochs (--finish)"
    assert replace(trained(epochs=3, patience=1), by="patience").ended == "no epoch was better for 1 (--patience)"
    begun = trained(epochs=2, rows=ROWS | {"epoch": [0, 1, 2], "train_loss": [None, 7.0, 6.0]})
    assert sentence(begun).startswith("bert ended after 2 epochs: all 2 epochs (--epochs) are done. Best was epoch 1,")
    assert not trained(rows=SOLVED | {"epoch": [0]}).solved, "one that was stopped before its first epoch"
    solved = trained(rows=SOLVED)
    assert solved.ended == "solved in one step" and solved.least_loss is None
    assert sentence(solved) == "bert was solved in one step of 3 s, NDCG@10 5.00%."
    nothing = trained(rows=ROWS | {HIT: [None] * 3, NDCG: [None] * 3, "validation_loss": [None] * 3})
    assert "Nothing is held out for validation" in sentence(nothing) and overview([nothing])["rows"][0][2] == "–"
    assert metric([nothing], NDCG, "epoch") is None and losses(nothing, "epoch") is not None


def test_a_real_checkpoint_says_what_was_kept(artifacts: Path) -> None:
    training = read(artifacts, "bert")
    assert training.epochs.height == 3 and training.kept in (1, 2, 3)
    assert training.ended == "all 3 epochs (--epochs) are done" and training.provenance["kind"] == "bert"
    assert "bert (3)" in head([training])[0]


def test_what_a_model_is_made_of_is_not_in_its_seconds_and_the_page_says_so(tmp_path: Path) -> None:
    blend, next_one = trained(rows=SOLVED), trained()
    made_of = replace(blend, name="best", provenance=blend.provenance | {"parents": {"ease.pt": "0", "hybrid.pt": "1"}})
    assert sentence(made_of).endswith(", NDCG@10 5.00%. Its seconds are without those of ease, hybrid.")
    begun = replace(next_one, name="next", provenance=next_one.provenance | {"start": {"name": "bert.pt"}})
    assert sentence(begun).endswith("Hit@10 30.00%. Its seconds are without those of bert.")
    text = write_curves([trained(), made_of, begun], tmp_path / "t.html").read_text()
    assert "up and to the left is better; of best, next without the models that they are made of</h2>" in text
    assert "is better</h2>" in write_curves([trained()], tmp_path / "t.html").read_text()


@pytest.mark.parametrize("name", ["bert.pt", "bert.history.parquet"])
def test_a_page_is_not_written_over_what_it_is_made_of(name: str, artifacts: Path, tmp_path: Path) -> None:
    for file in ("bert.pt", "bert.history.parquet"):
        shutil.copy(artifacts / file, tmp_path)
    with pytest.raises(InputError, match=rf"{name} would be written to, but .*{name} is an input"):
        command.main(["bert", f"--artifacts={tmp_path}", f"--output={tmp_path / name}"])
    assert (tmp_path / name).read_bytes() == (artifacts / name).read_bytes()


def test_training_loss_is_drawn_beside_validation_loss_and_metrics_in_per_cent() -> None:
    plot = json.loads(losses(trained(), "elapsed"))
    assert [(trace["name"], trace["x"], trace["y"]) for trace in plot["data"][:2]] == [
        ("training loss", [3.0, 6.0, 10.0], [8.0, 7.0, 6.0]),
        ("validation loss", [3.0, 6.0, 10.0], [7.5, 7.25, 7.75]),
    ]
    assert (plot["data"][2]["x"], plot["data"][2]["y"]) == ([6.0], [7.25]), "a star at the best epoch"
    line, star, flat = json.loads(metric([trained(), trained(rows=SOLVED)], HIT, "epoch"))["data"]
    assert line["y"] == [10.0, 30.0, 20.0] and star["x"] == [2] and flat["y"] == [10.0, 10.0] and flat["x"] == [1, 3]
    assert losses(trained(rows=SOLVED), "epoch") is None
    [shown, _] = sections([trained(), trained(rows=SOLVED)])
    assert len(shown["plots"]) == 2


def test_the_command_shows_what_is_there_and_the_page_fits(tmp_path: Path, capsys) -> None:
    saved(tmp_path, "bert", ROWS)
    saved(tmp_path, "mf", SOLVED)
    command.main([f"--artifacts={tmp_path}"])
    assert capsys.readouterr().out == f"training curves of mf, bert -> {tmp_path / 'training.html'}\n"
    text = (tmp_path / "training.html").read_text()
    assert text.index("Models and their epochs: mf (1), bert (3)") < text.index('id="picture"') < text.index("<table>")
    for width in (500, 1280):
        found = json.loads(opened(tmp_path / "training.html", PROBE, width, dark=width == 500))
        assert found == {"plots": 6, "drawn": 6, "over": 0}


def test_without_plotly_one_line_says_so_and_nothing_fails(tmp_path: Path, capsys, monkeypatch) -> None:
    saved(tmp_path, "bert", ROWS)
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "plotly" else object())
    command.main([f"--artifacts={tmp_path}"])
    assert capsys.readouterr().out == (
        'no page of training curves, since plotly is missing: pip install -e ".[study]"\n'
    )
    assert not (tmp_path / "training.html").exists()


def test_what_is_no_history_is_refused_and_foreign_files_stay(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no history of mf, bert, hybrid: train a model, or name one"):
        command.main([f"--artifacts={tmp_path}"])
    with pytest.raises(InputError, match=r"short\.history\.parquet does not exist"):
        command.main(["short", f"--artifacts={tmp_path}"])
    path = tmp_path / "bert.history.parquet"
    path.write_text("no table")
    with pytest.raises(InputError, match="not readable as Parquet"):
        read(tmp_path, "bert")
    pl.DataFrame({"epoch": [1]}).write_parquet(path)
    with pytest.raises(InputError, match=f"no history of a training .{COLUMNS[1]}."):
        read(tmp_path, "bert")
    saved(tmp_path, "bert", ROWS)
    (tmp_path / "training.html").write_text("mine")
    with pytest.raises(InputError):
        command.main([f"--artifacts={tmp_path}"])
    assert (tmp_path / "training.html").read_text() == "mine"
    assert write_curves([trained()], tmp_path / "other.html").is_file()
