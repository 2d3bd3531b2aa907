"""Parts that are to be scored, and who scores them: this process, one after the other, unless another engine is given.

In: what all parts have in common, and those that are missing. Out: the parts among those that are done, and what the
manifest says of the engine.

    score_table(job, folder, settings, engine=in_this_process)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from infer.publishing.incremental import Earlier
from infer.publishing.output import Output
from infer.scoring.job import Job
from infer.scoring.parts import How, score_part
from infer.sources.cutting import Part
from infer.sources.source import Source
from infer.system.stages import Stages


@dataclass(frozen=True)
class Work:
    """What all parts have in common.

    share: (i, n), whose lock is held meanwhile.  in_memory: whether the rows of the source are no file's.
    """

    job: Job
    output: Output
    share: tuple[int, int]
    source: Source
    in_memory: bool
    part_users: int
    how: How
    earlier: Earlier | None
    stages: Stages


Engine = Callable[[Work, Sequence[Part], "tqdm[Any]"], dict[str, Any]]


def in_this_process(work: Work, parts: Sequence[Part], bar: "tqdm[Any]") -> dict[str, Any]:
    """Score parts one after the other."""
    for part in parts:
        lists, users, numbers = score_part(work.job, work.source, part, work.how, work.stages, bar, work.earlier)
        work.job.check_unchanged()
        with work.stages("write"):
            work.output.write(part.number, lists, users, numbers)
    return {}
