"""Numbers as the pages write them."""

import pytest

from bench.html.texts import duration, interval, metric_title, percent


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (0.0, "0 µs"), (2e-6, "2 µs"), (0.0123, "12.3 ms"), (12.34, "12.3 s"), (1234.5, "1,234 s"),
    ],
)  # fmt: skip
def test_seconds_have_a_fitting_unit(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_intervals_stand_in_brackets_where_they_are_known() -> None:
    assert interval(2.0, 1.5, 2.504) == "2.00 [1.50, 2.50]"
    assert interval(2.0, 1.5) == interval(2.0) == "2.00" and interval(None, 1.0, 2.0) == "–"
    assert percent(0.123, 0.11, 0.136) == "12.30 [11.00, 13.60]" and percent(0.0, None, 1.0) == "0.00"
    assert percent(None) == "–"


def test_metrics_have_their_usual_names() -> None:
    assert [metric_title(name) for name in ("hit@10", "ndcg@5", "mrr")] == ["Hit@10", "NDCG@5", "MRR"]
