"""Axes with plain numbers: ticks, limits and whole numbers, by hand."""

import json

import pytest

from bench.html.axes import drawn, limits, log_axis, plain, whole
from bench.html.page import figure


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.2, "0.2"), (0, "0"), (1.0, "1"), (1.14, "1.1"), (20.0, "20"), (116.19, "116"),
     (1000, "1,000"), (0.005, "0.005")],
)  # fmt: skip
def test_numbers_are_plain(value: float, text: str) -> None:
    assert plain(value) == text


def test_ticks_of_a_logarithmic_axis_are_said_in_full() -> None:
    axis = log_axis([0.2, 3.0, 0.0, -1.0])
    assert axis["tickvals"] == pytest.approx([0.2, 0.5, 1, 2]) and axis["ticktext"] == ["0.2", "0.5", "1", "2"]
    assert 10 ** axis["range"][0] < 0.2 and 10 ** axis["range"][1] > 3
    assert log_axis([1, 1e6])["ticktext"] == ["1", "10", "100", "1,000", "10,000", "100,000", "1,000,000"]
    assert len(log_axis([1e-9, 1e9])["tickvals"]) <= 10
    assert log_axis([0.0]) == {"type": "log"}


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([17.0, 45.0], ["20", "30", "40", "50"]),  # at 1, 2 and 5 times the powers of ten: 20 and 50
        ([0.19, 0.7], ["0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8"]),
        ([5.0], ["4.5", "5", "5.5", "6"]),
        ([100.0, 101.0], ["90", "100", "110", "120"]),
        ([0.95], ["0.8", "0.85", "0.9", "0.95", "1", "1.05", "1.1"]),
    ],
)
def test_a_short_logarithmic_axis_has_ticks_enough_to_be_read(values: list[float], ticks: list[str]) -> None:
    assert log_axis(values)["ticktext"] == ticks


def test_drawn_figures_have_ticks_over_their_values_and_intervals() -> None:
    plot = figure()
    plot.update_xaxes(type="log")
    plot.add_scatter(x=[1.0, 4.0], y=[1, 2], error_x={"array": [0.0, 6.0], "arrayminus": [0.8, 0.0]})
    plot.add_scatter(x=[None], y=[None])
    axis = json.loads(drawn(plot))["layout"]["xaxis"]
    assert axis["ticktext"] == ["0.2", "0.5", "1", "2", "5", "10"]
    assert drawn(figure()) is None


def test_outliers_are_far_from_the_middle_half_and_from_one() -> None:
    assert limits([0.8, 1.1, 1.2, 1.3, 2.0, 116.0]) == (0.8, 2.0)
    assert limits([0.01, 1.0, 1.1, 1.2, 1.3]) == (1.0, 1.3)
    assert limits([4.0]) == (4.0, 4.0), "one alone is no outlier"


def test_epochs_have_whole_ticks() -> None:
    assert whole(5) == {"tick0": 1, "dtick": 1, "tickformat": ",d"}
    assert whole(25)["dtick"] == 3
