"""Publications: one step changes everything a reader finds, back and forth; nothing of somebody else's changes."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from infer import batch, compare, deliver, rollback
from infer.errors import HeldError, InputError
from infer.publishing.publication import Publication
from infer.publishing.publications import Publications
from tests.helpers.markov import ITEMS, NEXT, write_model
from tests.helpers.nights import lists, parts, score, store, tree, work, write_night


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of 40 items, m.onnx, and the interactions of 30 users that it was trained on."""
    return write_night(tmp_path)


def test_a_name_that_does_not_end_in_parquet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lists\.csv: expected a name that ends in \.parquet"):
        Publications(tmp_path / "lists.csv")


def test_the_table_is_never_replaced_by_its_lists(folder: Path) -> None:
    before = tree(folder)
    for name in (folder / "interactions.parquet", folder / "link.parquet"):
        if not name.exists():
            name.symlink_to("interactions.parquet")
            before = tree(folder)
        with pytest.raises(InputError, match=r"interactions\.parquet exists and is no link that this project made"):
            score(folder, f"--interactions={folder / 'interactions.parquet'}", f"--output={name}")
        assert tree(folder) == before


@pytest.mark.parametrize(
    "name",
    [
        "l.topk.parquet",
        "l.topk.json",
        "l.metrics.json",
        "l.topk.parquet/",
        "l.topk.publications",
        "l.topk.publications/",
    ],
)
def test_nothing_of_somebody_elses_is_replaced(folder: Path, name: str) -> None:
    if name.endswith("/"):
        (folder / name).mkdir()
        (folder / name / "holiday.jpg").write_text("precious")
    else:
        (folder / name).write_text("precious")
    before = tree(folder)
    for words in ([], ["--restart"], ["--accept"], ["--shard=1/2"]):
        with pytest.raises(InputError, match=rf"{name.strip('/')} exists and .*: move it away, or choose another"):
            score(folder, f"--output={folder / 'l.topk.parquet'}", *words)
        assert tree(folder) == before and not (folder / "l.topk.publications" / "locks").exists()


def test_a_folder_that_is_a_table_does_not_take_the_lists(folder: Path) -> None:
    (folder / "events").mkdir()
    shutil.copy(folder / "interactions.parquet", folder / "events" / "a.parquet")
    before = tree(folder)
    with pytest.raises(InputError, match=r"lies in the table .*events: choose a place outside of it"):
        score(folder, f"--interactions={folder / 'events'}", f"--output={folder / 'events' / 'l.parquet'}")
    assert tree(folder) == before


def test_lists_do_not_go_among_the_publications_of_others(folder: Path) -> None:
    score(folder)
    before = tree(folder)
    for place in (store(folder) / "l.parquet", store(folder) / "000001" / "l.parquet"):
        with pytest.raises(InputError, match="among the publications of another output"):
            score(folder, f"--output={place}")
    (folder / "latest.parquet").symlink_to(f"{store(folder).name}/current/lists")
    with pytest.raises(InputError, match="among the publications of another output"):
        score(folder, f"--output={folder / 'latest.parquet'}")
    (folder / "latest.parquet").unlink()
    assert tree(folder) == before


@pytest.mark.parametrize("target", ["disk/m.parquet", "m.topk.parquet"])
def test_a_link_that_is_given_as_output_stays_and_is_followed(folder: Path, target: str) -> None:
    (folder / "disk").mkdir()
    (folder / "tonight.parquet").symlink_to(target)
    for _ in range(2):
        score(folder, f"--output={folder / 'tonight.parquet'}")
    assert str((folder / "tonight.parquet").readlink()) == target
    assert pl.read_parquet(folder / "tonight.parquet").height == pl.read_parquet(folder / target).height == 300
    stem = target.removesuffix(".parquet")
    assert [p.name for p in Publications(folder / "tonight.parquet").all()] == ["000001", "000002"]
    assert (folder / f"{stem}.publications").is_dir() and not (folder / "tonight.publications").exists()


