"""Benchmark records as plots for the page: Plotly figures in JSON, None without data.

In: records of one or more runs. Out: what `bench.study.page.plots` makes for the study, in the same colours.

    python -m bench.report
"""

import numpy as np

from bench.html.axes import drawn, plain, whole
from bench.html.dots import Dot, dots
from bench.html.page import COLOURS, figure
from bench.records.runs import Record
from bench.report.scale import WORK
from bench.report.values import MODELS, label, main_sweep, of

STAGES = ("open", "read", "windows", "model", "write", "measure", "publish")
DASHES = ("solid", "dash", "dot", "dashdot")


def throughput(records: list[Record]) -> str | None:
    """Users per second against batch size, a line a model and device."""
    return _by_batch_size(records, "users_per_second", "users per second")


def floors(records: list[Record]) -> str | None:
    """How many times the floor each batch size takes."""
    return _by_batch_size(records, "times_floor", "seconds ÷ floor")


def latency(records: list[Record]) -> str | None:
    """Share of requests answered within so many milliseconds, up to p99; the legend names the slowest."""
    plot = figure(xaxis_title="milliseconds for one user", yaxis_title="share answered, %")
    plot.update_xaxes(type="log")
    for record in of(records, "latency"):
        milliseconds = np.sort(record.stats["data"]) * 1e3
        share = np.arange(1, len(milliseconds) + 1) / len(milliseconds) * 100
        shown = max(1, int(0.99 * len(milliseconds)))  # one slow request would stretch the axis
        line = _line(records, record.series) | {"shape": "hv"}
        name = f"{label(records, record)} (slowest {plain(milliseconds[-1])} ms)"
        plot.add_scatter(x=milliseconds[:shown].tolist(), y=share[:shown].tolist(), mode="lines", name=name, line=line)
    return drawn(plot)


def stages(records: list[Record]) -> str | None:
    """Seconds of the command by stage, stacked."""
    commands = of(records, "command")
    plot = figure(xaxis_title="seconds of the command", barmode="stack", height=160 + 40 * len(commands))
    for name in STAGES:
        values = [record.info["stage_seconds"].get(name, 0.0) for record in commands]
        if commands:
            plot.add_bar(x=values, y=[label(records, record) for record in commands], name=name, orientation="h")
    return drawn(plot)


def curves(records: list[Record], column: str, axis: str) -> str | None:
    """Validation loss or NDCG@10 by epoch or by second; a model trained in one step is one point."""
    names = {"validation_loss": "validation loss", "ndcg": "validation NDCG@10", "elapsed": "seconds", "epoch": "epoch"}
    plot = figure(xaxis_title=names[axis], yaxis_title=names[column])
    if axis == "elapsed":
        plot.update_xaxes(type="log")
    else:
        plot.update_xaxes(whole(max((r.info["curve"]["epoch"][-1] for r in of(records, "convergence")), default=1)))
    for record in of(records, "convergence"):
        curve = record.info["curve"]
        if None in curve[column]:
            continue
        plot.add_scatter(
            x=curve[axis], y=curve[column], mode="lines+markers", name=label(records, record),
            line=_line(records, record.series),
        )  # fmt: skip
    return drawn(plot)


def engines(records: list[Record]) -> str | None:
    """Other engines' seconds in units of ONNX Runtime's, on a trained model."""
    rows = [
        Dot(label(records, record), f"{name} ({WORK.get(name, name)})", *(e[key] for key in ("ratio", "low", "high")))
        for record in of(records, "engines")
        for name, e in record.info["engines"].items()
    ]
    return dots(rows, "seconds ÷ ONNX Runtime's")


def peers(records: list[Record]) -> str | None:
    """Other libraries' seconds in units of ours, with the calm ratio where the record has one."""
    rows = []
    for record in (r for r in of(records, "peers") if "ratio" in r.info):
        info, beside = record.info, label(records, record)
        ratio, low, high = (info[key] for key in ("ratio", "low", "high"))
        rows.append(Dot(f"{info['peer']} beside {beside}", "median, quartiles", ratio, low, high, info.get("calm")))
    return dots(rows, "seconds ÷ ours")


def _by_batch_size(records: list[Record], value: str, axis: str) -> str | None:
    plot = figure(xaxis_title="batch size", yaxis_title=axis)
    plot.update_xaxes(type="log")
    plot.update_yaxes(type="log")
    for series, swept in _by_series(main_sweep(of(records, "inference"))).items():
        swept = sorted(swept, key=lambda record: record.info["batch"])
        x, y = [record.info["batch"] for record in swept], [record.info[value] for record in swept]
        plot.add_scatter(x=x, y=y, mode="lines+markers", name=label(records, swept[0]), line=_line(records, series))
    return drawn(plot)


def _by_series(records: list[Record]) -> dict[tuple[str, str, str], list[Record]]:
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault(record.series, []).append(record)
    return groups


def _line(records: list[Record], series: tuple[str, str, str]) -> dict:
    """A colour a model, a dash a device and run."""
    model, device, run = series
    kinds = list(dict.fromkeys(r.series[1:] for r in records if r.part not in ("other", "scale")))
    colour = COLOURS[MODELS.index(model) if model in MODELS else -1]
    return {"color": colour, "width": 2, "dash": DASHES[kinds.index((device, run)) % len(DASHES)]}
