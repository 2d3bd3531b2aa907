"""Nights in any order: runs, kills, retrained models, changed tables, chosen users, going back.

After each, what readers find is exactly the lists of the last completed run, made anew in plain Python, and nothing of
somebody else's has changed. `-m long` plays many more.
"""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.helpers import faults
from tests.helpers.markov import write_model
from tests.helpers.plain import plain_lists

ITEMS, USERS, MODELS, TABLES = 12, 9, 3, 4
Lists = dict[int, list[tuple[int, float]]]
# A run makes about this many file operations; one that is to die later ends undisturbed.
OPERATIONS, BACK = 200, 20


def tables() -> list[list[tuple[int, int, int]]]:
    """A table, the same a day later, one of half the users, and one of only unknown items."""
    draw = np.random.default_rng(7)
    first = [(user, int(item), int(draw.integers(50))) for user in range(1, USERS + 1)
             for item in draw.choice(ITEMS, 4, replace=False) + 1]  # fmt: skip
    later = [row for row in first if row[0] != 5] + [(3, 1, 60), (20, 7, 60), (2, 9, 61)]
    half = [row for row in first if row[0] <= USERS // 2]
    return [first, later, half, [(user, item + 100, time) for user, item, time in first]]


class Nights(RuleBasedStateMachine):
    """One output, and what its readers must find."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp())
        self.folder = self.base / "shop"
        self.folder.mkdir()
        self.output = self.folder / "m.topk.parquet"
        draw = np.random.default_rng(3)
        self.tables = tables()
        self.scores = [draw.integers(0, 9, (ITEMS + 1, ITEMS + 1)).astype(float) for _ in range(MODELS)]
        for number, rows in enumerate(self.tables):
            frame = pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row")
            frame.write_csv(self.folder / f"t{number}.csv")
        for number, scores in enumerate(self.scores):
            write_model(self.base / f"m{number}.onnx", list(range(1, ITEMS + 1)), scores, self.folder / "t0.csv")
        self.foreign = {"m.topk.csv": b"theirs", "m.topk.publications.bak": b"theirs", "notes.txt": b"theirs"}
        for name, content in self.foreign.items():
            (self.folder / name).write_bytes(content)
        self.inputs = {path.name: path.read_bytes() for path in self.folder.glob("t*.csv")}
        self.found: Lists | None = None  # what readers must find
        self.published: dict[str, Lists] = {}  # by number
        self.decided: Lists | None = None  # of a run that was killed while it published

    def teardown(self) -> None:
        shutil.rmtree(self.base)

    @initialize(model=st.integers(0, MODELS - 1))
    def first_night(self, model: int) -> None:
        self.night(model, 0, 3, "everyone", "accept", 0)

    @rule(
        model=st.integers(0, MODELS - 1),
        table=st.integers(0, TABLES - 1),
        k=st.sampled_from([3, 3, 3, 4]),
        how=st.sampled_from([*["everyone"] * 4, *["only-changed"] * 3, "merge", "chosen", "back"]),
        flag=st.sampled_from(["", "", "accept", "restart", "shard"]),
        kill=st.one_of(st.just(0), st.integers(1, OPERATIONS)),
    )
    def night(self, model: int, table: int, k: int, how: str, flag: str, kill: int) -> None:
        """A run that may be killed; it is refused, held, killed or complete. Or a step back."""
        if how == "back":
            self.go_back(kill % BACK)
            return
        shutil.copyfile(self.base / f"m{model}.onnx", self.folder / "m.onnx")
        words = [f"--model={self.folder / 'm.onnx'}", f"--interactions={self.folder / f't{table}.csv'}", f"--k={k}",
                 "--part-users=2", "--min-overlap=0", "--max-rise=1"]  # fmt: skip
        words += {"merge": ["--users=2,3", "--merge"], "chosen": ["--users=2,3"], "everyone": []}.get(how, [f"--{how}"])
        words += [f"--output={self.output}"] * (how == "chosen")
        words += {"": [], "shard": ["--shard=1/1"]}.get(flag, [f"--{flag}"])
        before = self.decided if self.decided is not None else self.found
        expected = self.expected(before, model, table, k, how)
        done = faults.run("infer.batch", words, self.base / "log", operation=kill or faults.NEVER)
        assert done.status in (0, 2, 3, -9), done.errors
        assert len(done.errors) == (done.status > 0), done.errors
        assert done.status != 3 or flag != "accept"
        if done.status == 0:
            self.now(expected)
        elif done.status == -9:
            self.after_a_kill(before, expected)
        else:
            self.now(before)
        if done.status == 3:
            held = pl.read_parquet(self.output.with_name("m.topk.publications") / "held" / "lists")
            assert as_lists(held) == {user: own for user, own in (expected or {}).items() if own}

    def go_back(self, kill: int) -> None:
        """To the publication before the current one, if there is one."""
        words = [f"--output={self.output}"]
        done = faults.run("infer.rollback", words, self.base / "log", operation=kill or faults.NEVER)
        assert done.status in (0, 2, -9)
        assert done.status != 2 or "has no publication before" in done.errors[0], done.errors
        if self.decided is not None and not self.work("number").exists():
            self.found = self.decided
        self.decided = self.decided if self.work("number").exists() else None
        if done.status == 0 or (done.status == -9 and self.decided is None):
            # Killed, it may have come before or after the one step; it cannot have come between.
            self.found = self.published[self.number()]

    @invariant()
    def readers_find_the_last_completed_run(self) -> None:
        """The lists, and a manifest of the same."""
        if self.found is None:
            assert not self.output.exists()
            return
        assert as_lists(pl.read_parquet(self.output)) == {user: own for user, own in self.found.items() if own}
        manifest = json.loads((self.folder / "m.topk.json").read_text())
        files = sorted(self.output.iterdir())
        assert [part["file"] for part in manifest["parts"]] == [path.name for path in files]
        assert {pl.read_parquet_metadata(path)["plan"] for path in files} == {manifest["digest"]}

    @invariant()
    def nothing_of_others_has_changed(self) -> None:
        """Neither the tables nor what lies beside the lists; and at most so many publications are kept."""
        for name, content in (self.foreign | self.inputs).items():
            assert (self.folder / name).read_bytes() == content
        ours = {"m.onnx", "m.topk.parquet", "m.topk.json", "m.topk.publications"}
        assert {path.name for path in self.folder.iterdir()} <= ours | set(self.foreign) | set(self.inputs)
        store = self.folder / "m.topk.publications"
        assert len([path for path in store.glob("0*") if (path / "manifest.json").exists()]) <= 4

    def expected(self, before: Lists | None, model: int, table: int, k: int, how: str) -> Lists | None:
        """What the run is to publish, if it does; users of whom nothing is known have an empty list."""
        scores = self.scores[model].tolist()
        known = [row for row in self.tables[table] if row[1] <= ITEMS]
        everyone = plain_lists(known, scores, k)
        if how == "chosen":
            return {user: own for user, own in everyone.items() if user in (2, 3)}
        if how == "merge":
            users = {row[0] for row in self.tables[table]}
            kept = {user: own for user, own in (before or {}).items() if user in users and user not in (2, 3)}
            return kept | {user: own for user, own in everyone.items() if user in (2, 3)}
        return everyone

    def after_a_kill(self, before: Lists | None, expected: Lists | None) -> None:
        """Readers find what they found before or the new lists; a decided publication is completed by what follows."""
        self.decided = None
        found = as_lists(pl.read_parquet(self.output)) if self.output.exists() else None
        shown = {user: own for user, own in (expected or {}).items() if own}
        if found == shown and (before is None or shown != {user: own for user, own in before.items() if own}):
            self.now(expected)
        else:
            self.now(before)
            if self.work("number").exists():
                self.decided = self.published[self.work("number").read_text()] = expected or {}

    def now(self, lists: Lists | None) -> None:
        self.found, self.decided = lists, None
        if lists is not None:
            self.published[self.number()] = lists

    def work(self, name: str) -> Path:
        return self.folder / "m.topk.publications" / "work" / name

    def number(self) -> str:
        return (self.folder / "m.topk.publications" / "current").readlink().name


def as_lists(table: pl.DataFrame) -> Lists:
    """user -> (item, score), in order of rank, which counts from 1 without a gap."""
    lists: Lists = {}
    for user, rank, item, score in table.select("user", "rank", "item", "score").iter_rows():
        lists.setdefault(user, []).append((item, score))
        assert rank == len(lists[user])
    return lists


def play(examples: int, steps: int) -> None:
    """So many seeded sequences of so many steps; a failing one is shown as it is, since making it short takes long."""
    phases, checks = [Phase.generate], list(HealthCheck)
    run_state_machine_as_test(
        Nights,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, database=None,
            phases=phases, suppress_health_check=checks, report_multiple_bugs=False, print_blob=False,
        ),
    )  # fmt: skip


def test_after_any_nights_readers_find_the_last_completed_run() -> None:
    play(examples=8, steps=8)


@pytest.mark.long
def test_after_many_more_nights_too() -> None:
    play(examples=150, steps=25)
