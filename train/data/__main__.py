"""Data sets by name or path to one tidy, split table of interactions and one of items.

In: a MovieLens name, or any CSV, TSV, `::`-separated or Parquet file. Out, in artifacts/:
interactions.parquet (user, item, timestamp, rating, split), ordered by (user, timestamp, item), and
items.parquet (item, title, genres, and further columns of --items).

    python -m train.data --dataset=ml-latest-small

Rules: `infer.formats.opening` says what happens to repeated pairs, ties in time and ids; `train.data.splits` what is
held out, by default a user's last interaction as the test item and the one before it as the
validation item; a table of which nothing is held out has no column `split`. The catalogue is every item
of the table as it is written: one that occurs only as a held-out item is a candidate that training never sees,
and so is one that only --items names (`train.data.catalogue`).
"""

from collections.abc import Sequence

from infer.cli import parse, run


def main(argv: Sequence[str]) -> None:
    """Parse, prepare."""
    from train.data.prepare import DataConfig, prepare  # what is not installed is told in a line by `run`

    prepare(parse(DataConfig, argv, __doc__))


if __name__ == "__main__":
    raise SystemExit(run(main))
