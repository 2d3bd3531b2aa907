"""What each trial took: seconds, memory and weights, those of the models that it starts from counted.

In: finished trials. Out: the table costs of `bench.study.statistics.tables`.

    python -m bench.study --anchors
"""

import polars as pl

from bench.study.trials import Trial, read_marker

SCHEMA = {
    "experiment": pl.String, "title": pl.String, "seed": pl.Int64, "seconds": pl.Float64, "peak_mib": pl.Float64,
    "parameters": pl.Int64,
}  # fmt: skip


def costs(trials: list[Trial]) -> pl.DataFrame:
    """A row a trial.

    seconds: of training, exporting and evaluating it and what it starts from, one thread each; null where one of them
    was interrupted and resumed.  peak_mib: the largest
    resident memory of a process that made one of them; null of trials made before it was kept.  parameters: numbers in
    the checkpoint, of a blend with its members'.
    """
    rows = []
    for trial in trials:
        own = read_marker(trial.marker)
        parents = [read_marker(path.with_suffix(".trial.json")) for path in trial.parents().values()]
        taken = [own["seconds"], *(found.get("seconds", 0.0) for found in parents)]
        seconds = None if None in taken else sum(taken)
        peaks = [found["peak_bytes"] for found in (own, *parents) if "peak_bytes" in found]
        peak = max(peaks) / 2**20 if peaks else None
        names = (trial.experiment.name, trial.experiment.title, trial.seed)
        rows.append((*names, seconds, peak, own.get("parameters")))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")
