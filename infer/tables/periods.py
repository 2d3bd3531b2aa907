"""Periods of time as they are typed: hours, days and weeks.

In: `12h`, `30d` or `2w`. Out: seconds.

    python -m infer.batch --model hybrid.onnx --recent=30d
"""

import re

from infer.errors import InputError

SECONDS = {"h": 3600, "d": 86_400, "w": 604_800}


def seconds_of(period: str | None, name: str) -> float:
    """`12h`, `7d` or `2w` in seconds; 0 for none. Raises InputError, naming the option, for anything else."""
    if period is None:
        return 0.0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", period)
    if not found:
        raise InputError(f"{name} is a number of hours, days or weeks, as 12h, 7d or 2w; found '{period}'")
    return float(found[1]) * SECONDS[found[2]]
