"""Evaluate one model under every protocol, in one run: full ranking, sampled negatives, cohorts.

In: a model written by `python -m export` and a table with held-out items. Out, beside the model:
MODEL.evaluation.json, MODEL.ranks.parquet (user, item, rank, rank_uniform, rank_popularity,
target_count, history_length[, repeat]) and MODEL.negatives.parquet (protocol, user, item).

    python -m infer.evaluate --model hybrid.onnx
    python -m infer.evaluate --model bert.onnx --negatives-file artifacts/hybrid.negatives.parquet

A user whom the model cannot personalise has no rank and counts as a miss; likewise one without a history, and one
whose held-out item the model does not know, is dropped as seen, or excluded by a rule. repeat, where repeats are kept:
whether the user had the item before.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infer.cli import option, parse, run, say
from infer.scoring.evaluation import evaluate_model
from infer.scoring.options import ScoringConfig
from infer.scoring.report import data_of
from infer.scoring.task import prepare


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(ScoringConfig):
    """Options of `python -m infer.evaluate`."""

    negatives: int | None = option(
        None,
        "sampled negatives of each user; 0: full ranking alone (default: 100 if so many can be drawn, else 0)",
        minimum=0,
    )
    negatives_file: Path | None = option(None, "use the negatives another model was evaluated with")
    seed: int = option(0, "seed of the negatives", minimum=0)


def main(argv: Sequence[str]) -> None:
    """Parse, evaluate, print: when all files are there, so that an output that cannot be written costs none."""
    config = parse(EvaluateConfig, argv, __doc__)
    task = prepare(config.job())
    target, report = evaluate_model(task, config.negatives, config.negatives_file, config.seed, asdict(config))
    for line in task.notes.lines:
        say(f"{task.table}: {line}")
    say(
        f"{report['model']} on {data_of(report)}: {report['users_measured']} held-out {config.split} items, "
        f"{report['protocol']} -> {target}"
    )
    if report["excluded_targets"]:
        say(f"{report['excluded_targets']} of them may not be recommended under the rules: they are misses")
    say(_render(report))


def _render(report: dict[str, Any]) -> str:
    """A line a metric and a column a protocol, then a line a cohort; percentages."""

    def cell(row: dict[str, Any]) -> str:
        return f"{row['value'] * 100:6.2f} [{row['low'] * 100:.2f}, {row['high'] * 100:.2f}]"

    names = {"full": "every item allowed" if report["rules"] else "every unseen item"}
    names |= {p: f"{n} {p} negatives" for p, n in report["negatives"].items()}
    lines = ["".join([f"{'':12}", *(f"{name:>27}" for name in names.values())])]
    for metric in report["protocols"]["full"]:
        cells = (f"{cell(report['protocols'][name][metric]):>27}" for name in names)
        lines.append("".join([f"{metric + ' %':12}", *cells]))
    for row in report["cohorts"]:
        label = f"{row['by'].replace('_', ' ')} {row['cohort']}"
        lines.append(f"{label:24}{row['users']:>6} users  {row['metric']:>7} % {cell(row):>24}")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(run(main))
