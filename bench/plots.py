"""The study's plots, as JSON for the page: bars, cohorts, curves.

In: the tables of `bench.tables`. Out: Plotly figures in colours that suit light and dark pages.
"""

import plotly.graph_objects as go
import polars as pl

from bench.cells import LEAVE_ONE_OUT

COLOURS = ("#3b7dd8", "#e0803a", "#3fa673", "#b565c9", "#c9a227", "#d0506a", "#5aa9c4", "#8a8f98")
CURVES = ("scratch", "hybrid", "hybrid-ppmi", "hybrid-mf", "softmax", "bert-paper", "hybrid-paper")
COHORT_BARS = ("popularity", "scratch", "hybrid", "ease-markov", "content", "best")


def figure() -> go.Figure:
    """An empty plot in colours that suit light and dark pages."""
    axis = {"gridcolor": "rgba(128,128,128,.25)", "zerolinecolor": "rgba(128,128,128,.4)", "automargin": True}
    return go.Figure(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": "#808790"},
            "colorway": COLOURS,
            "margin": {"l": 50, "r": 10, "t": 10, "b": 40},
            "legend": {"orientation": "h", "y": -0.2},
            "xaxis": axis,
            "yaxis": axis,
            "height": 380,
        }
    )


def bars(tables: dict[str, pl.DataFrame]) -> str:
    """Hit@10 of every model, with its interval."""
    rows = (
        tables["summary"]
        .filter(pl.col("data") == LEAVE_ONE_OUT, pl.col("protocol") == "full", pl.col("metric") == "hit@10")
        .sort("value")
    )
    plot = figure()
    error = ((rows["high"] - rows["value"]) * 100).fill_null(0).to_list()
    plot.add_bar(
        x=(rows["value"] * 100).to_list(), y=rows["title"].to_list(), orientation="h", error_x={"array": error}
    )
    plot.update_layout(xaxis_title="Hit@10, %", height=120 + 24 * rows.height)
    return plot.to_json()


def cohorts(tables: dict[str, pl.DataFrame], by: str, metric: str) -> str:
    """Bars by cohort, a colour a model, with intervals over users."""
    rows = tables["cohorts"].filter(pl.col("by") == by, pl.col("metric") == metric)
    plot = figure()
    for name in (n for n in COHORT_BARS if n in rows["experiment"]):
        own = rows.filter(pl.col("experiment") == name)
        up, down = ((own["high"] - own["value"]) * 100).to_list(), ((own["value"] - own["low"]) * 100).to_list()
        labels = [f"{cohort} ({users} users)" for cohort, users in own.select("cohort", "users").iter_rows()]
        plot.add_bar(
            x=labels,
            y=(own["value"] * 100).to_list(),
            name=own["title"][0],
            error_y={"array": up, "arrayminus": down, "thickness": 1},
        )
    plot.update_layout(yaxis_title=f"{metric.replace('hit', 'Hit')}, %", barmode="group")
    return plot.to_json()


def curves(tables: dict[str, pl.DataFrame], column: str, axis: str) -> str:
    """A line a model and seed; seeds of one model share its colour."""
    plot = figure()
    history = tables["history"]
    for colour, name in zip(COLOURS, (n for n in CURVES if n in history["experiment"]), strict=False):
        for part in history.filter(pl.col("experiment") == name).partition_by("seed", maintain_order=True):
            plot.add_scatter(
                x=part[axis].to_list(),
                y=part[column].to_list(),
                mode="lines+markers",
                line={"color": colour, "width": 1.5},
                marker={"size": 4},
                name=part["title"][0],
                legendgroup=name,
                showlegend=part["seed"][0] == 0,
            )
    plot.update_layout(xaxis_title=axis if axis == "epoch" else "seconds")
    return plot.to_json()
