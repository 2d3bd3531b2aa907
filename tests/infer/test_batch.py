"""Batch scoring: lists and metrics of a model whose scores are written down here."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer import batch, recommend
from infer.errors import InputError
from infer.model import session
from infer.model.choice import Choice
from infer.model.session import open_model
from infer.scoring.lists import batches, model_lists
from infer.scoring.options import ScoringConfig
from infer.scoring.task import prepare, select_users
from infer.tables.options import TableOptions
from tests.helpers.markov import ITEMS, NEXT, write_model

ROWS = [
    ("u1", "a", 1, "train"),
    ("u1", "b", 2, "train"),
    ("u1", "c", 3, "validation"),
    ("u1", "d", 4, "test"),
    ("u2", "b", 1, "train"),
    ("u2", "e", 2, "train"),
    ("u2", "a", 3, "validation"),
    ("u2", "b2", 4, "test"),
    ("u3", "d", 1, "train"),
]
SCHEMA = ["user", "item", "timestamp", "split"]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The model and the table it was trained on; item b2 is unknown to the model."""
    table = tmp_path / "interactions.parquet"
    pl.DataFrame(ROWS, schema=SCHEMA, orient="row").write_parquet(table)
    return write_model(tmp_path / "markov.onnx", ITEMS, NEXT, table), table


def lists_of(model: Path, k: int, batch_size: int = 2, measure: bool = True, **options) -> dict[str, str]:
    """Each user's list as one word."""
    table = model_lists(prepare(ScoringConfig(model=model, **options).job(measure)), k, batch_size)
    grouped = table.group_by("user", maintain_order=True).agg(pl.col("item").str.join(""))
    return dict(grouped.iter_rows())


def test_histories_end_before_the_test_item_and_seen_items_are_dropped(files) -> None:
    # u1 reads a b c: row c ties, so ascending order among d e. u2 reads b e a: row a, unseen c d.
    # u3 has nothing held out and reads d: row d, unseen a b c e.
    assert lists_of(files[0], k=3) == {"u1": "de", "u2": "cd", "u3": "eac"}


def test_the_validation_split_ends_one_item_earlier(files) -> None:
    # u1 reads a b: row b, unseen c d e. u2 reads b e: row e, unseen a c d.
    assert lists_of(files[0], k=2, split="validation") == {"u1": "ed", "u2": "ac", "u3": "ea"}


def test_without_metrics_the_whole_history_counts_as_seen(files) -> None:
    # u1 reads a b c d: only e is left. u2's unknown b2 does not count.
    assert lists_of(files[0], k=3, measure=False) == {"u1": "e", "u2": "cd", "u3": "eac"}


def test_a_table_without_a_split_is_scored_whole(files, tmp_path: Path) -> None:
    table = tmp_path / "new.csv"
    table.write_text("user,item,timestamp\nz,a,2\nz,d,1\n")
    assert lists_of(files[0], k=9, interactions=table) == {"z": "bce"}


def test_ranks_and_scores_are_best_first_and_ids_keep_their_type(files) -> None:
    table = model_lists(prepare(ScoringConfig(model=files[0]).job()), 3, 256).filter(pl.col("user") == "u2")
    assert table.rows() == [("u2", 1, "c", 3.0), ("u2", 2, "d", 2.0)]
    assert table.schema["user"] == table.schema["item"] == pl.String


@pytest.mark.parametrize("batch_size", [1, 2, 3, 256])
def test_lists_do_not_depend_on_the_batch_size(files, batch_size: int) -> None:
    task = prepare(ScoringConfig(model=files[0]).job())
    assert model_lists(task, 3, batch_size).equals(model_lists(task, 3, 2))