def test_links_are_relative_so_that_a_folder_can_move(folder: Path, tmp_path_factory) -> None:
    score(folder)
    expected = lists(folder)
    moved = tmp_path_factory.mktemp("elsewhere") / "artifacts"
    folder.rename(moved)
    assert lists(moved).equals(expected)
    folder.mkdir()


def test_lists_manifest_and_metrics_change_in_one_step(tmp_path: Path) -> None:
    rows = [("u1", "a", 1, "train"), ("u1", "b", 2, "test"), ("u2", "c", 1, "train")]
    table = tmp_path / "t.parquet"
    pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row").write_parquet(table)
    model = write_model(tmp_path / "m.onnx", ITEMS, NEXT, table)
    metrics, manifest = tmp_path / "m.metrics.json", tmp_path / "m.topk.json"

    def published() -> tuple[int, int | None]:
        k = json.loads(metrics.read_text())["k"] if metrics.exists() else None
        assert metrics.exists() or not os.path.lexists(metrics)
        assert (
            pl.read_parquet(tmp_path / "m.topk.parquet")["rank"].max()
            == json.loads(manifest.read_text())["plan"]["options"]["k"]
        )
        return json.loads(manifest.read_text())["plan"]["options"]["k"], k

    batch.main([f"--model={model}", "--k=2"])
    assert published() == (2, 2)
    batch.main([f"--model={model}", "--k=3", "--no-metrics"])
    assert published() == (3, None), "no metrics of other lists"
    rollback.main([f"--output={tmp_path / 'm.topk.parquet'}"])
    assert published() == (2, 2)
    rollback.main([f"--output={tmp_path / 'm.topk.parquet'}", "--to=2"])
    assert published() == (3, None)


def night(folder: Path, number: int) -> pl.DataFrame:
    """Score with the model of a night and return the lists."""
    scores = np.random.default_rng(number).normal(size=(41, 41))
    write_model(folder / "m.onnx", list(range(1, 41)), scores, folder / "interactions.parquet")
    score(folder)
    return lists(folder)


def test_the_last_publications_are_kept_and_one_command_goes_back(folder: Path, capsys) -> None:
    nights = {n: night(folder, n) for n in range(1, 6)}
    output = f"--output={folder / 'm.topk.parquet'}"
    assert [p.name for p in Publications(folder / "m.topk.parquet").all()] == ["000003", "000004", "000005"]
    rollback.main([output])
    assert lists(folder).equals(nights[4])
    rollback.main([output])
    assert lists(folder).equals(nights[3])
    with pytest.raises(InputError, match="has no publication before 000003"):
        rollback.main([output])
    with pytest.raises(InputError, match="has no publication 000002; it has 000003, 000004, 000005"):
        rollback.main([output, "--to=2"])
    capsys.readouterr()
    rollback.main([output, "--list"])
    printed = capsys.readouterr().out.splitlines()
    assert [line[:8] for line in printed] == [
        "* 000003",
        "  000004",
        "  000005",
    ] and "30 of 30 users listed" in printed[0]
    # The next number is new, and what readers find now is kept and compared with.
    nights[6] = night(folder, 6)
    assert json.loads((folder / "m.topk.json").read_text())["figures"]["earlier"] == "000003"
    assert [p.name for p in Publications(folder / "m.topk.parquet").all()] == ["000003", "000005", "000006"]
    rollback.main([output])
    assert lists(folder).equals(nights[3])
    rollback.main([output, "--to=5"])
    assert lists(folder).equals(nights[5])


def test_going_back_never_leads_to_lists_that_were_gone_back_from(folder: Path, capsys) -> None:
    output = f"--output={folder / 'm.topk.parquet'}"
    good = night(folder, 1)
    for bad in (2, 3, 4):
        night(folder, bad)
        assert json.loads((folder / "m.topk.json").read_text())["follows"] == "000001"
        capsys.readouterr()
        compare.main([output])
        assert capsys.readouterr().out.split()[:2] == ["000001", f"{bad:06}"]
        rollback.main([output])
        assert lists(folder).equals(good), f"and not those of night {bad - 1}"
    assert [p.name for p in Publications(folder / "m.topk.parquet").all()] == ["000001", "000003", "000004"]
    with pytest.raises(InputError, match="has no publication before 000001"):
        rollback.main([output])


