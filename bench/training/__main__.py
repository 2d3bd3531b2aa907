"""How fast training is beside its floor; `bench.training.steps` has the command.

In: sizes of a synthetic table, or a folder with a prepared one. Out: targets a second of real steps, and of their
arithmetic alone.

    python -m bench.training
"""

from bench.training.steps import main
from infer.cli import run

if __name__ == "__main__":
    raise SystemExit(run(main))
