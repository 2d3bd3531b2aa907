"""The page's modules that need no browser, in Node.js, with answers worked out by hand."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from export.web.runtime import PAGE
from tests.helpers.checkerboard import HANGS

CONTRACT = {
    "inputs": [
        {"name": "window", "dtype": "int64"},
        {"name": "levels", "dtype": "int64"},
        {"name": "seen", "dtype": "int64"},
        {"name": "k", "dtype": "int64"},
        {"name": "candidates", "dtype": "int64", "shape_without_rules": [0]},
        {"name": "own_candidates", "dtype": "int64", "shape_without_rules": ["batch", 0]},
        {"name": "boosts", "dtype": "float32", "shape_without_rules": [0, 2]},
    ],
    "window": {"longest": 20},
    "k": {"largest": 11},
    "ids": {"items": 10},
    "retired": [],
    "dropped": {"score": -3e38},
    "attribution": "deletion",
}


def computed(module: str, expression: str, **values: Any) -> Any:
    """What an expression of a module's exports (`m`) and of values gives."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    program = (
        f"import * as m from {json.dumps((PAGE / module).as_uri())}; const v = {json.dumps(values)};"
        f"console.log(JSON.stringify({expression}))"
    )
    command = [node, "--input-type=module", "--no-warnings", "--eval", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_windows_are_whole_steps_with_the_newest_last() -> None:
    found = computed(
        "feeds.js",
        "[[1, 8, 9, 16, 17, 99].map((n) => m.windowLength(v.contract, n)), m.windowOf([4, 5], 4), "
        "m.windowOf([1, 2, 3], 2)]",
        contract=CONTRACT,
    )
    assert found == [[8, 8, 16, 16, 20, 20], [0, 0, 4, 5], [2, 3]]


def test_every_input_of_the_contract_is_fed() -> None:
    given = {"windows": [[0, 3], [1, 2]], "seen": [], "candidates": [4, 5], "k": 99}
    found = computed("feeds.js", "m.feedsOf(v.contract, v.given)", contract=CONTRACT, given=given)
    assert found == {
        "window": {"values": [0, 3, 1, 2], "shape": [2, 2]},
        "levels": {"values": [0, 0, 0, 0], "shape": [2, 2]},
        "seen": {"values": [0, 0], "shape": [2, 1]},
        "k": {"values": [11], "shape": [1]},
        "candidates": {"values": [4, 5], "shape": [2]},
        "own_candidates": {"values": [], "shape": [2, 0]},
        "boosts": {"values": [], "shape": [0, 2]},
    }


@pytest.mark.parametrize(
    ("allowed", "retired", "expected"),
    [
        (None, [], {"candidates": [], "excluded": []}),
        # Of ten items one is less than a fifth, two are not. Place 0 is index 2 of the model, which lacks place 11.
        ([0], [], {"candidates": [2], "excluded": []}),
        ([8, 7], [], {"candidates": [], "excluded": [1, 2, 3, 4, 5, 6, 7, 8]}),
        ([11], [], None),
        ([], [], None),
        (None, [3], {"candidates": [], "excluded": [3]}),
        ([0, 8], [2], {"candidates": [10], "excluded": []}),
        ([0], [2], None),
    ],
)
def test_a_filter_and_retired_items_leave_some_or_nothing(allowed: Any, retired: list[int], expected: Any) -> None:
    model = {"contract": CONTRACT | {"retired": retired}, "index": [2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 0, 0]}
    assert computed("feeds.js", "m.choiceOf(v.model, v.allowed)", model=model, allowed=allowed) == expected


def test_a_list_is_without_what_is_none_and_has_equal_scores_by_index() -> None:
    found = computed("feeds.js", "m.listed(v.contract, [7, 9, 4, 0], [2, 1, 1, -3e38])", contract=CONTRACT)
    assert found == [{"item": 7, "score": 2}, {"item": 4, "score": 1}, {"item": 9, "score": 1}]


def test_an_item_is_taken_out_or_its_place_left_empty() -> None:
    history = list(range(1, 10)) * 2 + [4, 5, 6]  # 21 items, of which the window reads 20
    moved, empty = (
        computed(
            "reasons.js", "m.variants(v.contract, v.history)", contract=CONTRACT | {"attribution": how}, history=history
        )
        for how in ("deletion", "padding")
    )
    assert moved["dropped"] == empty["dropped"] == [2, 3, 4, 5, 6, 7, 8, 9, 1]
    assert moved["windows"][0] == empty["windows"][0] == history[1:]
    # Without 2, which stands twice, the oldest item comes in, and a place is empty.
    assert moved["windows"][1] == [0, *(item for item in history if item != 2)]
    assert empty["windows"][1] == [0 if item == 2 else item for item in history[1:]]
    one = computed("reasons.js", "m.variants(v.contract, [3])", contract=CONTRACT)
    assert one == {"windows": [[0] * 7 + [3], [0] * 8], "dropped": [3]}


def test_a_title_holds_a_text_anywhere_whatever_its_accents_and_capitals() -> None:
    titles = ["千と千尋の神隠し", "ล่าสุดของฉัน", "Matrix", "Amélie", "...", "$9.99"]
    wanted = {"千尋": [0], "ของ": [1], "TRIX ": [2], "lie": [3], "...": [4], ".": [4, 5], "9.9": [5], " ": [], "́": []}
    found = "v.wanted.map((text) => [...m.holding(v.titles.map(m.plain), text)])"
    assert computed("terms.js", found, titles=titles, wanted=list(wanted)) == list(wanted.values())


def test_reasons_are_what_raises_a_score_most_the_newest_of_equal_ones_first() -> None:
    # Without item 1 the score of 8 falls from 10 to 7, without 2 to 9, without 3 to 9, without 4 it rises, without 5 it
    # falls by a rounding error.
    scores = "[10, 7, 9, 9, 11, 9.99995].map((s) => new Map([[8, s]]))"
    for most, expected in ((2, [[1, 3]]), (9, [[1, 3, 2]])):
        assert computed("reasons.js", f"m.reasonsOf([1, 2, 3, 4, 5], {scores}, [8], {most})") == expected
