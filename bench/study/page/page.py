"""The study's tables as one HTML page that needs no network: answers, tables, plots.

In: the tables of `bench.study.statistics.tables`. Out: study.html, with everything it needs inside.

    python -m bench.study
"""

from pathlib import Path

import polars as pl

from bench.html.page import Plot, section, write_page
from bench.html.texts import metric_title
from bench.study.page import shown
from bench.study.page.answers import (
    answers_cold,
    answers_convergence,
    answers_effort,
    answers_scarcity,
    answers_top,
    of_set,
    paper_note,
    sets,
)
from bench.study.page.opening import glossary, head, picture
from bench.study.page.plots import bars, cohorts, curves, front, scarcity, untimed

PROTOCOLS = (
    "The same exported models and held-out items, ranked among every unseen item, or among sampled ones. Sampled "
    "metrics are larger and need not order models alike (Krichene & Rendle 2020): they serve to compare with papers."
)
PUBLISHED = (
    "Figures of papers that used the same users, items and last items. Ratios are to the highest published NDCG@10. "
    "Ours were chosen on validation items. The hybrid also blends a chain of transitions and reads titles, genres and "
    "years where there are any, which as far as we know the published ones do not."
)
GROUPS = (
    ("target_count", "how often the held-out item had been rated"),
    ("history_length", "the length of the user's history"),
)
SPLITS = {
    "random-ties": "Many ratings share a second. By the stated rule they are ordered by item id; here also at random.",
    "time-split": "With a global time split everyone is measured from one moment on, instead of by their last items.",
}


# The answers that stand first, of each data set: MF alone and its control, ensembling without it, all together against
# training from scratch and against the simplest rival, and the blend against its own.
FIRST = (
    ("hybrid-ials", "scratch"), ("hybrid-norms", "scratch"), ("scratch-markov", "scratch"), ("hybrid", "scratch"),
    ("hybrid", "markov"), ("best", "ease-markov"),
)  # fmt: skip


def summary(tables: dict[str, pl.DataFrame]) -> list[str]:
    """The answers in short: RQ1's first ones, and the first of the others."""
    others = (answers_cold, answers_scarcity, answers_convergence)
    return [*answers_top(tables, FIRST), *(found[0] for answers in others if (found := answers(tables)))]


def write_study(tables: dict[str, pl.DataFrame], path: Path, command: str) -> Path:
    """Render the page; returns where it lies."""
    return write_page(
        path,
        "study/page/study.html.j2",
        sections(tables),
        title="Does matrix factorization help BERT4Rec?",
        head=head(tables),
        picture=picture(tables),
        glossary=glossary(tables),
        command=command,
        summary=summary(tables),
        about=[(name, of_set(tables, name)["about"].select("name", "value").rows()) for name in sets(tables)],
    )


def sections(tables: dict[str, pl.DataFrame]) -> list[dict]:
    """Title, sentences, tables (caption, header, rows) and plots (caption, JSON) of every part of the page."""
    by_set = {name: of_set(tables, name) for name in sets(tables)}
    first, there = next(iter(by_set.values())), set(tables["summary"]["split"])
    questions = [
        ("RQ1: does matrix factorization help top-k?", [*answers_top(tables), paper_note()], _top),
        ("RQ2: does it help cold start?", answers_cold(tables), _cold),
        ("RQ3: does it converge sooner?", answers_convergence(tables), _training),
        ("Does it help where data are scarce?", answers_scarcity(tables), _scarce),
        ("Beside published results", [PUBLISHED], _published),
        ("Is the effort the same?", answers_effort(tables), _effort),
        ("Protocols", [PROTOCOLS], _protocols),
        ("Ties and time split", [SPLITS[split] for split in SPLITS if split in there], _splits),
    ]
    found = []
    for title, sentences, parts in questions:
        shown_tables: list[dict] = []
        plots: list[Plot] = []
        for name, own in by_set.items():
            for kind, rows in parts(own):
                named = f"{name}: {kind}" if len(by_set) > 1 else kind
                if isinstance(rows, dict):
                    shown_tables.append(rows | {"caption": f"{named}{rows['caption']}"})
                else:
                    plots.append((named, rows))
        found.append(section(title, sentences, shown_tables, plots))
    return [*found, section("The best five for one user", tables=shown.top(first))]


Parts = list[tuple[str, dict | str | None]]  # caption of a plot and the plot, or a table


def _top(tables: dict[str, pl.DataFrame]) -> Parts:
    caption = "Hit@10, mean over seeds and 95% interval (crossed bootstrap)"
    return [(caption, bars(tables)), ("", shown.overview(tables)), ("", shown.differences(tables))]


def _cold(tables: dict[str, pl.DataFrame]) -> Parts:
    plots: Parts = [
        (f"{metric_title(metric)} by {label}, 95% interval over users", cohorts(tables, by, metric))
        for by, label in GROUPS
        for metric in ("hit@10", "hit@100")
    ]
    return [*plots, ("", shown.differences(tables, cohorts=True)), ("", shown.newcomers(tables))]


def _training(tables: dict[str, pl.DataFrame]) -> Parts:
    plots: Parts = [
        (f"{label} by {unit}", curves(tables, column, axis))
        for column, label in (
            ("train_loss", "Training loss"), ("validation_loss", "Validation loss"),
            ("validation_ndcg_at_10", "Validation NDCG@10 in %,"),
        )
        for axis, unit in (("epoch", "epoch"), ("elapsed", "second, pretraining counted"))
    ]  # fmt: skip
    return [*plots, ("", shown.convergence(tables)), ("", shown.speed(tables))]


def _scarce(tables: dict[str, pl.DataFrame]) -> Parts:
    return [
        ("What the start from iALS adds to NDCG@10, 95% interval", scarcity(tables)),
        ("", shown.scarcity(tables)),
    ]


def _published(tables: dict[str, pl.DataFrame]) -> Parts:
    known = tables["anchors"].height > 0
    plot = front(tables) if known else None
    return [(f"NDCG@10 against seconds; dotted: published{untimed(tables)}", plot), ("", shown.anchors(tables))]


def _effort(tables: dict[str, pl.DataFrame]) -> Parts:
    return [("", shown.effort(tables))]


def _protocols(tables: dict[str, pl.DataFrame]) -> Parts:
    return [("", shown.protocols(tables))]


def _splits(tables: dict[str, pl.DataFrame]) -> Parts:
    return [("", shown.variations(tables))]
