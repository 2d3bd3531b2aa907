"""What a training says of itself, in words: what it is, each epoch, and why it ended.

In: a run and its configuration. Out: lines of text, which `train.trainer` logs.

    for text in beginning(run, data, config, "bert"): ...
"""

from collections.abc import Iterator, Mapping
from typing import Any

from train.config import TrainConfig
from train.data.dataset import Data
from train.loop.loop import FOUND, STOPPED, ending
from train.loop.run import EpochRecord, Run
from train.loop.validation import validation_rows
from train.memory import Part
from train.models.base import ScoringModel
from train.sizing import said

# Of a model that has codes from the start.
CODES_FIRST = (
    "items get their codes before anything is trained; a model that is trained without --codes, and then on with "
    "--from and --codes, lost much less where it was measured (docs/training.md)"
)


def beginning(run: Run, data: Data, config: TrainConfig, name: str) -> Iterator[str]:
    """What is trained on what, sizes that follow from the table, and what follows where nothing is held out."""
    weights = sum(p.numel() for p in run.model.parameters())
    yield f"{name} on {data.name}: {weights:,} weights, seed {config.seed}"
    if chosen := said(config, data.histories.lengths):
        yield chosen
    if not len(validation_rows(data, config)):
        yield unmeasured(run.model, config) if run.until is None else refitted(run)
    if getattr(config, "masking", None) == "causal" and data.histories.lengths.max() < 2:
        yield "WARNING: no user has two items to train on, so no step is taken: the weights stay as they are"


def other_rules(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How the rules by which the rows of two tables count differ, as options; empty if they are the same."""
    differing = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    shown = (
        ", ".join(f"--{name.replace('_', '-')}={rules[name]}" if name in rules else f"no --{name.replace('_', '-')}"
                  for name in differing)
        for rules in (before, now)
    )  # fmt: skip
    return ", now ".join(shown) if differing else ""


def killed(name: str, held: list[Part]) -> str:
    """What to say after a training that could not say itself why it ended. held: what this one holds in memory."""
    less = f": if that was it, try {held[0].less}" if held else ""
    return f"an earlier training of {name} was killed from outside, as systems do where memory ends{less}"


def ends_at_best(run: Run, config: TrainConfig) -> bool:
    """Whether the last epoch that was allowed has a higher validation NDCG than each one before, so that training was
    cut short; never of a model without epochs, nor without validation, nor with one epoch alone."""
    measured = [record.validation_ndcg_at_10 or 0.0 for record in run.records]
    if run.model.closed_form or len(measured) < 2 or run.records[-1].epoch < config.epochs:
        return False
    return measured[-1] > max(measured[:-1])


def line(record: EpochRecord) -> str:
    """An epoch."""
    return (
        f"epoch {record.epoch:>3}  train loss {_number(record.train_loss)}  validation loss "
        f"{_number(record.validation_loss)}  hit@10 {_percent(record.validation_hit_at_10)}  "
        f"ndcg@10 {_percent(record.validation_ndcg_at_10)}  {record.seconds:6.2f} s"
    )


def ended(run: Run, config: TrainConfig, by: str | None) -> str:
    """Why training ended, where that is a question."""
    if by in (STOPPED, FOUND):
        return f"ended since {ending(by, run.epochs, config.epochs, config.patience)}"
    if ends_at_best(run, config):
        return "the best epoch is the last that was allowed: more --epochs would help"
    if by is None or not config.patience:
        return ""
    return f"ended since {ending(by, run.epochs, config.epochs, config.patience)}"


def _number(loss: float | None) -> str:
    return f"{'-':>8}" if loss is None else f"{loss:8.4f}"


def _percent(share: float | None) -> str:
    return f"{'-':>6}  " if share is None else f"{share * 100:6.2f} %"


def refitted(run: Run) -> str:
    """How a model is trained for which an earlier training chose, in words."""
    if run.model.closed_form:
        return "nothing is held out for validation: solved with the options of the earlier model"
    epochs = "1 epoch is" if run.until == 1 else f"{run.until} epochs are"
    return f"nothing is held out for validation: {epochs} trained, as the earlier training found"


def unmeasured(model: ScoringModel, config: TrainConfig) -> str:
    """What follows from a table that holds nothing out for validation, in words."""
    said = "nothing is held out for validation, so nothing is measured"
    if model.closed_form:
        return said
    epochs = "the one epoch is" if config.epochs == 1 else f"all {config.epochs} epochs are"
    kept = "the averaged" if config.average else "the last"
    off = f" whatever --patience {config.patience}" if config.patience else ""
    return f"{said}: {epochs} trained{off}, and {kept} weights are kept"
