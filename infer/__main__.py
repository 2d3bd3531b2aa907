"""Recommend with an exported model, and measure it: the commands that need no PyTorch.

In: a model written by `python -m export` and a table of interactions. Out: what each command says.

    python -m infer batch --model=hybrid.onnx

`python -m infer.batch` is the same as `python -m infer batch`, and so on.

Exit statuses: 0 done, 1 the system failed, 2 wrong input, 3 lists are held back, 129 the terminal was closed, 130
interrupted, 141 nobody reads the output, 143 terminated.
"""

from collections.abc import Sequence

from infer.cli import Command, dispatch, run

COMMANDS = {
    "batch": Command(
        "score every user of a table: top-k lists and metrics",
        main="infer.batch:main",
        configs=["infer.batch:BatchConfig"],
    ),
    "evaluate": Command(
        "evaluate one model under every protocol: full ranking, sampled negatives, cohorts",
        main="infer.evaluate:main",
        configs=["infer.evaluate:EvaluateConfig"],
    ),
    "recommend": Command(
        "recommend to one person, with titles, genres and the item that was held out",
        main="infer.recommend:main",
        configs=["infer.recommend:RecommendConfig"],
    ),
    "similar": Command(
        "show the items nearest to one, or write those of every item",
        main="infer.similar:main",
        configs=["infer.similar:SimilarConfig"],
    ),
    "vectors": Command(
        "write the vectors of items or users, or an index of them",
        main="infer.vectors:main",
        configs=["infer.vectors:VectorsConfig"],
    ),
    "serve": Command(
        "answer over HTTP: lists for histories, published lists, similar items",
        main="infer.serve:main",
        configs=["infer.serve:ServeConfig"],
    ),
    "compare": Command(
        "show several scored models side by side, or two nights of one",
        main="infer.compare:main",
        configs=["infer.compare:CompareConfig"],
    ),
    "deliver": Command(
        "bring published lists into files of other formats, or tables of databases",
        main="infer.deliver:main",
        configs=["infer.deliver:DeliverConfig"],
    ),
    "golden": Command(
        "check that a model file gives the lists here that it gave when it was exported",
        main="infer.golden:main",
        configs=["infer.golden:GoldenConfig"],
    ),
    "rollback": Command(
        "go back to earlier lists, in one step",
        main="infer.rollback:main",
        configs=["infer.rollback:RollbackConfig"],
    ),
}


def main(argv: Sequence[str]) -> None:
    """Call the command that argv names."""
    dispatch(COMMANDS, argv, "infer", __doc__)


if __name__ == "__main__":
    raise SystemExit(run(main))
