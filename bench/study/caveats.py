"""What the finished trials of a study leave open, to be said on its page: of which items, and on which machines.

In: the plan of a study whose trials are finished. Out: notes beside those on what is left out.

    python -m bench.study --finished --record=bench/results/study/ml-latest-small
"""

from collections import Counter

import polars as pl

from bench.study.datasets import DataSet
from bench.study.study import Plan
from bench.study.trials import Trial, read_marker
from infer.tables.columns import INTERACTIONS_FILE, ITEMS_FILE
from train.data.catalogue import CATALOGUE_KEY


def caveats(plan: Plan) -> list[tuple[str, str]]:
    """(data set, note) of each data set whose trials do not say all, or were made on several machines."""
    return [(data.name, note) for data in plan.sets for note in _of_set(data, plan.trials)]


def _of_set(data: DataSet, trials: list[Trial]) -> list[str]:
    own = [(trial, read_marker(trial.marker)) for trial in trials if trial.data == data.name]
    notes = []
    unsaid = sum(
        trial.config().reads_items and "items" not in marker["provenance"] and not _stated(trial)
        for trial, marker in own
    )
    if unsaid:
        notes.append(f"{unsaid} trials of an earlier version do not say of which {ITEMS_FILE} they are")
    machines = Counter(marker.get("machine", "a machine that is not named") for _, marker in own)
    if len(machines) > 1:
        told = "; ".join(f"{number} trials on {name}" for name, number in machines.most_common())
        notes.append(f"seconds are of several machines, and are no comparison between them: {told}")
    resumed = sum(marker.get("seconds", 0.0) is None for _, marker in own)
    if resumed:
        notes.append(f"{resumed} trials were interrupted and resumed, so that their seconds are not known")
    return notes


def _stated(trial: Trial) -> bool:
    """Whether the table of interactions itself says of which table of items it is."""
    return CATALOGUE_KEY in pl.read_parquet_metadata(trial.folder / INTERACTIONS_FILE)
