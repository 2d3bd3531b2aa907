"""Prepare a data set, and train models on it.

In: a data set, or the table that `data` made of it. Out, in artifacts/: interactions.parquet and items.parquet, then
KIND.pt (checkpoint) and KIND.history.parquet (a row an epoch) of every model.

    python -m train data --dataset=ml-latest-small
    python -m train mf|bert|hybrid|knn|markov|ease|content|best [--field=value ...]
    python -m train bert --preset=hybrid|best|paper|bert4rec|sasrec|gsasrec

`python -m train.data` is the same as `python -m train data`.
"""

from collections.abc import Sequence

from infer.cli import Command, dispatch, run
from train.presets import CONFIGS

KINDS = {
    "mf": "matrix factorization: implicit ALS, or Adam on the ratings",
    "bert": "a transformer over the latest items; --preset=bert4rec or paper for a bidirectional one",
    "hybrid": "the same, starting from factorized item vectors, plus a Markov chain",
    "knn": "cosine of the users who rated both items",
    "markov": "how often an item follows another within a few steps",
    "ease": "a linear autoencoder in closed form, on co-occurrence that fades with distance",
    "content": "cosine of genres, year and title words, for items that few have rated",
    "best": "a weighted sum of the scores of other trained models",
}
COMMANDS = {
    kind: Command(
        line,
        main="train.command:main",
        configs=["train.command:RunConfig", f"train.config:{CONFIGS[kind].__name__}"],
        before=[kind],
    )
    for kind, line in KINDS.items()
} | {
    "data": Command(
        "turn a data set into the table that all models read",
        main="train.data.__main__:main",
        configs=["train.data.prepare:DataConfig"],
    )
}


def main(argv: Sequence[str]) -> None:
    """Call the command that argv names."""
    dispatch(COMMANDS, argv, "train", __doc__)


if __name__ == "__main__":
    raise SystemExit(run(main))
