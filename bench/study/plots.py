"""The study's plots, as JSON for the page: bars, cohorts, curves.

In: the tables of `bench.study.tables`. Out: Plotly figures; the page gives them its colours of text and lines.

    python -m bench.study
"""

import polars as pl

from bench.html.page import COLOURS, GREY, figure
from bench.html.texts import metric_title
from bench.study.experiments import LEAVE_ONE_OUT

CURVES = ("scratch", "hybrid", "hybrid-ials", "hybrid-ppmi", "hybrid-mf", "softmax", "bert-paper", "hybrid-paper")
COHORT_BARS = ("popularity", "scratch", "hybrid", "ease-markov", "content", "best")


def bars(tables: dict[str, pl.DataFrame]) -> str:
    """Hit@10 of every model, with its interval over seeds."""
    rows = (
        tables["summary"]
        .filter(pl.col("split") == LEAVE_ONE_OUT, pl.col("protocol") == "full", pl.col("metric") == "hit@10")
        .sort("value", maintain_order=True)
    )
    plot = figure(xaxis_title="Hit@10, %", height=120 + 24 * rows.height)
    error = ((rows["high"] - rows["value"]) * 100).fill_null(0).to_list()
    values = (rows["value"] * 100).to_list()
    plot.add_bar(x=values, y=rows["title"].to_list(), orientation="h", error_x={"array": error, "color": GREY})
    return plot.to_json()


def cohorts(tables: dict[str, pl.DataFrame], by: str, metric: str) -> str:
    """Bars by cohort, a colour a model, with 95% intervals over users."""
    rows = tables["cohorts"].filter(pl.col("by") == by, pl.col("metric") == metric)
    plot = figure(yaxis_title=f"{metric_title(metric)}, %", barmode="group")
    for name in (n for n in COHORT_BARS if n in rows["experiment"]):
        bars = rows.filter(pl.col("experiment") == name)
        up, down = ((bars["high"] - bars["value"]) * 100).to_list(), ((bars["value"] - bars["low"]) * 100).to_list()
        plot.add_bar(
            x=[f"{cohort}<br>({users} users)" for cohort, users in bars.select("cohort", "users").iter_rows()],
            y=(bars["value"] * 100).to_list(),
            name=bars["title"][0],
            error_y={"array": up, "arrayminus": down, "thickness": 1, "color": GREY},
        )
    return plot.to_json()


def curves(tables: dict[str, pl.DataFrame], column: str, axis: str) -> str | None:
    """A line a model and seed, seeds of one model in its colour; None without any."""
    history = tables["history"]
    names = [name for name in CURVES if name in history["experiment"]]
    plot = figure(xaxis_title=axis if axis == "epoch" else "seconds")
    for colour, name in zip(COLOURS, names, strict=False):
        by_seed = history.filter(pl.col("experiment") == name).partition_by("seed", maintain_order=True)
        for number, curve in enumerate(by_seed):
            plot.add_scatter(
                x=curve[axis].to_list(),
                y=curve[column].to_list(),
                mode="lines+markers",
                line={"color": colour, "width": 1.5},
                marker={"size": 4},
                name=curve["title"][0],
                legendgroup=name,
                showlegend=number == 0,
            )
    return plot.to_json() if names else None
