"""Ratios as dots: their intervals, the line at 1, and what stands at the edge."""

import json

from bench.html.dots import Dot, dots


def test_dots_stand_around_one_and_outliers_at_the_edge() -> None:
    rows = [
        Dot("32m", "same work", 4.0, 3.0, 5.0, calm=3.5),
        Dot("1m", "same work", 0.8, 0.7, 1.2),
        Dot("32m", "loop", 116.0, 92.0, 121.0),
        Dot("1m", "loop", 8.0, 7.0, 400.0),
    ]
    plot = json.loads(dots(rows, "seconds ÷ ours"))
    same, calm, loop = plot["data"]
    assert same["x"] == [4.0, 0.8] and calm["x"] == [3.5] and loop["x"] == [8.0]
    assert same["error_x"]["array"] == [1.0, 0.3999999999999999] and same["y"][0] < same["y"][1]
    low, high = (10**end for end in plot["layout"]["xaxis"]["range"])
    assert low < 0.7 and 8.0 < high < 20, "nothing stretches the axis"
    assert 8.0 + loop["error_x"]["array"][0] <= high + 1e-9, "an interval ends at the edge"
    assert plot["layout"]["shapes"][0]["x0"] == plot["layout"]["shapes"][0]["x1"] == 1
    texts = [note["text"] for note in plot["layout"]["annotations"]]
    assert texts == ["116 ▶", "32m", "1m"]


def test_a_group_of_outliers_alone_stays_in_the_legend() -> None:
    rows = [Dot(str(n), "ours", 1.0 + n, 1.0, 2.0) for n in range(4)] + [Dot("0", "far", 0.001, 0.001, 0.001)]
    plot = json.loads(dots(rows, "ratio"))
    assert [trace["name"] for trace in plot["data"] if trace.get("showlegend", True)][-1] == "far"
    assert plot["layout"]["annotations"][0]["text"] == "◀ 0.001"
    assert dots([], "ratio") is None
