"""Which rows of a table count, as a model keeps it: what it was trained with holds for every table read for it.

In: the options that a training table was read with, or what a model file says of them. Out: each other.

    rules_of(TableOptions(repeats="keep"))   # {"repeats": "keep"}
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infer.errors import InputError
from infer.tables.columns import DATASET_KEY, RULES_KEY
from infer.tables.options import TableOptions

LATEST, KEEP = "latest", "keep"
# Whether lists may hold what their user has had: told with the rules, as training is validated by it.
SEEN_KEY, DROP, ONLY = "seen", "drop", "only"
# Which rows count, and what one weighs. How a file is written and what its columns are called is each file's own.
RULES = ("where", "least_rating", "event", "event_weights", "repeats")
# What a rule may say, as a model file keeps it; a stranger's may hold anything.
TEXTS, WORDS = ("where", "event", "event_weights"), {"repeats": (LATEST, KEEP), SEEN_KEY: (DROP, KEEP, ONLY)}


def faulty(rules: Mapping[str, Any]) -> str | None:
    """The name of a rule whose value is none that it can have; None if all can be used."""
    for name, value in rules.items():
        number = type(value) in (int, float) and abs(value) <= sys.float_info.max
        fits = (
            isinstance(value, str) if name in TEXTS
            else value in WORDS[name] if name in WORDS
            else number or name != "least_rating"
        )  # fmt: skip
        if value is not None and not fits:
            return name
    return None


def rules_of(options: TableOptions) -> dict[str, Any]:
    """The rules that were asked for."""
    return {name: value for name in RULES if (value := getattr(options, name)) is not None}


def rules_in(about: Mapping[str, str]) -> dict[str, Any] | None:
    """The rules by which a table of ours was made, from its file's metadata; None if it is none of ours, whose rules
    may be anything.

    Raises InputError if it says to be ours, and they are nothing that `rules_of` gives.
    """
    if RULES_KEY not in about:
        return None
    try:
        found = json.loads(about[RULES_KEY])
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and faulty(found) is None:
        return found
    if DATASET_KEY not in about:
        return None
    raise InputError(
        f"the table of {about[DATASET_KEY]:.80} has damaged metadata (rules): write it again with "
        "`python -m train.data`"
    )


def repeats_of(about: Mapping[str, str]) -> str:
    """Which rows of a pair that comes again a table of ours holds: the latest, or all."""
    return str((rules_in(about) or {}).get("repeats") or LATEST)


def keeps_seen(rules: Mapping[str, Any]) -> bool:
    """Whether a model was trained to recommend also what a user has had: shops whose customers buy again."""
    return bool(rules.get(SEEN_KEY, DROP) == KEEP)


def with_rules(options: TableOptions, rules: Mapping[str, Any], made: Mapping[str, Any] | None) -> TableOptions:
    """The options of a table that is read for a model.

    rules: which the model was trained with; they hold where the options say nothing.  made: those by which the table
    was made, if it is one of ours: they need not hold again.
    """
    stated = {name: getattr(options, name) for name in RULES}
    if made is not None:
        return replace(options, repeats=stated["repeats"] or made.get("repeats"))
    if options.event is not None or options.rating is not None:  # a weight of its own
        rules = {name: value for name, value in rules.items() if name not in ("event", "event_weights")}
    held: dict[str, Any] = {name: rules.get(name) if stated[name] is None else stated[name] for name in RULES}
    return replace(options, **held)


def told(options: TableOptions, given: TableOptions, model: str) -> str:
    """What is said of rules that come from the model; empty if none does."""
    taken = [n for n in RULES if getattr(options, n) is not None and getattr(given, n) is None and n != "event"]
    if not taken:
        return ""
    shown = ", ".join(f"--{name.replace('_', '-')}={getattr(options, name)}" for name in taken)
    return f"read as {model} was trained: {shown}"
