"""Recommend with one ONNX file: NumPy, Polars and ONNX Runtime, no PyTorch.

In: a model file written by `python -m export`, and a history or a table of interactions. Out: data frames of Polars.

    import infer
    model = infer.load("hybrid.onnx")
    model.recommend([1, 50, 260], k=5)       # one history, oldest first -> (rank, item, score)
    model.score("ratings.csv", k=10)         # everybody, as the batch scorer -> (user, rank, item, score)
    model.evaluate("interactions.parquet")   # -> (model, metric, value, low, high)

    python -c "import infer; print(infer.load('hybrid.onnx').recommend([1, 50, 260], k=5))"

Whatever cannot be used raises `infer.InputError`, whose message is one line.

This package owns what training and serving share: column names, padding, windows,
metrics and the metadata inside a model file. It imports no sibling package.
"""

from typing import TYPE_CHECKING, Any

from infer.errors import InputError

if TYPE_CHECKING:
    from infer.recommender import Recommender, load

    __version__: str

__all__ = ["InputError", "Recommender", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """What takes time to import, when it is first asked for: the commands need not all of it."""
    if name in ("Recommender", "load"):
        from infer import recommender

        return getattr(recommender, name)
    if name == "__version__":
        from infer.system.project import project_version

        return project_version()
    raise AttributeError(f"module 'infer' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
