"""What licence the data have that a model was trained on, where their name tells it.

In: the name of a data set in a file's metadata. Out: a `Licence`, or None.

    known("ml-latest-small").name
"""

import re
from dataclasses import dataclass

PAGE = "https://grouplens.org/datasets/movielens/"
MOVIELENS = re.compile(r"ml-(latest|latest-small|100k|1m|10m|20m|25m|32m)")


@dataclass(frozen=True)
class Licence:
    """name: an identifier for machines.  terms: in words, for people.  link: to the terms; empty if none is known."""

    name: str
    terms: str
    link: str = ""


def known(dataset: str) -> Licence | None:
    """Of MovieLens' releases; nobody else's data are told by their name."""
    if MOVIELENS.fullmatch(dataset) is None:
        return None
    return Licence(
        "movielens",
        "MovieLens data are for research. They may not be used for any commercial or revenue-bearing purpose without "
        "permission of GroupLens, and publications have to cite them (Harper and Konstan 2015, "
        "doi:10.1145/2827872). Some releases may be passed on under the same conditions, others not at all: read those "
        f"of {dataset} before you publish what was trained on it.",
        PAGE,
    )
