"""How the study's page begins: what was compared, where and when; quality against cost; and what its words mean.

In: the tables of `bench.study.statistics.tables`. Out: sentences, a plot, pairs of a term and its meaning.

    python -m bench.study
"""

from datetime import date

import polars as pl

from bench.html.page import Plot
from bench.study.page.answers import EPOCHS, of_set, sets, short_note
from bench.study.page.plots import front, untimed

GLOSSARY = [
    ("Hit@10, NDCG@10", "The share of users whose held-out item is among their ten; NDCG counts it 1 in the first "
     "place and less further down."),
    ("iALS", "Matrix factorization of who rated what, by alternating least squares (Hu et al. 2008)."),
    ("from scratch", "The same transformer with random item vectors and without a Markov chain."),
    ("Markov chain", "What follows an item within 20 steps; factorised: cut to its largest singular values."),
    ("hybrid", "The transformer started from iALS with metadata, beside a factorised Markov chain."),
    ("best", "A weighted sum of several models' scores in one file; weights are fitted on validation items."),
    ("crossed bootstrap", "Users and seeds are drawn anew, independently of each other; the interval holds both, and "
     "is rather too wide where users differ from seed to seed. With one seed it is of the models as trained."),
    ("corrected p", "Of a permutation test over users, corrected within its family of questions by Holm's method."),
    ("optimism", "How much higher the validation items are ranked than the test items, by which nothing was chosen."),
]  # fmt: skip


ON_EVERYTHING = (
    "on everything", "Trained anew on validation items, too, as an earlier training of the model was best on them."
)  # fmt: skip


def glossary(tables: dict[str, pl.DataFrame]) -> list[tuple[str, str]]:
    """The terms of the page and what they mean."""
    refitted = tables["summary"]["title"].str.ends_with(ON_EVERYTHING[0]).any()
    return [*GLOSSARY, *([ON_EVERYTHING] if refitted else [])]


def head(tables: dict[str, pl.DataFrame]) -> list[str]:
    """What was compared, on what, for how long, on which machine, and when."""
    note = short_note(tables)
    sentences = [] if note is None else [note]
    for name in sets(tables):
        own = of_set(tables, name)
        about = dict(own["about"].select("name", "value").iter_rows())
        models = own["summary"]["experiment"].n_unique()
        sentences.append(
            f"{models} models and baselines on {name}: {about['users measured']} users, one held-out item each; seeds "
            f"{about['seeds']}; epochs of a transformer: {about[EPOCHS]}. {about['machine']}."
        )
    notes = [f"{data}: {note}." for data, note in tables["notes"].select("data", "note").iter_rows()]
    return [*sentences, *notes, f"Page of {date.today().isoformat()}."]


def picture(tables: dict[str, pl.DataFrame]) -> Plot:
    """What each model of the largest data set costs, and what it brings."""
    largest = tables["summary"].sort("users", descending=True, maintain_order=True)["data"][0]
    own = of_set(tables, largest)
    return f"NDCG@10 against cost, {largest}{untimed(own)}", front(own)