def test_publications_of_earlier_versions_follow_the_number_before(folder: Path) -> None:
    output = f"--output={folder / 'm.topk.parquet'}"
    for number in (1, 2, 3):
        night(folder, number)
        path = store(folder) / f"{number:06}" / "manifest.json"
        told = json.loads(path.read_text())
        del told["follows"]
        path.write_text(json.dumps(told))
    publications = Publications(folder / "m.topk.parquet")
    assert [p.name for p in publications.before(publications.current())] == ["000001", "000002"]
    rollback.main([output])
    night(folder, 4)
    assert [p.name for p in publications.before(publications.current())] == ["000001", "000002"]


@pytest.mark.parametrize("said", ["000002", "000009", 3])
def test_what_a_manifest_says_wrongly_that_it_follows_does_no_harm(folder: Path, said: object) -> None:
    """Itself, what is not there, and what is no name."""
    night(folder, 1)
    night(folder, 2)
    path = store(folder) / "000002" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"follows": said}))
    publications = Publications(folder / "m.topk.parquet")
    assert [p.name for p in publications.before(publications.current())] == (["000001"] if said == 3 else [])


def test_keeping_one_publication_keeps_the_current_one(folder: Path) -> None:
    score(folder)
    score(folder, "--k=9", "--keep=1")
    assert [p.name for p in Publications(folder / "m.topk.parquet").all()] == ["000002"]
    assert lists(folder).height == 30 * 9


def test_going_back_is_refused_where_there_is_nothing(folder: Path) -> None:
    for output in (folder / "m.topk.parquet", folder / "interactions.parquet"):
        with pytest.raises(InputError, match=r"has no publications: score with|is no link that this project made"):
            rollback.main([f"--output={output}"])
    assert not store(folder).exists()


def test_what_a_killed_prune_left_is_no_publication_and_goes(folder: Path) -> None:
    score(folder)
    score(folder)
    (store(folder) / "000001" / "manifest.json").unlink()
    with pytest.raises(InputError, match="has no publication before 000002"):
        rollback.main([f"--output={folder / 'm.topk.parquet'}"])
    score(folder)
    assert sorted(p.name for p in store(folder).iterdir() if p.name.isdecimal()) == ["000002", "000003"]


def test_what_may_not_be_removed_is_said_and_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    remove = shutil.rmtree

    def refuse(path: Path, *args: Any, **options: Any) -> None:
        if path.name == "000001":
            raise PermissionError(13, "Permission denied", str(path))
        remove(path, *args, **options)

    score(folder)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", refuse)
        score(folder, "--keep=1")
    assert "000001 is needed no more, and cannot be removed: Permission denied" in capfd.readouterr().err
    score(folder, "--keep=1")
    assert sorted(p.name for p in store(folder).iterdir() if p.name.isdecimal()) == ["000003"]


def test_a_store_of_a_later_version_is_refused(folder: Path) -> None:
    score(folder)
    found = json.loads((store(folder) / "format.json").read_text())
    (store(folder) / "format.json").write_text(json.dumps(found | {"format": 99}))
    before = tree(folder)
    with pytest.raises(InputError, match="has format 99; this version reads 1"):
        score(folder)
    assert tree(folder) == before


def test_a_store_of_a_process_that_was_killed_at_once_is_taken_over(folder: Path) -> None:
    (store(folder) / "locks").mkdir(parents=True)
    (store(folder) / ".format.json.abcd1234.part").write_text("{")
    score(folder)
    assert len(parts(folder)) == 8


def test_a_refused_run_leaves_no_store(folder: Path) -> None:
    before = tree(folder)
    (folder / "bad.csv").write_text("user,item,timestamp\n1,2,never\n")
    for words in ([], ["--shard=1/2"]):
        with pytest.raises(InputError, match="has the timestamp 'never'"):
            score(folder, f"--interactions={folder / 'bad.csv'}", *words)
        with pytest.raises(InputError, match=r"none\.csv does not exist"):
            score(folder, f"--interactions={folder / 'none.csv'}", *words)
    (folder / "bad.csv").unlink()
    assert tree(folder) == before and not store(folder).exists() and not work(folder).exists()


