"""Names of points: beside them, apart from each other, and none where there is no room; worked out by hand."""

from bench.html.labels import places


def test_a_name_stands_above_its_point_or_inwards_at_the_edge() -> None:
    # 17 letters take 99 pixels, of which half would lie outside.
    long = "local EASE + more"
    assert places([(0, 0.5), (0.5, 0.5), (1, 0.5)], [long] * 3) == ["top right", "top center", "top left"]


def test_of_two_points_beside_each_other_the_second_has_the_first_choice() -> None:
    assert places([(0.5, 0.5), (0.52, 0.5)], ["from scratch", "from scratch"]) == ["bottom center", "top center"]


def test_where_there_is_no_room_no_name_stands() -> None:
    assert places([(0.5, 0.5)] * 3, ["from scratch"] * 3) == [None, "bottom center", "top center"]
