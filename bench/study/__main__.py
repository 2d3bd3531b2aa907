"""The study: models and seeds side by side, as Parquet tables and one HTML page.

In: prepared data folders (`python -m train.data`). Out: OUTPUT/study.html, OUTPUT/tables/*.parquet, and
the trials they are made of. A study that was stopped can be resumed with the same command. With --record also
RECORD/*.parquet and RECORD/trials/*.parquet, small enough for a repository, from which it can be resumed elsewhere.

    python -m bench.study
    python -m bench.study --short --output=study-short
    python -m bench.study --artifacts=artifacts/small,artifacts/ml-1m --curve --record=bench/results/study
"""

import shlex
from collections.abc import Sequence

from bench.study.caveats import caveats
from bench.study.kept import keep, kept_file, restore
from bench.study.page.page import write_study
from bench.study.record import record_files, write_record
from bench.study.speed import measure_speed
from bench.study.statistics.tables import write_tables
from bench.study.study import StudyConfig, finished_part, plan, prepare, shown_user
from bench.study.workers import make_all
from infer.cli import parse, run, say
from infer.system.locks import alone
from infer.system.ownership import claim


def main(argv: Sequence[str]) -> None:
    """Parse, make what is missing, write tables and page."""
    config = parse(StudyConfig, argv, __doc__)
    found, record = plan(config), config.record
    page, folder = config.output / "study.html", config.output / "tables"
    kept = [] if record is None else sorted({kept_file(trial, record) for trial in found.trials})
    claim([page, *sorted(folder.glob("*.parquet")), *record_files(record), *kept])
    user = shown_user(config, found.sets[0])
    with alone(config.output / "locks" / "study.lock"):
        prepare(config, found)
        if record is not None:
            restore(found.trials, record)
        if config.finished:
            found = finished_part(found)
        make_all(found.trials, config.workers, lambda trial: keep([trial], record) if record is not None else None)
        if record is not None:  # also what was made without one
            keep(found.trials, record)
        found.notes.extend(caveats(found))
        speed = measure_speed(found.trials[0].folder, config.output / "trials" / "speed.json")
        tables = write_tables(found, speed, user, folder)
        write_study(tables, page, shlex.join(["python", "-m", "bench.study", *argv]))
        if record is not None:
            write_record(tables, record)
    say(f"-> {folder}, {page}" + (f", {record}" if record is not None else ""))


if __name__ == "__main__":
    raise SystemExit(run(main))
