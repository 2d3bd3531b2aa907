"""Training curves as one HTML page that needs no network.

In: `Training`s. Out: a file with everything it needs inside.

    write_curves([read(Path("artifacts"), "bert")], Path("training.html"))
"""

import os
from pathlib import Path

from bench.curves.history import HIT, NDCG, Training
from bench.curves.plots import losses, metric
from bench.html.page import Table, section, table, write_page
from bench.html.texts import NOTHING, duration, percent
from bench.records.records import device_name

NOTE = (
    "A star marks the epoch of the best validation NDCG@10. Where the training loss is over sampled items and with "
    "dropout, and the validation loss over all items and without, compare their shapes, not their heights."
)
GLOSSARY = [
    ("epoch", "One pass over the training sequences; epoch 0 is what a model from an earlier one began with."),
    ("training loss", "What the epoch made smaller, its mean over the epoch's steps."),
    ("validation loss", "The same for each user's second to last item, which is not trained on, after the epoch."),
    ("Hit@10", "Share of users whose held-out item is among the ten best unseen ones."),
    ("NDCG@10", "The same, where a place further down counts less: 1 for the first, 0 beyond the tenth."),
    ("seconds", "Preparation (what a model starts from is solved first) and epochs; validation is not counted, nor "
     "another model that it starts from."),
    ("patience", "So many epochs without a better NDCG@10 end the training; the weights of the best epoch are kept."),
]  # fmt: skip


def write_curves(trainings: list[Training], path: Path) -> Path:
    """Render the page; returns where it lies."""
    return write_page(
        path,
        "curves/curves.html.j2",
        sections(trainings),
        title="How the models trained",
        head=head(trainings),
        picture=(_caption(trainings), metric(trainings, NDCG, "elapsed")),
        summary=[sentence(training) for training in trainings],
        overview=overview(trainings),
        glossary=GLOSSARY,
    )


def _caption(trainings: list[Training]) -> str:
    """Of the first plot; what took more than its seconds is no quicker than others."""
    more = [training.name for training in trainings if training.others]
    without = f"; of {', '.join(more)} without the models that they are made of" if more else ""
    return f"NDCG@10 by second of training: up and to the left is better{without}"


def sections(trainings: list[Training]) -> list[dict]:
    """Plots (caption, JSON) of every part of the page."""
    curves = [
        (f"{training.name}: by {axis}", losses(training, column))
        for training in trainings
        for axis, column in (("epoch", "epoch"), ("second", "elapsed"))
    ]
    measured = [
        ("NDCG@10 by epoch", metric(trainings, NDCG, "epoch")),
        ("Hit@10 by epoch", metric(trainings, HIT, "epoch")),
        ("Hit@10 by second", metric(trainings, HIT, "elapsed")),
    ]
    return [section("Training loss beside validation loss", [NOTE], plots=curves), section("Metrics", plots=measured)]


def head(trainings: list[Training]) -> list[str]:
    """What was trained on what, for how long, where and when, as far as the files say."""
    known = [training.provenance for training in trainings if training.provenance]
    data = ", ".join(dict.fromkeys(f"{p['dataset']}" for p in known))
    seeds = ", ".join(dict.fromkeys(f"{p['config']['seed']}" for p in known))
    epochs = ", ".join(f"{training.name} ({training.trained})" for training in trainings)
    days = sorted({training.day.isoformat() for training in trainings})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return [
        f"Models and their epochs: {epochs}." + (f" Trained on {data}, seed {seeds}." if known else ""),
        f"This page was made on {device_name('cpu')}, {os.cpu_count()} cores; trained {when}.",
    ]


def sentence(training: Training) -> str:
    """Where its best epoch lies, and what ended it."""
    best, least = training.best, training.least_loss
    end = f"{training.name} ended after {_epochs(training.trained)}: {training.ended}."
    if training.solved and best is not None:
        step = f"{training.name} was solved in one step of {duration(best['elapsed'])}"
        return f"{step}, NDCG@10 {percent(best[NDCG])}%.{_others(training)}"
    if best is None:
        return f"{end} Nothing is held out for validation, so no epoch is the best."
    said = f"{end} Best was epoch {best['epoch']}, after {duration(best['elapsed'])}: NDCG@10 {percent(best[NDCG])}%, "
    said += f"Hit@10 {percent(best[HIT])}%."
    if training.kept not in (None, best["epoch"]):
        said += f" The weights of epoch {training.kept} were kept."
    if least is not None and least["epoch"] != best["epoch"]:
        said += f" Its validation loss was least at epoch {least['epoch']}: lists can improve while the loss grows."
    return said + _others(training)


def overview(trainings: list[Training]) -> Table:
    """One row a model."""
    rows = []
    for training in trainings:
        best, least, last = training.best or {}, training.least_loss, training.epochs.row(-1, named=True)
        rows.append([
            training.name, str(training.trained), str(best.get("epoch", NOTHING)), percent(best.get(NDCG)),
            percent(best.get(HIT)), f"{least['validation_loss']:.3f} at {least['epoch']}" if least else NOTHING,
            duration(best.get("elapsed")), duration(last["elapsed"]), duration(last["preparation_seconds"]),
            training.ended,
        ])  # fmt: skip
    header = ["model", "epochs", "best epoch", "NDCG@10 %", "Hit@10 %", "least validation loss, at epoch"]
    header += ["seconds to the best", "seconds in all", "of it preparation", "ended by"]
    return table("Validation metrics are those of the best epoch", header, rows)


def _others(training: Training) -> str:
    """Whose training its seconds are without."""
    return f" Its seconds are without those of {', '.join(training.others)}." if training.others else ""


def _epochs(number: int) -> str:
    return f"{number} epoch" + ("" if number == 1 else "s")
