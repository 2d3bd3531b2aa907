"""Bars of progress that a test's own process makes."""

from typing import Any

import pytest
from tqdm import tqdm

from infer.system import progress


def bars_told(monkeypatch: pytest.MonkeyPatch) -> "list[tqdm[Any]]":
    """Every bar that is made from now on."""
    made: list[tqdm[Any]] = []

    class Kept(progress._Lines):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            made.append(self)

    monkeypatch.setattr(progress, "_Lines", Kept)
    return made
