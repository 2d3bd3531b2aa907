"""Lists in parts: the same bytes however a run is cut, stopped, shared or continued."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bench.synthetic import SyntheticConfig, generate
from infer import batch
from infer.errors import HeldError, InputError
from infer.publishing.output import Output, digest_of
from infer.scoring import run
from infer.scoring.parts import score_part
from infer.scoring.plan import plan_of
from infer.sources.users import chosen_ids
from infer.tables.columns import TIDY_KEY
from tests.helpers.checkerboard import ROOT
from tests.helpers.markov import write_model
from tests.helpers.nights import ITEMS, USERS, lists, parts, score, store, tree, work, write_night


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of 40 items, m.onnx, and the interactions of 30 users that it was trained on."""
    return write_night(tmp_path)


def test_parts_hold_users_in_order_and_the_manifest_says_which(folder: Path) -> None:
    score(folder)
    assert list(parts(folder)) == [f"part-{n:05}.parquet" for n in range(8)]
    found = lists(folder)
    assert found["user"].is_sorted() and found["user"].n_unique() == USERS and found.height == USERS * 10
    manifest = json.loads((folder / "m.topk.json").read_text())
    assert [part["rows"] for part in manifest["parts"]] == [40] * 7 + [20] and manifest["rows"] == 300
    assert manifest["plan"]["options"]["k"] == 10 and len(manifest["plan"]["model"]) == 64
    users = pl.read_parquet(store(folder) / "000001" / "users")
    assert users["user"].to_list() == list(range(1, USERS + 1)) and users["history"].n_unique() == USERS
    assert not work(folder).exists()


@pytest.mark.parametrize("words", [["--part-users=1"], ["--part-users=1000"], ["--batch-size=1"], ["--batch-size=7"]])
def test_lists_do_not_depend_on_how_the_users_are_cut(folder: Path, words: list[str]) -> None:
    score(folder)
    batch.main([f"--model={folder / 'm.onnx'}", *words, f"--output={folder / 'other.topk.parquet'}"])
    assert lists(folder, "other").equals(lists(folder))


# Where a process dies, as (what it calls, at which call): writing users and lists, deciding, and each step of letting
# readers find the new lists instead of the earlier ones; and how many parts are complete by then.
POINTS = [
    ("infer.publishing.output.Output.write", 1, 0),
    ("infer.publishing.output.Output.write", 4, 3),
    ("infer.publishing.output.Output.write", 8, 7),
    ("infer.publishing.output.Output.describe", 1, 8),
    ("infer.publishing.output.Output.describe", 2, 8),
    ("infer.publishing.output.Output.publish", 1, 8),
    ("infer.publishing.output.recover", 2, 8),
    ("infer.publishing.publications.Publications.switch", 1, 8),
    ("infer.publishing.publications.point", 1, 8),
    ("infer.publishing.publications.Publications.prune", 1, 8),
    ("infer.publishing.recovery.discard", 1, 8),
]
DECIDED = {"recover", "switch", "point", "prune", "discard"}  # after which the same command has nothing left to do
VISIBLE = {"prune", "discard"}  # after which readers find the new lists
KILL = """
import importlib, os, signal, sys
from infer import batch
target, at = sys.argv[1], int(sys.argv[2])
owner, name = target.rsplit(".", 1)
try:
    place = importlib.import_module(owner)
except ModuleNotFoundError:
    module, cls = owner.rsplit(".", 1)
    place = getattr(importlib.import_module(module), cls)
real, calls = getattr(place, name), [0]
def dying(*args, **kwargs):
    calls[0] += 1
    if calls[0] == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
setattr(place, name, dying)
batch.main(sys.argv[3:])
"""


