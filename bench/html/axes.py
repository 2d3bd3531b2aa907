"""Axes that say plain numbers: ticks of logarithmic axes, and values too far out to be drawn.

In: a figure with its traces. Out: its JSON for the page, or None without a trace.

    plot = figure(xaxis_title="seconds")
    plot.update_xaxes(type="log")
    plot.add_scatter(x=[0.2, 40], y=[1, 2])
    drawn(plot)  # ticks 0.2, 0.5, 1, 2, ... and not "2" or "200m"
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import plotly.graph_objects as go

STEPS = (1, 2, 5)
LEAST, MOST = 3, 9  # ticks by which an axis is read, and that fit on a narrow page


def drawn(plot: go.Figure) -> str | None:
    """The figure as JSON, its logarithmic axes with ticks in plain numbers; None without a trace."""
    if not plot.data:
        return None
    for axis, key in (("xaxis", "x"), ("yaxis", "y")):
        if plot.layout[axis].type == "log" and plot.layout[axis].tickvals is None:
            values = [value for trace in plot.data for value in _values(trace, key)]
            plot.update_layout({axis: log_axis(values)})
    return plot.to_json()


def log_axis(values: Iterable[float]) -> dict[str, Any]:
    """Layout of a logarithmic axis over these values, of which those not above 0 have no place on it.

    Ticks are at 1, 2 and 5 times the powers of ten, at the powers alone where these would be too many, and at even
    steps where they would be too few.
    """
    positive = [value for value in values if value > 0]
    if not positive:
        return {"type": "log"}
    low, high = math.log10(min(positive)), math.log10(max(positive))
    margin = max(0.05 * (high - low), 0.08)
    low, high = low - margin, high + margin
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [step * 10.0**power for power in powers for step in STEPS]
    ticks = [tick for tick in ticks if low <= math.log10(tick) <= high]
    if len(ticks) < LEAST:
        ticks = _even(10**low, 10**high)
    elif len(ticks) > MOST:
        whole = [power for power in powers if low <= power <= high]
        ticks = [10.0**power for power in whole[:: math.ceil(len(whole) / MOST)]]
    texts = [plain(tick, 3) for tick in ticks]
    return {"type": "log", "range": [low, high], "tickmode": "array", "tickvals": ticks, "ticktext": texts}


def plain(value: float, most: int = 2) -> str:
    """A number in plain digits, `most` of them, or more before the point: 0.2, 1, 1.1, 20, 1,000."""
    if value == 0:
        return "0"
    digits = max(0, most - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def limits(values: Sequence[float], beyond: float = 5.0) -> tuple[float, float]:
    """The least and the greatest of some ratios that are no outliers.

    An outlier lies more than `beyond` times outside the middle half of the ratios and 1, to which all are compared.
    """
    ordered = sorted(values)
    quarter = (len(ordered) - 1) // 4
    low, high = min(1.0, ordered[quarter]) / beyond, max(1.0, ordered[-1 - quarter]) * beyond
    kept = [value for value in ordered if low <= value <= high]
    return (kept[0], kept[-1]) if kept else (1.0, 1.0)


def whole(greatest: int) -> dict[str, Any]:
    """Layout of an axis of whole numbers from 1 on, as of epochs: a tick each, or every other, and so on."""
    step = max(1, math.ceil(greatest / MOST))
    return {"tick0": 0 if step > 1 else 1, "dtick": step, "tickformat": ",d"}


def _even(low: float, high: float) -> list[float]:
    """At least three multiples of a plain step between two positive numbers, of which the second is not much larger."""
    least = (high - low) / 7.5  # of which the next plain step is 2.5 times as much at most
    power = 10.0 ** math.floor(math.log10(least))
    step = next(size * power for size in (*STEPS, 10) if size * power >= least)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _values(trace: Any, key: str) -> Iterable[float]:
    """The numbers of a trace on one axis, with the ends of its intervals."""
    values = [value for value in (trace[key] if trace[key] is not None else ()) if isinstance(value, int | float)]
    error = trace[f"error_{key}"]
    up, down = (error.array if error.array is not None else ()), (error.arrayminus or ())
    return [*values, *map(sum, zip(values, up, strict=False)), *(v - e for v, e in zip(values, down, strict=False))]
