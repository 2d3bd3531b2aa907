"""The study's plots, as JSON for the page: quality against cost, bars, scarcity, cohorts, curves.

In: the tables of `bench.study.statistics.tables`. Out: Plotly figures; the page gives them its colours.

    python -m bench.study
"""

from typing import Any

import polars as pl

from bench.html.axes import drawn, whole
from bench.html.labels import places
from bench.html.page import COLOURS, GREY, figure
from bench.html.texts import metric_title
from bench.study.experiments import LEAVE_ONE_OUT

CURVES = ("scratch", "hybrid", "hybrid-ials", "hybrid-ppmi", "hybrid-mf", "softmax", "bert-paper", "hybrid-paper")
COHORT_BARS = ("popularity", "scratch", "hybrid-ials", "hybrid", "ease-markov", "content", "best")


def bars(tables: dict[str, pl.DataFrame]) -> str | None:
    """Hit@10 of every model, with its interval over seeds."""
    rows = (
        tables["summary"]
        .filter(pl.col("split") == LEAVE_ONE_OUT, pl.col("protocol") == "full", pl.col("metric") == "hit@10")
        .sort("value", maintain_order=True)
    )
    plot = figure(xaxis_title="Hit@10, %", height=120 + 24 * rows.height)
    plot.add_bar(
        x=(rows["value"] * 100).to_list(), y=rows["title"].to_list(), orientation="h",
        error_x=_whiskers(rows) | {"color": GREY},
    )  # fmt: skip
    return drawn(plot)


def front(tables: dict[str, pl.DataFrame]) -> str | None:
    """NDCG@10 against seconds, a point a model; published results, whose seconds nobody says, as lines, of which the
    lowest and the highest are named.
    """
    full = tables["summary"].filter(
        pl.col("split") == LEAVE_ONE_OUT, pl.col("protocol") == "full", pl.col("metric") == "ndcg@10"
    )
    spent = tables["costs"].group_by("experiment").agg(pl.col("seconds").mean())
    rows = full.join(spent.drop_nulls(), on="experiment").sort("value", descending=True)
    if not rows.height:
        return None
    plot = figure(xaxis_title="seconds of training, exporting and evaluating, one thread", yaxis_title="NDCG@10, %")
    plot.update_xaxes(type="log")
    published = tables["anchors"].filter(pl.col("source") != "ours").sort("ndcg").to_dicts()
    for number, row in enumerate(published):
        # All names would lie on one another.
        named: dict[str, Any] = {}
        if number in (0, len(published) - 1):
            place = "top left" if number else "bottom left"
            font = {"size": 10, "color": GREY}
            named = {"annotation_text": row["name"], "annotation_position": place, "annotation_font": font}
        plot.add_hline(y=row["ndcg"] * 100, line={"color": GREY, "width": 1, "dash": "dot"}, **named)
    names, highest = set(), -1.0
    for row in rows.sort("seconds", "value", descending=[False, True]).to_dicts():
        if row["value"] > highest:
            names.add(row["experiment"])
            highest = row["value"]
    for on, label, colour in ((True, "none is both better and quicker", COLOURS[0]), (False, "others", COLOURS[1])):
        own = rows.filter(pl.col("experiment").is_in(names) == on).sort("seconds")
        plot.add_scatter(
            x=own["seconds"].to_list(), y=(own["value"] * 100).to_list(), name=label, hovertext=own["title"].to_list(),
            mode="lines+markers+text" if on else "markers", textfont={"size": 10}, cliponaxis=False,
            **(_named(own, rows) if on else {}),
            line={"color": colour, "width": 1}, marker={"color": colour, "size": 8},
            error_y=_whiskers(own) | {"color": GREY, "thickness": 1},
            hovertemplate="%{hovertext}: %{y:.2f} %, %{x:,.0f} s",
        )  # fmt: skip
    return drawn(plot)


def untimed(tables: dict[str, pl.DataFrame]) -> str:
    """What a caption says of the models that `front` cannot show; empty if it shows all."""
    known = pl.col("seconds").is_not_null().any()
    absent = tables["costs"].group_by("title", maintain_order=True).agg(known).filter(~pl.col("seconds"))["title"]
    return f"; not drawn, since their seconds are not known: {', '.join(absent)}" if len(absent) else ""


