"""The users' vectors of a table, a part at a time, as the graph makes them of their histories.

In: a `Job` and its `Source`. Out: ids and vectors of the users whom the model can personalise.

    python -m infer.vectors --model hybrid.onnx --of users --output users.parquet
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from infer.model.vectors import UserSide, user_side
from infer.scoring.job import Job
from infer.scoring.lists import batches
from infer.scoring.task import Task, cut
from infer.sources.source import Source
from infer.system.progress import progress
from infer.tables.columns import USER


def vectors_by_part(job: Job, source: Source, batch_size: int) -> Iterator[tuple[pl.Series, np.ndarray]]:
    """(users,) ids as the table has them and (users, dim) float32 of each part.

    Raises InputError if the model has no vectors.
    """
    side = user_side(job.model)
    with progress(total=source.users, unit=" users", desc=job.model.path.name) as bar:
        for part in source.parts:
            task = cut(job, source.read(part), in_order=True)
            users, vectors = vectors_of(task, side, batch_size)
            yield job.types.to_own(users.to_frame(USER))[USER], vectors
            bar.update(part.users)


def vectors_of(task: Task, side: UserSide, batch_size: int) -> tuple[pl.Series, np.ndarray]:
    """The users of a task whom the model can personalise, and their vectors (users, dim) float32."""
    asked = np.flatnonzero(task.personalisable)
    vectors = np.zeros((len(asked), sum(task.model.metadata.vectors.values())), dtype=np.float32)
    for batch in batches(task.model, task.histories.lengths[asked], batch_size):
        rows = asked[batch]
        vectors[batch] = side.vectors(task.histories.take(rows), task.user_index[rows])
    return task.histories.users.gather(asked).alias(USER), vectors
