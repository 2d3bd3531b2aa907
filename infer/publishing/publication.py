"""One publication: complete lists, and what they say of themselves.

In: a folder with lists/, users/, manifest.json and perhaps metrics.json. Out: its manifest, or why that cannot be read.

    Publication(Path("hybrid.topk.publications/000012")).manifest["figures"]
"""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from infer.errors import InputError

LISTS, USERS, MANIFEST, METRICS = "lists", "users", "manifest.json", "metrics.json"
FOLLOWS = "follows"  # of a manifest: the number of what readers found before, null if nothing; not of old versions
NUMBER = re.compile(r"\d{6,}")  # what a publication is called
PART = re.compile(r"part-\d{5,}\.parquet")  # what the file of a part is called: a manifest names none elsewhere
SHARES = ("left_out", "unknown", "popular")  # figures that count a kind of users, interactions and lists


@dataclass(frozen=True)
class Publication:
    """Complete lists: a folder with lists/, users/, manifest.json and perhaps metrics.json."""

    folder: Path

    @property
    def name(self) -> str:
        """Its number, or `held`."""
        return self.folder.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What it says of itself; raises InputError if that cannot be read."""
        path = self.file(MANIFEST)
        found = read_json(path)
        if not _is_manifest(found):
            raise InputError(f"{path} is damaged: score again")
        return dict(found)

    @property
    def damage(self) -> str | None:
        """Why its manifest cannot be read; None if it can."""
        try:
            return None if self.manifest else ""
        except InputError as error:
            return str(error)

    @property
    def metrics(self) -> dict[str, Any] | None:
        """The report of its metrics, None if nothing was measured."""
        found = read_json(self.file(METRICS))
        return found if isinstance(found, dict) else None

    def lists(self, part: dict[str, Any]) -> Path:
        """The file with the lists of a part of the manifest."""
        return self.file(LISTS, str(part["file"]))

    def users(self, part: dict[str, Any]) -> Path:
        """The file with the users of a part of the manifest."""
        return self.file(USERS, str(part["file"]))

    def file(self, *names: str) -> Path:
        """A file of it, ready to be opened if it is there."""
        return self.folder.joinpath(*names)


def read_json(path: Path) -> Any:
    """The content of a JSON file, None if it is not there or not whole."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _is_manifest(found: Any) -> bool:
    """Whether it has what is read of it, and numbers where these are shown and compared."""
    plan = {"model", "users", "options"}
    needed = {"k", "users", "listed", "rows", "interactions", "coverage", *SHARES}
    try:
        figures, options = found["figures"], found["plan"]["options"]
        numbers = {name: figures[name] for name in figures if name not in ("ids", "earlier")}
        rules = (found.get("rules", {}), options.get("rules") or {}, options.get("pairs") or {})
        return (
            isinstance(found["digest"], str)
            and plan <= set(found["plan"])
            and {"k", "split"} <= set(options)
            and all(type(numbers[name]) in (int, float) for name in needed)
            and {"score_min", "score_max"} <= set(numbers)
            and all(type(value) in (int, float, type(None)) for value in numbers.values())
            and isinstance(found.get("model", ""), str)
            and isinstance(found["beyond"], str | None)
            and all(isinstance(rule, dict) for rule in rules)
            and isinstance(found.get(FOLLOWS), str | None)
            and all({"file", "first", "last", "scored"} <= set(part) for part in found["parts"])
            and all(PART.fullmatch(part["file"]) for part in found["parts"])
        )
    except (KeyError, TypeError, AttributeError):
        return False
