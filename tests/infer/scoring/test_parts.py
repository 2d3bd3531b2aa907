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
from infer.errors import InputError
from infer.scoring.output import Output
from infer.scoring.parts import score_part
from infer.scoring.run import plan_of
from infer.tables.columns import TIDY_KEY
from tests.helpers.checkerboard import ROOT
from tests.helpers.markov import write_model

ITEMS = list(range(1, 41))
USERS = 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of 40 items, m.onnx, and the interactions of 30 users that it was trained on."""
    table = generate(SyntheticConfig(users=USERS, items=40, interactions=300)).drop("rating")
    table.write_parquet(tmp_path / "interactions.parquet", metadata={TIDY_KEY: "1"})
    scores = np.random.default_rng(0).normal(size=(41, 41))
    write_model(tmp_path / "m.onnx", ITEMS, scores, tmp_path / "interactions.parquet")
    return tmp_path


def score(folder: Path, *words: str) -> None:
    batch.main([f"--model={folder / 'm.onnx'}", "--part-users=4", *words])


def parts(folder: Path, name: str = "m") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / f"{name}.topk.parquet").iterdir())}


def lists(folder: Path, name: str = "m") -> pl.DataFrame:
    return pl.read_parquet(folder / f"{name}.topk.parquet")


def test_parts_hold_users_in_order_and_the_manifest_says_which(folder: Path) -> None:
    score(folder)
    assert list(parts(folder)) == [f"part-{n:05}.parquet" for n in range(8)]
    found = lists(folder)
    assert found["user"].is_sorted() and found["user"].n_unique() == USERS and found.height == USERS * 10
    manifest = json.loads((folder / "m.topk.json").read_text())
    assert [part["rows"] for part in manifest["parts"]] == [40] * 7 + [20] and manifest["rows"] == 300
    assert manifest["plan"]["options"]["k"] == 10 and len(manifest["plan"]["model"]) == 64
    users = pl.read_parquet(folder / "m.topk.users.parquet")
    assert users["user"].to_list() == list(range(1, USERS + 1)) and users["history"].n_unique() == USERS
    assert not (folder / "m.topk.partial").exists()


@pytest.mark.parametrize("words", [["--part-users=1"], ["--part-users=1000"], ["--batch-size=1"], ["--batch-size=7"]])
def test_lists_do_not_depend_on_how_the_users_are_cut(folder: Path, words: list[str]) -> None:
    score(folder)
    batch.main([f"--model={folder / 'm.onnx'}", *words, f"--output={folder / 'other.topk.parquet'}"])
    assert lists(folder, "other").equals(lists(folder))


# Where a process dies, as (what it calls, at which call): writing users and lists, measuring, and each
# step of putting the new lists in the place of the earlier ones.
POINTS = [
    ("infer.scoring.output.Output.write", 1),
    ("infer.scoring.output.Output.write", 4),
    ("infer.scoring.output.Output.write", 8),
    ("polars.DataFrame.write_parquet", 5),
    ("polars.DataFrame.write_parquet", 6),
    ("pathlib.Path.replace", 7),
    ("infer.scoring.output.Output.publish", 1),
    ("infer.scoring.output.write_text", 2),
    ("infer.scoring.output.exchange", 1),
    ("pathlib.Path.rename", 1),
    ("pathlib.Path.rename", 2),
    ("infer.scoring.output.Output.discard", 1),
]
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
if target == "pathlib.Path.rename":  # as on a file system where two folders cannot change places
    sys.modules["infer.scoring.output"].exchange = lambda one, other: False
batch.main(sys.argv[3:])
"""


