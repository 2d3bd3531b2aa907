import numpy as np, polars as pl
from dataclasses import dataclass
from infer.scoring.task import cut


@dataclass
class Popularity:
    counts: np.ndarray
    users: int

    def save(self, path):
        pl.DataFrame({"c": self.counts}).write_parquet(path, metadata={"users": str(self.users)})

    @classmethod
    def load(cls, path):
        return cls(pl.read_parquet(path)["c"].to_numpy(), int(pl.read_parquet_metadata(path)["users"]))


def popularity_of(job, source):
    counts, users = np.zeros(job.items.height, dtype=np.int64), 0
    for part in source.parts:
        task = cut(job, source.read(part), in_order=True)
        counts += task.counts
        users += len(task.histories)
    return Popularity(counts, users)
