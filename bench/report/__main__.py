"""One offline HTML page from the JSON of one or more benchmark runs: what to run, where, and at what cost.

In: files of `pytest --benchmark-only --benchmark-json=FILE` and of `python -m bench.scale --record=FILE`; by default
those in bench/results/. Out: report.html, with everything it needs inside.

    python -m bench.report run.json --output=report.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.records.records import ROOT
from bench.records.runs import load_all
from bench.report.page import write_report
from infer.cli import leading, option, parse, run, say
from infer.errors import InputError
from infer.system.ownership import claim

RESULTS = ROOT / "bench" / "results"


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Options of `python -m bench.report`."""

    output: Path = option(Path("report.html"), "HTML file to write")


def main(argv: Sequence[str]) -> None:
    """Parse, load, render, print."""
    names, rest = leading(argv)
    config = parse(ReportConfig, rest, __doc__)
    files = [Path(name) for name in names] or [
        *sorted(RESULTS.glob("run-*.json")),
        *sorted(RESULTS.glob("scale-*.json")),
    ]
    if not files:
        raise InputError(f"no run is named and {RESULTS} holds no run-*.json: name the files to show")
    claim([config.output], inputs=files)
    records = load_all(files)
    write_report(records, config.output)
    say(f"{len(records)} benchmarks of {len(files)} runs -> {config.output}")


if __name__ == "__main__":
    raise SystemExit(run(main))