def test_a_batch_is_bounded_by_scores_and_by_seen_items_with_the_same_lists(files, monkeypatch) -> None:
    task = prepare(ScoringConfig(model=files[0]).job())
    whole = model_lists(task, 3, 256)
    assert [len(rows) for rows in batches(task.model, task.histories.lengths, 256)] == [3]
    monkeypatch.setattr("infer.scoring.lists.LARGEST_SCORES", 2 * 6)  # five items and padding
    assert [len(rows) for rows in batches(task.model, task.histories.lengths, 256)] == [2, 1]
    assert model_lists(task, 3, 256).equals(whole)
    monkeypatch.setattr("infer.scoring.lists.LARGEST_SCORES", 2 * 6 - 1)
    assert [len(rows) for rows in batches(task.model, task.histories.lengths, 256)] == [1, 1, 1]
    monkeypatch.setattr("infer.scoring.lists.LARGEST_SEEN", 2)
    monkeypatch.setattr("infer.scoring.lists.LARGEST_SCORES", 2 * 6)
    assert [len(rows) for rows in batches(task.model, np.array([3, 1, 1, 2, 9]), 256)] == [2, 1, 1, 1]
    monkeypatch.setattr("infer.scoring.lists.LARGEST_SEEN", 3)
    assert [len(rows) for rows in batches(task.model, np.array([3, 1, 1, 2, 9]), 256)] == [2, 1, 1, 1]


def test_windows_are_as_long_as_a_users_own_history_needs(artifacts: Path) -> None:
    model = open_model(artifacts / "bert.onnx")  # window 8
    assert model.any_length and model.window_lengths(np.array([0, 1, 8, 9])).tolist() == [8, 8, 8, 8]
    longer = replace(model, metadata=replace(model.metadata, window=50))
    assert longer.window_lengths(np.array([0, 1, 8, 9, 48, 49, 500])).tolist() == [8, 8, 8, 16, 48, 50, 50]
    found = [rows.tolist() for rows in batches(longer, np.array([60, 3, 20, 70, 5]), 256)]
    assert found == [[1, 4], [2], [0, 3]]


def test_unknown_users_are_left_out_and_counted_for_window_models(files, tmp_path: Path) -> None:
    table = tmp_path / "new.csv"
    table.write_text("user,item,timestamp\nx,b2,1\nz,a,2\n")
    task = prepare(ScoringConfig(model=files[0], interactions=table).job())
    assert task.cold == 1 and task.histories.unknown == 1
    assert model_lists(task, 1, 8).rows() == [("z", 1, "b", 4.0)]


def test_unknown_users_are_left_out_and_counted_for_user_models(files, tmp_path: Path) -> None:
    scores = np.array([[0] * 6, [0, 1, 2, 3, 4, 5], [0, 5, 4, 3, 2, 1]])
    model = write_model(tmp_path / "mf.onnx", ITEMS, scores, files[1], user_ids=["u1", "u3"])
    task = prepare(ScoringConfig(model=model).job())
    assert task.cold == 1
    assert lists_of(model, k=2) == {"u1": "ed", "u3": "ab"}


def test_a_left_out_user_counts_as_a_miss(files, tmp_path: Path) -> None:
    scores = np.array([[0] * 6, [0, 1, 2, 3, 9, 5]])
    model = write_model(tmp_path / "mf.onnx", ITEMS, scores, files[1], user_ids=["u1"])
    batch.main([f"--model={model}", "--k=1", "--max-left-out=0.7", "--max-popular=1"])
    report = json.loads((tmp_path / "mf.metrics.json").read_text())
    assert report["users_cold"] == 2 and report["users_measured"] == 2
    assert report["metrics"]["mf"]["hit@1"]["value"] == 0.5


