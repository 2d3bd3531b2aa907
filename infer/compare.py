"""Show the metrics of several scored models side by side.

In: the MODEL.metrics.json files that `python -m infer.batch` wrote into one folder. Out: one table
on screen. Refused if they are not of the same table, split and k.

    python -m infer.compare
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from infer.cli import option, parse, run
from infer.errors import InputError
from infer.metrics.rendering import render

SAME = ("interactions_checksum", "protocol", "k", "users_measured")


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Options of `python -m infer.compare`."""

    artifacts: Path = option(Path("artifacts"), "folder with *.metrics.json files")


def read_reports(folder: Path) -> dict[str, dict[str, Any]]:
    """The reports in a folder by model; raises InputError if there are none or they do not match."""
    reports = {}
    for path in sorted(folder.glob("*.metrics.json")):
        try:
            reports[path.name.removesuffix(".metrics.json")] = json.loads(path.read_text())
        except ValueError:
            raise InputError(f"{path} is not valid JSON: score that model again") from None
    if not reports:
        raise InputError(f"{folder} holds no *.metrics.json: run `python -m infer.batch --model MODEL.onnx` first")
    first = next(iter(reports))
    for name, report in reports.items():
        for key in SAME:
            if report.get(key) != reports[first].get(key) or key not in report:
                raise InputError(f"{name} and {first} differ in {key}: score both on the same table again")
    return reports


def main(argv: Sequence[str]) -> None:
    """Parse, read, print."""
    config = parse(CompareConfig, argv, __doc__)
    reports = read_reports(config.artifacts)
    columns: dict[str, pl.DataFrame] = {}
    for name, report in reports.items():
        # Random and popularity stand in every report; a later model's own column joins them.
        for column, metrics in report["metrics"].items():
            rows = [{"metric": metric, **values} for metric, values in metrics.items()]
            columns[column if column in ("random", "popularity") else name] = pl.DataFrame(
                rows, schema={"metric": pl.String, "value": float, "low": float, "high": float}
            )
    any_report = next(iter(reports.values()))
    print(f"{any_report['dataset']}: {any_report['users_measured']} users, {any_report['protocol']}")
    print(render(columns))


if __name__ == "__main__":
    raise SystemExit(run(main))
