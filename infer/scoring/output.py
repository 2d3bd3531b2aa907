"""The folder of lists that a scoring run writes: one Parquet file a part, a manifest beside it.

    hybrid.topk.parquet/part-00000.parquet ...   (user, rank, item, score), in order of users
    hybrid.topk.users.parquet                    (user, history): a digest of each user's history
    hybrid.topk.json                             the manifest: model, data, options, rows of each part
    hybrid.topk.partial/                         an unfinished run of the same, with its plan.json

A run writes into the last, a file at a time, each whole or not at all; when all are there they take
the place of the earlier lists. Stopped at any moment it can be resumed, and until then
the earlier lists stay. A run of another model, table or options does not mix with it: the plan
in every file says which run it belongs to.
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock, Timeout

from infer.errors import InputError, first_line
from infer.system.files import exchange, replacing, write_text
from infer.tables.source import Part

PLAN_KEY, TOTALS_KEY = "plan", "totals"


class Output:
    """Where one run's lists go. plan: everything the lists follow from, as plain JSON values."""

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        self.folder, self.plan = folder, plan
        stem = folder.name.removesuffix(".parquet")
        self.work = folder.with_name(f"{stem}.partial")
        self.users, self.manifest = folder.with_name(f"{stem}.users.parquet"), folder.with_name(f"{stem}.json")
        self.digest = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()

    def begin(self, restart: bool) -> None:
        """Make the work folder, or go on with one of the same plan.

        Raises InputError if it belongs to another plan, unless `restart` empties it, and if the
        output is a folder of something else.
        """
        strange = [p.name for p in self.folder.iterdir() if not _is_part(p)] if self.folder.is_dir() else []
        if strange:
            raise InputError(
                f"--output {self.folder} is a folder that holds {strange[0]}; expected only part-*.parquet"
            )
        self._put_back()
        old_plan = read_json(self.work / "plan.json")
        if self.work.is_dir() and old_plan != self.plan:
            differing = [k for k in self.plan if not isinstance(old_plan, dict) or old_plan.get(k) != self.plan[k]]
            if not restart and old_plan is not None:
                raise InputError(
                    f"{self.work} holds an unfinished run with another {' and '.join(differing) or 'plan'}: finish it "
                    "with the options it was begun with, or give --restart to drop it"
                )
            self.discard()
        elif restart:
            self.discard()
        try:
            for name in ("lists", "users", "sorted"):
                (self.work / name).mkdir(parents=True, exist_ok=True)
            if old_plan == self.plan and not restart:
                self._take_published()
        except OSError as error:
            raise InputError(f"cannot write {self.folder}: {error.strerror}; earlier files are unchanged") from None
        if old_plan != self.plan or restart:
            write_text(self.work / "plan.json", json.dumps(self.plan, indent=2) + "\n")

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold a lock of this run; raises InputError if another process has it. Ends with the process."""
        lock = FileLock(self.work / f"{name}.lock", blocking=False, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout:
            raise InputError(f"another process is working on {name} of {self.work}: wait until it ends") from None
        except OSError as error:
            raise InputError(
                f"cannot lock {name} of {self.work}: {first_line(error)}; earlier files are unchanged, choose a place "
                "whose file system has locks"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def part(self, number: int) -> Path:
        """The file of one part in the work folder."""
        return self.work / "lists" / part_name(number)

    def has(self, number: int) -> bool:
        """Whether the part's lists are complete."""
        return self.part(number).exists()

    def read(self, part: Part) -> pl.DataFrame:
        """A part's lists (user, rank, item, score)."""
        return pl.read_parquet(self.part(part.number), glob=False)

    def write(self, number: int, lists: pl.DataFrame, users: pl.DataFrame, totals: dict[str, int]) -> None:
        """Write a part's users, then its lists, whose presence says that both are there."""
        with replacing(self.work / "users" / part_name(number)) as temporary:
            users.write_parquet(temporary, metadata={PLAN_KEY: self.digest})
        with replacing(self.part(number)) as temporary:
            lists.write_parquet(temporary, metadata={PLAN_KEY: self.digest, TOTALS_KEY: json.dumps(totals)})

    def described(self, number: int) -> dict[str, Any]:
        """What the manifest says of a part: its file, its rows, and what `write` was told of it."""
        rows = pl.scan_parquet(self.part(number), glob=False).select(pl.len()).collect().item()
        return {"file": part_name(number), "rows": rows, **self.totals(number)}

    def publish(self, parts: Sequence[dict[str, Any]], about: dict[str, Any]) -> None:
        """Put the complete lists in the place of the earlier ones.

        parts: what `described` says of each, in order.  about: more for the manifest.

        The lists themselves come last, so a run that is killed before finds its work folder again.
        """
        with replacing(self.users) as temporary:
            files = [self.work / "users" / part["file"] for part in parts]
            pl.scan_parquet(files, glob=False).sink_parquet(temporary, metadata={PLAN_KEY: self.digest})
        content = {"plan": self.plan, "digest": self.digest, **about, "parts": list(parts)}
        write_text(self.manifest, json.dumps(content, indent=2) + "\n")
        for stray in (self.work / "lists").iterdir():
            if not _is_part(stray):  # of a process that was killed while it wrote
                stray.unlink()
        try:
            if not (self.folder.exists() and exchange(self.work / "lists", self.folder)):
                if self.folder.exists():  # two steps, between which a reader finds no lists
                    self.folder.rename(self.work / "earlier")
                (self.work / "lists").rename(self.folder)
        except OSError as error:
            self._put_back()
            raise InputError(f"cannot write {self.folder}: {first_line(error)}; the earlier lists are there") from None
        self.discard()

    def totals(self, number: int) -> dict[str, int]:
        """What `write` was told of a part."""
        numbers: dict[str, int] = json.loads(pl.read_parquet_metadata(self.part(number))[TOTALS_KEY])
        return numbers

    def discard(self) -> None:
        """Remove the work folder; the plan first, without which nobody goes on with what is left of it."""
        with contextlib.suppress(OSError):
            (self.work / "plan.json").unlink(missing_ok=True)
        shutil.rmtree(self.work, ignore_errors=True)

    def _take_published(self) -> None:
        """After a run that was killed just after publication: its lists count as done, what follows is done again."""
        for part in (self.work / "lists").glob("part-*"):
            if self._plan_in(part) != self.digest:
                part.unlink()  # earlier lists, which have changed places with the published ones
        for part in self.folder.glob("part-*") if self.folder.is_dir() else ():
            users = self.work / "users" / part.name
            if users.exists() and not (self.work / "lists" / part.name).exists():
                if self._plan_in(part) == self.digest:
                    with replacing(self.work / "lists" / part.name) as temporary:
                        shutil.copyfile(part, temporary)

    def _plan_in(self, part: Path) -> str | None:
        return pl.read_parquet_metadata(part).get(PLAN_KEY)

    def _put_back(self) -> None:
        """Undo half a publication: the earlier lists return to their place."""
        if (self.work / "earlier").exists() and not self.folder.exists():
            (self.work / "earlier").rename(self.folder)


def part_name(number: int) -> str:
    """File name of a part."""
    return f"part-{number:05}.parquet"


def _is_part(path: Path) -> bool:
    return path.name.startswith("part-") and path.suffix == ".parquet"


def read_json(path: Path) -> Any:
    """The content of a JSON file, None if it is not there or not whole."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
