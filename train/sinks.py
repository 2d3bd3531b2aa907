"""Training curves in other people's viewers, each through its own library: TensorBoard and MLflow.

In: where to write, and every epoch's record. Out: a folder of TensorBoard's events, or a run of MLflow's with the
options as its parameters.

    python -m train hybrid --tensorboard=runs
    python -m train hybrid --mlflow=http://127.0.0.1:5000

A sink that fails later on is told once and left; training goes on.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infer.errors import InputError, first_line
from infer.system.addresses import is_address, public, secrets
from infer.system.project import PROJECT
from infer.system.telemetry import send_nothing
from train.config import TrainConfig
from train.loop.run import EpochRecord

log = logging.getLogger(__name__)

Sink = Callable[[EpochRecord], None]


def figures(record: EpochRecord) -> dict[str, float]:
    """What an epoch measured, by name: losses, metrics in [0, 1], seconds."""
    return {k: float(v) for k, v in asdict(record).items() if k not in ("epoch", "threads") and v is not None}


@contextmanager
def opened(
    name: str, config: TrainConfig, tensorboard: Path | None = None, mlflow: str | None = None
) -> Iterator[Sink]:
    """What takes every epoch's record.

    tensorboard: folder in which the events are written to NAME/.  mlflow: tracking address, or a folder.
    Raises InputError if a library is missing or cannot begin.
    """
    with ExitStack() as stack:
        sinks = {
            "--tensorboard": None if tensorboard is None else stack.enter_context(_tensorboard(tensorboard / name)),
            "--mlflow": None if mlflow is None else stack.enter_context(_mlflow(mlflow, name, config)),
        }
        addresses = {"--mlflow": mlflow or ""}
        working = {option: sink for option, sink in sinks.items() if sink is not None}

        def add(record: EpochRecord) -> None:
            for option, sink in list(working.items()):
                try:
                    sink(record)
                except Exception as error:  # whatever a server or a disk does to these libraries
                    said = _said(error, addresses.get(option, ""))
                    log.warning("%s takes no more figures (%s): training goes on", option, said)
                    del working[option]

        yield add


@contextmanager
def _tensorboard(folder: Path) -> Iterator[Sink]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(f"--tensorboard needs its library: pip install '{PROJECT}[tensorboard]'") from None
    try:
        writer = SummaryWriter(str(folder))
    except OSError as error:
        raise InputError(f"--tensorboard {folder} cannot be written: {first_line(error)}") from None

    def add(record: EpochRecord) -> None:
        for name, value in figures(record).items():
            writer.add_scalar(name, value, record.epoch)
        writer.flush()

    try:
        yield add
    finally:
        writer.close()


@contextmanager
def _mlflow(address: str, name: str, config: TrainConfig) -> Iterator[Sink]:
    send_nothing()
    try:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param
    except ImportError:
        raise InputError(f"--mlflow needs its library: pip install '{PROJECT}[mlflow]'") from None
    try:
        client = MlflowClient(tracking_uri=address)
        found = client.get_experiment_by_name(PROJECT)
        experiment = client.create_experiment(PROJECT) if found is None else found.experiment_id
        run = client.create_run(experiment, run_name=name).info.run_id
        client.log_batch(run, params=[Param(key, str(value)) for key, value in asdict(config).items()])
    except Exception as error:  # an address may be anything, and so is what is raised
        shown = public(address) if is_address(address) else address
        raise InputError(f"--mlflow {shown} cannot be used: {_said(error, address)}") from None

    def add(record: EpochRecord) -> None:
        now = int(time.time() * 1000)
        client.log_batch(run, [Metric(key, value, now, record.epoch) for key, value in figures(record).items()])

    status = "FAILED"
    try:
        yield add
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        _ended(client, run, status, address)


def _ended(client: Any, run: str, status: str, address: str) -> None:
    try:
        client.set_terminated(run, status)
    except Exception as error:
        log.warning("--mlflow does not learn that the run has ended (%s)", _said(error, address))


def _said(error: Exception, address: str) -> str:
    """What a library says, in a line without the password of an address."""
    said = first_line(error)
    if any(piece in said for piece in secrets(address)):
        return "its library's message is left out, since the password stands in it"
    return said[:160]
