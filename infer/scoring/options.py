"""The options that batch scoring, evaluation and single recommendations have in common.

In: command line options. Out: an open `Job`.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import ClassVar, Literal

from infer.candidates.options import CandidateConfig
from infer.cli import option
from infer.errors import InputError
from infer.model.session import open_model
from infer.scoring.fallback import OF_LATE, FallbackOptions
from infer.scoring.job import Job, checked_sha256, open_job
from infer.scoring.recency import RECENT
from infer.tables.columns import TEST
from infer.tables.config import ItemTableConfig, TableConfig


@dataclass(frozen=True, kw_only=True)
class ScoringConfig(CandidateConfig, TableConfig):
    """What batch scoring and single recommendations have in common."""

    model: Path = option(MISSING, "model file; looked for as given, then in artifacts/")
    interactions: Path | None = option(
        None, "table to score: a file, folder or address (default: the one the model was trained on)", address=True
    )
    split: Literal["validation", "test"] = option(TEST, "which held-out item the metrics are of")
    device: Literal["cpu", "cuda"] = option("cpu", "device to run on; fails if it is unavailable")
    threads: int = option(0, "threads of ONNX Runtime; 0 means one for each core", minimum=0)

    def job(self, measure: bool = True, check: Callable[[Path, str], str] = checked_sha256) -> Job:
        """The open model and table; measure: whether to hold items out if the table does; check: see `open_job`."""
        model = open_model(self.model, self.device, self.threads)
        split = self.split if measure else None
        return open_job(model, self.interactions, self.table_options, split, check, self.candidate_options)


@dataclass(frozen=True, kw_only=True)
class FallbackConfig(ItemTableConfig):
    """What users get whom the model cannot personalise."""

    GROUP: ClassVar[str] = "users whom the model cannot personalise"

    fallback: Literal["none", "popular", "recent-popular", "category-popular"] = option(
        "none", "their lists: none, or what is popular ever, of late, or in their category; marked in a column `source`"
    )
    recent: str = option(RECENT, "of late: so long before the newest event, as 12h, 30d or 2w; of the baseline, too")

    @property
    def has_baselines(self) -> bool:
        """Whether baselines are measured beside the lists."""
        return False

    @property
    def fallback_options(self) -> FallbackOptions:
        """The same as the library takes it; raises InputError for a period that nothing is counted in."""
        if self.recent != RECENT and self.fallback != OF_LATE and not self.has_baselines:
            raise InputError(f"--recent does nothing here: it is for --fallback={OF_LATE}, and for measured baselines")
        return FallbackOptions(self.fallback, self.recent, self.items)