@pytest.mark.parametrize(("target", "at", "complete"), POINTS, ids=lambda value: str(value).rsplit(".", 1)[-1])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    folder: Path, target: str, at: int, complete: int, capsys, monkeypatch
) -> None:
    score(folder)
    expected, earlier = parts(folder), lists(folder)
    changed = generate(SyntheticConfig(users=USERS, items=40, interactions=300, seed=1)).drop("rating")
    table = folder / "tonight.parquet"
    changed.write_parquet(table, metadata={TIDY_KEY: "1"})
    words = [f"--model={folder / 'm.onnx'}", "--part-users=4", f"--interactions={table}"]
    killed = subprocess.run([sys.executable, "-c", KILL, target, str(at), *words], cwd=ROOT, capture_output=True)
    assert killed.returncode == -9, killed.stderr
    name = target.rsplit(".", 1)[-1]
    # A reader finds the earlier lists or the new ones, but never a mixture, and the manifest of the same.
    assert lists(folder).equals(earlier) != (name in VISIBLE)
    digest = json.loads((folder / "m.topk.json").read_text())["digest"]
    assert {pl.read_parquet_metadata(path)["plan"] for path in (folder / "m.topk.parquet").iterdir()} == {digest}
    capsys.readouterr()
    scored = []
    monkeypatch.setattr("infer.scoring.work.score_part", lambda *a: scored.append(a[2].number) or score_part(*a))
    score(folder, f"--interactions={table}")
    printed = capsys.readouterr().out
    assert ("nothing to do" in printed) == (name in DECIDED)
    assert scored == list(range(complete, 8)), "and no part a second time"
    found = parts(folder)
    assert found != expected and not work(folder).exists()
    batch.main([*words, f"--output={folder / 'once.topk.parquet'}"])
    assert found == parts(folder, "once")


def test_a_full_disk_in_the_middle_loses_nothing(folder: Path, monkeypatch) -> None:
    score(folder)
    expected = parts(folder)
    real, calls = pl.DataFrame.write_parquet, []

    def full(*args, **kwargs) -> None:
        calls.append(1)
        if len(calls) == 7:
            raise OSError(28, "No space left on device")
        real(*args, **kwargs)

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(InputError, match=r"cannot write .*part-00002\.parquet: No space left on device"):
        score(folder)
    assert parts(folder) == expected
    monkeypatch.undo()
    score(folder)
    assert parts(folder) == expected


