"""What the study found, in sentences made from its tables.

In: the tables of `bench.study.statistics.tables`. Out: sentences for the page, those of each data set together. A
difference is called better or worse if it is significant (`bench.study.statistics.significance.verdict`); a study that
trained for fewer epochs than configured says so first, and calls nothing better.

    python -m bench.study.record --record=bench/results/study
"""

from collections.abc import Collection, Iterator

import polars as pl

from bench.html.texts import interval, metric_title, probability
from bench.study.experiments import LEAVE_ONE_OUT, TITLES
from bench.study.statistics.significance import BOTH, mean_interval
from train.tune.table import FINISHED

Tables = dict[str, pl.DataFrame]
# The paper's two models: hits among its 610 users, Hit@10 % and NDCG@10 %.
PAPER_USERS = 610
PAPER_HITS = {"bert-paper": 10, "hybrid-paper": 17}
PAPER = {"bert-paper": (1.6, 0.8), "hybrid-paper": (2.8, 1.36)}
EPOCHS, WHOLE = "epochs of a transformer", "as configured"  # in the table about
SCRATCH = "the same transformer from scratch"
NAMES = TITLES | {
    "scratch": SCRATCH,
    "bert-paper": "the paper's BERT",
    "hybrid-paper": "the paper's hybrid",
    "scratch-chain": f"{SCRATCH}, blended with the hybrid's chain",
    "scratch-random": f"{SCRATCH}, with a chain trained from random weights",
    "scratch-markov": f"{SCRATCH}, blended with the Markov chain",
    "hybrid-ials": "the transformer started from iALS alone",
    "hybrid-norms": "the transformer started from random directions with the norms of iALS",
    "hybrid-shuffled": "the transformer started from iALS vectors of other items",
    "hybrid-ppmi": "the transformer started from PPMI alone",
    "hybrid-mf": "the transformer started from MF of ratings alone",
    "ials-markov": "the transformer started from iALS, blended with the Markov chain",
    "chain": "the chain alone",
    "hybrid": "the hybrid",
    "scratch-refit": "the transformer from scratch, on everything,",
    "hybrid-refit": "the hybrid on everything",
    "best-refit": "best.onnx on everything",
}
# What the first lines of the page say, in this order: what is asked, and of whom.
ASKED = (
    ("Does matrix factorization help BERT?", "hybrid-ials", "scratch"),
    ("Control, norms alone:", "hybrid-norms", "scratch"),
    ("Control, a placebo:", "hybrid-shuffled", "scratch"),
    ("MF of ratings:", "hybrid-mf", "scratch"),
    ("Transitions, unfactorised:", "scratch-markov", "scratch"),
    ("The chain, of transitions and EASE:", "scratch-chain", "scratch"),
    ("iALS beside the blended transitions:", "ials-markov", "scratch-markov"),
    ("iALS beside the chain:", "hybrid", "scratch-chain"),
    ("Both together:", "hybrid", "scratch"),
    ("The encoder beside the chain:", "hybrid", "chain"),
    ("As in the paper:", "hybrid-paper", "bert-paper"),
    ("Against the Markov chain:", "hybrid", "markov"),
    ("Against what needs no training:", "best", "ease-markov"),
    ("On validation items, too, from scratch:", "scratch-refit", "scratch"),
    ("On validation items, too, the hybrid:", "hybrid-refit", "hybrid"),
    ("On validation items, too, the blend:", "best-refit", "best"),
)


def paper_note() -> str:
    """The paper's own difference in standard errors, two proportions compared."""
    few, many = (PAPER_HITS[name] for name in ("bert-paper", "hybrid-paper"))
    pooled = (few + many) / (2 * PAPER_USERS)
    z = (many - few) / PAPER_USERS / (pooled * (1 - pooled) * 2 / PAPER_USERS) ** 0.5
    verdict = "not significant" if z < 1.96 else "significant"
    return (
        f"The paper reports Hit@10 of {PAPER['bert-paper'][0]} and {PAPER['hybrid-paper'][0]} %, NDCG@10 of "
        f"{PAPER['bert-paper'][1]} and {PAPER['hybrid-paper'][1]} %, from one run each. That is {few} against "
        f"{many} hits of {PAPER_USERS} users: z = {z:.2f}, {verdict}."
    )


