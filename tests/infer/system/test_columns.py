"""Columns on a terminal, counted by hand."""

import io
import sys

import pytest

from infer.system.columns import cut, lines, printable, terminal, width


def test_wide_characters_take_two_places_and_marks_none() -> None:
    assert [width(text) for text in ("abc", "東京", "ｶﾅ", "Ａ", "e\u0301", "", "a\u200bb")] == [3, 4, 2, 2, 1, 0, 2]


def test_columns_are_aligned_by_places() -> None:
    assert lines([("Item", "No"), ("東京", "1"), ("Bär", "12")], "<>") == ["Item  No", "東京   1", "Bär   12"]


@pytest.mark.parametrize(
    ("text", "places", "expected"),
    [("abcdef", 6, "abcdef"), ("abcdef", 5, "abcd…"), ("東京物語", 6, "東京…"), ("ab cdef", 4, "ab…")],
)
def test_what_is_too_long_is_cut(text: str, places: int, expected: str) -> None:
    assert cut(text, places) == expected and width(expected) <= places


def test_the_widest_are_cut_first_numbers_never_and_none_to_nothing() -> None:
    rows = [("a" * 20, "b" * 12, "1" * 9)]
    [line] = lines(rows, "<<>", 38)  # 4 places are gaps, 9 a number: 25 are left for two
    assert line == "a" * 12 + "…  " + "b" * 12 + "  " + "1" * 9
    [line] = lines(rows, "<<>", 10)
    assert line == "a" * 7 + "…  " + "b" * 7 + "…  " + "1" * 9
    assert lines(rows, "<<>") == ["  ".join(rows[0])]


def test_what_steers_a_terminal_is_not_printed_and_what_writes_words_is() -> None:
    names = ("売上\u3000表", "a\u00a0b", "so\u00adft", "\u0646\u200c\u0647", "👩\u200d🚀", "\U0010fffd")
    assert [printable(name) for name in names] == list(names)
    assert printable("a\x1b[2J\nb\x85\u2028\u202e\u2066\ud800\x7f") == "a?[2J?b??????"


def test_only_a_terminal_has_a_width(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert terminal() is None
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert terminal() == 70
