"""Ratios as dots with intervals around a line at 1; what lies too far out stands at the edge with its value.

In: rows of (label, group, ratio, low, high). Out: a plot for the page, in JSON.

    dots([Dot("32m", "same work", 4.8, 4.1, 4.9)], "seconds ÷ ours")
"""

from dataclasses import dataclass

from bench.html.axes import drawn, limits, log_axis, plain
from bench.html.page import COLOURS, GREY, figure

ROW = 44  # pixels


@dataclass(frozen=True)
class Dot:
    """One ratio. label: its row; group: its colour; low, high: ends of its interval; calm: of the fastest
    rounds of both, where that is known."""

    label: str
    group: str
    ratio: float
    low: float
    high: float
    calm: float | None = None


def dots(rows: list[Dot], title: str) -> str | None:
    """A row for each label, first on top, which stands above its dots; a colour for each group; None without rows."""
    if not rows:
        return None
    labels, groups = (list(dict.fromkeys(getattr(row, key) for row in rows)) for key in ("label", "group"))
    ends = [value for row in rows for value in (row.ratio, row.calm) if value is not None]
    least, most = limits(ends)
    axis = log_axis([1.0, least, most, *(v for row in rows for v in (row.low, row.high) if least <= v <= most)])
    edges = [10 ** axis["range"][0], 10 ** axis["range"][1]]
    plot = figure(xaxis_title=title, xaxis=axis, height=110 + ROW * len(labels) + 14 * len(groups))
    plot.update_yaxes(visible=False, range=[len(labels) - 0.4, -0.75])
    plot.add_vline(x=1, line={"color": GREY, "width": 1.5})
    for number, group in enumerate(groups):
        own = [row for row in rows if row.group == group]
        inside = [row for row in own if edges[0] <= row.ratio <= edges[1]]
        colour = COLOURS[number % len(COLOURS)]
        places = [labels.index(row.label) + 0.15 * (number - (len(groups) - 1) / 2) for row in own]
        place = dict(zip(own, places, strict=True))
        plot.add_scatter(
            x=[row.ratio for row in inside], y=[place[row] for row in inside], mode="markers", name=group,
            legendgroup=group, marker={"color": colour, "size": 9},
            error_x={"array": [min(row.high, edges[1]) - row.ratio for row in inside], "thickness": 1.5, "width": 3,
                     "arrayminus": [row.ratio - max(row.low, edges[0]) for row in inside], "color": colour},
            hovertext=[f"{row.label}: {plain(row.ratio)} [{plain(row.low)}, {plain(row.high)}]" for row in inside],
        )  # fmt: skip
        if any(row.calm for row in own):
            calm = [row for row in own if row.calm is not None and edges[0] <= row.calm <= edges[1]]
            plot.add_scatter(
                x=[row.calm for row in calm], y=[place[row] for row in calm], mode="markers", legendgroup=group,
                name=f"{group}, calm", marker={"color": colour, "size": 11, "symbol": "diamond-open"},
            )  # fmt: skip
        for row in (row for row in own if row not in inside):
            right = row.ratio > edges[1]
            plot.add_annotation(
                x=axis["range"][1 if right else 0], y=place[row], showarrow=False, font={"color": colour},
                text=f"{plain(row.ratio)} ▶" if right else f"◀ {plain(row.ratio)}",
                xanchor="right" if right else "left",
            )  # fmt: skip
        if not inside:  # its name belongs in the legend all the same
            plot.add_scatter(x=[None], y=[None], mode="markers", name=group, marker={"color": colour, "size": 9})
    for number, label in enumerate(labels):
        plot.add_annotation(
            text=label, xref="paper", x=0, xanchor="left", y=number - 0.4, showarrow=False, font={"size": 11}
        )
    return drawn(plot)