def test_the_report_measures_the_model_beside_random_and_popularity(files, tmp_path: Path, capsys) -> None:
    batch.main([f"--model={files[0]}", "--k=2"])
    report = json.loads((tmp_path / "markov.metrics.json").read_text())
    metrics = report["metrics"]
    assert list(metrics) == ["random", "popularity", "markov"]
    # Histories hold a twice, b twice, c, d and e once: u1 has only d and e left, d first.
    assert metrics["popularity"]["hit@2"]["value"] == 0.5
    assert metrics["markov"]["ndcg@2"]["value"] == 0.5
    assert metrics["markov"]["precision@2"]["value"] == 0.25
    assert metrics["markov"]["coverage@2"]["value"] == pytest.approx(4 / 5)
    assert report["dataset"] == "by hand" and "test items, full ranking of" in report["protocol"]
    printed = capsys.readouterr().out
    assert "popularity" in printed and "hit@2" in printed


def test_a_score_that_is_not_a_number_names_the_user(files, tmp_path: Path) -> None:
    for value in (-1, 0):  # whose logarithms are NaN and minus infinity
        broken = np.abs(NEXT) + 1.0
        broken[4, 1:4] = value
        model = write_model(tmp_path / "broken.onnx", ITEMS, broken, files[1], operator="Log")
        with pytest.raises(InputError, match="user u3 a NaN or infinite score"):
            model_lists(prepare(ScoringConfig(model=model).job()), 5, 2)


def test_a_score_that_is_not_a_number_does_not_matter_for_a_user_who_is_left_out(files, tmp_path: Path) -> None:
    scores = np.array([[1, *[-1] * 5], [1, 1, 2, 3, 9, 5]])
    model = write_model(tmp_path / "mf.onnx", ITEMS, scores, files[1], user_ids=["u1"], operator="Log")
    assert lists_of(model, k=1) == {"u1": "d"}


def test_users_are_chosen_by_id_or_from_a_file(files, tmp_path: Path) -> None:
    task = prepare(ScoringConfig(model=files[0]).job())
    assert select_users(task, "u3,u1").histories.users.to_list() == ["u1", "u3"]
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("u2\n\nu3\n")
    picked = select_users(task, str(chosen))
    assert picked.histories.users.to_list() == ["u2", "u3"] and picked.targets["user"].to_list() == ["u2"]
    assert model_lists(picked, 1, 8)["item"].to_list() == ["c", "e"]
    with pytest.raises(InputError, match="no user 'u9'"):
        select_users(task, "u1,u9")


def test_a_changed_table_is_refused_unless_it_is_named(files) -> None:
    model, table = files
    pl.read_parquet(table).head(5).write_parquet(table)
    with pytest.raises(InputError, match=r"is not the table markov\.onnx was trained on"):
        prepare(ScoringConfig(model=model).job())
    assert prepare(ScoringConfig(model=model, interactions=table).job()).histories.users.to_list() == ["u1", "u2"]


def test_ids_of_another_type_are_refused_if_the_model_knows_none_of_them(files, tmp_path: Path) -> None:
    table = tmp_path / "numbers.parquet"
    pl.DataFrame({"user": [1], "item": [2], "timestamp": [3]}).write_parquet(table)
    said = r"whole numbers as item ids, as '2'; markov\.onnx knows texts, as 'a', and none of the table's"
    with pytest.raises(InputError, match=said):
        prepare(ScoringConfig(model=files[0], interactions=table).job())


def test_a_session_on_another_device_than_asked_is_refused(files, monkeypatch) -> None:
    asked, real, cpu = [], session.ort.InferenceSession, "CPUExecutionProvider"

    def on_the_cpu(content: bytes, options, **named):
        asked.append(named)
        return real(content, providers=[cpu])

    monkeypatch.setattr(session.ort, "get_available_providers", lambda: ["CUDAExecutionProvider", cpu])
    monkeypatch.setattr(session.ort, "InferenceSession", on_the_cpu)
    with pytest.raises(InputError, match=f"--device cuda: CUDAExecutionProvider could not start, {cpu} would run"):
        prepare(ScoringConfig(model=files[0], device="cuda").job())
    # Nor may ONNX Runtime try another by itself.
    wanted = [("CUDAExecutionProvider", {"use_tf32": "0"})]  # nor calculate with fewer digits
    assert asked == [{"providers": wanted, "enable_fallback": 0}]
    monkeypatch.setattr(session.ort, "get_available_providers", lambda: [cpu])
    with pytest.raises(InputError, match="here offers CPUExecutionProvider; install onnxruntime-gpu"):
        prepare(ScoringConfig(model=files[0], device="cuda").job())
    assert len(asked) == 1


