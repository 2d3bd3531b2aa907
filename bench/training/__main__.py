"""How fast training is beside its floor (a roofline): targets a second of real steps, and of their arithmetic alone.

In: sizes of a synthetic table, or a folder that `python -m train data` wrote; options of the encoder. Out: one line
each for the rates, the floor and what was measured.

    python -m bench training
    python -m bench training --artifacts=artifacts --block=hstu
    python -m bench training --peers --record=training-peers.json

Steps are those of `train.loop.loop` with a moving average, without making batches. With one thread they are measured by
the time of the processor, so that what else runs counts little; the fastest round counts, as of the rates. Freed memory
is kept, as by the command that trains. With --peers other libraries train in turn with ours (`bench.training.beside`).
"""

import time
from collections.abc import Sequence

import numpy as np

from bench.records.records import save
from bench.training.floor import step_floor, step_rates, step_work, trained_weights
from bench.training.steps import TrainingConfig, fastest, steps_of
from bench.workloads.tail import long_tailed
from bench.workloads.workload import on_threads
from infer.cli import parse, run
from infer.errors import InputError
from infer.system.memory import keep_freed_memory
from train.data.dataset import load


def main(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    keep_freed_memory()
    config = parse(TrainingConfig, argv, __doc__)
    if config.peers and (config.threads != 1 or config.block != "auto"):
        raise InputError("--peers measures every block on one thread: leave out --threads and --block")
    if config.record is not None and not config.peers:
        raise InputError("--record is what --peers writes: give --peers, too")
    data = (
        load(config.artifacts) if config.artifacts else long_tailed(config.items, np.full(config.users, config.length))
    )
    if config.peers:
        from bench.training.beside import compare, lines

        with on_threads(1):
            record = compare(config, data)
        print("\n".join(lines(record)))
        save(record, config.record)
        return
    with on_threads(config.threads):
        steps = steps_of(
            data, config.steps, block=config.block, layers=config.layers, dim=config.dim, max_length=config.window
        )
        work = step_work(steps.config, steps.batches, len(data.item_ids), trained_weights(steps.run.model))
        rates = step_rates(work, config.threads)
        clock = time.process_time if config.threads == 1 else time.perf_counter
        seconds = fastest(steps, config.rounds, clock) / len(steps.batches)
    floor, targets = step_floor(work, rates), steps.targets / len(steps.batches)
    shapes = [" x ".join(map(str, shape)) for shape in (work.encoder_shape, work.head_shape)]
    print(
        f"{steps.config.layers} {steps.config.block}, {steps.config.dim} dimensions, {targets:.0f} targets a step, "
        f"{config.threads} thread{'s' * (config.threads > 1)}"
    )
    print(
        f"encoder {rates.encoder / 1e9:.1f} GMAC/s ({shapes[0]}), head {rates.head / 1e9:.1f} GMAC/s ({shapes[1]}), "
        f"memory {rates.bandwidth / 1e9:.1f} GB/s"
    )
    print(
        f"floor    {targets / floor['floor']:,.0f} targets/s: {1000 * floor['floor']:.2f} ms a step, "
        f"{1000 * floor['products']:.2f} of products and {1000 * floor['memory']:.2f} of the optimizer's memory"
    )
    print(
        f"measured {targets / seconds:,.0f} targets/s: {1000 * seconds:.2f} ms a step, "
        f"{seconds / floor['floor']:.1f} x floor"
    )


if __name__ == "__main__":
    raise SystemExit(run(main))