def compared(row: dict, one: str, other: str, judged: bool = True) -> str:
    """A sentence that says whether one is better than the other, by how much and how surely.

    row: one of the table differences.  judged: whether it says so, or only by how much they differ.
    """
    seeds = f"{row['seeds']} seeds" if row["seeds"] > 1 else "1 seed"
    over = "" if row["over"] == BOTH else ", interval over users alone"
    of = f" points of {metric_title(row['metric'])}"
    figures = f"{_figures(row, of)} ({row['users']:,} users; {seeds}{over})"
    if not judged:
        return _capital(f"{one} minus {other}: {figures}.")
    if row["significant"]:
        whose = "" if row["seeds"] > 1 else ", as trained with this seed"
        return _capital(f"{one} is {'better' if row['value'] > 0 else 'worse'} than {other}{whose}: {figures}.")
    return _capital(f"{one} is not distinguishable from {other}, as {row['why']}: {figures}.")


def _figures(row: dict, of: str = "") -> str:
    """A difference in points, its interval and p; of: what stands behind the points."""
    points, low, high = (row[name] * 100 for name in ("value", "low", "high"))
    return f"{points:+.2f}{of} [{low:+.2f}, {high:+.2f}], corrected p = {probability(row['p_corrected'])}"


def short_note(tables: Tables) -> str | None:
    """What to say first of a study that trained for fewer epochs than configured, on any of its data sets; None of a
    whole one."""
    if "about" not in tables:
        return None
    cut = tables["about"].filter(pl.col("name") == EPOCHS, pl.col("value") != WHOLE)
    if cut.is_empty():
        return None
    if len(sets(tables)) == 1:
        epochs = cut["value"][0]
        return f"This study trained for {epochs}, fewer than configured: it says nothing about which model is better."
    epochs = " and ".join(f"{epochs} on {data}" for data, epochs in cut.select("data", "value").iter_rows())
    return f"This study trained for {epochs}, fewer than configured: there it says nothing about which model is better."


def judges(tables: Tables) -> bool:
    """Whether the tables of one data set say which model is better: not if it trained for too few epochs."""
    return short_note(tables) is None


def answers_top(tables: Tables, pairs: Collection[tuple[str, str]] = ()) -> list[str]:
    """RQ1 in sentences: whether the start from iALS alone helps, then every other part beside its own control.

    pairs: only these of ASKED; empty: all.
    """
    note = short_note(tables)
    sentences = [] if note is None else [note]
    for prefix, own in _by_set(tables):
        for question, model, other in (row for row in ASKED if not pairs or row[1:] in pairs):
            rows = own["differences"].filter(
                pl.col("one") == model, pl.col("other") == other, pl.col("split") == LEAVE_ONE_OUT,
                pl.col("cohort").is_null(),
            )  # fmt: skip
            hits, gains = (rows.filter(pl.col("metric") == name).to_dicts() for name in ("hit@10", "ndcg@10"))
            sentences += [
                f"{prefix}{question} {compared(row, NAMES[model], NAMES[other], judges(own))}"
                + "".join(_also(gain, judges(own)) for gain in gains)
                for row in hits
            ]
    return sentences


def _also(row: dict, judged: bool) -> str:
    """The difference in the other of the two metrics that are asked about first."""
    verdict = "significant" if row["significant"] else f"not significant, as {row['why']}"
    return f" {metric_title(row['metric'])}: {_figures(row)}{f', {verdict}' if judged else ''}."


def answers_cold(tables: Tables) -> list[str]:
    """RQ2 in sentences: the rarest items and the shortest histories, then items that nobody had rated."""
    return [prefix + sentence for prefix, own in _by_set(tables) for sentence in _cold(own)]


