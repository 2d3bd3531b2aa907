"""The study's tables as one HTML page that needs no network: answers, tables, plots.

In: the tables of `bench.study.tables`. Out: study.html, with everything it needs inside.

    python -m bench.study
"""

from pathlib import Path

import polars as pl

from bench.html.page import Plot, section, write_page
from bench.html.texts import metric_title
from bench.study import shown
from bench.study.answers import answers_cold, answers_convergence, answers_top, of_set, paper_note, sets
from bench.study.plots import bars, cohorts, curves

PROTOCOLS = (
    "The same exported models and held-out items, ranked among every unseen item, or among sampled ones. Sampled "
    "metrics are larger and need not order models alike (Krichene & Rendle 2020): they serve to compare with papers."
)
SPLITS = (
    "Many ratings share a second. By the stated rule they are ordered by item id; here also at random, and with a "
    "global time split."
)


def write_study(tables: dict[str, pl.DataFrame], path: Path, command: str) -> Path:
    """Render the page; returns where it lies."""
    cold = answers_cold(tables)  # of items that few have rated, then of those that nobody has
    return write_page(
        path,
        "study/study.html.j2",
        sections(tables),
        title="Does matrix factorization help BERT4Rec?",
        command=command,
        summary=[*answers_top(tables)[:3], *cold[1:2], *cold[-1:], *answers_convergence(tables)[:1]],
        about=tables["about"].select("name", "value").rows(),
    )


def sections(tables: dict[str, pl.DataFrame]) -> list[dict]:
    """Title, sentences, tables (caption, header, rows) and plots (caption, JSON) of every part of the page."""
    everything, tables = tables, of_set(tables, sets(tables)[0])
    groups = (
        ("target_count", "how often the held-out item had been rated"),
        ("history_length", "the length of the user's history"),
    )
    cohort_plots: list[Plot] = [
        (f"{metric_title(metric)} by {label}, 95% interval over users", cohorts(tables, by, metric))
        for by, label in groups
        for metric in ("hit@10", "hit@100")
    ]
    training_plots = [
        (f"{label} by {unit}", curves(tables, column, axis))
        for column, label in (("validation_loss", "Validation loss"), ("validation_ndcg_at_10", "Validation NDCG@10"))
        for axis, unit in (("epoch", "epoch"), ("elapsed", "second, pretraining counted"))
    ]
    return [
        section(
            "RQ1: does matrix factorization help top-k?",
            [*answers_top(everything), paper_note()],
            [shown.overview(tables), shown.differences(tables)],
            [("Hit@10, mean over seeds and 95% interval (crossed bootstrap)", bars(tables))],
        ),
        section(
            "RQ2: does it help cold start?",
            answers_cold(everything),
            [shown.differences(tables, cohorts=True), shown.newcomers(tables)],
            cohort_plots,
        ),
        section(
            "RQ3: does it converge sooner?",
            answers_convergence(everything),
            [shown.convergence(tables), shown.speed(tables)],
            training_plots,
        ),
        section("Protocols", [PROTOCOLS], [shown.protocols(tables)]),
        section("Ties and time split", [SPLITS], [shown.variations(tables)]),
        section("Five films for one user", tables=shown.top(tables)),
    ]
