"""Which other ways to the same lists have the memory that they need here, told before they take it.

In: sizes. Out: the names of ways with why they are left out.

    left_out(["torch", "faiss"], batch=256, items=10_000_000, dim=64, window=50)
"""

from collections.abc import Iterable

from infer.system.memory import free_memory

FLOAT = 4  # bytes
# Of what is free, so that others go on.
SHARE = 0.5
EVERY = "torch, all positions"
TRAINING_BATCH = 128  # of RecTools (`bench.peers.work`)


def needed(way: str, batch: int, items: int, dim: int, window: int) -> int:
    """Bytes that a way takes at least, beside the vectors that are there.

    torch: all scores, a copy without the seen, and their order; of `EVERY` those of all places.  implicit: the scores
    of 100 users a thread.  faiss: its own vectors, and which items are seen.  rectools: in training a score of each
    item for each place of a batch, and its gradient.  replay: its vectors and all scores, twice.
    """
    scores, vectors = FLOAT * batch * items, FLOAT * items * dim
    return {
        "implicit": FLOAT * 100 * items,
        "faiss": vectors + batch * items,
        "rectools": 2 * FLOAT * TRAINING_BATCH * window * items,
        "replay": 2 * vectors + 2 * scores,
        EVERY: scores * window,
    }.get(way, 3 * scores)


def left_out(
    ways: Iterable[str], batch: int, items: int, dim: int, window: int, free: int | None = None
) -> dict[str, str]:
    """Why some of the ways are left out, by name.  free: bytes; None: as this machine says, where it does."""
    free = free_memory() if free is None else free
    found = {}
    for way in ways:
        reason = lacking(needed(way, batch, items, dim, window), free)
        if reason is not None:
            found[way] = reason
    return found


def lacking(wanted: int, free: int | None) -> str | None:
    """Why something that takes so many bytes is left out; None if it is not, or nobody knows what is free."""
    if free is None or wanted <= SHARE * free:
        return None
    return f"needs {wanted / 2**30:.1f} GiB at least, of {free / 2**30:.1f} GiB free"
