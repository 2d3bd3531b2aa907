"""The tables of the study's page: captions, headers and rows of text.

In: the tables of `bench.study.statistics.tables`. Out: dictionaries (caption, header, rows) for the template.

    python -m bench.study
"""

import numpy as np
import polars as pl

from bench.html.page import table
from bench.html.texts import NOTHING, interval, metric_title, percent, probability
from bench.study.experiments import LEAVE_ONE_OUT, TITLES, VARIATIONS
from bench.study.page.answers import PAPER, first_and_best, judges
from bench.study.statistics.significance import BOTH

Tables = dict[str, pl.DataFrame]


def overview(tables: Tables) -> dict:
    """Every model, full ranking, worst first."""
    full = tables["summary"].filter(pl.col("split") == LEAVE_ONE_OUT, pl.col("protocol") == "full")
    order = full.filter(pl.col("metric") == "hit@10").sort("value", maintain_order=True)["experiment"]
    rows = []
    for name in order:
        by_metric = {row["metric"]: row for row in full.filter(pl.col("experiment") == name).to_dicts()}
        metrics = (by_metric[m] for m in ("hit@10", "ndcg@10", "hit@100", "mrr"))
        paper = " / ".join(map(str, PAPER[name])) if name in PAPER else NOTHING
        shown = [percent(m["value"], m["low"], m["high"]) for m in metrics]
        optimism = by_metric["ndcg@10"]["optimism"]
        more = NOTHING if optimism is None else f"{optimism * 100:+.2f}"
        rows.append([by_metric["mrr"]["title"], str(by_metric["mrr"]["seeds"]), *shown, more, paper])
    header = ["model", "seeds", "Hit@10 %", "NDCG@10 %", "Hit@100 %", "MRR %", "optimism of NDCG@10, points"]
    header += ["paper: Hit / NDCG"]
    return table(
        "Test items, full ranking, seen items dropped; mean over seeds [95%, crossed bootstrap of users and seeds]",
        header,
        rows,
    )


def anchors(tables: Tables) -> dict:
    """Published and own results by NDCG@10, and what ours cost."""
    rows = [
        [
            row["name"],
            row["source"] if row["seeds"] is None else f"ours, {row['seeds']} seed" + "s" * (row["seeds"] > 1),
            percent(row["hit"]),
            percent(row["ndcg"], row["low"], row["high"]),
            f"{row['ratio']:.2f}",
            NOTHING if row["seconds"] is None else f"{row['seconds']:,.0f}",
            NOTHING if row["peak_mib"] is None else f"{row['peak_mib']:,.0f}",
            NOTHING if row["parameters"] is None else f"{row['parameters']:,.0f}",
        ]
        for row in tables["anchors"].to_dicts()
    ]
    header = [
        "model",
        "source",
        "Hit@10 %",
        "NDCG@10 % [95%]",
        "÷ best published",
        "seconds",
        "peak MiB",
        "numbers in it",
    ]
    caption = "Published results and ours on the same data, by NDCG@10; seconds on one thread, members counted"
    return table(caption, header, rows)


def effort(tables: Tables) -> dict:
    """What the search of each model spent and found."""
    rows = []
    searches = tables.get("tuning", pl.DataFrame({"experiment": []}))  # records of before have none
    for group in searches.partition_by("experiment", maintain_order=True):
        ended = ", ".join(
            f"{count} {state}" for state, count in group.group_by("state", maintain_order=True).len().iter_rows()
        )
        minutes = f"{group['seconds'].sum() / 60:,.0f}"
        rows.append([group["title"][0], f"{group.height}", ended, minutes, *map(percent, first_and_best(group))])
    header = ["model", "trials", "of these", "minutes", "first trial, NDCG@10 %", "best found, NDCG@10 %"]
    return table("Searches for options, judged by NDCG@10 of validation items of one seed", header, rows)


def scarcity(tables: Tables) -> dict:
    """Whether the start from iALS helps, by users and by length of history."""
    found = tables["scarcity"].filter(pl.col("metric").is_in(["hit@10", "ndcg@10"]))
    judged = judges(tables)
    rows = [
        [
            f"{row['users']:,}",
            str(row["history"] or "all"),
            metric_title(row["metric"]),
            percent(row["other_value"]),
            percent(row["value"], row["low"], row["high"]),
            probability(row["p_corrected"]),
            _verdict(row, judged),
        ]
        for row in found.to_dicts()
    ]
    header = ["users", "items of each", "metric", "from scratch", "iALS start − scratch [95%]", "corrected p"]
    header += ["significant"]
    return table(
        "The start from iALS on parts of the data: fewer users, or only the latest items of each", header, rows
    )


def differences(tables: Tables, cohorts: bool = False) -> dict:
    """Paired differences: of everyone, or within cohorts."""
    chosen = tables["differences"].filter(pl.col("split") == LEAVE_ONE_OUT, pl.col("cohort").is_not_null() == cohorts)
    judged = judges(tables)
    rows = [
        [
            f"{TITLES[row['one']]} − {TITLES[row['other']]}",
            *([f"{row['by'].replace('_', ' ')} {row['cohort']}", str(row["users"])] if cohorts else []),
            metric_title(row["metric"]),
            percent(row["value"], row["low"], row["high"]) + ("" if row["over"] == BOTH else " *"),
            probability(row["p"]),
            f"{probability(row['p_corrected'])}, {row['family']}",
            _verdict(row, judged),
        ]
        for row in chosen.to_dicts()
    ]
    header = ["difference", *(["cohort", "users"] if cohorts else []), "metric", "points [95%]", "permutation p"]
    header += ["corrected p, family", "significant"]
    caption = (
        "The same users and seeds, paired. Intervals by a crossed bootstrap of users and seeds, with * of users alone; "
        "p corrected within each family by Holm's method; significant if the corrected p is below 0.05 and the "
        "interval excludes 0"
    )
    return table(caption, header, rows)


