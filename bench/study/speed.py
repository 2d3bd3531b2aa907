"""What an epoch costs with sampled and with full softmax, measured in alternation on one thread.

In: a prepared data folder. Out: (loss, round, steps, seconds, seconds_per_epoch), kept in a JSON file
so that a study that is resumed does not measure again.

    python -m bench.study
"""

import json
import logging
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import polars as pl

from bench.study.trials import LIBRARIES
from infer.system.files import write_text
from infer.system.fingerprints import sha256
from infer.system.ownership import MARK
from infer.system.versions import versions
from infer.tables.columns import INTERACTIONS_FILE

LOSSES = ("sampled", "softmax")
ROUNDS, STEPS, WARM_UP = 6, 25, 5
log = logging.getLogger(__name__)


def measure_speed(folder: Path, kept: Path) -> pl.DataFrame:
    """Seconds of ROUNDS x STEPS training steps of the default transformer with each loss.

    The losses take turns, so that whatever else the machine does meets both alike. seconds_per_epoch:
    of as many steps as an epoch has.
    """
    provenance = {
        "data": sha256(folder / INTERACTIONS_FILE),
        "steps": [ROUNDS, STEPS],
        "versions": versions(*LIBRARIES),
    }
    try:
        content = json.loads(kept.read_bytes())
        if content["provenance"] == provenance:
            return pl.DataFrame(content["rows"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        pass
    log.info("measuring the seconds of an epoch by loss ...")
    rows = _measure(folder)
    write_text(kept, json.dumps(MARK | {"provenance": provenance, "rows": rows}, indent=2) + "\n", owned=True)
    return pl.DataFrame(rows)


def _measure(folder: Path) -> list[dict]:
    import torch

    from train.data.dataset import load
    from train.models.registry import build
    from train.presets import configuration

    torch.set_num_threads(1)
    data, length = load(folder), 0
    steppers: dict[str, tuple[Any, Any, Iterator]] = {}
    for loss in LOSSES:
        model: Any = build("bert", data, configuration("bert", loss=loss, artifacts=folder))[0]
        batches = list(model.train().training_batches(data, torch.Generator().manual_seed(0)))
        length = len(batches)
        steppers[loss] = (model, model.optimizer(), cycle(batches))
        _steps(*steppers[loss], WARM_UP)
    rows = []
    for number in range(ROUNDS):
        for loss in LOSSES if number % 2 == 0 else LOSSES[::-1]:
            began = time.perf_counter()
            _steps(*steppers[loss], STEPS)
            seconds = time.perf_counter() - began
            row = {"loss": loss, "round": number, "steps": STEPS, "seconds": seconds}
            rows.append(row | {"seconds_per_epoch": seconds / STEPS * length})
    return rows


def _steps(model: Any, optimizer: Any, batches: Iterator, number: int) -> None:
    from torch import nn

    for batch in islice(batches, number):
        optimizer.zero_grad(set_to_none=True)
        model.loss(batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), model.config.clip)
        optimizer.step()
