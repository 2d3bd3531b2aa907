"""Where names of points stand, so that none lies on another, or is cut, on a page as narrow as a phone.

In: points as shares of the plot's width and height, from the left and from below, and their names. Out: a position
that Plotly knows for each, or None where there is no room.

    places([(0.1, 0.5), (0.9, 0.5)], ["Markov", "hybrid"])  # ["top center", "top center"]
"""

from collections.abc import Sequence

WIDTH, HEIGHT = 345, 250  # pixels between the outermost points on a page of 500
LETTER, LINE = 5.8, 13  # pixels of a name's letter and line
GAP = 5  # pixels between a point's middle and its name
POSITIONS = [
    (f"{row} {side}", across, up)
    for row, up in (("top", 1), ("bottom", -1), ("middle", 0))
    for side, across in (("center", 0), ("left", -1), ("right", 1))
    if (up, across) != (0, 0)
]
Box = tuple[float, float, float, float]  # left, right, bottom, top


def places(points: Sequence[tuple[float, float]], names: Sequence[str]) -> list[str | None]:
    """The first free position of each; the last points, which are the best, choose first."""
    taken: list[Box] = [_box(point, "", 0, 0) for point in points]
    found: list[str | None] = []
    for point, name in reversed(list(zip(points, names, strict=True))):
        for place, side, row in POSITIONS:
            box = _box(point, name, side, row)
            if box[0] >= -LINE and box[1] <= WIDTH + LINE and not any(_meet(box, other) for other in taken):
                taken.append(box)
                found.append(place)
                break
        else:
            found.append(None)
    return found[::-1]


def _box(point: tuple[float, float], name: str, side: int, row: int) -> Box:
    """What a name takes; of an empty one the point itself."""
    x, y = point[0] * WIDTH, point[1] * HEIGHT
    width = len(name) * LETTER if name else 2 * GAP
    height = LINE if name else 2 * GAP
    middle = x + side * (width / 2 + (GAP if row == 0 else 0)), y + row * (height / 2 + GAP)
    return middle[0] - width / 2, middle[0] + width / 2, middle[1] - height / 2, middle[1] + height / 2


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