@pytest.mark.parametrize(("target", "at"), POINTS, ids=lambda value: str(value).rsplit(".", 1)[-1])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    folder: Path, target: str, at: int, capsys, monkeypatch
) -> None:
    score(folder)
    expected, earlier = parts(folder), lists(folder)
    changed = generate(SyntheticConfig(users=USERS, items=40, interactions=300, seed=1)).drop("rating")
    table = folder / "tonight.parquet"
    changed.write_parquet(table, metadata={TIDY_KEY: "1"})
    words = [f"--model={folder / 'm.onnx'}", "--part-users=4", f"--interactions={table}"]
    killed = subprocess.run([sys.executable, "-c", KILL, target, str(at), *words], cwd=ROOT, capture_output=True)
    assert killed.returncode == -9, killed.stderr
    published = folder / "m.topk.parquet"
    # A reader finds the earlier lists or the new ones, but never a mixture; none only where it takes two steps.
    assert published.exists() or (target, at) == ("pathlib.Path.rename", 2)
    assert not published.exists() or lists(folder).equals(earlier) != target.endswith("discard")
    work = folder / "m.topk.partial" / "lists"
    complete = {path.name for path in (work if work.exists() else published).glob("part-*")}
    assert len(complete) >= {"write": at - 1, "write_parquet": 2, "replace": 2}.get(target.rsplit(".", 1)[-1], 8)
    capsys.readouterr()
    scored = []
    monkeypatch.setattr("infer.scoring.run.score_part", lambda *a: scored.append(a[2].number) or score_part(*a))
    score(folder, f"--interactions={table}")
    assert ("going on" in capsys.readouterr().out) == bool(complete)
    assert {f"part-{number:05}.parquet" for number in scored} == {f"part-{n:05}.parquet" for n in range(8)} - complete
    found = parts(folder)
    assert found != expected and not (folder / "m.topk.partial").exists()
    batch.main([*words, f"--output={folder / 'once.topk.parquet'}"])
    assert found == parts(folder, "once")


def test_a_full_disk_in_the_middle_loses_nothing(folder: Path, monkeypatch) -> None:
    score(folder)
    expected = parts(folder)
    real, calls = pl.DataFrame.write_parquet, []

    def full(*args, **kwargs) -> None:
        calls.append(1)
        if len(calls) == 6:
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
    kept = sorted((folder / "m.topk.partial" / "lists").iterdir())
    with pytest.raises(
        InputError, match=f"holds an unfinished run with another {what}: finish it .* or give --restart"
    ):
        score(folder, *words)
    assert len(kept) == 2 and sorted((folder / "m.topk.partial" / "lists").iterdir()) == kept
    score(folder, *words, "--restart")
    assert not (folder / "m.topk.partial").exists() and lists(folder).height > 0


def test_every_option_that_lists_follow_from_is_of_the_plan_and_no_other(folder: Path) -> None:
    def plan(**options) -> dict:
        config = batch.BatchConfig(model=folder / "m.onnx", **options)
        return plan_of(config.job(config.metrics), config.settings)

    table = pl.read_parquet(folder / "interactions.parquet").with_columns(
        again=pl.col("item"), split=pl.when(pl.int_range(pl.len()).over("user") == 0).then(pl.lit("test")).otherwise(
            pl.when(pl.int_range(pl.len()).over("user") == 1).then(pl.lit("validation")).otherwise(pl.lit("train"))
        )
    )  # fmt: skip
    table.write_parquet(folder / "split.parquet")
    write_model(folder / "m.onnx", ITEMS, np.eye(41), folder / "split.parquet")
    base = {"interactions": folder / "split.parquet"}
    differing = ({}, {"k": 3}, {"users": "1,2"}, {"part_users": 5}, {"split": "validation"}, {"metrics": False},
                 {"item_column": "again"}, {"drop_bad_rows": True}, {"only_changed": True},
                 {"interactions": folder / "interactions.parquet"})  # fmt: skip
    plans = [json.dumps(plan(**base | options), sort_keys=True) for options in differing]
    assert len(set(plans)) == len(plans)
    for options in ({"batch_size": 3}, {"threads": 1}, {"seed": 5}, {"shard": "1/2"}, {"restart": True}):
        assert json.dumps(plan(**base | options), sort_keys=True) == plans[0]


def test_a_plan_is_the_same_in_any_order_of_its_keys(tmp_path: Path) -> None:
    one, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    assert Output(tmp_path / "l.parquet", one).digest == Output(tmp_path / "l.parquet", other).digest


