"""Train one model on artifacts/interactions.parquet.

In: the table that `python -m train.data` wrote; for hybrid also artifacts/mf.pt. Out, in
artifacts/: KIND.pt (checkpoint) and KIND.history.parquet (a row an epoch).

    python -m train mf|bert|hybrid|knn|markov|ease|content|best [--field=value ...]
    python -m train bert --preset=paper|bert4rec|sasrec|gsasrec|default
    python -m train hybrid --help

--name=NAME writes NAME.pt and NAME.history.parquet instead. An interrupted run is resumed by the same
command and ends with the same weights.
"""

from pathlib import Path

from infer.cli import choose, parse, run, take
from infer.errors import InputError
from train import checkpoint
from train.presets import CONFIGS, DEFAULT, PRESETS, configuration
from train.trainer import train


def main(words: list[str]) -> None:
    """Parse, train, print."""
    kind, words = choose(words, list(CONFIGS), __doc__)
    preset, words = take(words, "preset", DEFAULT)
    name, words = take(words, "name", kind)
    if preset not in PRESETS:
        raise InputError(f"--preset is one of {', '.join(PRESETS)}; found '{preset}'")
    if Path(name).name != name or name.startswith("."):
        raise InputError(f"--name {name} is not a plain file name")
    config = parse(CONFIGS[kind], words, __doc__, configuration(kind, preset))
    trained = train(kind, config, name)
    kept = f", epoch {trained.best_record.epoch} of {len(trained.records)}" if trained.best is not None else ""
    print(f"-> {checkpoint.finished(config.artifacts, name)}{kept}")


if __name__ == "__main__":
    raise SystemExit(run(main))
