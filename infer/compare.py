"""Show several scored models side by side, or two nights of one.

In: the MODEL.metrics.json files that `python -m infer.batch` wrote into one folder; or with --output the publications
of its lists. Out: one table on screen. Models are refused if they are not of the same table, split and k.

    python -m infer.compare
    python -m infer.compare --output artifacts/hybrid.topk.parquet
    python -m infer.compare --output artifacts/hybrid.topk.parquet --nights 11,held
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from infer.candidates.given import WORDS, other_rules, shown
from infer.cli import option, parse, run, say
from infer.errors import InputError
from infer.metrics.rendering import render
from infer.publishing.figures import compared
from infer.publishing.opening import publications_at
from infer.publishing.publications import Publications
from infer.scoring.report import data_of
from infer.scoring.totals import BEFORE, is_baseline, name_of

SAME = ("interactions_checksum", "protocol", "k", "users_measured")
OPTIONAL = ("repeat_targets", "rules", "fallback", "variety")  # which reports of earlier versions do not state


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Options of `python -m infer.compare`."""

    artifacts: Path = option(Path("artifacts"), "folder with *.metrics.json files")
    output: Path | None = option(None, "lists of which to show two nights, as --output of infer.batch", address=True)
    nights: str | None = option(
        None, "two of its publications, as 11,12 or 12,held (default: the current and the held, or the one before)"
    )


def read_reports(folder: Path) -> dict[str, dict[str, Any]]:
    """The reports in a folder by model; raises InputError if there are none or they do not match."""
    reports = {}
    for path in sorted(folder.glob("*.metrics.json")):
        if not path.exists():  # lists that were not measured
            continue
        try:
            report = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            raise InputError(f"{path} is not valid JSON: score that model again") from None
        if not _is_report(report):
            raise InputError(f"{path} holds no report: score that model again")
        options = report.get("options") or {}
        if options.get("users") is None or options.get("merge"):  # else it says nothing of everyone
            reports[path.name.removesuffix(".metrics.json")] = report
    if not reports:
        raise InputError(f"{folder} holds no *.metrics.json: run `python -m infer.batch --model MODEL.onnx` first")
    first = next(iter(reports))
    for name, report in reports.items():
        for key in (*SAME, *OPTIONAL):
            if report.get(key) != reports[first].get(key) or (key not in report and key not in OPTIONAL):
                what, how = WORDS.get(key, key), "alike" if key in OPTIONAL else "on the same table"
                raise InputError(f"{name} and {first} differ in {what}: score both {how} again")
    return reports


def _is_report(found: Any) -> bool:
    """Whether it has what is shown of it: numbers by metric, by the name of lists."""
    if not isinstance(found, dict) or not isinstance(found.get("options") or {}, dict):
        return False
    tables = found.get("metrics")
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        return False
    values = [row for table in tables.values() for row in table.values()]
    return all(isinstance(row, dict) and {"value", "low", "high"} <= set(row) for row in values)


def nights_of(publications: Publications, names: str | None) -> str:
    """A table of the figures and metrics of two publications, the earlier first, and what became of users and items.

    names: two numbers, or one and `held`, separated by a comma.  Raises InputError if they are not there.
    """
    publications.check()
    current, held = publications.current(), publications.held()
    if names is not None:
        pair = [publications.get(name.strip()) for name in names.split(",")]
        if len(pair) != 2:
            raise InputError(f"--nights takes two publications, as 11,12 or 12,held; found '{names}'")
    else:
        before = publications.before(current)
        against = None if held is None or held.damage else held.manifest["figures"].get("earlier")
        of_now = current is not None and against == current.name  # else later lists have been published
        pair = [p for p in ([current, held] if of_now else [*before[-1:], current]) if p is not None]
        if len(pair) < 2:
            kept = [each.name for each in publications.all()]
            if len(kept) > 1:  # as after a rollback to the first
                raise InputError(
                    f"{publications.lists}: nothing that is kept was published before what readers find; name "
                    f"two of {', '.join(kept)} with --nights"
                )
            raise InputError(f"{publications.lists} has fewer than two publications to compare: score again")
    earlier, later = pair
    change = compared(later, later.manifest["parts"], later.manifest["figures"]["k"], earlier)
    rows: list[tuple[str, ...]] = [("", earlier.name, later.name)]
    for name in (
        "users",
        "listed",
        "rows",
        "k",
        "left_out",
        "emptied",
        "unknown",
        "coverage",
        "popular",
        "fallback",
        "score_min",
        "score_max",
    ):
        rows.append((name.replace("_", " "), *(_shown(name, p.manifest["figures"].get(name)) for p in pair)))
    tables = [(p.metrics or {}).get("metrics", {}).get(name_of(Path(p.manifest["model"]).stem), {}) for p in pair]
    for name in dict.fromkeys([*tables[0], *tables[1]]):
        rows.append((name, *(_shown(name, table.get(name, {}).get("value")) for table in tables)))
    overlap = _shown("overlap", change["overlap"])
    rules = [shown(p.manifest.get("rules", {})) for p in pair]
    lines = [f"{name:<14}{one:>14}{other:>14}" for name, one, other in rows]
    if set(rules) != {"none"} or other_rules(later.manifest["plan"], earlier.manifest["plan"]):
        lines += [f"rules of {p.name}: {told}" for p, told in zip(pair, rules, strict=True)]
    lines.append(
        f"users: {change['users_again']:,} in both, {change['users_new']:,} new, {change['users_gone']:,} gone; lists "
        f"overlap {overlap}; items in lists: {change['items_new']:,} new, {change['items_gone']:,} gone"
    )
    if later.manifest["beyond"]:
        lines.append(f"{later.name}: {later.manifest['beyond']}")
    return "\n".join(lines)


def _column(lists: str, model: str) -> str:
    """Over lists of a model's report: a baseline's are everyone's, those before re-ranking are its own."""
    if lists == BEFORE:
        return f"{model}, {BEFORE}"
    return lists if is_baseline(lists) else name_of(model)


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    shares = ("left_out", "coverage", "popular", "overlap")
    return f"{100 * value:.1f}%" if name in shares else f"{value:.4g}"


def main(argv: Sequence[str]) -> None:
    """Parse, read, print."""
    config = parse(CompareConfig, argv, __doc__)
    if config.output is not None:
        say(nights_of(publications_at(config.output), config.nights))
        return
    if config.nights is not None:
        raise InputError("--nights are of one output: name it with --output")
    reports = read_reports(config.artifacts)
    columns: dict[str, pl.DataFrame] = {}
    for name, report in reports.items():
        # The baselines stand in every report; a later model's own column joins them.
        for column, metrics in report["metrics"].items():
            rows = [{"metric": metric, **values} for metric, values in metrics.items()]
            columns[_column(column, name)] = pl.DataFrame(
                rows, schema={"metric": pl.String, "value": float, "low": float, "high": float}
            )
    any_report = next(iter(reports.values()))
    say(f"{data_of(any_report)}: {any_report['users_measured']} users, {any_report['protocol']}")
    say(render(columns))


if __name__ == "__main__":
    raise SystemExit(run(main))
