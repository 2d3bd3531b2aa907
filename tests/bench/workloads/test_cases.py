"""The check of lists finds every way in which they can be wrong."""

import numpy as np
import pytest

from bench.workloads.cases import check_lists, percentiles
from infer.model.signature import DROPPED


def test_wrong_lists_are_found() -> None:
    def check(items: list[int], scores: list[float]) -> None:
        # Item 4 is the best and was seen; 0 is padding.
        expected = np.array([[9.0, 1.0, 3.0, 2.0, 8.0]])
        check_lists(expected, np.array([[4, 0]]), np.array([items]), np.array([scores]), 1e-3)

    check([2, 3], [3.0, 2.0])
    for items, scores, text in (
        ([4, 2], [8.0, 3.0], "seen"), ([2, 1], [3.0, 1.0], "better"), ([2, 2], [3.0, 3.0], "twice"),
        ([2, 3], [3.0, 2.1], "differs"), ([2, 0], [3.0, DROPPED], "seen"),
    ):  # fmt: skip
        with pytest.raises(AssertionError, match=text):
            check(items, scores)
    assert percentiles([float(n) for n in range(101)]) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
