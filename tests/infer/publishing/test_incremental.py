"""Users who keep the lists of an earlier night: the same lists as if everyone were scored."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from infer import batch, rollback
from infer.errors import HeldError, InputError
from infer.publishing.output import Output
from infer.publishing.publications import Publications
from infer.scoring import work as work_module
from infer.tables.columns import TIDY_KEY
from tests.helpers.markov import write_model
from tests.helpers.nights import ITEMS, lists, parts, score, store, work, write_night


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of 40 items, m.onnx, and the interactions of 30 users that it was trained on."""
    return write_night(tmp_path)


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
    kept = {key: metadata[key] for key in ("plan", "numbers")}
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
    with pytest.raises(InputError, match="there are no earlier lists to keep"):
        score(folder, "--only-changed")
    score(folder)
    before = parts(folder)
    with pytest.raises(InputError, match="differs in options: score everyone again"):
        score(folder, "--only-changed", "--k=3")
    write_model(folder / "m.onnx", ITEMS, np.eye(41), folder / "interactions.parquet")
    with pytest.raises(InputError, match="differs in model: score everyone"):
        score(folder, "--only-changed")
    assert parts(folder) == before and not work(folder).exists()


@pytest.mark.parametrize("name", ["lists", "users"])
def test_earlier_lists_that_lack_a_file_are_refused(folder: Path, name: str) -> None:
    score(folder)
    before = parts(folder)
    (store(folder) / "000001" / name / "part-00003.parquet").rename(folder / "aside")
    with pytest.raises(InputError, match=r"part-00003\.parquet is missing or of another run; score everyone again"):
        score(folder, "--only-changed")
    pl.read_parquet(folder / "aside").write_parquet(store(folder) / "000001" / name / "part-00003.parquet")
    with pytest.raises(InputError, match=r"part-00003\.parquet is missing or of another run; score everyone again"):
        score(folder, "--only-changed")
    (folder / "aside").replace(store(folder) / "000001" / name / "part-00003.parquet")
    assert parts(folder) == before and not work(folder).exists()
    (store(folder) / "000001" / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json is damaged: score again"):
        score(folder, "--only-changed")


def test_lists_of_tonights_events_alone_do_not_replace_everyones(folder: Path) -> None:
    score(folder)
    before = parts(folder)
    table = pl.read_parquet(folder / "interactions.parquet")
    table.filter(pl.col("user").is_in([3, 4])).write_parquet(folder / "events.parquet")
    with pytest.raises(HeldError, match=r"2 of the 30 users of the earlier lists have a list again \(6\.7%\)"):
        score(folder, "--only-changed", f"--interactions={folder / 'events.parquet'}")
    assert parts(folder) == before


def test_users_with_ids_of_another_type_cannot_keep_their_lists(folder: Path) -> None:
    score(folder)
    before = parts(folder)
    table = pl.read_parquet(folder / "interactions.parquet").cast({"user": pl.String})
    guest = pl.DataFrame([("guest-1", 3, 5)], schema=table.schema, orient="row")
    pl.concat([table, guest]).write_parquet(folder / "tonight.parquet")
    with pytest.raises(InputError, match=r"user ids that are whole numbers, the table texts: score everyone again"):
        score(folder, "--only-changed", f"--interactions={folder / 'tonight.parquet'}")
    assert parts(folder) == before and not work(folder).exists()


def test_merged_lists_are_new_for_the_chosen_users_and_as_they_were_for_the_others(folder: Path, capsys) -> None:
    score(folder)
    before, table = lists(folder), more(folder)
    score(folder, f"--interactions={table}", f"--output={folder / 'all.topk.parquet'}")
    capsys.readouterr()
    score(folder, f"--interactions={table}", "--users=7,99", "--merge")
    assert "; 2 users scored anew" in capsys.readouterr().out
    found, everyone = lists(folder), lists(folder, "all")
    new = pl.col("user").is_in([7, 99])
    assert found.filter(new).equals(everyone.filter(new)) and found["user"].n_unique() == 30
    # User 3 has changed and was not asked for; user 5 is no longer in the table.
    assert found.filter(~new).equals(before.filter(~new & (pl.col("user") != 5)))
    score(folder, f"--interactions={table}", "--only-changed")
    assert "; 1 users scored anew" in capsys.readouterr().out, "user 3, whose list is of an earlier history"
    assert lists(folder).equals(everyone)


def test_merging_other_users_in_shares_is_another_run(folder: Path) -> None:
    score(folder)
    table = more(folder)
    score(folder, f"--interactions={table}", f"--output={folder / 'all.topk.parquet'}")
    for users in ("3", "99"):
        for share in ("1/2", "2/2"):
            score(folder, f"--interactions={table}", "--merge", f"--users={users}", f"--shard={share}")
    new = pl.col("user").is_in([3, 99])
    assert lists(folder).filter(new).equals(lists(folder, "all").filter(new))


@pytest.mark.parametrize("how", ["at once", "after a kill"])
def test_a_merge_keeps_what_another_has_merged_since_it_was_planned(folder: Path, how: str, monkeypatch) -> None:
    score(folder)
    table = more(folder)
    score(folder, f"--interactions={table}", f"--output={folder / 'all.topk.parquet'}")
    score(folder, f"--interactions={table}", "--merge", "--users=7")
    first = ["--merge", "--users=3", f"--interactions={table}"]
    real = Output.share

    @contextmanager
    def after_another(*given: Any) -> Iterator[bool]:
        monkeypatch.undo()
        score(folder, *first)
        with real(*given) as published:
            yield published

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    if how == "at once":
        monkeypatch.setattr(Output, "share", after_another)
    else:
        monkeypatch.setattr(Publications, "switch", killed)
        with pytest.raises(KeyboardInterrupt):
            score(folder, *first)
        monkeypatch.undo()
    score(folder, f"--interactions={table}", "--merge", "--users=99")
    new = pl.col("user").is_in([3, 99])
    assert lists(folder).filter(new).equals(lists(folder, "all").filter(new))
    assert (store(folder) / "current").readlink().name == "000004" and not work(folder).exists()


def going_to(folder: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the next run scores, readers go to this publication."""
    real = work_module.score_part

    def score_part(*given: Any) -> Any:
        monkeypatch.undo()
        rollback.main([f"--output={folder / 'm.topk.parquet'}", f"--to={number}"])
        return real(*given)

    monkeypatch.setattr(work_module, "score_part", score_part)


def test_lists_that_were_gone_back_from_meanwhile_are_not_kept(folder: Path, monkeypatch) -> None:
    score(folder, "--k=4")
    before, table = parts(folder), f"--interactions={more(folder)}"
    score(folder, "--k=5")
    going_to(folder, 1, monkeypatch)
    with pytest.raises(InputError, match="readers find 000001 by now, and this run keeps lists of 000002: run again"):
        score(folder, "--k=5", table, "--only-changed")
    assert parts(folder) == before and not work(folder).exists()
    score(folder, "--k=4", table, "--only-changed")
    assert (store(folder) / "current").readlink().name == "000003"


def test_lists_of_some_users_do_not_replace_everyones_that_were_gone_to_meanwhile(folder: Path, monkeypatch) -> None:
    some = ["--users=1,2", f"--output={folder / 'm.topk.parquet'}"]
    score(folder, *some)
    score(folder)
    everyone = parts(folder)
    rollback.main([f"--output={folder / 'm.topk.parquet'}"])
    going_to(folder, 2, monkeypatch)
    with pytest.raises(InputError, match="holds everyone's lists"):
        score(folder, *some, "--k=3")
    assert parts(folder) == everyone and not work(folder).exists()


def test_merging_takes_users_and_earlier_lists(folder: Path) -> None:
    with pytest.raises(InputError, match="name them with --users"):
        score(folder, "--merge")
    with pytest.raises(InputError, match="give one"):
        score(folder, "--merge", "--only-changed", "--users=1")
    with pytest.raises(InputError, match="--merge: there are no earlier lists to keep"):
        score(folder, "--merge", "--users=1")


def test_kept_lists_are_of_the_publication_that_was_current_when_the_run_began(folder: Path, monkeypatch) -> None:
    score(folder)
    table = more(folder)
    real = work_module.score_part

    def stop(*given):
        if given[2].number == 4:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(work_module, "score_part", stop)
    words = ["--only-changed", f"--interactions={table}"]
    with pytest.raises(KeyboardInterrupt):
        score(folder, *words)
    monkeypatch.undo()
    for option in ([], ["--k=3"]):
        with pytest.raises(InputError, match="holds an unfinished run that differs in"):
            score(folder, *option)
    score(folder, *words)
    score(folder, f"--interactions={table}", f"--output={folder / 'all.topk.parquet'}")
    assert lists(folder).equals(lists(folder, "all"))


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
    words = [
        f"--model={folder / 'm.onnx'}",
        f"--interactions={folder / 'split.parquet'}",
        "--part-users=1",
        "--split-column=split",
    ]
    batch.main(words)
    expected = lists(folder)
    batch.main([*words, "--only-changed"])
    assert "; 0 users scored anew" in capsys.readouterr().out
    assert lists(folder).equals(expected) and expected["user"].unique().to_list() == [1, 3]


@pytest.mark.parametrize(("how", "users"), [(["--only-changed"], 60), (["--users=1,101", "--merge"], 31)])
def test_a_part_may_hold_new_users_alone(folder: Path, how: list[str], users: int) -> None:
    """Of whom no earlier part has a list, and none says which columns its lists have."""
    table = pl.read_parquet(folder / "interactions.parquet")
    new = table.with_columns(pl.col("user") + 100)
    pl.concat([table, new]).write_parquet(folder / "tonight.parquet")
    words = ["--fallback=popular", "--max-popular=1", "--max-fallback=1"]
    score(folder, *words)
    tonight = [*words, f"--interactions={folder / 'tonight.parquet'}", "--accept"]
    score(folder, *tonight, *how)
    found = lists(folder)
    score(folder, *tonight, f"--output={folder / 'all.topk.parquet'}")
    assert found.equals(lists(folder, "all").join(found, on="user", how="semi", maintain_order="left"))
    assert found["user"].n_unique() == users
