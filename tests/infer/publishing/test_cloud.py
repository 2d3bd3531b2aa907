"""Lists in the cloud: readers find the earlier ones or the new ones, whatever stops, and whoever else publishes."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import infer
from infer import batch, compare, deliver, rollback
from infer.errors import HeldError, InputError
from infer.publishing.cloud_output import CloudOutput
from infer.serving.users import UserLists, stamp_of_lists
from infer.system.addresses import Address, place
from infer.system.objects import Objects
from tests.helpers import nights
from tests.helpers.servers import BUCKET, KEYS, Store, s3

pytest.importorskip("obstore", reason="obstore, which reaches the cloud, is not installed")
WRITES = ("create", "replace", "upload", "remove")


class Killed(BaseException):
    """Nothing that is caught: what a killed process does not do is not done."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Path]]:
    """A bucket with a model, and a folder with the same model, its table, and lists of k = 5 and 7 made there."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    folder = nights.write_night(tmp_path_factory.mktemp("night"))
    for k in (5, 7):
        batch.main([f"--model={folder / 'm.onnx'}", *words(folder, k), f"--output={folder / f'{k}.topk.parquet'}"])
    with s3() as store:
        store.put("models/m.onnx", (folder / "m.onnx").read_bytes())
        yield store, folder


@pytest.fixture
def store(filled: tuple[Store, Path], monkeypatch: pytest.MonkeyPatch) -> Store:
    filled[0].reach(monkeypatch)
    return filled[0]


@pytest.fixture
def folder(filled: tuple[Store, Path]) -> Path:
    return filled[1]


@pytest.fixture
def output(request: pytest.FixtureRequest) -> str:
    """An address of this test's own."""
    return f"s3://{BUCKET}/{request.node.originalname}/the lists/m.topk.parquet"


def words(folder: Path, k: int) -> list[str]:
    """Two parts."""
    return [f"--interactions={folder / 'interactions.parquet'}", "--part-users=15", f"--k={k}", "--no-figures"]


def score(folder: Path, output: str, k: int, *more: str) -> None:
    batch.main([f"--model=s3://{BUCKET}/models/m.onnx", *words(folder, k), f"--output={output}", *more])


def below(output: str) -> str:
    """The key of all publications."""
    return output.removeprefix(f"s3://{BUCKET}/").removesuffix(".parquet") + ".publications/"


def read(output: str) -> pl.DataFrame:
    """What a reader finds, who has Polars alone: the line of the documentation."""
    pointer = f"{output.removesuffix('.parquet')}.publications/current.json"
    return pl.read_parquet(pl.read_ndjson(pointer)["lists"][0])


def catalogue(store: Store, output: str) -> dict[str, Any]:
    return json.loads(store.get(f"{below(output)}current.json"))


def files(store: Store, output: str) -> dict[str, bytes]:
    """The files of lists and users that readers find."""
    prefix = f"{below(output)}{catalogue(store, output)['current']}/"
    names = [key.removeprefix(prefix) for key in store.keys(prefix)]
    return {name: store.get(prefix + name) for name in names if name.endswith(".parquet")}


def local(folder: Path, k: int) -> dict[str, bytes]:
    """The same, of lists that were made in a folder."""
    made = folder / f"{k}.topk.publications" / "current"
    return {str(path.relative_to(made)): path.read_bytes() for path in sorted(made.rglob("*.parquet"))}


def watching(monkeypatch: pytest.MonkeyPatch, before: Callable[[str, str], None]) -> None:
    """Let `before(what, key)` run before everything that is written to the store."""

    def watched(what: str) -> Callable[..., Any]:
        real = getattr(Objects, what)

        def call(self: Objects, key: Any, *given: Any) -> Any:
            before(what, key if isinstance(key, str) else "".join(key[:1]))
            return real(self, key, *given)

        return call

    for what in WRITES:
        monkeypatch.setattr(Objects, what, watched(what))


