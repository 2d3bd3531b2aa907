"""Training curves as plots for the page: losses of one model, metrics of all.

In: `Training`s. Out: Plotly figures in JSON, None without data; a star marks the epoch of the best NDCG@10.

    metric(trainings, NDCG, "epoch")
"""

from bench.curves.history import NDCG, Training
from bench.html.axes import drawn, whole
from bench.html.page import COLOURS, figure

TITLES = {"epoch": "epoch", "elapsed": "seconds of training"}
LOSSES = (("train_loss", "training loss", "dot"), ("validation_loss", "validation loss", "solid"))


def losses(training: Training, axis: str) -> str | None:
    """Training loss beside validation loss, as in the paper's figures; None of a model that was solved."""
    if training.solved:
        return None
    plot = figure(xaxis_title=TITLES[axis], yaxis_title="loss", height=300)
    _scale(plot, [training], axis)
    for number, (column, name, dash) in enumerate(LOSSES):
        rows = training.epochs.drop_nulls(column)
        if rows.is_empty():
            continue
        line = {"color": COLOURS[number], "width": 2, "dash": dash}
        x, y = rows[axis].to_list(), rows[column].to_list()
        plot.add_scatter(x=x, y=y, mode="lines+markers", name=name, line=line, marker={"size": 5})
    best = training.best
    if best is not None and best["validation_loss"] is not None:
        plot.add_scatter(
            x=[best[axis]], y=[best["validation_loss"]], mode="markers", name="epoch of the best NDCG@10",
            marker={"symbol": "star", "size": 14, "color": COLOURS[1]},
        )  # fmt: skip
    return drawn(plot)


def metric(trainings: list[Training], column: str, axis: str) -> str | None:
    """Validation NDCG@10 or Hit@10 in per cent, a colour a model; what was solved in one step is a line by epoch."""
    plot = figure(xaxis_title=TITLES[axis], yaxis_title="NDCG@10, %" if column == NDCG else "Hit@10, %", height=340)
    _scale(plot, trainings, axis)
    longest = max(training.epochs["epoch"].max() for training in trainings)  # type: ignore[type-var]
    for colour, training in zip(COLOURS * len(trainings), trainings, strict=False):
        rows = training.epochs.drop_nulls(column)
        if rows.is_empty():
            continue
        x, y = rows[axis].to_list(), (rows[column] * 100).to_list()
        if training.solved and axis == "epoch":
            line = {"color": colour, "width": 2, "dash": "dash"}
            plot.add_scatter(x=[1, longest], y=y * 2, mode="lines", name=f"{training.name} (one step)", line=line)
            continue
        line = {"color": colour, "width": 2}
        plot.add_scatter(x=x, y=y, mode="lines+markers", name=training.name, line=line, marker={"size": 5})
        best = training.best
        if best is not None:
            plot.add_scatter(
                x=[best[axis]], y=[best[column] * 100], mode="markers", showlegend=False,
                marker={"symbol": "star", "size": 14, "color": colour},
            )  # fmt: skip
    return drawn(plot)


def _scale(plot, trainings: list[Training], axis: str) -> None:
    """Whole epochs; seconds by their logarithm where one model takes much longer than another."""
    ends = [training.epochs[axis][-1] for training in trainings]
    if axis == "epoch":
        plot.update_xaxes(whole(max(ends)))
    elif max(ends) > 20 * min(ends):
        plot.update_xaxes(type="log")
    else:
        plot.update_xaxes(rangemode="tozero")
