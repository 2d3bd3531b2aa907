"""The study: models and seeds side by side, as Parquet tables and one HTML page.

In: a prepared data folder (`python -m train.data`). Out: OUTPUT/study.html, OUTPUT/tables/*.parquet, and
the trials they are made of. A study that was stopped can be resumed with the same command.

    python -m bench.study
    python -m bench.study --short --output=study-short
"""

from collections.abc import Sequence

from bench.study.page import write_study
from bench.study.speed import measure_speed
from bench.study.study import StudyConfig, make_all, prepare, shown_user, trials
from bench.study.tables import write_tables
from infer.cli import parse, run
from infer.errors import InputError
from infer.system.ownership import claim
from infer.tables.columns import INTERACTIONS_FILE


def main(argv: Sequence[str]) -> None:
    """Parse, make what is missing, write tables and page."""
    config = parse(StudyConfig, argv, __doc__)
    if not (config.artifacts / INTERACTIONS_FILE).is_file():
        raise InputError(f"{config.artifacts / INTERACTIONS_FILE} does not exist: run `python -m train.data` first")
    page, folder = config.output / "study.html", config.output / "tables"
    claim([page, *sorted(folder.glob("*.parquet"))])
    wanted, user = trials(config), shown_user(config)
    prepare(config, wanted)
    make_all(config, wanted)
    speed = measure_speed(wanted[0].folder, config.output / "trials" / "speed.json")
    tables = write_tables(wanted, speed, user, folder)
    write_study(tables, page, " ".join(["python -m bench.study", *argv]))
    print(f"-> {folder}, {page}")


if __name__ == "__main__":
    raise SystemExit(run(main))
