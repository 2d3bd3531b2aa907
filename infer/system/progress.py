"""Progress with the time left, on a terminal only.

for part in progress(parts, desc="measuring", unit=" parts"): ...
"""

from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

_state = {"hidden": False}


def progress(given: Iterable[Any] | None = None, **options: Any) -> tqdm:
    """A bar of tqdm's, shown if standard error is a terminal; options: tqdm's own."""
    return tqdm(given, disable=True if _state["hidden"] else None, **options)


def hide_progress() -> None:
    """Show no more bars in this process: it works beside others that share its terminal."""
    _state["hidden"] = True
