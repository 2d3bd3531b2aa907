"""Compare models and measure speed; what pytest times itself is run by `pytest --benchmark-only`.

In: prepared data, or JSON of benchmark runs. Out: what each command says.

    python -m bench study --short
    python -m bench report run.json

`python -m bench.study` is the same as `python -m bench study`, and so on.
"""

from collections.abc import Sequence

from infer.cli import Command, dispatch, run

COMMANDS = {
    "study": Command(
        "models and seeds side by side: tables and one HTML page",
        main="bench.study.__main__:main",
        configs=["bench.study.study:StudyConfig"],
    ),
    "report": Command(
        "one HTML page from the JSON of benchmark runs",
        main="bench.report.__main__:main",
        configs=["bench.report.__main__:ReportConfig"],
    ),
    "curves": Command(
        "one HTML page of how models trained",
        main="bench.curves.__main__:main",
        configs=["bench.curves.__main__:CurvesConfig"],
    ),
    "compare": Command(
        "which benchmarks became slower than in a saved run",
        main="bench.compare:main",
        configs=["bench.compare:CompareConfig"],
    ),
    "scale": Command(
        "score a synthetic table of any size, and compare that with the floor",
        main="bench.scale:main",
        configs=["bench.scale:ScaleConfig"],
    ),
    "latency": Command(
        "how long one user waits, by size of the catalogue and rules",
        main="bench.latency:main",
        configs=["bench.latency:LatencyConfig"],
    ),
    "nearest": Command(
        "ways to find the best of a million items: bytes, seconds, and what is lost",
        main="bench.nearest.__main__:main",
        configs=["bench.nearest.__main__:NearestConfig"],
    ),
    "serving": Command(
        "what the HTTP service costs beside a plain loop",
        main="bench.serving:main",
        configs=["bench.serving:ServingConfig"],
    ),
    "cluster": Command(
        "simulate the queue of --engine=ray on many machines",
        main="bench.cluster:main",
        configs=["bench.cluster:ClusterBenchConfig"],
    ),
    "floor": Command(
        "the least seconds that a model's arithmetic takes on this machine",
        main="bench.floor:main",
        configs=["bench.floor:FloorConfig"],
    ),
    "training": Command(
        "targets a second of training, and what its arithmetic alone would reach",
        main="bench.training.__main__:main",
        configs=["bench.training.steps:TrainingConfig"],
    ),
    "learning": Command(
        "how soon a model recommends well, beside other libraries",
        main="bench.learning:main",
        configs=["bench.learning:LearningConfig"],
    ),
    "costs": Command(
        "what a training costs at the shape of a MovieLens set, by stage",
        main="bench.costs:main",
        configs=["bench.costs:CostsConfig"],
    ),
    "synthetic": Command(
        "write a synthetic table with the shape of a MovieLens set",
        main="bench.synthetic:main",
        configs=["bench.synthetic:SyntheticConfig"],
    ),
    "peers": Command(
        "install other libraries in environments of their own",
        main="bench.peers.__main__:main",
        configs=["bench.peers.__main__:PeersConfig"],
    ),
}


def main(argv: Sequence[str]) -> None:
    """Call the command that argv names."""
    dispatch(COMMANDS, argv, "bench", __doc__)


if __name__ == "__main__":
    raise SystemExit(run(main))