def test_threads_and_the_bound_of_memory_reach_the_session(files, monkeypatch) -> None:
    given, real = [], session.ort.InferenceSession

    def record(content: bytes, options, **named):
        given.append(options)
        return real(content, options, **named)

    monkeypatch.setattr(session.ort, "InferenceSession", record)
    silenced = []
    monkeypatch.setattr(session.ort, "disable_telemetry_events", lambda: silenced.append(1))
    prepare(ScoringConfig(model=files[0], threads=3).job())
    assert silenced == [1], "nothing is reported to anybody"
    assert given[0].intra_op_num_threads == 3 and given[0].log_severity_level == 4
    assert given[0].get_session_config_entry("session.use_env_allocators") == "1"
    assert session.LARGEST_MEMORY == 4 * 2**30


def test_a_single_user_gets_a_list_of_one_row(files) -> None:
    """That the graph scores it as one of two is in tests/export/test_guard.py."""
    model = open_model(files[0])
    window, seen = np.array([[0, 0, 1]]), np.array([[0, 1]])
    items, scores = model.run({"window": window, **Choice(seen).inputs, "k": np.array([2])})
    assert items.tolist() == [[2, 3]] and scores.tolist() == [[4, 3]]


def test_what_the_graph_gives_is_checked_and_ordered_on_every_device(files, monkeypatch) -> None:
    model, given = open_model(files[0]), {}
    feeds = {"window": np.array([[0, 0, 1]] * 2), **Choice(np.array([[0, 1]] * 2)).inputs, "k": np.array([3])}
    bound = session.run_bound(model.session, ["items", "scores"], feeds, "cpu")
    assert [values.tolist() for values in bound] == [values.tolist() for values in model.run(feeds)]
    monkeypatch.setattr(session.ort.InferenceSession, "run", lambda *_: (given["items"], given["scores"]))
    given["items"], given["scores"] = np.array([[5, 3, 2]] * 2), np.array([[2, 2, 7]] * 2, dtype=np.float32)
    items, scores = model.run(feeds)
    assert items.tolist() == [[2, 3, 5]] * 2 and scores.tolist() == [[7, 2, 2]] * 2
    given["items"] = np.array([[5, 5, 2]] * 2)
    with pytest.raises(InputError, match="lists an item twice for one user"):
        model.run(feeds)


def test_a_table_may_name_its_columns_as_it_likes(files, tmp_path: Path) -> None:
    table = tmp_path / "new.csv"
    table.write_text("when,what,who,rating\n2,a,z,1\n1,d,z,1\n,,z,\n")
    names = {"user_column": "who", "item_column": "what", "timestamp_column": "when"}
    with pytest.raises(InputError, match="row 3 has no item"):
        lists_of(files[0], k=9, interactions=table, **names)
    assert lists_of(files[0], k=9, interactions=table, drop_bad_rows=True, **names) == {"z": "bce"}