def unfinished(folder: Path, monkeypatch) -> None:
    """Leave a run of which two parts are there."""
    real = Output.write

    def stop(self, number: int, *rest) -> None:
        if number == 2:
            raise KeyboardInterrupt
        real(self, number, *rest)

    monkeypatch.setattr(Output, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        score(folder)
    monkeypatch.undo()


@pytest.mark.parametrize("what", ["model", "data", "options"])
def test_an_unfinished_run_of_something_else_is_refused_and_kept(folder: Path, what: str, monkeypatch) -> None:
    unfinished(folder, monkeypatch)
    words = []
    if what == "model":
        write_model(folder / "m.onnx", ITEMS, np.eye(41), folder / "interactions.parquet")
    elif what == "data":
        pl.read_parquet(folder / "interactions.parquet").head(100).write_parquet(folder / "other.parquet")
        words = [f"--interactions={folder / 'other.parquet'}"]
    else:
        words = ["--k=3"]
    kept = sorted((work(folder) / "publication" / "lists").iterdir())
    with pytest.raises(
        InputError, match=f"holds an unfinished run that differs in {what}: finish it .* or give --restart"
    ):
        score(folder, *words)
    assert len(kept) == 2 and sorted((work(folder) / "publication" / "lists").iterdir()) == kept
    score(folder, *words, "--restart")
    assert not work(folder).exists() and lists(folder).height > 0


def test_every_option_that_lists_follow_from_is_of_the_plan_and_no_other(folder: Path) -> None:
    def plan(**options) -> dict:
        config = batch.BatchConfig(model=folder / "m.onnx", **options)
        ids = None if config.users is None else chosen_ids(config.users)
        return plan_of(config.job(config.metrics and not config.production), config.settings, ids, None)

    table = pl.read_parquet(folder / "interactions.parquet").with_columns(
        again=pl.col("item"), split=pl.when(pl.int_range(pl.len()).over("user") == 0).then(pl.lit("test")).otherwise(
            pl.when(pl.int_range(pl.len()).over("user") == 1).then(pl.lit("validation")).otherwise(pl.lit("train"))
        )
    )  # fmt: skip
    table.write_parquet(folder / "split.parquet")
    write_model(folder / "m.onnx", ITEMS, np.eye(41), folder / "split.parquet")
    base = {"interactions": folder / "split.parquet"}
    differing = ({}, {"k": 3}, {"users": "1,2"}, {"part_users": 5}, {"split": "validation"}, {"metrics": False},
                 {"seed": 5}, {"item_column": "again"}, {"drop_bad_rows": True}, {"only_changed": True},
                 {"interactions": folder / "interactions.parquet"})  # fmt: skip
    plans = [json.dumps(plan(**base | options), sort_keys=True) for options in differing]
    assert len(set(plans)) == len(plans)
    for options in (
        {"batch_size": 3},
        {"threads": 1},
        {"shard": "1/2"},
        {"restart": True},
        {"keep": 9},
        {"accept": True},
    ):
        assert json.dumps(plan(**base | options), sort_keys=True) == plans[0]
    assert plan(**base, metrics=False) == plan(**base, production=True) == plan(**base, metrics=False, seed=5)


def test_the_plan_knows_chosen_users_by_their_ids_in_any_order(folder: Path) -> None:
    def users(words: str) -> str:
        config = batch.BatchConfig(model=folder / "m.onnx", users=words)
        return plan_of(config.job(), config.settings, chosen_ids(words), None)["users"]

    (folder / "a.txt").write_text("1\n2\n")
    (folder / "b.txt").write_text("2\n1\n")
    assert users(str(folder / "a.txt")) == users(str(folder / "b.txt")) == users("1,2")
    (folder / "a.txt").write_text("1\n3\n")
    assert users(str(folder / "a.txt")) != users("1,2")


def test_a_plan_is_the_same_in_any_order_of_its_keys() -> None:
    one, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    assert digest_of(one) == digest_of(other)


def test_a_share_counts_what_is_left_of_it_and_of_all(folder: Path, capsys) -> None:
    score(folder, "--shard=1/3")
    # Parts 0, 3 and 6 of eight.
    assert "3 of 8 parts are there: the lists appear when the other shares are done" in capsys.readouterr().out
    there = work(folder) / "publication" / "lists"
    assert sorted(path.name for path in there.iterdir()) == [f"part-{n:05}.parquet" for n in (0, 3, 6)]
    score(folder, "--shard=1/3")
    assert "going on: 12 users were scored before" in capsys.readouterr().out


def test_users_a_second_are_those_whom_the_run_itself_scored(folder: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("infer.system.stages.Stages.elapsed", 2.0)
    for share in (1, 2, 3):
        score(folder, f"--shard={share}/3")
    assert "\n4 users/s; open " in capsys.readouterr().out, "parts 2 and 5 of 4 users each"
    with pytest.raises(HeldError):
        score(folder, "--k=2", "--min-overlap=2")
    score(folder, "--k=2", "--min-overlap=2", "--accept")
    said = capsys.readouterr().out
    assert "accepted although" in said and "users/s" not in said


def test_a_share_that_fails_leaves_the_others_work(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("infer.scoring.run._score_parts", lambda *_: 1 / 0)
    with output_of(folder).share((0, 3), restart=False), pytest.raises(ZeroDivisionError):
        score(folder, "--shard=2/3")
    assert (work(folder) / "plan.json").exists(), "another share has begun and written nothing yet"
    monkeypatch.undo()
    score(folder, "--shard=1/3")
    monkeypatch.setattr("infer.scoring.run._score_parts", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        score(folder, "--shard=2/3")
    assert len(list((work(folder) / "publication" / "lists").iterdir())) == 3


def output_of(folder: Path, **options) -> Output:
    """The output of `score` with these options."""
    config = batch.BatchConfig(model=folder / "m.onnx", part_users=4, **options)
    current = config.publications.current()
    return Output(config.publications, plan_of(config.job(), config.settings, None, current))


def test_shares_that_end_together_agree_on_who_publishes(folder: Path, capsys, monkeypatch) -> None:
    score(folder, "--shard=1/2")
    real = run._score_parts

    def then_the_other_ends(job, output, *rest) -> int:
        monkeypatch.undo()
        done = real(job, output, *rest)
        score(folder, "--shard=1/2")  # finds all parts there, and publishes
        return done

    monkeypatch.setattr(run, "_score_parts", then_the_other_ends)
    capsys.readouterr()
    score(folder, "--shard=2/2")
    printed = capsys.readouterr().out
    assert "publication 000001" in printed and "nothing to do" in printed.splitlines()[-1]
    assert len(parts(folder)) == 8 and not work(folder).exists()


def test_a_share_learns_that_another_held_the_lists(folder: Path, monkeypatch) -> None:
    score(folder, "--shard=1/2")
    real = run._score_parts

    def then_the_other_ends(job, output, *rest) -> int:
        monkeypatch.undo()
        done = real(job, output, *rest)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("infer.scoring.decision.verdict", lambda *_: "half of everything is missing")
            with pytest.raises(HeldError):
                score(folder, "--shard=1/2")
        return done

    monkeypatch.setattr(run, "_score_parts", then_the_other_ends)
    with pytest.raises(HeldError, match="held: half of everything is missing"):
        score(folder, "--shard=2/2")
    assert not (folder / "m.topk.parquet").exists() and (store(folder) / "held" / "lists").is_dir()


def test_what_a_killed_writer_left_is_not_published(folder: Path, monkeypatch) -> None:
    unfinished(folder, monkeypatch)
    (work(folder) / "publication" / "lists" / ".part-00002.parquet.abcd1234.bak").write_text("half")
    score(folder)
    assert len(parts(folder)) == 8 and "half" not in str(parts(folder))


@pytest.mark.parametrize("content", ["", "[]", '{"files": null}', '{"format": 1, "parts": 3}'])
def test_what_was_found_out_of_a_table_is_found_out_again_if_it_is_damaged(
    folder: Path, content: str, monkeypatch
) -> None:
    unfinished(folder, monkeypatch)
    (work(folder) / "source" / "source.json").write_text(content)
    (work(folder) / "source" / "popularity.parquet").write_text(content)
    score(folder)
    assert len(parts(folder)) == 8


def test_a_damaged_part_of_an_unfinished_run_is_named(folder: Path, monkeypatch) -> None:
    unfinished(folder, monkeypatch)
    (work(folder) / "publication" / "lists" / "part-00001.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=r"part-00001\.parquet is damaged: score again with --restart"):
        score(folder)
    score(folder, "--restart")
    assert len(parts(folder)) == 8


@pytest.mark.parametrize("number", ["abc", "../../x", "", "000001", "000009"])
def test_a_number_that_no_publication_wrote_decides_nothing(folder: Path, number: str, monkeypatch) -> None:
    score(folder)
    before = parts(folder)
    unfinished(folder, monkeypatch)
    (work(folder) / "number").write_text(number)
    score(folder)
    assert parts(folder) == before and not work(folder).exists() and not (folder.parent / "x").exists()
    assert (store(folder) / "current").readlink().name == "000002"


def test_lists_can_be_dropped_and_scored_anew_with_the_same_plan(folder: Path, monkeypatch, capsys) -> None:
    unfinished(folder, monkeypatch)
    score(folder, "--restart")
    assert "going on" not in capsys.readouterr().out and len(parts(folder)) == 8


def test_a_damaged_plan_belongs_to_nobody_and_what_lies_beside_it_is_scored_again(
    folder: Path, monkeypatch, capsys
) -> None:
    unfinished(folder, monkeypatch)
    (work(folder) / "plan.json").write_text("{")
    score(folder)
    assert "going on" not in capsys.readouterr().out and len(parts(folder)) == 8


@pytest.mark.parametrize("function", ["recover", "switch"])
def test_the_earlier_lists_stay_if_publication_fails_halfway(folder: Path, function: str, monkeypatch) -> None:
    """Decided is decided: what comes next completes it."""
    score(folder)
    expected = parts(folder)

    def fail(*_) -> None:
        raise OSError(5, "Input/output error")

    if function == "recover":
        monkeypatch.setattr(Path, "rename", fail)
    else:
        monkeypatch.setattr("infer.publishing.publications.Publications.switch", fail)
    with pytest.raises(InputError, match=r"cannot write .*Input/output error; .* is as it was"):
        score(folder, "--k=3")
    assert parts(folder) == expected
    monkeypatch.undo()
    score(folder, "--k=3")
    assert lists(folder).height == 3 * USERS and not work(folder).exists()


def test_shares_of_several_machines_make_the_same_lists(folder: Path, capsys) -> None:
    score(folder, f"--output={folder / 'whole.topk.parquet'}")
    score(folder, "--shard=2/3")
    assert "2 of 8 parts are there" not in capsys.readouterr().out.splitlines()[0]
    assert not (folder / "m.topk.parquet").exists()
    score(folder, "--shard=1/3")
    assert not (folder / "m.topk.parquet").exists()
    score(folder, "--shard=3/3")
    assert parts(folder) == parts(folder, "whole")
    score(folder, "--shard=2/3")
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["--restart"], ["--k=3"], ["--k=3", "--restart"], ["--production", "--keep=1"]])
def test_a_second_process_changes_nothing_of_what_the_first_works_on(
    folder: Path, words: list[str], monkeypatch
) -> None:
    unfinished(folder, monkeypatch)
    kept = tree(folder)
    for share in ((0, 1), (1, 2)):  # the same share, and another whose lock has another name
        with output_of(folder).share(share, restart=False):
            if share == (1, 2) and words in ([], ["--production", "--keep=1"]):
                continue  # the two are shares of one run
            with pytest.raises(InputError, match="another process is working on"):
                score(folder, *words)
            assert tree(folder) == kept
    score(folder)
    assert len(parts(folder)) == 8


def test_a_file_system_without_locks_is_refused_by_name(folder: Path, monkeypatch) -> None:
    def missing(handle: int, blocking: bool) -> bool:
        raise OSError(38, "Function not implemented")

    score(folder)
    expected = parts(folder)
    monkeypatch.setattr("infer.system.locks.lock_descriptor", missing)
    with pytest.raises(InputError, match=r"cannot lock .*store\.lock: .*Function not implemented; earlier files"):
        score(folder, "--k=3")
    assert parts(folder) == expected


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_a_share_that_is_none_is_refused(folder: Path, shard: str) -> None:
    with pytest.raises(InputError, match="--shard is I/N with I from 1 to N"):
        score(folder, f"--shard={shard}")


def test_a_user_with_a_million_interactions_is_scored_with_the_others(folder: Path) -> None:
    many = 1_000_000
    item = np.random.default_rng(0).permutation(many) + 1
    busy = pl.DataFrame({"user": np.int64(7), "item": item[5:], "timestamp": np.arange(5, many)})
    few = pl.DataFrame({"user": [1, 8], "item": [3, 4], "timestamp": [1, 1]})
    table = folder / "busy.parquet"
    pl.concat([few.head(1), busy, few.tail(1)]).write_parquet(table)
    scores = np.tile(np.arange(many + 1), (4, 1))
    write_model(folder / "m.onnx", list(range(1, many + 1)), scores, table, user_ids=[1, 7, 8])
    score(folder, f"--interactions={table}")
    found = lists(folder)
    assert found.filter(pl.col("user") == 7)["item"].to_list() == sorted(item[:5].tolist(), reverse=True)
    assert found.filter(pl.col("user") == 1)["item"].to_list() == list(range(many, many - 10, -1))
    assert found.group_by("user").len().sort("user").rows() == [(1, 10), (7, 5), (8, 10)]


def test_reasons_stand_in_a_column_of_the_lists_in_the_tables_own_type(artifacts: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    rows = pl.read_parquet(artifacts / "interactions.parquet").drop("split").cast({"item": pl.UInt32})
    rows.write_parquet(table)
    output = tmp_path / "lists.parquet"
    batch.main([f"--model={artifacts / 'hybrid.onnx'}", f"--interactions={table}", f"--output={output}", "--reasons=2"])
    lists = pl.read_parquet(output / "*.parquet")
    assert lists.schema["because"] == pl.List(pl.UInt32) and lists["because"].list.len().max() == 2
    histories = rows.group_by("user").agg("item")
    named = lists.explode("because").drop_nulls("because").join(histories, on="user", suffix="_seen")
    assert named.height and named.select(pl.col("because").is_in(pl.col("item_seen"))).to_series().all()
    again = tmp_path / "again.parquet"
    words = [f"--model={artifacts / 'hybrid.onnx'}", f"--interactions={table}", f"--output={again}", "--reasons=2"]
    batch.main([*words, "--batch-size=3", "--part-users=7"])
    assert pl.read_parquet(again / "*.parquet").equals(lists)
