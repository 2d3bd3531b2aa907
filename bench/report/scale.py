"""The scale benchmark on the page: the whole command at MovieLens' sizes, and other ways to the same lists.

In: records of `python -m bench.scale`. Out: tables and a plot for the template.

    python -m bench.report bench/results/scale-32m-cpu-2-cores.json
"""

from bench.engines import OURS
from bench.html.axes import plain
from bench.html.dots import Dot, dots
from bench.html.page import Table, table
from bench.html.texts import NOTHING, duration, interval
from bench.ratios import paired_ratio
from bench.records.runs import Record
from bench.report.values import of

SAME, ONE_SCORED, LOOP = "same work", "all positions encoded, one scored", "every position scored (notebook loop)"
ORDER = (SAME, ONE_SCORED, LOOP)
# How much more than the exported graph each way computes.
WORK = {
    "torch": SAME, "torch.compile": SAME, "torch, last query": SAME, "implicit": SAME, "faiss": SAME,
    "torch, last position": ONE_SCORED, "torch, all positions": LOOP,
}  # fmt: skip


def commands(records: list[Record]) -> Table:
    """The whole command by size, with the distance from the floor."""
    rows = []
    for record in _by_size(records):
        info, seconds = record.info, record.info["seconds"]
        stages = [duration(seconds.get(name)) for name in ("read", "windows", "model", "write")]
        rows.append([
            _label(records, record), f"{info['users']:,}", f"{info['items']:,}", duration(seconds["total"]),
            f"{info['users_per_second']:,.0f}", f"{info['times_floor']:.1f}",
            f"{info['peak_memory_bytes'] / 2**30:.2f} GiB", *stages,
        ])  # fmt: skip
        if found := info.get("searched"):
            taken = found["seconds"]
            rows.append([
                f"{_label(records, record)}, {found['probes']} of {found['cells']:,} cells", f"{info['users']:,}",
                f"{info['items']:,}", duration(taken["total"]), f"{info['users'] / taken['total']:,.0f}", NOTHING,
                f"{found['peak_memory_bytes'] / 2**30:.2f} GiB",
                *(duration(taken.get(name)) for name in ("read", "windows", "model", "write")),
            ])  # fmt: skip
    header = ["table, model, device", "users", "items", "seconds", "users/s", "× floor", "peak memory"]
    caption = "python -m infer.batch for everyone, in a process of its own, without metrics"
    return table(caption, [*header, "read", "windows", "model", "write"], rows)


def ways(records: list[Record]) -> Table:
    """Seconds and ratios of the other ways, the same work first."""
    rows = []
    for record in _by_size(records):
        for name, (ratio, seconds) in _compared(record).items():
            shown = interval(ratio["ratio"], ratio["low"], ratio["high"])
            rows.append([_label(records, record), WORK.get(name, NOTHING), name, duration(seconds), shown])
    caption = (
        "The same batches by other ways, in alternation: seconds ÷ ONNX Runtime's, median [quartiles] of the rounds"
    )
    return table(caption, ["table, model, device", "what it computes", "way", "seconds", "ratio"], rows)


def ratios(records: list[Record]) -> str | None:
    """The same ratios as dots, a colour for each amount of work."""
    rows = [
        Dot(_label(records, record), WORK.get(name, name), **ratio)
        for record in _by_size(records)
        for name, (ratio, _) in _compared(record).items()
    ]
    return dots(rows, "seconds ÷ ONNX Runtime's")


def sentences(records: list[Record]) -> list[str]:
    """What the ratios say, one sentence for each amount of work."""
    said = {
        SAME: "Same work (the newest position alone, as the exported graph does), seconds in units of ours",
        LOOP: "A plain loop that scores every position and keeps one takes",
    }
    found = []
    for work, begin in said.items():
        parts = [
            f"{plain(ratio['ratio'])} ({_label(records, record)}{'' if work == LOOP else ': ' + name})"
            for record in _by_size(records)
            for name, (ratio, _) in _compared(record).items()
            if WORK.get(name) == work
        ]
        found += [f"{begin}: {', '.join(parts)}."] if parts else []
    return found


def _compared(record: Record) -> dict[str, tuple[dict[str, float], float]]:
    """Of each other way: its ratio to ours, round by round, and its median seconds; the same work first."""
    taken = record.info["batch_seconds"]
    names = sorted((name for name in taken if name != OURS), key=lambda n: ORDER.index(WORK.get(n, LOOP)))
    return {
        name: (paired_ratio(taken[name], taken[OURS]), sorted(taken[name])[len(taken[name]) // 2]) for name in names
    }


def _by_size(records: list[Record]) -> list[Record]:
    """Largest table first, models beside each other."""
    return sorted(of(records, "scale"), key=lambda record: (-record.info["interactions"], record.info["model"]))


def _label(records: list[Record], record: Record) -> str:
    """Table, model and device; with the run where another run has the same."""
    named = {r.run: _names(r) for r in of(records, "scale")}
    twice = list(named.values()).count(_names(record)) > 1
    return _names(record) + (f" ({record.run})" if twice else "")


def _names(record: Record) -> str:
    return f"{record.info['size']}, {record.info['model']}, {record.info['device']}"