def _verdict(row: dict, judged: bool) -> str:
    """Whether a difference is significant; nothing of a study that calls no model better."""
    if not judged:
        return NOTHING
    return "yes" if row["significant"] else "no"


def newcomers(tables: Tables) -> dict:
    """Items that nobody has rated."""
    rows = [
        [group["title"][0], str(group["targets"][0])]
        + [percent(r["value"], r["low"], r["high"]) for r in group.to_dicts()]
        for group in tables["newcomers"].partition_by("experiment", maintain_order=True)
    ]
    header = ["model", "items", "Hit@10 %", "Hit@100 %"]
    return table("Held-out items that nobody had rated, validation and test together [95%, Wilson]", header, rows)


def convergence(tables: Tables) -> dict:
    """Epochs and seconds to the best validation loss of training from scratch."""
    rows = []
    for by_seed in tables["convergence"].partition_by("experiment", maintain_order=True):
        reached = by_seed.drop_nulls("epochs")
        history = tables["history"].filter(pl.col("experiment") == by_seed["experiment"][0])
        shown = []
        for column in ("epochs", "seconds"):
            both = (reached[name].to_numpy() for name in (column, f"goal_{column}"))
            shown += [f"{values.mean():.1f}" if len(values) else NOTHING for values in both]
        counts = f"{reached.height} of {by_seed.height}"
        rows.append([by_seed["title"][0], counts, *shown, f"{np.median(history['seconds'].to_numpy()):.2f}"])
    header = ["model", "seeds that reach it", "epochs", "from scratch", "seconds", "from scratch", "seconds an epoch"]
    caption = (
        "Until the best validation loss of training from scratch, same seed; means over the seeds that reach it, "
        "seconds with pretraining, several models training at once"
    )
    return table(caption, header, rows)


def speed(tables: Tables) -> dict:
    """Seconds of an epoch by loss."""
    names = {"sampled": "sampled softmax, s", "softmax": "full softmax, s", "ratio": "sampled / full"}
    rows = [
        [names[row["name"]], interval(row["value"], row["low"], row["high"]), str(row["rounds"])]
        for row in tables["speed"].to_dicts()
    ]
    caption = "Seconds of a training epoch of the transformer, both losses in alternation, alone on one thread"
    return table(caption, ["loss", "mean [95% over rounds]", "rounds"], rows)


def protocols(tables: Tables) -> dict:
    """Full and sampled ranking side by side."""
    metrics, number = (
        ("hit@1", "hit@10", "ndcg@10"),
        dict(tables["about"].select("name", "value").iter_rows())["sampled negatives"],
    )
    main = tables["summary"].filter(pl.col("split") == LEAVE_ONE_OUT)
    names = {"full": "full", "uniform": f"{number} uniform", "popularity": f"{number} popular"}
    rows = []
    for group in main.partition_by("experiment", maintain_order=True):
        values = {(r["protocol"], r["metric"]): r["value"] for r in group.to_dicts()}
        rows.append([group["title"][0], *(percent(values[p, m]) for p in names for m in metrics)])
    titles = [metric_title(m) for m in metrics]
    return table("Test items by protocol, %", ["model", *(f"{m}, {p}" for p in names.values() for m in titles)], rows)


def variations(tables: Tables) -> dict:
    """The same models where ties are ordered at random, or a moment splits the data."""
    metrics = ("hit@10", "ndcg@10")
    full = tables["summary"].filter(pl.col("protocol") == "full", pl.col("metric").is_in(metrics))
    splits = [LEAVE_ONE_OUT, *(name for name in VARIATIONS if name in full["split"])]
    rows = []
    for name in full.filter(pl.col("split").is_in(list(VARIATIONS)))["experiment"].unique(maintain_order=True):
        some = full.filter(pl.col("experiment") == name)
        by_split = {(r["split"], r["metric"]): percent(r["value"], r["low"], r["high"]) for r in some.to_dicts()}
        rows.append([some["title"][0], *(by_split.get((d, m), NOTHING) for d in splits for m in metrics)])
    header = [f"{m}, {d.replace('-', ' ')}" for d in splits for m in ("Hit@10", "NDCG@10")]
    return table(
        "Test items, full ranking, %; mean over seeds [95%, crossed bootstrap of users and seeds]",
        ["model", *header],
        rows,
    )


def top(tables: Tables) -> list[dict]:
    """Five items and their genres by model, and the item that was held out."""
    lists = []
    for group in tables["top"].partition_by("experiment", maintain_order=True):
        rows = [
            [str(row["rank"] or "held out"), row["film"], (row["genres"] or NOTHING).replace("|", ", ")]
            for row in [*group.filter(pl.col("rank") > 0).to_dicts(), *group.filter(pl.col("rank") == 0).to_dicts()]
        ]
        lists.append(table(f"{group['title'][0]}, user {group['user'][0]}", ["rank", "item", "genres"], rows))
    return lists
