"""What the study found, in sentences made from its tables.

In: the tables of `bench.study.tables`. Out: sentences for the page. A difference whose interval contains 0 is
called not distinguishable.

    python -m bench.study
"""

import polars as pl

from bench.html.texts import interval, metric_title
from bench.study.experiments import LEAVE_ONE_OUT, TITLES
from bench.study.significance import mean_interval

# The paper's two models: hits among its 610 users, Hit@10 % and NDCG@10 %.
PAPER_USERS = 610
PAPER_HITS = {"bert-paper": 10, "hybrid-paper": 17}
PAPER = {"bert-paper": (1.6, 0.8), "hybrid-paper": (2.8, 1.36)}
SCRATCH = "the same transformer from scratch"
NAMES = TITLES | {
    "scratch": SCRATCH,
    "bert-paper": "the paper's BERT",
    "hybrid-paper": "the paper's hybrid",
    "scratch-chain": f"{SCRATCH}, with the hybrid's chain",
    "scratch-random": f"{SCRATCH}, with a chain trained from random weights",
    "chain": "the factorised Markov chain alone",
    "hybrid": "the hybrid",
    **{
        f"hybrid-{end}": f"the hybrid with {of} only"
        for end, of in (("ials", "iALS"), ("ppmi", "PPMI"), ("mf", "rating MF"))
    },
}
# Of whom the first lines of the page speak, in this order.
ASKED = (
    ("hybrid", "scratch"),
    ("hybrid", "scratch-random"),
    ("hybrid", "scratch-chain"),
    ("hybrid", "chain"),
    ("hybrid-ials", "scratch"),
    ("hybrid-paper", "bert-paper"),
    ("hybrid", "markov"),
    ("best", "ease-markov"),
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


def compared(row: dict, one: str, other: str) -> str:
    """A sentence that says whether one is better than the other, by how much and how surely.

    row: one of the table differences.
    """
    points, low, high = (row[name] * 100 for name in ("value", "low", "high"))
    metric = metric_title(row["metric"])
    verdict = "better than" if row["low"] > 0 else "worse than" if row["high"] < 0 else "not distinguishable from"
    seeds = f"{row['seeds']} seeds" if row["seeds"] > 1 else "1 seed"
    if row.get("seeds_low") is not None:
        seeds += f": [{row['seeds_low'] * 100:+.2f}, {row['seeds_high'] * 100:+.2f}]"
    return _capital(
        f"{one} is {verdict} {other}: {points:+.2f} points of {metric} [{low:+.2f}, {high:+.2f}], p = {row['p']:.4f} "
        f"({row['users']} users; {seeds})."
    )


def answers_top(tables: dict[str, pl.DataFrame]) -> list[str]:
    """RQ1 in sentences."""
    sentences: list[str] = []
    for model, other in ASKED:
        rows = tables["differences"].filter(
            pl.col("one") == model, pl.col("other") == other, pl.col("metric") == "hit@10",
            pl.col("data") == LEAVE_ONE_OUT, pl.col("cohort").is_null(),
        )  # fmt: skip
        sentences += [compared(row, NAMES[model], NAMES[other]) for row in rows.to_dicts()]
    return sentences


def answers_cold(tables: dict[str, pl.DataFrame]) -> list[str]:
    """RQ2 in sentences: the rarest items and the shortest histories, then items that nobody had rated."""
    sentences = []
    for model, other in (("hybrid", "scratch"), ("best", "ease-markov")):
        rows = tables["differences"].filter(
            pl.col("one") == model, pl.col("other") == other, pl.col("metric") == "hit@100", pl.col("by").is_not_null()
        )
        for by, where, number in (
            ("target_count", "Held-out items rated {} times before", 2),
            ("history_length", "Users with {} earlier items", 1),
        ):
            for row in rows.filter(pl.col("by") == by).head(number).to_dicts():
                sentences.append(f"{where.format(row['cohort'])}: {compared(row, NAMES[model], NAMES[other])}")
    new = tables["newcomers"].filter(pl.col("metric") == "hit@100", pl.col("experiment").is_in(["hybrid", "best"]))
    for row in new.to_dicts():
        sentences.append(
            f"{_capital(NAMES[row['experiment']])} has {row['value']:.1%} [{row['low']:.1%}, {row['high']:.1%}] of "
            f"{row['targets']} held-out items that nobody had rated (validation and test) among its first hundred."
        )
    return sentences


def answers_convergence(tables: dict[str, pl.DataFrame]) -> list[str]:
    """RQ3 in sentences: time to the best validation loss of training from scratch, and seconds an epoch."""
    sentences = []
    for name in ("hybrid", "hybrid-ials", "hybrid-ppmi", "hybrid-mf"):
        of_model = tables["convergence"].filter(pl.col("experiment") == name)
        if of_model.height:
            sentences.append(_capital(_sooner(of_model, NAMES[name])))
    speeds = {row["name"]: row for row in tables["speed"].to_dicts()}
    if speeds:
        ratio, goal = speeds["ratio"], [f"{speeds[n]['value']:.2f} s" for n in ("sampled", "softmax")]
        verdict = "shorter" if ratio["high"] < 1 else "longer" if ratio["low"] > 1 else "not distinguishable in length"
        sentences.append(
            f"An epoch with sampled softmax is {verdict}: {goal[0]} against {goal[1]} with full softmax, "
            f"{interval(ratio['value'], ratio['low'], ratio['high'])} of it (in alternation, on one thread)."
        )
    return sentences


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