def _cold(tables: Tables) -> Iterator[str]:
    for model, other in (("hybrid-ials", "scratch"), ("hybrid", "scratch"), ("best", "ease-markov")):
        rows = tables["differences"].filter(
            pl.col("one") == model, pl.col("other") == other, pl.col("metric") == "hit@100",
            pl.col("by").is_not_null(), pl.col("low") < pl.col("high"),  # else neither can list what nobody had rated
        )  # fmt: skip
        for by, where, number in (
            ("target_count", "Held-out items rated {} times before", 2),
            ("history_length", "Users with {} earlier items", 1),
        ):
            for row in rows.filter(pl.col("by") == by).head(number).to_dicts():
                yield f"{where.format(row['cohort'])}: {compared(row, NAMES[model], NAMES[other], judges(tables))}"
    new = tables["newcomers"].filter(pl.col("metric") == "hit@100", pl.col("experiment").is_in(["hybrid", "best"]))
    for row in new.to_dicts():
        yield (
            f"{_capital(NAMES[row['experiment']])} has {row['value']:.1%} [{row['low']:.1%}, {row['high']:.1%}] of "
            f"{row['targets']} held-out items that nobody had rated (validation and test) among its first hundred."
        )


def answers_scarcity(tables: Tables) -> list[str]:
    """Whether the start from iALS helps more where there are fewer users or shorter histories: in all, then by part."""
    sentences = []
    for prefix, own in _by_set(tables):
        rows = own["scarcity"].filter(pl.col("metric") == "hit@10").to_dicts()
        if len(rows) > 1 and judges(own):
            sentences.append(f"{prefix}{_where(rows)}")
        for row in rows:
            sentence = compared(row | {"users": row["measured"]}, NAMES[row["one"]], NAMES[row["other"]], judges(own))
            sentences.append(f"{prefix}{_part(row)}: {sentence}")
    return sentences


def _part(row: dict) -> str:
    """A part of the data in words; row: one of the table scarcity."""
    length = "whole histories" if row["history"] is None else f"the latest {row['history']} events of each"
    return f"{row['users']:,} users, {length}"


def _where(rows: list[dict]) -> str:
    """On which parts of the data the start from iALS is better, or worse."""
    found = [row for row in rows if row["significant"]]
    told = [
        f"{'better' if row['value'] > 0 else 'worse'} with {_part(row)} ({100 * row['value']:+.2f} points of Hit@10)"
        for row in found
    ]
    return (
        f"Where data are scarce: of {len(rows)} parts of the data, {NAMES[rows[0]['one']]} is distinguishable from "
        f"{NAMES[rows[0]['other']]} on {'; '.join([str(len(found)), *told]) if found else 'none'}."
    )


def answers_convergence(tables: Tables) -> list[str]:
    """RQ3 in sentences: time to the best validation loss of training from scratch, and seconds an epoch."""
    sentences = []
    for prefix, own in _by_set(tables):
        for name in ("hybrid-ials", "hybrid", "hybrid-ppmi", "hybrid-mf") if judges(own) else ():
            of_model = own["convergence"].filter(pl.col("experiment") == name)
            if of_model.height:
                sentences.append(prefix + _capital(_sooner(of_model, NAMES[name])))
    speeds = {row["name"]: row for row in tables["speed"].to_dicts()}
    if speeds:
        ratio, goal = speeds["ratio"], [f"{speeds[n]['value']:.2f} s" for n in ("sampled", "softmax")]
        verdict = "shorter" if ratio["high"] < 1 else "longer" if ratio["low"] > 1 else "not distinguishable in length"
        sentences.append(
            f"An epoch with sampled softmax is {verdict}: {goal[0]} against {goal[1]} with full softmax, "
            f"{interval(ratio['value'], ratio['low'], ratio['high'])} of it (in alternation, on one thread)."
        )
    return sentences


def answers_effort(tables: Tables) -> list[str]:
    """Whether as many trials were spent on each model that was tuned, and what they changed; none where none was."""
    return [prefix + sentence for prefix, own in _by_set(tables) if "tuning" in own for sentence in _effort(own)]


