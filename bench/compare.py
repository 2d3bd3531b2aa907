"""Which benchmarks became slower than in a saved run, by ratio, and whether the rounds can tell.

In: a new run and a saved one, JSON of `pytest --benchmark-only --benchmark-json=FILE`. Out: a line a benchmark that
both have; exit status 1 if any became slower.

    python -m bench.compare new.json bench/results/run-cpu-2-cores.json

The ratio is of medians, normalised by a calibration run, the same small matrix product just before and after the
benchmark (`machine`: how much longer it took): where others use the machine, it is not the code that differs. Its
interval comes from the rounds of both runs: the standard error of a median is about 1.25 sigma / sqrt(rounds), sigma
being the interquartile range / 1.35, which a few disturbed rounds do not move; the calibration's own error is half
of what it differed between before and after.
Slower means: the whole interval lies above 1 + --tolerance, which covers what differs between two runs but not
between the rounds of one, and so does the ratio of the fastest rounds (`fastest`), which others disturb least. A
benchmark of one round has no interval and is shown without a verdict. Every statistic of both, as it was measured:
`pytest-benchmark compare new.json saved.json`, which normalises nothing and knows no error.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.html.texts import duration
from bench.records.runs import Record, load
from infer.cli import leading, option, parse, run
from infer.errors import InputError
from infer.metrics.intervals import Z

SIGMAS_IN_IQR = 1.349  # of a normal distribution
MEDIAN_ERROR = math.sqrt(math.pi / 2)  # of the median, in standard errors of the mean


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Options of `python -m bench.compare`."""

    tolerance: float = option(0.25, "slower or faster by less than this share is not marked", minimum=0)
    any_machine: bool = option(False, "compare runs of different machines all the same")


@dataclass(frozen=True)
class Change:
    """One benchmark in both runs.

    new, saved: median seconds.  machine: how much longer the calibration took in the new run, 1 if unknown.  ratio:
    new / saved / machine; low, high: its 95% interval, None with a single round.  fastest: ratio of the fastest
    rounds, as they were measured.
    """

    name: str
    new: float
    saved: float
    machine: float
    ratio: float
    low: float | None
    high: float | None
    fastest: float

    def verdict(self, tolerance: float) -> str:
        """`slower`, `faster`, `-` if neither, `?` if one round cannot tell."""
        if self.low is None or self.high is None:
            return "?"
        if min(self.low, self.fastest) > 1 + tolerance:
            return "slower"
        return "faster" if max(self.high, self.fastest) < 1 / (1 + tolerance) else "-"


def changes(new: list[Record], saved: list[Record]) -> list[Change]:
    """Every benchmark that both runs have, the largest ratio first; raises InputError if there is none."""
    before = {record.name: record for record in saved}
    both = [_change(record, before[record.name]) for record in new if record.name in before]
    if not both:
        raise InputError("the two runs have no benchmark in common")
    return sorted(both, key=lambda change: -change.ratio)


def check_machines(new: list[Record], saved: list[Record]) -> None:
    """Raise InputError unless both runs are of one kind of machine with equal threads."""
    sides = []
    for records in (new, saved):
        infos = [record.info for record in records if record.part != "other"]
        sides.append({(i["device"], i["device_name"], i["cores"], str(sorted(i["threads"].items()))) for i in infos})
    if sides[0] != sides[1]:
        only = next(iter(sorted(sides[0] ^ sides[1])))
        raise InputError(
            f"the runs are of different machines or settings (only one has {', '.join(map(str, only))}): their ratio "
            "would compare machines; give --any-machine to see it all the same"
        )


def render(compared: list[Change], tolerance: float) -> str:
    """A line a benchmark."""
    width = max(len(change.name) for change in compared)
    lines = [f"{'':8}{'ratio':>7}  {'95% interval':16}{'fastest':>8}{'machine':>8}{'new':>10}{'saved':>10}  benchmark"]
    for c in compared:
        interval = "one round" if c.low is None else f"[{c.low:.2f}, {c.high:.2f}]"
        times = f"{c.fastest:8.2f}{c.machine:8.2f}{duration(c.new):>10}{duration(c.saved):>10}"
        lines.append(f"{c.verdict(tolerance):8}{c.ratio:7.2f}  {interval:16}{times}  {c.name:{width}}".rstrip())
    return "\n".join(lines)


def _change(new: Record, saved: Record) -> Change:
    now, then = new.stats["median"], saved.stats["median"]
    runs = [record.info["calibration_seconds"] for record in (new, saved) if "calibration_seconds" in record.info]
    machine = math.sqrt(math.prod(runs[0]) / math.prod(runs[1])) if len(runs) == 2 else 1.0
    ratio = now / then / machine
    fastest = new.stats["min"] / saved.stats["min"]
    if min(new.stats["rounds"], saved.stats["rounds"]) < 2:
        return Change(new.name, now, then, machine, ratio, None, None, fastest)
    unsteady = [abs(math.log(before / after)) / 2 for before, after in runs] if len(runs) == 2 else []
    error = math.hypot(*(_relative_error(record) for record in (new, saved)), *unsteady)
    factor = math.exp(Z * error)
    return Change(new.name, now, then, machine, ratio, ratio / factor, ratio * factor, fastest)


def _relative_error(record: Record) -> float:
    """Standard error of the median as a share of it."""
    stats = record.stats
    return MEDIAN_ERROR * stats["iqr"] / SIGMAS_IN_IQR / math.sqrt(stats["rounds"]) / stats["median"]


def main(argv: Sequence[str]) -> None:
    """Parse, load, compare, print."""
    names, rest = leading(argv)
    config = parse(CompareConfig, rest, __doc__)
    if len(names) != 2:
        raise InputError(f"expected two runs, the new one and the saved one; found {len(names)}")
    new, saved = (load(Path(name)) for name in names)
    if not config.any_machine:
        check_machines(new, saved)
    compared = changes(new, saved)
    print(render(compared, config.tolerance))
    counts = {name: sum(c.verdict(config.tolerance) == name for c in compared) for name in ("slower", "faster", "?")}
    print(
        f"{len(compared)} benchmarks in both: {counts['slower']} slower, {counts['faster']} faster, "
        f"{counts['?']} with one round; beyond {config.tolerance:.0%}"
    )
    if counts["slower"]:
        raise SystemExit(1)


if __name__ == "__main__":
    raise SystemExit(run(main))
