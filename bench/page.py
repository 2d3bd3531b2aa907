"""The study's tables as one HTML page that needs no network: answers, tables, plots.

In: the tables of `bench.tables`. Out: study.html, with everything it needs inside.

    python -m bench.study
"""

from pathlib import Path

import polars as pl
from jinja2 import Environment, PackageLoader, select_autoescape
from plotly.offline import get_plotlyjs

from bench.answers import PAPER_NOTE, PROTOCOL_NOTE, VARIATION_NOTE, answers_cold, answers_convergence, answers_top
from bench.cells import LEAVE_ONE_OUT, VARIATIONS
from bench.plots import bars, cohorts, curves
from infer.files import write_text

PAPER = {"bert-paper": (1.6, 0.8), "hybrid-paper": (2.8, 1.36)}


def write_page(tables: dict[str, pl.DataFrame], path: Path, command: str) -> Path:
    """Render the page; returns where it lies."""
    environment = Environment(loader=PackageLoader("bench", "."), autoescape=select_autoescape(default=True))
    text = environment.get_template("page.html.j2").render(
        plotly=get_plotlyjs(),
        command=command.strip(),
        summary=[*answers_top(tables), *answers_convergence(tables), *answers_cold(tables)],
        sections=sections(tables),
        about=tables["about"].rows(),
        paper_note=PAPER_NOTE,
    )
    write_text(path, text)
    return path


def sections(tables: dict[str, pl.DataFrame]) -> list[dict]:
    """Title, sentences, tables (header and rows) and plots (JSON) of every part that has data."""
    found = [
        {
            "title": "RQ1: does matrix factorization help top-k?",
            "sentences": answers_top(tables),
            "tables": [overview(tables), differences(tables)],
            "plots": [("Hit@10 over seeds, 95% t-interval", bars(tables))],
        },
        {
            "title": "RQ2: does it help cold start?",
            "sentences": answers_cold(tables),
            "tables": [newcomers(tables)],
            "plots": [
                (f"{metric} by {by.replace('_', ' ')}", cohorts(tables, by, metric))
                for by in ("target_count", "history_length")
                for metric in ("hit@10", "hit@100")
            ],
        },
        {
            "title": "RQ3: does it converge sooner?",
            "sentences": answers_convergence(tables),
            "tables": [convergence(tables)],
            "plots": [
                (f"{label} by {unit}", curves(tables, column, axis))
                for column, label in (
                    ("validation_loss", "Validation loss"),
                    ("validation_ndcg_at_10", "Validation NDCG@10"),
                )
                for axis, unit in (("epoch", "epoch"), ("elapsed", "second, pretraining counted"))
            ],
        },
        {"title": "Protocols", "sentences": PROTOCOL_NOTE, "tables": [protocols(tables)], "plots": []},
        {"title": "Other splits", "sentences": VARIATION_NOTE, "tables": [variations(tables)], "plots": []},
        {"title": "Five films for one user", "sentences": [], "tables": top(tables), "plots": []},
    ]
    return [
        section | {"tables": [t for t in section["tables"] if t["rows"]]}
        for section in found
        if any(t["rows"] for t in section["tables"])
    ]


def table(caption: str, header: list[str], rows: list[list]) -> dict:
    """What the template shows as a table; rows hold text."""
    return {"caption": caption, "header": header, "rows": rows}