def test_names_of_columns_hold_in_all_tables_of_a_shop(files, tmp_path: Path, capsys) -> None:
    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    table = write("sales.csv", "Kunde,Artikel,Zeit\nz,a,2\nz,d,1\ny,b,1\ny,e,2\n")
    names = {"interactions": table, "user_column": "Kunde", "item_column": "Artikel", "timestamp_column": "Zeit"}

    def given(**options) -> dict[str, str]:
        return lists_of(files[0], k=9, measure=False, **names, **options)

    assert given() == {"y": "acd", "z": "bce"}
    assert given(only_items=write("stock.csv", "Artikel,Menge\nb,3\nd,1\n")) == {"y": "d", "z": "b"}
    assert given(only_items=write("plain.txt", "Artikel\nb\nd\n")) == {"y": "d", "z": "b"}
    assert given(exclude_pairs=write("returned.csv", "Kunde,Artikel\nz,c\n")) == {"y": "acd", "z": "be"}
    assert given(boost=write("push.csv", "Artikel,weight\ne,1000000\n"))["z"][0] == "e"
    items = write("items.csv", "Artikel,Name,genres\na,A,x\nb,B,x\nc,C,x\nd,D,y\ne,E,y\n")
    assert given(items=items, items_where="Name in ('B', 'D')") == {"y": "d", "z": "b"}
    write("customers.csv", "Kunde,segment,age\nz,gold,40\ny,none,50\n")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in names.items()]
    of_users = [f"--segments={tmp_path}/customers.csv", f"--user-groups={tmp_path}/customers.csv", "--group-column=age"]
    batch.main([
        f"--model={files[0]}", f"--output={tmp_path}/lists.parquet", "--production", *options, *of_users,
        f"--items={items}", "--most-per=genres=1", "--fallback=category-popular", "--with=Name", "--to",
        f"{tmp_path}/lists.csv",
    ])  # fmt: skip
    made = pl.read_csv(tmp_path / "lists.csv").sort("user", "rank").select("user", "item", "Name", "segment")
    assert made.rows() == [
        ("y", "a", "A", "none"),
        ("y", "d", "D", "none"),
        ("z", "b", "B", "gold"),
        ("z", "e", "E", "gold"),
    ]
    ours = pl.DataFrame({"item": ["a", "b", "c", "d", "e"], "title": list("ABCDE"), "genres": list("xxxyy")})
    ours = ours.with_columns(pl.Series("Artikel", [["p"], ["q"], ["p"], ["q"], ["p"]]))  # a further column called so
    ours.write_parquet(tmp_path / "items.parquet")
    assert given(items_where="genres = 'y' or Artikel = 'q'") == {"y": "d", "z": "be"}
    recommend.main([f"--model={files[0]}", "--user=z", "--k=1", *options, f"--items={items}"])
    assert " B " in capsys.readouterr().out


def test_every_column_has_its_own_name_and_a_table_of_somebody_is_read_elsewhere_first(
    files, tmp_path: Path, monkeypatch
) -> None:
    probed = []
    monkeypatch.setattr("infer.scoring.job.probe", probed.append)
    ScoringConfig(model=files[0]).job()
    assert probed == [], "the table of the training has been read before"
    table = tmp_path / "new.csv"
    table.write_text("a,b,c,d\nz,a,2,5\n")
    names = {f"{kind}_column": name for name, kind in zip("abcd", ("user", "item", "timestamp", "rating"), strict=True)}
    job = ScoringConfig(model=files[0], interactions=table, **names).job()
    assert probed == [table] and job.options == TableOptions("a", "b", "c", "d")


def test_users_with_numbers_as_ids_are_known_to_a_model_of_texts(files, tmp_path: Path) -> None:
    model = write_model(tmp_path / "mf.onnx", ITEMS, NEXT[:3], files[1], user_ids=["1", "02"])
    new = pl.DataFrame({"user": [1, 2], "item": ["a", "d"], "timestamp": [2, 1]})
    new.write_csv(tmp_path / "new.csv")
    new.write_parquet(tmp_path / "new.parquet")
    for table in ("new.csv", "new.parquet"):
        task = prepare(ScoringConfig(model=model, interactions=tmp_path / table).job())
        assert task.user_index.tolist() == [1, 0] and task.cold == 1


