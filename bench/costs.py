"""What a training costs at the shape of a MovieLens set: preparing, reading, factorising, and an epoch's steps.

In: a size. Out: seconds and peak memory by stage, printed and as a JSON file.

    python -m bench costs --size=32m --record=training-32m.json

prepare   `python -m train.data` on a synthetic table of that shape
read      the prepared table, as `python -m train` reads it
ials      the item vectors that the hybrid starts from
chain     the hybrid's chain of transitions
steps     some steps of the hybrid's encoder with the defaults for the table, batches and moving average included; what
          a pass over all windows would take follows from them

Each is timed by the clock, so that the machine should have nothing else to do. The first runs in a process of its own
and the others in another; a peak is the most memory of the process during the stage, with what it already holds.
"""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain, count, islice
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from bench.records.records import about, save, workplace
from bench.synthetic import SIZES, SyntheticConfig, write
from infer.cli import option, parse, run
from infer.errors import InputError
from infer.system.memory import keep_freed_memory, peak_memory, reset_peak_memory
from infer.system.ownership import claim

WARM_UP = 50  # steps that are not counted: the first ones are the first to touch many rows of the tables


@dataclass(frozen=True, kw_only=True)
class CostsConfig:
    """Options of `python -m bench costs`."""

    size: Literal["small", "1m", "20m", "32m"] = option("1m", "which MovieLens set has this shape")
    threads: int = option(0, "threads of PyTorch, BLAS and implicit; 0: as many as training would take", minimum=0)
    steps: int = option(300, "steps that are timed", minimum=1)
    folder: Path | None = option(None, "keep the tables here (default: a temporary folder)")
    record: Path | None = option(None, "JSON file to write")


@dataclass(frozen=True)
class Stage:
    """seconds: by the clock.  peak_bytes: most memory of the process meanwhile."""

    seconds: float
    peak_bytes: int


def staged(call: Callable[[], Any]) -> tuple[Any, Stage]:
    """What a call returns, and what it took."""
    reset_peak_memory()
    began = time.perf_counter()
    found = call()
    return found, Stage(time.perf_counter() - began, peak_memory())


def prepare(table: Path, artifacts: Path) -> dict[str, Any]:
    """The stage `prepare`, by name."""
    from train.data.__main__ import main as prepare_data

    return {"prepare": staged(lambda: prepare_data([f"--dataset={table}", f"--artifacts={artifacts}"]))[1]}


def learn(artifacts: Path, threads: int, steps: int) -> dict[str, Any]:
    """The stages from `read` on, by name; and the encoder's configuration, targets a step and steps of a whole pass.

    threads: as `--threads` of `python -m train`.
    """
    import torch

    from bench.training.steps import take
    from infer.system.progress import progress
    from train.data.dataset import load
    from train.loop.run import Run
    from train.models.chain import chain_factors
    from train.models.hybrid import item_vectors
    from train.models.registry import unsolved
    from train.pools import limited
    from train.presets import configuration
    from train.sizing import sized_for, window_count
    from train.threads import choice

    keep_freed_memory()
    stages: dict[str, Stage] = {}
    data, stages["read"] = staged(lambda: load(artifacts))
    config: Any = sized_for(configuration("hybrid", artifacts=artifacts), data)
    chosen = choice(threads, "hybrid", data, config)
    with limited(chosen.threads, chosen.most):
        _, stages["ials"] = staged(lambda: item_vectors(data, config))
        _, stages["chain"] = staged(lambda: chain_factors(data, config))
        torch.manual_seed(config.seed)
        model: Any = unsolved("hybrid", data, config)
        training = Run(model.train(), model.optimizer())
        generator = torch.Generator().manual_seed(config.seed)
        batches = chain.from_iterable(model.training_batches(data, generator) for _ in count())

        def taken(name: str, number: int) -> int:
            told = progress(islice(batches, number), total=number, desc=name, unit=" steps", leave=False)
            return take(training, config, told)

        taken("warming up", WARM_UP)
        targets, stages["steps"] = staged(lambda: taken("steps", steps))
    whole = math.ceil(window_count(data.histories.lengths, config.stride) / config.batch_size)
    shape = {"users": len(data.user_ids), "items": len(data.item_ids), "interactions": len(data.histories.items)}
    more = {"config": asdict(config) | {"artifacts": None}, "threads": chosen.threads, "threads_why": chosen.why}
    more["solver_threads"] = chosen.most or chosen.threads
    return {**stages, **shape, **more, "targets": targets / steps, "pass": whole}


def _own_lock() -> None:
    """Of a stage that is ended a lock of the system, as tqdm would take one, would be left over."""
    tqdm.set_lock(threading.RLock())


@contextmanager
def _ended_with_us() -> Iterator[None]:
    """What ends the wait for a stage ends the stage, too, which else would be waited for, however long it takes."""
    try:
        yield
    except BaseException:
        for process in active_children():
            process.terminate()
        raise


def measure(config: CostsConfig, folder: Path) -> dict[str, Any]:
    """Everything that the record holds."""
    table, artifacts = folder / f"{config.size}.parquet", folder / f"{config.size}-artifacts"
    if not table.exists():
        write(SyntheticConfig(size=config.size, output=table))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # of the processes below, as `python -m train` has it
    found: dict[str, Any] = {}
    for call, args in ((prepare, (table, artifacts)), (learn, (artifacts, config.threads, config.steps))):
        try:
            with ProcessPoolExecutor(1, get_context("spawn"), initializer=_own_lock) as alone, _ended_with_us():
                found |= alone.submit(call, *args).result()
        except BrokenProcessPool:
            raise InputError(
                f"{call.__name__} was ended from outside, perhaps for want of memory: try a smaller --size"
            ) from None
    stages = {name: asdict(stage) for name, stage in found.items() if isinstance(stage, Stage)}
    step = stages["steps"]["seconds"] / config.steps
    return about("costs of training", "hybrid", "cpu", ran_on="cpu") | {
        "size": config.size,
        "shape": SIZES[config.size],
        **{name: found[name] for name in ("users", "items", "interactions", "config")},
        "training_threads": found["threads"],
        "solver_threads": found["solver_threads"],
        "threads_why": found["threads_why"],
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,  # Windows has none
        "stages": stages,
        "timed_steps": config.steps,
        "step_seconds": step,
        "targets_per_second": found["targets"] / step,
        "steps_of_a_pass": found["pass"],
        "pass_seconds": step * found["pass"],
    }


def main(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    config = parse(CostsConfig, argv, __doc__)
    if config.record is not None:
        claim([config.record])
    with workplace(config.folder) as folder:
        record = measure(config, folder)
    print(
        f"{config.size}: {record['users']:,} users, {record['items']:,} items, {record['interactions']:,} interactions "
        f"to train on, {record['training_threads']} threads"
    )
    for name, stage in record["stages"].items():
        print(f"{name:8}{stage['seconds']:9.1f} s {stage['peak_bytes'] / 2**30:6.2f} GiB")
    print(
        f"a step {1000 * record['step_seconds']:.0f} ms, {record['targets_per_second']:,.0f} targets/s; "
        f"a pass over all windows {record['steps_of_a_pass']:,} steps, {record['pass_seconds'] / 60:.1f} minutes"
    )
    save(record, config.record)


if __name__ == "__main__":
    raise SystemExit(run(main))