def test_a_share_counts_what_is_left_of_it_and_of_all(folder: Path, capsys) -> None:
    score(folder, "--shard=1/3")
    # Parts 0, 3 and 6 of eight.
    assert "3 of 8 parts are there: the lists appear when the other shares are done" in capsys.readouterr().out
    work = folder / "m.topk.partial" / "lists"
    assert sorted(path.name for path in work.iterdir()) == [f"part-{n:05}.parquet" for n in (0, 3, 6)]
    score(folder, "--shard=1/3")
    assert "going on: 12 users were scored before" in capsys.readouterr().out


def test_a_share_that_fails_leaves_the_others_work(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("infer.scoring.run._score_parts", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        score(folder, "--shard=2/3")
    assert (folder / "m.topk.partial" / "plan.json").exists(), "another share may have begun and written nothing yet"
    monkeypatch.undo()
    score(folder, "--shard=1/3")
    monkeypatch.setattr("infer.scoring.run._score_parts", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        score(folder, "--shard=2/3")
    assert len(list((folder / "m.topk.partial" / "lists").iterdir())) == 3


def test_a_share_goes_on_with_what_was_published_but_not_finished(folder: Path, capsys) -> None:
    for shard in ("1/2", "2/2"):
        score(folder, f"--shard={shard}")
    expected = parts(folder)
    # As if the process had ended between the lists and what comes after them.
    manifest = json.loads((folder / "m.topk.json").read_text())
    Output(folder / "m.topk.parquet", manifest["plan"]).begin(restart=False)
    capsys.readouterr()
    score(folder, "--shard=1/2")
    assert "nothing to do" not in capsys.readouterr().out
    score(folder, "--shard=2/2")
    assert parts(folder) == expected and not (folder / "m.topk.partial").exists()


def test_earlier_lists_that_were_aside_return_before_the_work_folder_is_dropped(folder: Path, monkeypatch) -> None:
    score(folder)
    expected = parts(folder)
    unfinished(folder, monkeypatch)
    # As a process leaves it that ended between two renames; then the next run fails.
    (folder / "m.topk.parquet").rename(folder / "m.topk.partial" / "earlier")
    monkeypatch.setattr("infer.scoring.run._score_parts", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        score(folder, "--k=3", "--restart")
    assert parts(folder) == expected


def test_a_restarted_run_can_be_gone_on_with(folder: Path, monkeypatch) -> None:
    unfinished(folder, monkeypatch)
    plan = (folder / "m.topk.partial" / "plan.json").read_text()
    Output(folder / "m.topk.parquet", json.loads(plan)).begin(restart=True)
    assert not list((folder / "m.topk.partial" / "lists").iterdir())
    assert (folder / "m.topk.partial" / "plan.json").read_text() == plan


def test_only_one_share_publishes(folder: Path) -> None:
    score(folder, "--shard=1/2")
    output = Output(folder / "m.topk.parquet", json.loads((folder / "m.topk.partial" / "plan.json").read_text()))
    with output.locked("publication"), pytest.raises(InputError, match="another process is working on publication"):
        score(folder, "--shard=2/2")
    assert not (folder / "m.topk.parquet").exists()
    score(folder, "--shard=2/2")
    assert len(parts(folder)) == 8


def test_what_a_killed_writer_left_is_not_published(folder: Path, monkeypatch) -> None:
    unfinished(folder, monkeypatch)
    (folder / "m.topk.partial" / "lists" / ".part-00002.parquet.abcd1234.bak").write_text("half")
    score(folder)
    assert len(parts(folder)) == 8 and "half" not in str(parts(folder))


def test_lists_can_be_dropped_and_scored_anew_with_the_same_plan(folder: Path, monkeypatch, capsys) -> None:
    unfinished(folder, monkeypatch)
    score(folder, "--restart")
    assert "going on" not in capsys.readouterr().out and len(parts(folder)) == 8


def test_a_damaged_plan_belongs_to_nobody_and_what_lies_beside_it_is_scored_again(
    folder: Path, monkeypatch, capsys
) -> None:
    unfinished(folder, monkeypatch)
    (folder / "m.topk.partial" / "plan.json").write_text("{")
    score(folder)
    assert "going on" not in capsys.readouterr().out and len(parts(folder)) == 8


def test_the_earlier_lists_return_if_publication_fails_halfway(folder: Path, monkeypatch) -> None:
    score(folder)
    expected = parts(folder)
    monkeypatch.setattr("infer.scoring.output.exchange", lambda one, other: False)
    real = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name == "lists":
            raise OSError(5, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(InputError, match=r"cannot write .*Input/output error; the earlier lists are there"):
        score(folder, "--k=3")
    assert parts(folder) == expected
    monkeypatch.undo()
    score(folder, "--k=3")
    assert lists(folder).height == 3 * USERS


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


def test_two_processes_on_one_share_do_not_disturb_each_other(folder: Path, monkeypatch) -> None:
    unfinished(folder, monkeypatch)
    output = Output(folder / "m.topk.parquet", json.loads((folder / "m.topk.partial" / "plan.json").read_text()))
    with output.locked("shard-1-of-1"), pytest.raises(InputError, match="another process is working on shard-1-of-1"):
        score(folder)
    assert len(list((folder / "m.topk.partial" / "lists").iterdir())) == 2
    score(folder)
    assert len(parts(folder)) == 8


def test_a_file_system_without_locks_is_refused_by_name(folder: Path, monkeypatch) -> None:
    def missing(handle: int) -> bool:
        raise OSError(38, "Function not implemented")

    score(folder)
    expected = parts(folder)
    monkeypatch.setattr("filelock._unix.lock_fd_nonblocking", missing)
    with pytest.raises(InputError, match=r"cannot lock shard-1-of-1 of .*Function not implemented; earlier files"):
        score(folder, "--k=3")
    assert parts(folder) == expected


def more(folder: Path) -> Path:
    """Tonight's table: user 3 has one more item, user 5 is gone, user 99 is new."""
    table = pl.read_parquet(folder / "interactions.parquet")
    seen = set(table.filter(pl.col("user") == 3)["item"])
    extra = next(item for item in ITEMS if item not in seen)
    rows = [(3, extra, 2_000_000_000), (99, 7, 5)]
    new = pl.DataFrame(rows, schema=table.schema, orient="row")
    path = folder / "tonight.parquet"
    pl.concat([table.filter(pl.col("user") != 5), new]).write_parquet(path)
    return path


def test_only_changed_users_are_scored_and_the_lists_are_those_of_scoring_everyone(folder: Path, capsys) -> None:
    score(folder)
    earlier = lists(folder)
    table = more(folder)
    score(folder, f"--interactions={table}", f"--output={folder / 'all.topk.parquet'}")
    # Lists that nobody would compute show which were taken over.
    marked = folder / "m.topk.parquet" / "part-00000.parquet"
    metadata = pl.read_parquet_metadata(marked)
    kept = {key: metadata[key] for key in ("plan", "totals")}
    pl.read_parquet(marked).with_columns(pl.col("score") + 100).write_parquet(marked, metadata=kept)
    capsys.readouterr()
    score(folder, f"--interactions={table}", "--only-changed")
    assert "2 users scored anew" in capsys.readouterr().out
    found, expected = lists(folder), lists(folder, "all")
    assert found.drop("score").equals(expected.drop("score"))
    taken = found.filter(pl.col("score") > 50)["user"].unique().to_list()
    assert taken == [1, 2, 4] and 5 not in found["user"]
    assert not found.filter(pl.col("user") == 3).equals(earlier.filter(pl.col("user") == 3))
    score(folder, f"--interactions={table}", "--only-changed")
    assert "; 0 users scored anew" in capsys.readouterr().out


def test_only_changed_needs_earlier_lists_of_the_same_model_and_options(folder: Path) -> None:
    with pytest.raises(InputError, match="there are no complete lists at"):
        score(folder, "--only-changed")
    score(folder)
    before = parts(folder)
    with pytest.raises(InputError, match="was made with another options; score everyone"):
        score(folder, "--only-changed", "--k=3")
    write_model(folder / "m.onnx", ITEMS, np.eye(41), folder / "interactions.parquet")
    with pytest.raises(InputError, match="was made with another model; score everyone"):
        score(folder, "--only-changed")
    assert parts(folder) == before and not (folder / "m.topk.partial").exists()


def test_only_changed_does_not_mix_lists_users_and_manifests_of_different_runs(folder: Path) -> None:
    score(folder)
    users, manifest = folder / "m.topk.users.parquet", folder / "m.topk.json"
    kept = {path: path.read_bytes() for path in (users, manifest)}
    users.unlink()
    with pytest.raises(InputError, match="there are no complete lists at"):
        score(folder, "--only-changed")
    pl.read_parquet(kept[users]).write_parquet(users, metadata={"plan": "another"})
    with pytest.raises(InputError, match="are of different runs; score all"):
        score(folder, "--only-changed")
    users.write_bytes(kept[users])
    manifest.write_text(json.dumps(json.loads(kept[manifest]) | {"digest": "another"}))
    with pytest.raises(InputError, match="are of different runs; score all"):
        score(folder, "--only-changed")
    manifest.write_text("{")
    with pytest.raises(InputError, match="there are no complete lists at"):
        score(folder, "--only-changed")


def test_only_changed_looks_at_the_history_that_a_list_follows_from(folder: Path, capsys) -> None:
    """An item that was replaced changes it; a time that does not change the order does not."""
    score(folder)
    table = pl.read_parquet(folder / "interactions.parquet")
    own = table.filter(pl.col("user") == 4)
    strange = next(item for item in ITEMS if item not in own["item"].to_list())
    last = (pl.col("user") == 4) & (pl.col("timestamp") == own["timestamp"].max()) & (pl.col("item") == own["item"][-1])
    later = table.with_columns(pl.when(pl.col("user") == 9).then(pl.col("timestamp") + 5).otherwise("timestamp"))
    later.with_columns(pl.when(last).then(pl.lit(strange)).otherwise("item").alias("item")).write_parquet(
        folder / "tonight.parquet"
    )
    capsys.readouterr()
    score(folder, f"--interactions={folder / 'tonight.parquet'}", "--only-changed")
    assert "; 1 users scored anew" in capsys.readouterr().out


def test_only_changed_passes_over_users_of_whom_there_is_nothing_but_the_held_out_item(folder: Path, capsys) -> None:
    rows = [(1, 3, 1, "train"), (2, 4, 1, "test"), (3, 5, 1, "train"), (3, 6, 2, "test")]
    table = pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row")
    table.write_parquet(folder / "split.parquet", metadata={TIDY_KEY: "1"})
    words = [f"--model={folder / 'm.onnx'}", f"--interactions={folder / 'split.parquet'}", "--part-users=1"]
    batch.main(words)
    expected = lists(folder)
    batch.main([*words, "--only-changed"])
    assert "; 0 users scored anew" in capsys.readouterr().out
    assert lists(folder).equals(expected) and expected["user"].unique().to_list() == [1, 3]


def test_a_folder_of_something_else_is_not_replaced(folder: Path) -> None:
    (folder / "photos.parquet").mkdir()
    (folder / "photos.parquet" / "holiday.jpg").write_text("precious")
    with pytest.raises(InputError, match=r"is a folder that holds holiday\.jpg; expected only part-\*\.parquet"):
        score(folder, f"--output={folder / 'photos.parquet'}")
    assert (folder / "photos.parquet" / "holiday.jpg").read_text() == "precious"
    (folder / "photos.parquet" / "holiday.jpg").rename(folder / "photos.parquet" / "other.parquet")
    with pytest.raises(InputError, match=r"is a folder that holds other\.parquet"):
        score(folder, f"--output={folder / 'photos.parquet'}")


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
