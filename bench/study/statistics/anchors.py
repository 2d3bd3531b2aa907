"""Published results beside ours, on data sets that are exactly those of the papers.

In: the tables of `bench.study.statistics.tables`. Out: rows of both, with ratios and what ours cost.

    python -m bench.study --anchors --artifacts=artifacts/ml-1m

A data set is known by its numbers of users, items and interactions. All figures are of the last item of each user,
ranked among all items, seen ones dropped.
"""

from dataclasses import dataclass

import polars as pl

from bench.study.experiments import LEAVE_ONE_OUT

# What `--anchors` trains: baselines, published models as published, and ours.
ANCHORED = (
    "markov", "ease-plain", "ease", "content", "scratch", "hybrid-ials", "hybrid", "best", "bert4rec", "sasrec",
    "gsasrec",
)  # fmt: skip
SCHEMA = {
    "name": pl.String, "source": pl.String, "hit": pl.Float64, "ndcg": pl.Float64, "low": pl.Float64,
    "high": pl.Float64, "ratio": pl.Float64, "seeds": pl.Int64, "seconds": pl.Float64, "peak_mib": pl.Float64,
    "parameters": pl.Float64,
}  # fmt: skip


@dataclass(frozen=True)
class Published:
    """A published result: Hit@10 and NDCG@10 in [0, 1], and where it stands."""

    name: str
    hit: float
    ndcg: float
    source: str


# By (users, items, interactions).
PUBLISHED: dict[tuple[int, int, int], tuple[Published, ...]] = {
    (6040, 3416, 999_611): (
        Published("BERT4Rec", 0.282, 0.152, "Petrov & Macdonald 2022"),
        Published("gSASRec", 0.300, 0.173, "Petrov & Macdonald 2023"),
        Published("eSASRec", 0.313, 0.177, "Tikhonovich et al. 2025"),
        Published("SASRec of RecTools", 0.306, 0.178, "Tikhonovich et al. 2025"),
        Published("FuXi-α", 0.316, 0.181, "Ye et al. 2025"),
        Published("SASRec, 3,000 negatives", 0.316, 0.186, "Klenitskiy & Vasilev 2023"),
        Published("SASRec, best", 0.321, 0.186, "Klenitskiy & Vasilev 2023"),
        Published("HSTU-large", 0.329, 0.189, "Zhai et al. 2024"),
    ),
    (19_412, 11_924, 167_597): (Published("TIGER", 0.071, 0.043, "Rajput et al. 2023"),),
}  # fmt: skip


def anchors(tables: dict[str, pl.DataFrame], shape: tuple[int, int, int]) -> pl.DataFrame:
    """Published and own results of one data set by ascending NDCG@10; no rows where nothing is published of its shape.

    ratio: of NDCG@10 to the highest published one.  low, high: of NDCG@10.  seconds, peak_mib, parameters: of ours,
    means over seeds.
    """
    published = PUBLISHED.get(shape, ())
    if not published:
        return pl.DataFrame(schema=SCHEMA)
    best = max(row.ndcg for row in published)
    rows = [
        {"name": p.name, "source": p.source, "hit": p.hit, "ndcg": p.ndcg, "ratio": p.ndcg / best} for p in published
    ]
    costs = tables["costs"].group_by("experiment", maintain_order=True).agg(
        pl.col("seconds", "peak_mib", "parameters").mean()
    )  # fmt: skip
    own = tables["summary"].filter(pl.col("split") == LEAVE_ONE_OUT, pl.col("protocol") == "full")
    for name in own["experiment"].unique(maintain_order=True):
        values = {row["metric"]: row for row in own.filter(pl.col("experiment") == name).to_dicts()}
        ndcg = values["ndcg@10"]
        spent = costs.filter(pl.col("experiment") == name).drop("experiment")
        rows.append({
            "name": ndcg["title"], "source": "ours", "hit": values["hit@10"]["value"], "ndcg": ndcg["value"],
            "low": ndcg["low"], "high": ndcg["high"], "ratio": ndcg["value"] / best, "seeds": ndcg["seeds"],
            **(spent.row(0, named=True) if spent.height else {}),
        })  # fmt: skip
    return pl.DataFrame(rows, schema=SCHEMA).sort("ndcg", maintain_order=True)
