"""Which benchmarks became slower than in a saved run, by ratio, and whether the rounds can tell.

In: a new run and a saved one, JSON of `pytest --benchmark-only --benchmark-json=FILE`. Out: a line a benchmark that
both have, how many only one has or are of other work, of other sizes; exit status 1 if any became slower.

    python -m bench.compare new.json bench/results/run-cpu-2-cores.json

The ratio is of medians, normalised by a calibration run, the same small matrix product just before and after the
benchmark (`machine`: how much longer it took): where others use the machine, it is not the code that differs. Its
interval comes from the rounds of both runs: the standard error of a median is about 1.25 sigma / sqrt(rounds), sigma
being the interquartile range / 1.35, which a few disturbed rounds do not move; the calibration's own error is half
of what it differed between before and after.
Slower means: the whole interval lies above 1 + --tolerance, which covers what differs between two runs but not
between the rounds of one, and so does the ratio of the fastest rounds (`fastest`), which others disturb least; where
the calibration took longer in the saved run, that ratio is normalised, too, for even its fastest rounds may have been
disturbed. A benchmark of one round has no interval and is shown without a verdict. Every statistic of both, as it was
measured: `pytest-benchmark compare new.json saved.json`, which normalises nothing and knows no error.
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
# Of a pair what must be equal: what it was measured on, and the work, as far as both say it.
MACHINE = ("device", "device_name", "cores", "threads")
WORK = ("part", "model", "size", "users", "items", "interactions", "batch", "window", "k", "loss", "rule", "config")
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
        if min(self.low, self.fastest / min(self.machine, 1.0)) > 1 + tolerance:
            return "slower"
        return "faster" if max(self.high, self.fastest / max(self.machine, 1.0)) < 1 / (1 + tolerance) else "-"


def changes(new: list[Record], saved: list[Record]) -> list[Change]:
    """Every benchmark that both runs have with the same work, the largest ratio first; raises InputError if there is
    none."""
    both = _pairs(new, saved)
    if not both:
        raise InputError("the two runs have no benchmark in common")
    same = [_change(*pair) for pair in both if _difference(*pair, WORK) is None]
    if not same:
        raise InputError(f"the two runs have no benchmark of the same work in common: {_difference(*both[0], WORK)}")
    return sorted(same, key=lambda change: -change.ratio)


def check_machines(new: list[Record], saved: list[Record]) -> None:
    """Raise InputError unless each benchmark of both runs is of one kind of machine with equal threads."""
    found = next((said for pair in _pairs(new, saved) if (said := _difference(*pair, MACHINE))), None)
    if found is not None:
        raise InputError(
            f"the runs are of different machines or settings ({found}): their ratio would compare machines; give "
            "--any-machine to see it all the same"
        )


def left_out(new: list[Record], saved: list[Record]) -> list[str]:
    """Why benchmarks of either run are not compared, a line a reason."""
    names = [{record.name for record in records} for records in (new, saved)]
    lines = [
        f"{len(only)} benchmarks are in the {which} run alone"
        for which, only in (("new", names[0] - names[1]), ("saved", names[1] - names[0]))
        if only
    ]
    other = [said for pair in _pairs(new, saved) if (said := _difference(*pair, WORK))]
    return lines + (
        [f"{len(other)} benchmarks are of other work in the saved run, such as {other[0]}"] if other else []
    )


def _pairs(new: list[Record], saved: list[Record]) -> list[tuple[Record, Record]]:
    """The benchmarks that both runs have, by name."""
    before = {record.name: record for record in saved}
    return [(record, before[record.name]) for record in new if record.name in before]


def _difference(new: Record, saved: Record, keys: Sequence[str]) -> str | None:
    """In what two records differ first, of what both say; None if in nothing."""
    for key in keys:
        now, then = (record.info.get(key) for record in (new, saved))
        if now is not None and then is not None and now != then:
            if isinstance(now, dict) and isinstance(then, dict):
                key, now, then = next(
                    (f"{key}.{k}", now.get(k), then.get(k)) for k in (*now, *then) if now.get(k) != then.get(k)
                )
            return f"{new.name} with {key} {now} instead of {then}"
    return None


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
    for line in left_out(new, saved):
        print(line)
    counts = {name: sum(c.verdict(config.tolerance) == name for c in compared) for name in ("slower", "faster", "?")}
    print(
        f"{len(compared)} benchmarks in both: {counts['slower']} slower, {counts['faster']} faster, "
        f"{counts['?']} with one round; beyond {config.tolerance:.0%}"
    )
    if counts["slower"]:
        raise SystemExit(1)


if __name__ == "__main__":
    raise SystemExit(run(main))
