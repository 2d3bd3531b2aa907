"""What the records answer, in sentences: which model, how fast, how far from the floor, against what.

In: records of one or more runs. Out: sentences for the top of the page.

    python -m bench.report
"""

from bench.html.texts import duration
from bench.records.runs import Record
from bench.report.convergence import comparable_loss, reached_loss, reached_ndcg, scratch_loss
from bench.report.values import label, main_sweep, of


def summary(records: list[Record]) -> list[str]:
    """The sentences for which there are records."""
    makers = (_speed, _latency, _command, _training, _engines, _precision)
    return [sentence for maker in makers for sentence in maker(records)]


def _speed(records: list[Record]) -> list[str]:
    parts = []
    for series, swept in grouped(records, main_sweep(of(records, "inference"))).items():
        best = max(swept, key=lambda record: record.info["users_per_second"])
        nearest = min(swept, key=lambda record: record.info["times_floor"])
        parts.append(
            f"{series} {best.info['users_per_second']:,.0f} users a second at batches of {best.info['batch']}, "
            f"{best.info['times_floor']:.1f} times the floor"
            + (f" ({nearest.info['times_floor']:.1f} at {nearest.info['batch']})" if nearest is not best else "")
        )
    return [f"Scoring is fastest so: {'; '.join(parts)}."] if parts else []


def _latency(records: list[Record]) -> list[str]:
    parts = []
    for r in of(records, "latency"):
        p50, p99 = (duration(r.info["latency_seconds"][share]) for share in ("p50", "p99"))
        parts.append(f"{label(records, r)} {p50} (p99 {p99})")
    found = [f"One user at a time takes, in the median: {'; '.join(parts)}."] if parts else []
    plain = [r for r in of(records, "online") if r.info["rule"] == "no rules"]
    parts = [f"{label(records, r)} {duration(r.info['latency_seconds']['p50'])}" for r in plain]
    return found + ([f"Through the Python API, without rules: {'; '.join(parts)}."] if parts else [])


def _command(records: list[Record]) -> list[str]:
    parts = []
    for r in of(records, "command"):
        stages = r.info["stage_seconds"]
        share = stages["model"] / stages["total"]
        parts.append(
            f"{label(records, r)} {duration(r.stats['median'])}, {share:.0%} of it the model, "
            f"{r.info['peak_memory_bytes'] / 2**20:,.0f} MiB at most"
        )
    users = {r.info["users"] for r in of(records, "command")}
    return [f"The whole command for {max(users):,} users: {'; '.join(parts)}."] if parts else []


def _training(records: list[Record]) -> list[str]:
    curves = of(records, "convergence")
    parts = []
    for r in curves:
        reached = reached_ndcg(r.info["curve"], r.info["ndcg_goal"])
        best = max(r.info["curve"]["ndcg"])
        said = f"epoch {reached[0]}, {duration(reached[1])}" if reached else f"not reached ({best:.3f})"
        parts.append(f"{label(records, r)} {said}")
    sentences = [f"NDCG@10 of {curves[0].info['ndcg_goal']} on validation: {'; '.join(parts)}."] if curves else []
    for r in (r for r in curves if r.info["model"] == "hybrid" and comparable_loss(r)):
        goal = scratch_loss(curves, r)
        scratch = next((s for s in curves if s.series == ("bert", *r.series[1:])), None)
        if scratch is None:
            continue
        theirs, ours = (reached_loss(run.info["curve"], goal) for run in (scratch, r))
        assert theirs is not None, "its own best loss"
        said = f"after {ours[0]} epochs and {duration(ours[1])}" if ours else "not at all"
        sentences.append(
            f"{label(records, r)} reaches the best validation loss of training from scratch {said}; that itself "
            f"took {theirs[0]} epochs and {duration(theirs[1])}."
        )
    return sentences


def _engines(records: list[Record]) -> list[str]:
    parts = []
    for r in of(records, "engines"):
        ratios = ", ".join(f"{name} {engine['ratio']:.1f}" for name, engine in r.info["engines"].items())
        parts.append(f"{label(records, r)}: {ratios}")
    said = "torch and torch.compile do the same work; 'all positions' is the notebook loop, which scores every position"
    return [f"Seconds in units of ONNX Runtime's, in alternation ({said}): {'; '.join(parts)}."] if parts else []


def _precision(records: list[Record]) -> list[str]:
    parts = []
    measured = of(records, "precision")
    largest = {
        series: max(r.info["items"] for r in measured if r.series == series) for series in {r.series for r in measured}
    }
    for r in (r for r in measured if r.info["items"] == largest[r.series]):
        metrics, ratio = r.info["metrics"], r.info["float32_ratio"]
        name = next(name for name in metrics["float32"] if name.startswith("ndcg"))
        speed = "not distinguishable in seconds" if ratio["low"] <= 1 <= ratio["high"] else (
            f"{ratio['ratio']:.2f} times as fast" if ratio["low"] > 1 else f"{1 / ratio['ratio']:.2f} times as slow"
        )  # fmt: skip
        ours, whole = (f"{metrics[numbers][name]:.4f}" for numbers in ("int8", "float32"))
        parts.append(f"{label(records, r)}, {r.info['items']:,} items {speed}, NDCG@10 {ours} instead of {whole}")
    return [f"int8 beside float32, at the largest catalogue: {'; '.join(parts)}."] if parts else []


def grouped(records: list[Record], chosen: list[Record]) -> dict[str, list[Record]]:
    """The chosen records by their label on a page of `records`."""
    groups: dict[str, list[Record]] = {}
    for record in chosen:
        groups.setdefault(label(records, record), []).append(record)
    return groups
