"""Recommend to one person, by one model or several side by side: items, categories and scores, and what was held out.

In: models, a user id and the table of items beside the first. Out: a table on screen (the paper's Table 6).

    python -m infer.recommend --model hybrid.onnx,mf.onnx --user 1
"""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, replace
from pathlib import Path

from infer.cli import option, parse, run, say
from infer.errors import InputError
from infer.model.session import ARTIFACTS
from infer.scoring.beside import Recommended, for_user
from infer.scoring.fallback import NONE
from infer.scoring.job import Job
from infer.scoring.options import FallbackConfig, ScoringConfig
from infer.scoring.shown import screen, titles
from infer.scoring.variety import VarietyConfig
from infer.system.columns import terminal
from infer.tables.columns import ITEM


@dataclass(frozen=True, kw_only=True)
class RecommendConfig(VarietyConfig, FallbackConfig, ScoringConfig):
    """Options of `python -m infer.recommend`."""

    model: Path = option(MISSING, "model file, or several separated by commas; looked for as given, then in artifacts/")
    user: str = option(MISSING, "the user's id")
    k: int = option(5, "items to show", minimum=1)
    history: int = option(5, "items of the history to show, the latest", minimum=0)
    reasons: int = option(0, "items of the history to name with each, that raised its score most", minimum=0)
    whole_history: bool = option(False, "recommend from the whole history, hold nothing out")


def models_of(given: Path) -> list[Path]:
    """The paths in an option; a file whose name has a comma is one path."""
    if any(path.is_file() for path in (given, ARTIFACTS / given)):
        return [given]
    parts = str(given).split(",")
    if not all(parts):
        raise InputError(f"--model: '{given}' names a model without a name between its commas")
    return [Path(part) for part in parts]


def jobs_of(config: RecommendConfig) -> list[Job]:
    """The open models with the table of all; raises InputError if they were trained on different tables and none is
    named."""
    jobs = [replace(config, model=path).job(measure=not config.whole_history) for path in models_of(config.model)]
    other = next((job for job in jobs if job.checksum != jobs[0].checksum), None)
    if other is not None:
        raise InputError(
            f"{other.model.path} was trained on {other.table}, {jobs[0].model.path} on {jobs[0].table}: "
            "name the table that both are to read with --interactions"
        )
    return jobs


def main(argv: Sequence[str]) -> None:
    """Parse, score one user with each model, print."""
    config = parse(RecommendConfig, argv, __doc__)
    asked = config.fallback_options
    found: list[Recommended] = []
    said: list[str] = []
    for job in jobs_of(config):
        fallback = asked if asked.kind != NONE else None
        each, notes = for_user(job, config.user, fallback, config.k, config.reasons, config.variety)
        found.append(each)
        if notes not in said:
            said.append(notes)
    for line in filter(None, said):
        say(line)
    known, missing = titles(found[0].task.model, config.items, found[0].lists.schema[ITEM], config.item_column)
    if missing:
        say(missing)
    for line in screen(found, known, config.user, config.history, terminal()):
        say(line)


if __name__ == "__main__":
    raise SystemExit(run(main))