def test_a_folder_with_brackets_in_its_name_is_a_folder(folder: Path) -> None:
    place = folder / "run[1]*?"
    place.mkdir()
    shutil.copy(folder / "interactions.parquet", place / "t.parquet")
    for words in ([], ["--only-changed"]):
        score(folder, f"--output={place / 'l.parquet'}", f"--interactions={place / 't.parquet'}", *words)
    found = [pl.read_parquet(path, glob=False) for path in sorted((place / "l.parquet").iterdir())]
    score(folder)
    assert pl.concat(found).equals(lists(folder))


def test_lists_of_some_users_never_take_the_place_of_everyones(folder: Path) -> None:
    score(folder)
    before = tree(folder)
    with pytest.raises(InputError, match=r"holds everyone's lists: give .* an --output of their own, or .* --merge"):
        score(folder, "--users=1", f"--output={folder / 'm.topk.parquet'}")
    assert tree(folder) == before
    score(folder, "--users=1")
    score(folder, "--users=2,3")
    assert pl.read_parquet(folder / "m.users.parquet")["user"].unique().to_list() == [2, 3]
    assert {name: content for name, content in tree(folder).items() if not name.startswith("m.users")} == before


def test_lists_for_measuring_do_not_take_the_place_of_lists_to_serve(folder: Path, capsys) -> None:
    rows = [("u1", "a", 1, "train"), ("u1", "b", 2, "test"), ("u2", "c", 1, "train")]
    table = folder / "t.parquet"
    pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row").write_parquet(table)
    words = [f"--model={write_model(folder / 's.onnx', ITEMS, NEXT, table)}", "--k=1"]
    batch.main(words)
    assert "histories end before the held-out test items, for measuring" in capsys.readouterr().out
    # u1 had b last: measured, it is recommended again; served, it is not.
    assert pl.read_parquet(folder / "s.topk.parquet").row(0) == ("u1", 1, "b", 4.0)
    batch.main([*words, "--production"])
    printed = capsys.readouterr().out
    assert "no metrics (--production): whole histories used" in printed and "for measuring" not in printed
    assert pl.read_parquet(folder / "s.topk.parquet")["item"][0] != "b"
    with pytest.raises(InputError, match="holds lists of whole histories; these would hide the held-out test items"):
        batch.main(words)
    batch.main([*words, "--accept"])
    assert pl.read_parquet(folder / "s.topk.parquet").row(0) == ("u1", 1, "b", 4.0)


def test_all_of_a_publication_is_on_the_disk_before_readers_find_it(folder: Path, monkeypatch) -> None:
    """Each file's content and each name, in whatever order a disk may write what is not flushed."""
    score(folder)
    steps: list[tuple[str, int]] = []  # what was done to which inode
    fsync, replace = os.fsync, os.replace

    def flush(handle: int) -> None:
        fsync(handle)
        steps.append(("flushed", os.fstat(handle).st_ino))

    def rename(source: str, target: str) -> None:
        if Path(target) == store(folder) / "current":
            steps.append(("published", 0))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    score(folder, "--k=9")
    at = steps.index(("published", 0))
    new = store(folder) / "000002"
    for path in (new, *new.rglob("*")):
        assert ("flushed", path.stat().st_ino) in steps[:at], f"{path.name} may be lost, though readers are sent to it"
    assert ("flushed", store(folder).stat().st_ino) in steps[:at], "the name 000002, too"
    assert ("flushed", store(folder).stat().st_ino) in steps[at:], "and so is that it was published"
    # Names come after contents: a folder is flushed once all that it holds is.
    order = {inode: number for number, (_, inode) in enumerate(steps[:at])}
    for path in new.rglob("*.parquet"):
        assert order[path.stat().st_ino] < order[path.parent.stat().st_ino] < order[new.stat().st_ino]


DAMAGED = ["{", "[]", '{"plan": 3, "digest": "x", "parts": [], "figures": {}}', '{"plan": {}, "digest": "x"}']


