"""Numbers and names of metrics as the pages and commands write them.

In: seconds, shares in [0, 1], intervals. Out: texts; a dash where there is nothing.

    interval(2.0, 1.5, 2.5)  # "2.00 [1.50, 2.50]"
"""

NOTHING = "–"


def duration(seconds: float | None) -> str:
    """Seconds with a fitting unit and three digits."""
    if seconds is None:
        return NOTHING
    if seconds >= 1000:
        return f"{seconds:,.0f} s"
    units = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
    unit, scale = next((pair for pair in units if seconds >= pair[1]), units[-1])
    return f"{seconds / scale:.3g} {unit}"


def interval(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """`12.30 [11.00, 13.60]`, without the brackets where a bound is None."""
    if value is None:
        return NOTHING
    return f"{value:.2f}" + ("" if low is None or high is None else f" [{low:.2f}, {high:.2f}]")


def percent(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Shares in [0, 1] as `interval` writes them, times 100; headers say the unit."""
    return interval(*(None if share is None else share * 100 for share in (value, low, high)))


def probability(value: float) -> str:
    """A p value with two digits: 0.00015, 0.23, 1."""
    return f"{value:.2g}"


def metric_title(name: str) -> str:
    """hit@10 as Hit@10, ndcg@10 as NDCG@10, mrr as MRR."""
    return name.replace("hit", "Hit").replace("ndcg", "NDCG").replace("mrr", "MRR")