def test_chosen_users_keep_their_own_vectors_and_targets(files, tmp_path: Path) -> None:
    scores = np.array([[0] * 6, [0, 1, 2, 3, 4, 5], [0, 5, 4, 3, 2, 1], [0, 3, 1, 5, 2, 4]])
    model = write_model(tmp_path / "mf.onnx", ITEMS, scores, files[1], user_ids=["u1", "u3", "u2"])
    task = select_users(prepare(ScoringConfig(model=model).job()), "u2,u3")
    assert model_lists(task, 1, 8).select("user", "item").rows() == [("u2", "c"), ("u3", "a")]
    assert task.targets.select("user", "item").rows() == [("u2", "b2")]
    assert task.counts.tolist() == [1, 1, 0, 1, 1]


def test_spaces_around_chosen_users_do_not_count_and_nobody_is_refused(files) -> None:
    task = prepare(ScoringConfig(model=files[0]).job())
    assert select_users(task, " u1 , u3,u1,").histories.users.to_list() == ["u1", "u3"]
    with pytest.raises(InputError, match="' , ' holds no ids; expected ids separated by commas"):
        select_users(task, " , ")


def popular(tmp_path: Path, *words: str) -> dict:
    """Metrics of the popular lists of three users, where held-out items would change the order."""
    rows = [("u1", "a", 1, "train"), ("u1", "b", 2, "train"), ("u1", "c", 3, "validation"), ("u1", "d", 4, "test")]
    rows += [("u2", "a", 1, "train"), ("u2", "b", 2, "train"), ("u2", "c", 3, "validation"), ("u2", "d", 4, "test")]
    rows += [("u3", "c", 1, "train"), ("u3", "e", 2, "train"), ("u3", "b", 3, "train")]
    table = tmp_path / "popular.parquet"
    pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(table)
    model = write_model(tmp_path / "pop.onnx", ITEMS, NEXT, table)
    batch.main([f"--model={model}", f"--output={tmp_path / 'pop.topk.parquet'}", "--max-popular=1", *words])
    return json.loads((tmp_path / "pop.metrics.json").read_text())


def test_popularity_counts_histories_and_no_held_out_item(tmp_path: Path) -> None:
    # e is in one history, d in none, though it is held out twice: the popular list of u1 and u2 is e d.
    report = popular(tmp_path, "--k=1")
    assert report["metrics"]["popularity"]["hit@1"]["value"] == 0 and report["k"] == 1
    assert popular(tmp_path, "--k=2")["metrics"]["popularity"]["ndcg@2"]["value"] == pytest.approx(1 / np.log2(3))
    # For the validation item, c is in one history like e, and first by its index.
    validation = popular(tmp_path, "--k=1", "--split=validation")
    assert validation["metrics"]["popularity"]["hit@1"]["value"] == 1
    assert "; validation items, full ranking of 5 items, seen items dropped" in validation["protocol"]


def test_popularity_and_novelty_are_of_the_whole_table_though_few_users_are_scored(tmp_path: Path) -> None:
    # e is in one of three histories, for whomever it is listed: -log2((1 + 1) / (3 + 1)) = 1 bit.
    for words in (["--users=u1,u2"], ["--users=u1,u2", "--part-users=1"], ["--users=u2"]):
        report = popular(tmp_path, "--k=1", *words)
        assert report["metrics"]["popularity"]["novelty@1"]["value"] == pytest.approx(1.0)
        assert report["metrics"]["popularity"]["coverage@1"]["value"] == pytest.approx(1 / 5)
    # With u3, who has read c e b, comes a, which is in two of three histories.
    for words in ([], ["--part-users=1"]):
        found = popular(tmp_path, "--k=1", *words)["metrics"]["popularity"]["novelty@1"]["value"]
        assert found == pytest.approx((1 + 1 - np.log2(3 / 4)) / 3)


def test_the_seed_of_the_random_lists_reaches_them_and_shards_do_not(tmp_path: Path) -> None:
    found = [popular(tmp_path, "--k=1", *words)["metrics"]["random"] for words in (
        ["--seed=0"], ["--seed=0", "--part-users=1"], ["--seed=1"], ["--seed=2"], ["--seed=3"], ["--seed=4"],
    )]  # fmt: skip
    assert found[0] == found[1] and any(one != found[0] for one in found[2:])


