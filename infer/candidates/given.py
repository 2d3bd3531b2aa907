"""What somebody gave as rules, to read in a manifest: names and checksums of files, SQL, and what counts as seen.

In: `CandidateOptions`. Out: plain JSON values, beside the digests of what follows from them; and in words, which rules
two runs have not in common.

    given(CandidateOptions(only_items=Path("stock.csv")), "drop", None)   # {"only_items": {"file": ..., "sha256": ...}}

A plan holds the digests alone: a file of another name or order with the same rules makes the same lists.
"""

from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from infer.candidates.options import DROP, CandidateOptions
from infer.formats.folders import files_of
from infer.formats.places import located
from infer.system.fingerprints import sha256

TABLES = ("only_items", "exclude_items", "only_pairs", "exclude_pairs", "boost")
# What a plan says of rules, in words.
WORDS = {
    "items": "which items may be recommended",
    "boosts": "--boost",
    "seen": "--seen",
    "only_pairs": "--only-pairs",
    "exclude_pairs": "--exclude-pairs",
    "fallback": "--fallback",
    "variety": "--most-per or --diversity",
}


def fetched(options: CandidateOptions) -> CandidateOptions:
    """The same with a copy of what lies at an address, so that it is fetched once.

    Raises InputError if a file is not there.
    """
    names = TABLES if options.items_where is None else (*TABLES, "items")
    paths = {name: getattr(options, name) for name in names}
    found: dict[str, Any] = {name: located(path) for name, path in paths.items() if isinstance(path, Path)}
    return replace(options, **found)


def given(options: CandidateOptions, seen: str, table: Path | None) -> dict[str, Any]:
    """Each rule as it was given; nothing of rules that were not.

    seen: what becomes of a user's own items.  table: of items, if a condition is asked of one.
    """
    told: dict[str, Any] = {}
    for name in TABLES:
        value = getattr(options, name)
        if value is not None:
            told[name] = file_of(value) if isinstance(value, Path) else _frame(value)
    if options.items_where is not None:
        told["items_where"] = {"sql": options.items_where}
        if table is not None:
            told["items_where"] |= file_of(table)
    if seen != DROP:
        told["seen"] = seen
    if options.seen_within is not None:
        told["seen_within"] = options.seen_within
    return told


def file_of(path: Path) -> dict[str, str]:
    """A file or folder by its name and SHA-256."""
    return {"file": PurePath(str(path)).name, "sha256": sha256(path, files_of(path) if path.is_dir() else None)}


def _frame(value: Any) -> dict[str, int | None]:
    return {"rows": len(value) if hasattr(value, "__len__") else None}


def other_rules(plan: dict[str, Any], earlier: dict[str, Any]) -> list[str]:
    """Which rules two plans have not in common, in words; lists of other rules may differ without anything amiss."""
    mine, theirs = _rules(plan), _rules(earlier)
    return [words for name, words in WORDS.items() if mine.get(name) != theirs.get(name)]


def _rules(plan: dict[str, Any]) -> dict[str, Any]:
    options = plan["options"]
    named = {name: options.get(name) for name in ("fallback", "variety")}
    return named | (options.get("rules") or {}) | (options.get("pairs") or {})


def shown(told: dict[str, Any]) -> str:
    """Rules in one line: `only_items stock.csv, seen keep`; `none` if there are none."""
    words = [f"{name} {_value(value)}" for name, value in told.items()]
    return ", ".join(words) or "none"


def _value(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    return str(value.get("sql") or value.get("file") or "given in Python")
