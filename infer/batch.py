"""Score every user of a table with one ONNX file: top-k lists and metrics.

In: a model written by `python -m export` and interactions (the table the model was trained on, or
--interactions FILE). Out: MODEL.topk.parquet (user, rank, item, score) and MODEL.metrics.json.

    python -m infer.batch --model hybrid.onnx

If the table carries the leave-one-out split, each history ends just before the held-out item and
the metrics are of that item. If it does not, or with --no-metrics, whole histories are used.
Items of the history are never recommended. Users whom the model cannot personalise are left out,
counted, and count as misses in the metrics.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infer.cli import option, parse, run
from infer.errors import InputError
from infer.files import replacing, write_text
from infer.lists import model_lists, reference_lists
from infer.report import measure, render, report
from infer.schema import USER
from infer.task import ScoringConfig, Task, prepare, select_users


@dataclass(frozen=True, kw_only=True)
class BatchConfig(ScoringConfig):
    """Options of `python -m infer.batch`."""

    k: int = option(10, "items in each list", minimum=1)
    batch_size: int = option(256, "users scored at once", minimum=1)
    users: str | None = option(None, "only these: ids separated by commas, or a file with one id a line")
    output: Path | None = option(None, "top-k Parquet file (default: beside the model)")
    metrics: bool = option(True, "measure the held-out items if the table has a split")
    seed: int = option(0, "seed of the random reference lists", minimum=0)


def main(words: Sequence[str]) -> None:
    """Parse, score, measure, write, print."""
    config = parse(BatchConfig, words, __doc__)
    task = prepare(config, config.metrics)
    output = config.output or task.model.path.with_suffix(".topk.parquet")
    if output.suffix != ".parquet":
        raise InputError(f"--output {output}: expected a name that ends in .parquet")
    task = select_users(task, config.users)
    began = time.perf_counter()
    lists = model_lists(task, config.k, config.batch_size)
    seconds = time.perf_counter() - began
    _say_what_was_left_out(task)
    with replacing(output) as part:
        lists.write_parquet(part)
    name = task.model.path.stem
    print(
        f"{name} on {task.model.metadata.dataset}: {lists[USER].n_unique()} users, {lists.height} "
        f"recommendations in {seconds:.2f} s ({len(task.histories) / seconds:.0f} users/s) -> {output}"
    )
    if task.targets is None:
        why = "--no-metrics" if not config.metrics else f"{task.table} carries no split"
        print(f"no metrics ({why}): whole histories used")
        return
    if task.targets.is_empty():
        print("no metrics: none of these users has a held-out item")
        return
    rows = {**reference_lists(task, config.k, config.batch_size, config.seed), name: lists}
    metrics = measure(task, rows, config.k)
    target = output.with_name(output.name.removesuffix(".parquet").removesuffix(".topk") + ".metrics.json")
    write_text(target, json.dumps(report(task, config, config.k, metrics), indent=2) + "\n")
    print(f"held-out {config.split} items of {task.targets.height} users, 95% intervals -> {target}")
    print(render(metrics))


def _say_what_was_left_out(task: Task) -> None:
    if task.omitted:
        print(
            f"left out: {task.omitted} of {len(task.histories)} users whom {task.model.path.name} does not know "
            "(not in its training data, or without a known item in their history)"
        )
    if task.histories.unknown:
        print(f"left out: {task.histories.unknown} interactions with items that {task.model.path.name} does not know")
    if task.checksum != task.model.metadata.dataset_checksum and task.targets is not None:
        print(
            f"note: {task.table} is not the table {task.model.path.name} was trained on "
            f"({task.model.metadata.dataset}); the model may have been trained on what is measured here"
        )


if __name__ == "__main__":
    raise SystemExit(run(main))