def test_what_is_left_out_and_what_is_measured_is_said(files, tmp_path: Path, capsys) -> None:
    table = tmp_path / "new.parquet"
    rows = [*ROWS, ("u4", "zz", 1, "train"), ("u1", "a", 0, "train")]
    pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(table)
    words = [f"--model={files[0]}", f"--interactions={table}", f"--output={tmp_path / 'n.topk.parquet'}", "--k=1"]
    batch.main([*words, "--split-column=split"])
    printed = capsys.readouterr().out
    for line in (
        f"{table}: dropped 1 repeated (user, item) rows, of which the latest is kept (--repeats=keep keeps all)",
        "left out: 1 of 4 users whom markov.onnx does not know",
        "left out: 1 interactions with items that markov.onnx does not know",
        f"note: {table} is not the table markov.onnx was trained on",
        f"markov on {table}: 3 users, 3 recommendations -> {tmp_path / 'n.topk.parquet'}\n",
        f"held-out test items of 2 users, 95% intervals -> {tmp_path / 'n.metrics.json'}",
    ):
        assert line in printed
    report = json.loads((tmp_path / "n.metrics.json").read_text())
    assert [report[f"{name}"] for name in ("users_measured", "users_cold", "unknown_interactions")] == [2, 1, 1]
    assert report["interactions_checksum"] != report["dataset_checksum"] and report["interactions"] == str(table)
    manifest = json.loads((tmp_path / "n.topk.json").read_text())
    assert manifest["rows"] == 3 and manifest["users"] == 4 and manifest["device"] == "cpu"
    assert manifest["dataset"] == "by hand" and manifest["plan"]["options"]["split"] == "test"
    (tmp_path / "n.metrics.json").unlink()
    batch.main([*words, "--no-metrics"])
    printed = capsys.readouterr().out
    assert "no metrics (--no-metrics): whole histories used" in printed and "note:" not in printed
    assert not (tmp_path / "n.metrics.json").exists()
    manifest = json.loads((tmp_path / "n.topk.json").read_text())
    assert manifest["plan"]["options"]["split"] is None


def test_what_is_left_out_is_said_of_whole_histories_and_repeated_rows_of_an_ordered_table(
    files, tmp_path: Path, capsys
) -> None:
    table = tmp_path / "new.parquet"
    rows = [("u", "a", 1), ("u", "a", 2), ("u", "zz", 3), ("v", "zz", 1), ("w", "zz", 1), ("w", "zz", 2), ("x", "b", 1)]
    pl.DataFrame(rows, schema=SCHEMA[:3], orient="row").write_parquet(table)
    for words in ([], ["--part-users=1"]):
        batch.main([f"--model={files[0]}", f"--interactions={table}", "--max-unknown=0.6", *words])
        printed = capsys.readouterr().out
        assert (
            f"{table}: dropped 2 repeated (user, item) rows, of which the latest is kept (--repeats=keep keeps all)\n"
            in printed
        )
        assert "left out: 2 of 4 users whom" in printed and "left out: 3 interactions with items" in printed
        assert f"markov on {table}: 2 users, 8 recommendations" in printed
        assert f"no metrics ({table} carries no split): whole histories used" in printed


def test_a_table_without_held_out_items_of_the_split_is_refused(files, tmp_path: Path, capsys) -> None:
    table = tmp_path / "new.parquet"
    pl.DataFrame([row for row in ROWS if row[3] != "test"], schema=SCHEMA, orient="row").write_parquet(table)
    words = [f"--model={files[0]}", f"--interactions={table}", "--split-column=split", "--k=1"]
    with pytest.raises(InputError, match=r"has no test items to measure; use --no-metrics"):
        batch.main(words)
    with pytest.raises(InputError, match=r"has no test items to measure; use --no-metrics"):
        prepare(ScoringConfig(model=files[0], interactions=table, split_column="split").job())
    batch.main([*words, "--split=validation"])
    assert "held-out validation items of 2 users, 95% intervals" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"expected a name that ends in \.parquet"):
        batch.main([*words, "--no-metrics", f"--output={tmp_path / 'lists.csv'}"])