@pytest.mark.parametrize("content", DAMAGED)
def test_a_current_publication_that_is_damaged_holds_until_it_is_given_up(folder: Path, content: str, capsys) -> None:
    score(folder)
    score(folder)
    (store(folder) / "000002" / "manifest.json").write_text(content)
    with pytest.raises(HeldError, match=r"held: .*000002/manifest\.json is damaged: score again"):
        score(folder)
    output = f"--output={folder / 'm.topk.parquet'}"
    rollback.main([output, "--list"])
    assert "* 000002  " in (printed := capsys.readouterr().out) and "manifest.json is damaged" in printed
    rollback.main([output])
    assert (store(folder) / "current").readlink() == Path("000001")
    with pytest.raises(InputError, match="is damaged"):
        rollback.main([output, "--to=2"])
    rollback.main([output, "--list"])
    (store(folder) / "current").unlink()
    (store(folder) / "current").symlink_to("000002")
    score(folder, "--accept")
    assert len(parts(folder)) == 8 and (store(folder) / "current").readlink() == Path("000003")


def test_a_manifest_with_other_values_than_it_has_is_damaged(folder: Path) -> None:
    score(folder)
    path = store(folder) / "000001" / "manifest.json"
    whole = json.loads(path.read_text())
    figures, plan = whole["figures"], whole["plan"]
    found = [whole | {"figures": figures | {name: value}} for name in ("rows", "users", "k") for value in ("7", [], {})]
    found += [whole | {"figures": figures | {"listed": None}}, whole | {"figures": []}, whole | {"model": 5}]
    found += [whole | {"rules": None}, whole | {"plan": plan | {"options": ["k", "split"]}}]
    found += [whole | {"plan": plan | {"options": plan["options"] | {"rules": "x"}}}]
    for read in ("users", "coverage", "score_min", "score_max", "popular"):
        found.append(whole | {"figures": {name: value for name, value in figures.items() if name != read}})
    found.append({name: value for name, value in whole.items() if name != "beyond"})
    for content in (*map(json.dumps, found), "[" * 100_000):
        path.write_text(content)
        assert "is damaged" in (Publication(path.parent).damage or ""), content[:200]
        with pytest.raises(InputError, match="is damaged"):
            deliver.main([f"--lists={folder / 'm.topk.parquet'}", f"--to={folder / 'o.csv'}"])
    path.write_text(json.dumps(whole))
    assert Publication(path.parent).damage is None


def test_a_name_that_cannot_be_one_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="File name too long"):
        score(folder, f"--output={folder / ('x' * 300)}.parquet")


def test_two_outputs_do_not_share_a_file_of_metrics(folder: Path, monkeypatch) -> None:
    rows = [("u1", "a", 1, "train"), ("u1", "b", 2, "test"), ("u2", "c", 1, "train")]
    table = folder / "t.parquet"
    pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row").write_parquet(table)
    words = [f"--model={write_model(folder / 's.onnx', ITEMS, NEXT, table)}", "--k=1"]
    batch.main(words)
    other = f"--output={folder / 's.parquet'}"
    with pytest.raises(InputError, match=r"s\.metrics\.json exists and is a link to s\.topk\.publications/current"):
        batch.main([*words, other])
    # As if both had begun together.
    monkeypatch.setattr(Publications, "check", lambda self, inputs=(): None)
    with pytest.raises(InputError, match=r"s\.metrics\.json exists and is a link to s\.topk\.publications/current"):
        batch.main([*words, other])
    assert json.loads((folder / "s.metrics.json").read_text())["k"] == 1


def test_a_store_that_lacks_its_format_is_not_taken_for_somebody_elses(folder: Path) -> None:
    score(folder)
    (store(folder) / "format.json").unlink()
    with pytest.raises(InputError, match=r"format\.json is missing or damaged: put it back, or move"):
        score(folder)


def test_a_file_system_without_links_is_refused_before_anything_is_scored(folder: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    before = tree(folder)
    monkeypatch.setattr(os, "symlink", refuse)
    monkeypatch.setattr("infer.scoring.run._open", lambda *_: 1 / 0)
    with pytest.raises(InputError, match="links"):
        score(folder)
    monkeypatch.undo()
    assert tree(folder) == before and not store(folder).exists()
