"""Ratios of rounds that took turns, by hand."""

from bench.ratios import calm_ratio, paired_ratio


def test_warm_up_rounds_are_left_out_and_the_rest_is_compared_round_by_round() -> None:
    # 2, 4, 6 and 8 times as long: 5 in the middle, where the medians alone, 8 and 2, would say 4.
    assert paired_ratio([99.0, 8.0, 8.0, 12.0, 8.0], [4.0, 2.0, 2.0, 1.0]) == {"ratio": 5.0, "low": 3.5, "high": 6.5}
    assert paired_ratio([3.0], [2.0]) == {"ratio": 1.5, "low": 1.5, "high": 1.5}


def test_the_calm_ratio_is_of_the_fastest_quarters_without_warm_up() -> None:
    # The warm-up's 1.0 does not count; a quarter of three rounds is one: 6 and 2.
    assert calm_ratio([1.0, 9.0, 6.0, 8.0], [2.0, 5.0, 4.0]) == 3.0
    # Two of eight: 4 + 8 beside 1 + 2.
    assert calm_ratio([10.0] * 6 + [8.0, 4.0], [1.0, *[5.0] * 6, 2.0]) == 4.0