def percent(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """12.3 [11.0, 13.6], or - for nothing."""
    if value is None:
        return "–"
    return f"{value * 100:.2f}" + ("" if low is None or high is None else f" [{low * 100:.2f}, {high * 100:.2f}]")


def overview(tables: dict[str, pl.DataFrame]) -> dict:
    """Every model, full ranking."""
    summary = tables["summary"].filter(pl.col("data") == LEAVE_ONE_OUT, pl.col("protocol") == "full")
    rows = []
    for group in summary.partition_by("experiment", maintain_order=True):
        cells = {row["metric"]: row for row in group.to_dicts()}
        paper = PAPER.get(group["experiment"][0])
        rows.append(
            [group["title"][0], str(group["seeds"][0])]
            + [
                percent(cells[m]["value"], cells[m]["low"], cells[m]["high"])
                for m in ("hit@10", "ndcg@10", "hit@100", "mrr")
            ]
            + [f"{paper[0]} / {paper[1]}" if paper else "–"]
        )
    rows.sort(key=lambda row: float(row[2].split()[0]))
    header = ["model", "seeds", "Hit@10 %", "NDCG@10 %", "Hit@100 %", "MRR %", "the paper's"]
    return table("Test items, full ranking, seen items dropped; mean over seeds with a 95% t-interval", header, rows)


def differences(tables: dict[str, pl.DataFrame]) -> dict:
    """Paired differences."""
    titles = dict(tables["summary"].select("experiment", "title").unique().iter_rows())
    rows = [
        [
            f"{titles[row['one']]} − {titles[row['other']]}",
            row["metric"],
            percent(row["value"], row["low"], row["high"]),
            f"{row['p']:.4f}",
            percent(row["seeds_low"]) + " … " + percent(row["seeds_high"]),
            "yes" if row["low"] > 0 or row["high"] < 0 else "no",
        ]
        for row in tables["differences"].filter(pl.col("data") == LEAVE_ONE_OUT).to_dicts()
    ]
    header = [
        "difference",
        "metric",
        "points [95% bootstrap over users]",
        "permutation p",
        "t-interval over seeds",
        "distinguishable",
    ]
    return table("The same users and seeds, paired", header, rows)


def newcomers(tables: dict[str, pl.DataFrame]) -> dict:
    """Items that nobody has rated."""
    rows = [
        [group["title"][0], str(group["targets"][0])]
        + [percent(r["value"], r["low"], r["high"]) for r in group.to_dicts()]
        for group in tables["newcomers"].partition_by("experiment", maintain_order=True)
    ]
    return table(
        "Held-out items that nobody had rated, validation and test together",
        ["model", "items", "Hit@10 %", "Hit@100 %"],
        rows,
    )


def convergence(tables: dict[str, pl.DataFrame]) -> dict:
    """Epochs and seconds to the goal."""
    rows = []
    for group in (
        tables["convergence"].partition_by("experiment", maintain_order=True) if tables["convergence"].height else []
    ):
        missing = group["epochs"].null_count()

        def shown(name: str, digits: int, group: pl.DataFrame = group, missing: int = missing) -> str:
            return "not reached" if missing == group.height else f"{group[name].mean():.{digits}f}"

        history = tables["history"].filter(pl.col("experiment") == group["experiment"][0])
        costs = [shown("epochs", 1), f"{group['goal_epochs'].mean():.1f}", shown("seconds", 1)]
        costs += [f"{group['goal_seconds'].mean():.1f}", str(missing), f"{history['seconds'].median():.2f}"]
        rows.append([group["title"][0], str(group.height), *costs])
    header = [
        "model",
        "seeds",
        "epochs",
        "from scratch",
        "seconds",
        "from scratch",
        "seeds that never do",
        "seconds an epoch",
    ]
    return table("Until the best validation loss of training from scratch, same seed; means", header, rows)


def protocols(tables: dict[str, pl.DataFrame]) -> dict:
    """Full and sampled ranking side by side."""
    rows = []
    summary = tables["summary"].filter(pl.col("data") == LEAVE_ONE_OUT)
    for group in summary.partition_by("experiment", maintain_order=True):
        values = {(r["protocol"], r["metric"]): r["value"] for r in group.to_dicts()}
        rows.append(
            [group["title"][0]]
            + [
                percent(values[p, m])
                for p in ("full", "uniform", "popularity")
                for m in ("hit@1", "hit@10", "ndcg@10", "mrr")
            ]
        )
    header = ["model"] + [
        f"{m}, {p}" for p in ("full", "100 uniform", "100 popular") for m in ("Hit@1", "Hit@10", "NDCG@10", "MRR")
    ]
    return table("Test items by protocol, %", header, rows)


def variations(tables: dict[str, pl.DataFrame]) -> dict:
    """The same models where ties or time decide otherwise."""
    summary = tables["summary"].filter(pl.col("protocol") == "full", pl.col("metric").is_in(["hit@10", "ndcg@10"]))
    if not set(VARIATIONS) & set(summary["data"]):
        return table("", [], [])
    kinds = summary.filter(pl.col("data") != LEAVE_ONE_OUT)["experiment"].unique(maintain_order=True)
    rows = []
    for name in kinds:
        own = summary.filter(pl.col("experiment") == name)
        cells = {(r["data"], r["metric"]): percent(r["value"], r["low"], r["high"]) for r in own.to_dicts()}
        order = [(d, m) for d in (LEAVE_ONE_OUT, *VARIATIONS) for m in ("hit@10", "ndcg@10")]
        rows.append([own["title"][0], *(cells.get(place, "–") for place in order)])
    header = ["model"] + [
        f"{m}, {d}" for d in (LEAVE_ONE_OUT, "random ties", "time split") for m in ("Hit@10", "NDCG@10")
    ]
    return table("Test items, full ranking, %", header, rows)


def top(tables: dict[str, pl.DataFrame]) -> list[dict]:
    """The paper's Table 6: five films and genres by model, and the film that was held out."""
    found = []
    for group in tables["top"].partition_by("experiment", maintain_order=True):
        if group["experiment"][0] not in ("bert-paper", "hybrid-paper", "scratch", "hybrid", "best"):
            continue
        rows = [
            [str(r["rank"]) if r["rank"] else "held out", r["film"] or "–", (r["genres"] or "–").replace("|", ", ")]
            for r in group.sort("rank", descending=False).to_dicts()
        ]
        found.append(
            table(f"{group['title'][0]}, user {group['user'][0]}", ["rank", "film", "genres"], rows[1:] + rows[:1])
        )
    return found
