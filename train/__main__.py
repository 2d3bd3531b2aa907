"""Prepare a data set, and train models on it.

In: a data set, or the table that `data` made of it. Out, in artifacts/: interactions.parquet and items.parquet, then
KIND.pt (checkpoint) and KIND.history.parquet (a row an epoch) of every model.

    python -m train data --dataset=ml-latest-small
    python -m train mf|bert|hybrid|knn|markov|ease|content|best [--field=value ...]
    python -m train bert --preset=paper|bert4rec|sasrec|gsasrec|default
    python -m train tune bert --preset=sasrec --trials=30

`python -m train.data` is the same as `python -m train data`, and `train.tune` as `train tune`.
"""

from collections.abc import Sequence

from infer.cli import Command, dispatch, run
from train.kinds import KINDS
from train.threads import before_loading

COMMANDS = {
    name: Command(
        kind.about,
        main="train.command:main",
        configs=["train.command:RunConfig", f"train.config:{kind.config.__name__}"],
        before=[name],
        values=kind.values,
    )
    for name, kind in KINDS.items()
} | {
    "data": Command(
        "turn a data set into the table that all models read",
        main="train.data.__main__:main",
        configs=["train.data.prepare:DataConfig"],
    ),
    "tune": Command(
        "search for the options of a kind by its validation NDCG@10",
        main="train.tune.__main__:main",
        configs=["train.tune.__main__:TuneConfig"],
    ),
}


def main(argv: Sequence[str]) -> None:
    """Call the command that argv names."""
    before_loading(argv)
    dispatch(COMMANDS, argv, "train", __doc__)


if __name__ == "__main__":
    raise SystemExit(run(main))