def scarcity(tables: dict[str, pl.DataFrame]) -> str | None:
    """What the start from iALS adds to NDCG@10, by users and by items of each, with 95% intervals."""
    rows = tables["scarcity"].filter(pl.col("metric") == "ndcg@10")
    if not rows.height:
        return None
    plot = figure(yaxis_title="points of NDCG@10", height=360)
    labels = [f"{row['users']:,} users<br>{row['history'] or 'all'} items" for row in rows.to_dicts()]
    plot.add_hline(y=0, line={"color": GREY, "width": 1.5})
    plot.add_scatter(
        x=labels, y=(rows["value"] * 100).to_list(), mode="markers", marker={"color": COLOURS[0], "size": 9},
        error_y=_whiskers(rows) | {"color": COLOURS[0], "thickness": 1.5},
    )  # fmt: skip
    return drawn(plot)


def cohorts(tables: dict[str, pl.DataFrame], by: str, metric: str) -> str | None:
    """Bars by cohort, a colour a model, with 95% intervals over users."""
    rows = tables["cohorts"].filter(pl.col("by") == by, pl.col("metric") == metric)
    plot = figure(yaxis_title=f"{metric_title(metric)}, %", barmode="group")
    for name in (n for n in COHORT_BARS if n in rows["experiment"]):
        bars = rows.filter(pl.col("experiment") == name)
        plot.add_bar(
            x=[
                f"{cohort}<br>({users:,} user{'s' * (users != 1)})"
                for cohort, users in bars.select("cohort", "users").iter_rows()
            ],
            y=(bars["value"] * 100).to_list(),
            name=bars["title"][0],
            error_y=_whiskers(bars) | {"thickness": 1, "color": GREY},
        )
    return drawn(plot)


def curves(tables: dict[str, pl.DataFrame], column: str, axis: str) -> str | None:
    """A line a model and seed, seeds of one model in its colour; None without any."""
    history = tables["history"]
    names = [name for name in CURVES if name in history["experiment"]]
    scale = 100 if "_at_" in column else 1  # losses are no shares
    plot = figure(xaxis_title=axis if axis == "epoch" else "seconds")
    if names and axis == "epoch":
        plot.update_xaxes(whole(history.filter(pl.col("experiment").is_in(names))["epoch"].max()))  # type: ignore[arg-type]
    for colour, name in zip(COLOURS, names, strict=False):
        by_seed = history.filter(pl.col("experiment") == name).partition_by("seed", maintain_order=True)
        for number, curve in enumerate(by_seed):
            plot.add_scatter(
                x=curve[axis].to_list(),
                y=(curve[column] * scale).to_list(),
                mode="lines+markers",
                line={"color": colour, "width": 1.5},
                marker={"size": 4},
                name=curve["title"][0],
                legendgroup=name,
                showlegend=number == 0,
            )
    return drawn(plot) if names else None


def _named(own: pl.DataFrame, rows: pl.DataFrame) -> dict[str, list[str]]:
    """Names of `own`, and where they stand in a plot of all rows; none where there is no room."""
    seconds, ends = rows["seconds"].log(), (rows["low"].fill_null(1).min(), rows["high"].fill_null(0).max())
    x = _shares(own["seconds"].log(), seconds.min(), seconds.max())  # type: ignore[arg-type]
    y = _shares(own["value"], *ends)  # type: ignore[arg-type]
    found = places(list(zip(x, y, strict=True)), own["title"].to_list())
    text = [title if place else "" for title, place in zip(own["title"], found, strict=True)]
    return {"text": text, "textposition": [place or "top center" for place in found]}


def _shares(values: pl.Series, low: float, high: float) -> list[float]:
    """How far values are from `low` to `high`."""
    return ((values - low) / ((high - low) or 1.0)).to_list()


def _whiskers(rows: pl.DataFrame) -> dict[str, list[float]]:
    """Lengths of the intervals of shares above and below their values, in percent; none where there is no interval."""
    up, down = rows["high"] - rows["value"], rows["value"] - rows["low"]
    return {"array": (up * 100).fill_null(0).to_list(), "arrayminus": (down * 100).fill_null(0).to_list()}
