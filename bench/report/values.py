"""What the page's tables, plots and sentences share: choosing records, and naming them.

In: records of one or more runs. Out: records, or texts.

    python -m bench.report
"""

from bench.html.texts import NOTHING
from bench.records.runs import Record

MODELS = ("mf", "bert", "hybrid", "best")


def of(records: list[Record], *parts: str) -> list[Record]:
    """The records of some parts, in their order."""
    return [record for record in records if record.part in parts]


def label(records: list[Record], record: Record) -> str:
    """Model and device; with the run where the page shows the same of another run, too."""
    model, device, run = record.series
    runs = {r.run for r in records if r.part == record.part and r.series[:2] == (model, device)}
    return f"{model}, {device}" + (f" ({run})" if len(runs | {run}) > 1 else "")


def main_sweep(inference: list[Record]) -> list[Record]:
    """Those on the window and catalogue that have most records: the sweep over batch sizes."""
    keys = [(record.info["window"], record.info["items"]) for record in inference]
    return [r for r, key in zip(inference, keys, strict=True) if key == max(keys, key=keys.count)]


def spread(record: Record) -> str:
    """Interquartile range of the rounds in per cent of their median."""
    median = record.stats["median"]
    return f"{record.stats['iqr'] / median:.0%}" if median and record.stats["rounds"] > 1 else NOTHING