HISTORIES = st.lists(
    st.lists(st.sampled_from([*ITEMS, "zz"]), min_size=1, max_size=5, unique=True), min_size=1, max_size=6
)


@settings(max_examples=40, deadline=None)
@given(histories=HISTORIES, k=st.integers(1, 7), seed=st.integers(0, 99))
def test_lists_equal_a_naive_ranking(tmp_path_factory, histories, k: int, seed: int) -> None:
    folder = tmp_path_factory.mktemp("property")
    scores = np.random.default_rng(seed).integers(0, 4, NEXT.shape)
    rows = [(f"u{n}", item, time) for n, items in enumerate(histories) for time, item in enumerate(items)]
    table = folder / "interactions.parquet"
    shuffled = pl.DataFrame(rows, schema=SCHEMA[:3], orient="row").sample(fraction=1, shuffle=True, seed=seed)
    shuffled.write_parquet(table)
    model = write_model(folder / "m.onnx", ITEMS, scores, table)
    expected = {}
    for n, items in enumerate(histories):
        known = [ITEMS.index(i) + 1 for i in items if i in ITEMS]
        unseen = [i for i in range(1, 6) if i not in known]
        if known and unseen:
            best = sorted(unseen, key=lambda i: (-scores[known[-1], i], i))[:k]
            expected[f"u{n}"] = "".join(ITEMS[i - 1] for i in best)
    assert lists_of(model, k) == expected


@pytest.mark.parametrize("unmeasured", ["--production", "--no-metrics"])
@pytest.mark.parametrize("option", ["--split=validation", "--seed=3"])
def test_what_is_of_metrics_is_refused_where_none_are_made(unmeasured: str, option: str) -> None:
    with pytest.raises(InputError, match=f"{option.partition('=')[0]} does nothing with {unmeasured}$"):
        batch.main(["--model=nowhere.onnx", unmeasured, option])


@pytest.mark.parametrize("beside", ["--production", "--no-metrics", "--fallback=popular --production"])
def test_a_period_that_nothing_is_counted_in_is_refused(files, beside: str) -> None:
    model = f"--model={files[0]}"
    with pytest.raises(InputError, match="--recent does nothing here: it is for --fallback=recent-popular, and"):
        batch.main([model, "--recent=7d", *beside.split()])
    with pytest.raises(InputError, match="--recent does nothing here"):
        recommend.main([model, "--user=z", "--recent=7d"])


def test_from_when_to_when_events_are_is_said(files, tmp_path: Path, capsys) -> None:
    table = tmp_path / "new.csv"
    table.write_text("user,item,timestamp\nz,a,1700000000\nz,d,1500000000\n", encoding="utf-8")
    (line,) = (line for line in ran(files[0], table, capsys) if "events from" in line)
    assert line.endswith("new.csv: events from 2017-07-14 02:40:00 UTC to 2023-11-14 22:13:20 UTC")
    assert not [line for line in ran(files[0], table, capsys, "--order=rows") if "events from" in line]


def ran(model: Path, table: Path, capsys, *options: str) -> list[str]:
    """What the command says of one table."""
    batch.main([f"--model={model}", f"--interactions={table}", "--production", "--accept", *options])
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("workers", "nodes", "told"),
    [(1, 1, "1 worker on 1 node"), (2, 1, "2 workers on 1 node"), (10, 11, "10 workers on 11 nodes")],
)
def test_workers_and_nodes_are_counted_in_words(workers: int, nodes: int, told: str) -> None:
    found = batch._workers({"workers": workers, "nodes": nodes, "lost": 0, "seconds": {}, "peak_memory_bytes": 2**20})
    assert found.startswith(f"{told}:")
