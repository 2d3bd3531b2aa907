"""The study's tables as one HTML page that needs no network: answers, tables, plots.

In: the tables of `bench.study.tables`. Out: study.html, with everything it needs inside.

    python -m bench.study
"""

from pathlib import Path

import polars as pl
from jinja2 import Environment, PackageLoader, select_autoescape
from plotly.offline import get_plotlyjs

from bench.study import shown
from bench.study.answers import answers_cold, answers_convergence, answers_top, paper_note
from bench.study.plots import bars, cohorts, curves
from infer.system.files import write_text

PROTOCOLS = (
    "The same exported models and held-out items, ranked among every unseen item, or among sampled ones. Sampled "
    "metrics are larger and need not order models alike (Krichene & Rendle 2020): they serve to compare with papers."
)
SPLITS = (
    "Many ratings share a second. By the stated rule they are ordered by item id; here also at random, and with a "
    "split in which two moments, the same for everyone, end training and validation."
)


def write_page(tables: dict[str, pl.DataFrame], path: Path, command: str) -> Path:
    """Render the page; returns where it lies."""
    environment = Environment(loader=PackageLoader("bench", "."), autoescape=select_autoescape(default=True))
    # Of cold start: items that few have rated, then those that nobody has.
    found, cold = sections(tables), answers_cold(tables)
    text = environment.get_template("page.html.j2").render(
        title="Does matrix factorization help BERT4Rec?",
        plotly=get_plotlyjs(),
        command=command,
        summary=[*answers_top(tables)[:3], *cold[1:2], *cold[-1:], *answers_convergence(tables)[:1]],
        sections=[section for section in found if section["tables"] or section["plots"]],
        absent=[section["title"] for section in found if not (section["tables"] or section["plots"])],
        about=tables["about"].rows(),
    )
    write_text(path, text)
    return path


def sections(tables: dict[str, pl.DataFrame]) -> list[dict]:
    """Title, sentences, tables (caption, header, rows) and plots (caption, JSON) of every part of the page."""
    losses = (("validation_loss", "Validation loss"), ("validation_ndcg_at_10", "Validation NDCG@10"))
    found = [
        {
            "title": "RQ1: does matrix factorization help top-k?",
            "sentences": [*answers_top(tables), paper_note()],
            "tables": [shown.overview(tables), shown.differences(tables)],
            "plots": [("Hit@10, mean over seeds and 95% t-interval", bars(tables))],
        },
        {
            "title": "RQ2: does it help cold start?",
            "sentences": answers_cold(tables),
            "tables": [shown.differences(tables, cohorts=True), shown.newcomers(tables)],
            "plots": [
                (f"{metric} by {label}, 95% interval over users", cohorts(tables, by, metric))
                for by, label in (
                    ("target_count", "how often the held-out item had been rated"),
                    ("history_length", "the length of the user's history"),
                )
                for metric in ("hit@10", "hit@100")
            ],
        },
        {
            "title": "RQ3: does it converge sooner?",
            "sentences": answers_convergence(tables),
            "tables": [shown.convergence(tables), shown.speed(tables)],
            "plots": [
                (f"{label} by {unit}", curves(tables, column, axis))
                for column, label in losses
                for axis, unit in (("epoch", "epoch"), ("elapsed", "second, pretraining counted"))
            ],
        },
        {"title": "Protocols", "sentences": [PROTOCOLS], "tables": [shown.protocols(tables)], "plots": []},
        {"title": "Ties and time split", "sentences": [SPLITS], "tables": [shown.variations(tables)], "plots": []},
        {"title": "Five films for one user", "sentences": [], "tables": shown.top(tables), "plots": []},
    ]
    for section in found:
        section["tables"] = [table for table in section["tables"] if table["rows"]]
        section["plots"] = [(caption.replace("hit@", "Hit@"), plot) for caption, plot in section["plots"] if plot]
    return found