def test_the_lists_are_those_of_a_run_in_a_folder(store: Store, folder: Path, output: str) -> None:
    score(folder, output, 5)
    assert files(store, output) == local(folder, 5) and len(local(folder, 5)) == 4
    assert read(output).equals(pl.read_parquet(folder / "5.topk.parquet"))
    manifest = json.loads(store.get(f"{below(output)}000001/manifest.json"))
    assert manifest["model"] == "m.onnx" and manifest["figures"]["rows"] == 150
    found = catalogue(store, output)
    assert found["manifest"] == f"s3://{BUCKET}/{below(output)}000001/manifest.json"
    for key in store.keys(below(output)):
        assert KEYS["AWS_SECRET_ACCESS_KEY"].encode() not in store.get(key)


def test_a_run_that_is_stopped_anywhere_leaves_whole_lists_and_goes_on(
    store: Store, folder: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(folder, output, 5)
    earlier, tonight, finished = 5, 7, False
    stops = written = scored = 0

    def stop(what: str, key: str) -> None:
        nonlocal written
        written += 1
        if written >= stops:
            raise Killed(what)

    def count(what: str, key: str) -> None:
        nonlocal scored
        scored += "/lists/" in key and what == "create"

    while not finished:
        stops, written, scored = stops + 1, 0, 0

        with monkeypatch.context() as patch:
            watching(patch, stop)
            try:
                score(folder, output, tonight, "--keep=1")
                finished = True
            except Killed:
                pass
        decided = catalogue(store, output)["current"] and read(output)["rank"].max() == tonight
        assert read(output).equals(pl.read_parquet(folder / f"{tonight if decided else earlier}.topk.parquet"))
        runs = catalogue(store, output)["runs"]
        there = store.keys(f"{below(output)}{runs[0]['name']}/lists/") if runs else []
        with monkeypatch.context() as patch:
            watching(patch, count)
            score(folder, output, tonight, "--keep=1")
        assert scored == 2 - len(there), stops
        assert files(store, output) == local(folder, tonight)
        found = catalogue(store, output)
        assert found["published"] == [found["current"]] and not found["runs"]
        assert {key.split("/")[3] for key in store.keys(below(output))} == {found["current"], "current.json"}
        earlier, tonight = tonight, earlier
    assert stops >= 9  # begin, four files, manifest, decision, two removals


def test_of_two_that_publish_at_once_one_is_told_and_loses_nothing(
    store: Store, folder: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(folder, output, 5)
    others: list[str] = []

    def meanwhile(what: str, key: str) -> None:
        if key.endswith("manifest.json") and not others:
            others.append(key)
            score(folder, output, 5)

    with monkeypatch.context() as patch:
        watching(patch, meanwhile)
        with pytest.raises(InputError) as error:
            score(folder, output, 7)
    assert "another run published 000003 while this one scored" in str(error.value)
    assert read(output).equals(pl.read_parquet(folder / "5.topk.parquet"))
    scored: list[str] = []
    with monkeypatch.context() as patch:
        watching(patch, lambda what, key: scored.append(key) if "/lists/" in key else None)
        score(folder, output, 7)
    assert not scored and files(store, output) == local(folder, 7)
    assert catalogue(store, output)["published"] == ["000001", "000003", "000002"]
    rollback.main([f"--output={output}"])
    assert read(output).equals(pl.read_parquet(folder / "5.topk.parquet"))
    assert catalogue(store, output)["current"] == "000003"


def test_a_merge_keeps_what_another_has_merged_since_it_was_planned(
    store: Store, folder: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(folder, output, 5)
    real = CloudOutput.share
    rows = [(user, item, 2_000_000_000) for user in (3, 20) for item in nights.ITEMS[:35]]
    table = pl.read_parquet(folder / "interactions.parquet")
    pl.concat([table, pl.DataFrame(rows, schema=table.schema, orient="row")]).write_parquet(folder / "tonight.parquet")
    merge = [f"--model={folder / 'm.onnx'}", f"--interactions={folder / 'tonight.parquet'}", f"--output={output}"]
    merge += ["--part-users=15", "--k=5", "--no-figures", "--merge"]

    @contextmanager
    def after_another(*given: Any) -> Iterator[bool]:
        monkeypatch.setattr(CloudOutput, "share", real)
        batch.main([*merge, "--users=3"])
        with real(*given) as published:
            yield published

    monkeypatch.setattr(CloudOutput, "share", after_another)
    batch.main([*merge, "--users=20"])
    found = read(output).filter(pl.col("user").is_in([3, 20]))
    assert found["user"].n_unique() == 2 and found["item"].min() > 35, "nobody gets what they had by tonight"


def test_the_same_command_twice_at_once_publishes_once(
    store: Store, folder: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[str] = []

    def meanwhile(what: str, key: str) -> None:
        if "/lists/" in key and not others:
            others.append(key)
            score(folder, output, 5)

    with monkeypatch.context() as patch:
        watching(patch, meanwhile)
        score(folder, output, 5)
    assert catalogue(store, output)["published"] == ["000001"] and files(store, output) == local(folder, 5)


def test_shares_of_several_machines_meet_in_one_publication(store: Store, folder: Path, output: str) -> None:
    score(folder, output, 5, "--shard=2/2")
    assert catalogue(store, output)["current"] is None
    score(folder, output, 5, "--shard=1/2")
    assert files(store, output) == local(folder, 5) and catalogue(store, output)["published"] == ["000001"]


def test_lists_are_held_compared_and_accepted(
    store: Store, folder: Path, output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    score(folder, output, 5)
    with pytest.raises(HeldError, match=r"tonight's lists are in s3://.*/000002/lists"):
        score(folder, output, 7, "--min-overlap=2")
    assert read(output)["rank"].max() == 5 and catalogue(store, output)["held"]["name"] == "000002"
    capsys.readouterr()
    compare.main([f"--output={output}"])
    assert "held: lists share 100.0% of their items" in capsys.readouterr().out
    scored: list[str] = []
    watching(monkeypatch, lambda what, key: scored.append(key) if "/lists/" in key else None)
    score(folder, output, 7, "--min-overlap=2", "--accept")
    assert not scored and files(store, output) == local(folder, 7) and catalogue(store, output)["held"] is None


def test_going_back_and_forth_changes_what_all_readers_find(
    store: Store, folder: Path, output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score(folder, output, 5)
    first = stamp_of_lists(place(output))
    score(folder, output, 7)
    assert stamp_of_lists(place(output)) != first
    user = str(read(output)["user"][0])
    assert UserLists(place(output)).of(user, 10).height == 7
    rollback.main([f"--output={output}"])
    assert UserLists(place(output)).of(user, 10).height == 5 and stamp_of_lists(place(output)) == first
    capsys.readouterr()
    deliver.main([f"--lists={output}", f"--to={tmp_path / 'lists.csv'}"])
    assert "delivered publication 000001: 30 users" in capsys.readouterr().out
    assert pl.read_csv(tmp_path / "lists.csv").height == 150
    rollback.main([f"--output={output}", "--to=2"])
    assert UserLists(place(output)).version == "000002"
    with pytest.raises(InputError, match="has no publication 000009; it has 000001, 000002"):
        rollback.main([f"--output={output}", "--to=9"])


def test_going_back_never_leads_to_lists_that_were_gone_back_from(store: Store, folder: Path, output: str) -> None:
    score(folder, output, 5)
    for bad in (2, 3, 4):
        score(folder, output, 7)
        assert json.loads(store.get(f"{below(output)}{bad:06}/manifest.json"))["follows"] == "000001"
        rollback.main([f"--output={output}"])
        assert catalogue(store, output)["current"] == "000001", f"and not {bad - 1:06}"
    assert catalogue(store, output)["published"] == ["000001", "000003", "000004"]
    with pytest.raises(InputError, match="has no publication before 000001"):
        rollback.main([f"--output={output}"])


def test_users_whose_history_is_as_it_was_keep_their_lists(
    store: Store, folder: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    score(folder, output, 5)
    score(folder, output, 5, "--only-changed")
    assert "; 0 users scored anew" in capsys.readouterr().out
    assert read(output).equals(pl.read_parquet(folder / "5.topk.parquet"))


def test_only_what_is_ours_and_in_use_no_more_is_removed(store: Store, folder: Path, output: str) -> None:
    score(folder, output, 5)
    foreign = {f"{below(output)}notes.txt", f"{below(output)}999999/part", f"{below(output)[:-1]}-2/000001/part"}
    for key in foreign:
        store.put(key, b"precious")
    with pytest.raises(HeldError):
        score(folder, output, 7, "--min-overlap=2")
    score(folder, output, 5, "--keep=3")
    score(folder, output, 5, "--keep=3")
    names = {key.removeprefix(below(output)).partition("/")[0] for key in store.keys(below(output))}
    assert names == {"current.json", "notes.txt", "999999", "000001", "000002", "000003", "000004"}  # 2 is held
    assert foreign <= set(store.keys(below(output).split("/")[0]))
    score(folder, output, 5, "--keep=1")
    assert catalogue(store, output)["published"] == ["000005"] and catalogue(store, output)["held"] is None
    assert not store.keys(f"{below(output)}000002/")  # what it was held against is gone, too


def test_what_may_not_be_removed_is_said_and_stays(
    store: Store,
    folder: Path,
    output: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def refuse(self: Objects, keys: list[str]) -> None:
        raise InputError(f"{self.folder}: access is denied")

    score(folder, output, 5)
    with monkeypatch.context() as patch:
        patch.setattr(Objects, "remove", refuse)
        score(folder, output, 5, "--keep=1")
    assert f"what is needed no more stays there: s3://{BUCKET}/" in capfd.readouterr().err
    assert store.keys(f"{below(output)}000001/") and catalogue(store, output)["published"] == ["000002"]
    score(folder, output, 5, "--keep=1")
    assert "stays there" not in capfd.readouterr().err and not store.keys(f"{below(output)}000001/")


def test_restart_scores_anew_under_another_number(
    store: Store, folder: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(what: str, key: str) -> None:
        if key.endswith("manifest.json"):
            raise Killed

    with monkeypatch.context() as patch:
        watching(patch, stop)
        with pytest.raises(Killed):
            score(folder, output, 5)
    score(folder, output, 5, "--restart")
    assert catalogue(store, output)["published"] == ["000002"] and files(store, output) == local(folder, 5)
    assert not store.keys(f"{below(output)}000001/")


@pytest.mark.parametrize("content", [b"precious", b'{"generator": "another"}', b"[]"])
def test_what_somebody_else_wrote_there_stays(store: Store, folder: Path, output: str, content: bytes) -> None:
    store.put(f"{below(output)}current.json", content)
    with pytest.raises(InputError, match=r"current\.json exists and was not written by this project"):
        score(folder, output, 5)
    assert store.get(f"{below(output)}current.json") == content and len(store.keys(below(output))) == 1


def test_a_folder_of_somebody_else_takes_no_lists(store: Store, folder: Path, output: str) -> None:
    store.put(f"{below(output)}000001/holiday.jpg", b"precious")
    with pytest.raises(InputError, match=r"holds 000001/holiday\.jpg and no current\.json of this project"):
        score(folder, output, 5)
    assert store.keys(below(output)) == [f"{below(output)}000001/holiday.jpg"]


def test_a_store_that_ignores_conditions_takes_no_lists(
    store: Store, folder: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore

    real = obstore.put
    monkeypatch.setattr(obstore, "put", lambda to, key, content, **_: real(to, key, content))
    with pytest.raises(InputError, match="writes over objects although it is asked not to"):
        score(folder, output, 5)
    assert store.keys(below(output)) == [f"{below(output)}current.json"]


def test_nothing_is_published_where_nothing_is(store: Store, output: str) -> None:
    for main, option in ((rollback.main, "output"), (compare.main, "output"), (deliver.main, "lists")):
        with pytest.raises(InputError, match=r"no publications|fewer than two publications|no published lists"):
            main([f"--{option}={output}", *(["--to=x.csv"] if option == "lists" else [])])
    assert not store.keys(below(output))


def test_a_model_is_read_once_and_checked(
    store: Store, folder: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = Objects.download
    monkeypatch.setattr(Objects, "download", lambda *given: read.append(given[1]) or real(*given))
    model = infer.load(f"s3://{BUCKET}/models/m.onnx")
    assert read == ["m.onnx"] and str(model.model.path) == f"s3://{BUCKET}/models/m.onnx"
    assert model.recommend([1, 2], k=3).equals(infer.load(folder / "m.onnx").recommend([1, 2], k=3))
    score(folder, output, 5)
    assert read.count("m.onnx") == 2
    content = bytearray((folder / "m.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    store.put("models/damaged.onnx", bytes(content))
    with pytest.raises(InputError, match=rf"^s3://{BUCKET}/models/damaged\.onnx "):
        infer.load(f"s3://{BUCKET}/models/damaged.onnx")


def test_what_goes_with_a_model_elsewhere_is_asked_for(store: Store, folder: Path, output: str) -> None:
    model = f"--model=s3://{BUCKET}/models/m.onnx"
    for given, why in (
        ([model], "say where the lists go with --output"),
        ([model, f"--output={output}"], "lies elsewhere, without its table: give --interactions"),
        ([model, f"--output={output}", "--to=x.csv", "--with=title"], "--with: name the table of the items with"),
        ([f"--model=s3://{BUCKET}/models/none.onnx", f"--output={output}"], r"none\.onnx does not exist"),
        ([f"--model=s3://{BUCKET}/models/", f"--output={output}"], "names no object in a bucket"),
        (
            [model, "--output=https://shop/l.parquet?sig=sesame"],
            r"shop/l\.parquet\?\.\.\.: expected a path",
        ),
        ([model, f"--output=s3://{BUCKET}/l.csv"], r"expected a name that ends in \.parquet"),
        ([model, f"--output=s3://key:sesame@{BUCKET}/l.parquet"], "carries no keys: give them in the environment"),
    ):
        with pytest.raises(InputError, match=why) as error:
            batch.main(given)
        assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(error.value)
    assert not store.keys(below(output)) and Address(output).text == output


@pytest.mark.parametrize("cloud", [True, False])
def test_a_manifest_that_names_files_elsewhere_is_damaged(
    cloud: bool, store: Store, folder: Path, output: str, tmp_path: Path
) -> None:
    lists, target = tmp_path / "m.topk.parquet", tmp_path / "lists.csv"
    score(folder, output if cloud else str(lists), 5)
    key = f"{below(output)}000001/manifest.json"
    file = tmp_path / "m.topk.publications" / "000001" / "manifest.json"
    whole = json.loads(store.get(key) if cloud else file.read_bytes())
    shutil.copy(folder / "7.topk.publications" / "current" / "lists" / "part-00000.parquet", tmp_path / "x.parquet")
    for name in ("../../../x.parquet", str(tmp_path / "x.parquet"), "part-00000.parquet/../x", "a\0b", "..", 5, None):
        changed = json.dumps(whole | {"parts": [whole["parts"][0] | {"file": name}]})
        store.put(key, changed.encode()) if cloud else file.write_text(changed)
        with pytest.raises(InputError, match=r"manifest\.json is damaged"):
            deliver.main([f"--lists={output if cloud else lists}", f"--to={target}"])
        assert not target.exists()


def test_a_catalogue_that_names_publications_elsewhere_is_damaged(store: Store, folder: Path, output: str) -> None:
    score(folder, output, 5)
    key = f"{below(output)}current.json"
    whole = json.loads(store.get(key))
    for name in ("../../x", "/tmp/x", "1", "000001/../000001", "..", 1, None):
        other = {"name": name, "plan": "x"}
        for changed in ({"published": [name, "000001"]}, {"held": other}, {"runs": [other]}):
            store.put(key, json.dumps(whole | changed).encode())
            with pytest.raises(InputError, match=r"current\.json is damaged"):
                rollback.main([f"--output={output}", "--list"])
