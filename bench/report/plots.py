"""Benchmark records as plots for the page: Plotly figures in JSON, None without data.

In: records of one or more runs. Out: what `bench.study.plots` makes for the study, in the same colours.

    python -m bench.report
"""

import numpy as np

from bench.html.page import COLOURS, GREY, figure
from bench.records.runs import Record
from bench.report.values import label, main_sweep, of

MODELS = ("mf", "bert", "hybrid", "best")
STAGES = ("open", "read", "windows", "model", "write", "measure", "publish")
DASHES = ("solid", "dash", "dot", "dashdot")


def throughput(records: list[Record]) -> str | None:
    """Users per second against batch size, a line a model and device."""
    return _by_batch_size(records, "users_per_second", "users per second")


def floors(records: list[Record]) -> str | None:
    """How many times the floor each batch size takes."""
    return _by_batch_size(records, "times_floor", "seconds ÷ floor")


def latency(records: list[Record]) -> str | None:
    """Share of requests answered within so many milliseconds, one user at a time."""
    plot = figure(xaxis_title="milliseconds for one user", yaxis_title="share answered, %")
    plot.update_xaxes(type="log")
    for record in of(records, "latency"):
        seconds = np.sort(record.stats["data"])
        share = np.arange(1, len(seconds) + 1) / len(seconds) * 100
        line = _line(records, record.series) | {"shape": "hv"}
        plot.add_scatter(
            x=(seconds * 1e3).tolist(), y=share.tolist(), mode="lines", name=label(records, record), line=line
        )
    return _drawn(plot)


def stages(records: list[Record]) -> str | None:
    """Seconds of the command by stage, stacked."""
    commands = of(records, "command")
    plot = figure(xaxis_title="seconds of the command", barmode="stack", height=160 + 40 * len(commands))
    for name in STAGES:
        values = [record.info["stage_seconds"].get(name, 0.0) for record in commands]
        if commands:
            plot.add_bar(x=values, y=[label(records, record) for record in commands], name=name, orientation="h")
    return _drawn(plot)


def curves(records: list[Record], column: str, axis: str) -> str | None:
    """Validation loss or NDCG@10 by epoch or by second; a model trained in one step is one point."""
    names = {"validation_loss": "validation loss", "ndcg": "validation NDCG@10", "elapsed": "seconds", "epoch": "epoch"}
    plot = figure(xaxis_title=names[axis], yaxis_title=names[column])
    if axis == "elapsed":
        plot.update_xaxes(type="log")
    for record in of(records, "convergence"):
        curve = record.info["curve"]
        if None in curve[column]:
            continue
        plot.add_scatter(
            x=curve[axis], y=curve[column], mode="lines+markers", name=label(records, record),
            line=_line(records, record.series),
        )  # fmt: skip
    return _drawn(plot)


def ratios(records: list[Record]) -> str | None:
    """Other engines' seconds in units of ONNX Runtime's."""
    plot = figure(xaxis_title="seconds ÷ ONNX Runtime's", barmode="group")
    plot.update_xaxes(type="log")
    timed = of(records, "engines")
    for name in dict.fromkeys(name for record in timed for name in record.info["engines"]):
        bars = [(label(records, r), r.info["engines"][name]) for r in timed if name in r.info["engines"]]
        values = [engine["ratio"] for _, engine in bars]
        error = {
            "array": [engine["high"] - engine["ratio"] for _, engine in bars],
            "arrayminus": [engine["ratio"] - engine["low"] for _, engine in bars],
            "color": GREY,
        }
        plot.add_bar(x=values, y=[text for text, _ in bars], name=name, orientation="h", error_x=error)
    return _drawn(plot)


def _by_batch_size(records: list[Record], value: str, axis: str) -> str | None:
    plot = figure(xaxis_title="batch size", yaxis_title=axis)
    plot.update_xaxes(type="log")
    plot.update_yaxes(type="log")
    for series, swept in _by_series(main_sweep(of(records, "inference"))).items():
        swept = sorted(swept, key=lambda record: record.info["batch"])
        x, y = [record.info["batch"] for record in swept], [record.info[value] for record in swept]
        plot.add_scatter(x=x, y=y, mode="lines+markers", name=label(records, swept[0]), line=_line(records, series))
    return _drawn(plot)


def _by_series(records: list[Record]) -> dict[tuple[str, str, str], list[Record]]:
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault(record.series, []).append(record)
    return groups


def _line(records: list[Record], series: tuple[str, str, str]) -> dict:
    """A colour a model, a dash a device and run."""
    model, device, run = series
    kinds = list(dict.fromkeys(r.series[1:] for r in records if r.part != "other"))
    colour = COLOURS[MODELS.index(model) if model in MODELS else -1]
    return {"color": colour, "width": 2, "dash": DASHES[kinds.index((device, run)) % len(DASHES)]}


def _drawn(plot) -> str | None:
    return plot.to_json() if plot.data else None