def first_and_best(search: pl.DataFrame) -> tuple[float | None, float | None]:
    """Validation NDCG@10 of a search's first trial, which has the preset's options but for those that all trials were
    given, and of its best finished one; None of what diverged.  search: its rows of the table tuning."""
    finished = search.filter(pl.col("state") == FINISHED)["value"]
    return search["value"].to_list()[0], max(finished, default=None)


def _effort(tables: Tables) -> Iterator[str]:
    searches = tables["tuning"].partition_by("experiment", maintain_order=True)
    if not searches:
        return
    spent = sum(table["seconds"].sum() for table in searches) / 60
    numbers: dict[int, list[str]] = {}
    for table in searches:
        numbers.setdefault(table.height, []).append(table["title"][0])
    if len(numbers) == 1:
        each = f"{searches[0].height} trials for each of {len(searches)} models"
        yield f"The effort is the same: {each}, {spent:,.0f} minutes in all."
    else:
        told = "; ".join(f"{count} for {', '.join(names)}" for count, names in sorted(numbers.items()))
        yield f"The effort is not the same, so these models cannot be compared as tuned: trials are {told}."
    better = []
    for table in searches:
        first, best = first_and_best(table)
        if best is not None and best > (first or 0.0):
            better.append(f"{table['title'][0]} ({100 * (first or 0.0):.1f} to {100 * best:.1f})")
    yield (
        f"Validation NDCG@10 in %, from the first trial to the best found: {', '.join(better)}."
        if better
        else "No search found options that are better on validation items than its first trial's."
    )
    if any(given != "{}" for table in searches for given in table["given"]):
        yield "A first trial has the preset's options, but for those that all trials of its search were given."


def of_set(tables: Tables, data: str) -> Tables:
    """The rows of one data set."""
    return {name: table.filter(pl.col("data") == data) for name, table in tables.items()}


def sets(tables: Tables) -> list[str]:
    """The data sets by name, in the order in which they were given."""
    named = [table["data"] for table in (tables.get("about"), tables["differences"]) if table is not None]
    return list(dict.fromkeys(name for column in named for name in column)) or ["the data"]


def _by_set(tables: Tables) -> Iterator[tuple[str, Tables]]:
    """What sentences begin with, and tables, of each data set."""
    names = sets(tables)
    for name in names:
        yield (f"{name}: " if len(names) > 1 else ""), of_set(tables, name)


def _sooner(by_seed: pl.DataFrame, name: str) -> str:
    """Rows of one model in the table convergence, in a sentence."""
    goal = "the best validation loss of training from scratch"
    missing = by_seed["epochs"].null_count()
    if missing:
        return f"{name} does not reach {goal} for {missing} of {by_seed.height} seeds."
    parts, verdicts = [], []
    for column, unit in (("epochs", "epochs"), ("seconds", "s")):
        ours, theirs = by_seed[column].to_numpy(), by_seed[f"goal_{column}"].to_numpy()
        value, low, high = mean_interval(ours - theirs)
        bounds = "" if low is None or high is None else f" [{low:+.1f}, {high:+.1f}]"
        parts.append(f"{ours.mean():.1f} instead of {theirs.mean():.1f} {unit}, {value:+.1f}{bounds}")
        low, high = (value, value) if low is None or high is None else (low, high)
        verdicts.append("sooner" if high < 0 else "later" if low > 0 else "at a time not distinguishable")
    if verdicts[0] == verdicts[1]:
        verdict = verdicts[0]
    else:
        verdict = " and ".join(f"{v} in {u}" for v, u in zip(verdicts, ("epochs", "seconds"), strict=True))
    seeds = f"{by_seed.height} seeds" if by_seed.height > 1 else "one seed, so no interval"
    return f"{name} reaches {goal} {verdict}: {parts[0]}; {parts[1]}, pretraining counted ({seeds})."


def _capital(text: str) -> str:
    """First letter in upper case, but not of names such as iALS or best.onnx."""
    return text[0].upper() + text[1:] if not text.startswith(("iALS", "best.onnx", "item-")) else text
