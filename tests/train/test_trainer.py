"""Training: same seed same weights, resuming, checkpoints that cannot harm, ranks against a naive ranking."""

import hashlib
import io
import os
import pickle
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from infer.errors import InputError
from infer.histories.windows import windows
from infer.system.fingerprints import sha256
from infer.system.locks import locked
from infer.system.ownership import MARK
from train import command, messages, trainer
from train.config import BertConfig, MFConfig, TrainConfig
from train.data.dataset import load
from train.data.prepare import DataConfig, prepare
from train.loop.loop import fit
from train.loop.run import Run
from train.loop.validation import target_ranks, validation_rows
from train.loop.world import ALONE
from train.models.registry import build, restore
from train.presets import configuration
from train.saved import checkpoint
from train.saved.places import Places
from train.sizing import sized_for

SHORT = {"mf": {"epochs": 4, "batch_size": 64}, "bert": {"epochs": 4, "max_length": 8, "feedforward": 16}}
SHORT["hybrid"] = SHORT["bert"] | {"frozen_epochs": 2}
CASES = [("mf", "paper"), ("bert", "paper"), ("hybrid", "paper"), ("bert", "default"), ("hybrid", "default")]


def short(kind: str, preset: str = "paper", **changes) -> TrainConfig:
    """A configuration that trains for a moment; beyond the paper's with everything that has a state."""
    more = {} if preset == "paper" or kind == "mf" else {"average": 0.9, "patience": 2, "dim": 8, "stride": 4}
    return configuration(kind, preset, **SHORT[kind] | more | changes)


@pytest.fixture
def folder(artifacts: Path, tmp_path: Path) -> Path:
    """A copy of the prepared data and the trained MF."""
    for name in ("interactions.parquet", "mf.pt"):
        shutil.copy(artifacts / name, tmp_path)
    return tmp_path


def test_a_model_is_of_the_table_of_items_that_its_checkpoint_names(folder: Path, monkeypatch) -> None:
    """`train.data` may replace it while the model is made of it."""
    table = folder / "items.parquet"
    texts = pl.lit("Dark War"), pl.lit("War|Drama")
    items = pl.read_parquet(folder / "interactions.parquet").select("item").unique().sort("item")
    items.select("item", texts[0].alias("title"), texts[1].alias("genres")).write_parquet(table, metadata=MARK)
    build = trainer.build

    def then_replaced(*given: Any) -> Any:
        made = build(*given)
        pl.read_parquet(table).head(5).write_parquet(table, metadata=MARK)
        return made

    monkeypatch.setattr(trainer, "build", then_replaced)
    with pytest.raises(InputError, match="were written to while they were read"):
        trainer.train("content", configuration("content", artifacts=folder))
    assert not (folder / "content.pt").exists()
    monkeypatch.undo()
    trainer.train("content", configuration("content", artifacts=folder))
    assert checkpoint.read(folder / "content.pt", "")["provenance"]["items"] == sha256(table)


def weights(folder: Path, kind: str) -> dict[str, torch.Tensor]:
    return checkpoint.read(Places(folder, kind).finished, "")["model"]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one) and one.keys() == other.keys()


def test_two_trainings_of_one_name_do_not_meet(folder: Path) -> None:
    config = short("mf", artifacts=folder)
    with (
        locked(folder / "locks" / "mf.train.lock", wait=False),
        pytest.raises(InputError, match=r"another process is working on .* \(mf\.train\): wait until it ends"),
    ):
        trainer.train("mf", config)
    assert trainer.train("mf", config, "other").records, "one of another name is not in the way"


@pytest.mark.parametrize(("kind", "preset"), CASES)
def test_an_interrupted_run_ends_with_the_same_weights_and_history(
    kind: str, preset: str, folder: Path, monkeypatch, capsys
) -> None:
    whole, cut = folder / "whole", folder / "cut"
    for place in (whole, cut):
        place.mkdir()
        shutil.copy(folder / "interactions.parquet", place)
        shutil.copy(folder / "mf.pt", place)
    config = short(kind, preset, artifacts=whole, seed=3)
    expected = trainer.train(kind, config)

    def stopping(*arguments, **options):
        for record in fit(*arguments, **options):
            if record.epoch == 2:
                raise KeyboardInterrupt
            yield record

    monkeypatch.setattr(trainer, "fit", stopping)
    earlier = weights(cut, "mf") if kind == "mf" else None
    with pytest.raises(KeyboardInterrupt):
        trainer.train(kind, replace(config, artifacts=cut))
    assert earlier is None or equal(weights(cut, "mf"), earlier), "an unfinished run must not touch the finished one"
    monkeypatch.setattr(trainer, "fit", fit)
    found = trainer.train(kind, replace(config, artifacts=cut))
    assert "resuming after epoch 1" in capsys.readouterr().out
    assert equal(weights(whole, kind), weights(cut, kind))
    assert [replace(r, seconds=0) for r in found.records] == [replace(r, seconds=0) for r in expected.records]
    assert not Places(cut, kind).partial.exists()


def test_a_run_with_other_options_starts_afresh_and_says_so(folder: Path, monkeypatch, capsys) -> None:
    def stopping(*arguments, **options):
        yield next(fit(*arguments, **options))
        raise KeyboardInterrupt

    config = short("mf", artifacts=folder)
    monkeypatch.setattr(trainer, "fit", stopping)
    with pytest.raises(KeyboardInterrupt):
        trainer.train("mf", config)
    monkeypatch.setattr(trainer, "fit", fit)
    records = trainer.train("mf", replace(config, learning_rate=0.01)).records
    assert "other options or data: starting afresh" in capsys.readouterr().out
    assert [record.epoch for record in records] == [1, 2, 3, 4]


def test_a_model_in_closed_form_leaves_an_interrupted_run_of_another_objective(
    folder: Path, monkeypatch, capsys
) -> None:
    def stopping(*arguments, **options):
        yield next(fit(*arguments, **options))
        raise KeyboardInterrupt

    config, keeping = short("mf", artifacts=folder), trainer.Manner(threads=1, keep_state=True)
    monkeypatch.setattr(trainer, "fit", stopping)
    with pytest.raises(KeyboardInterrupt):
        trainer.train("mf", config, manner=keeping)
    monkeypatch.setattr(trainer, "fit", fit)
    trainer.train("mf", replace(config, objective="implicit"), manner=keeping)
    assert not Places(folder, "mf").state.exists()
    capsys.readouterr()
    trainer.train("mf", config, manner=keeping)
    assert "resuming after epoch 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "preset"), [("mf", "paper"), ("mf", "default"), ("bert", "paper"), ("hybrid", "default")]
)
def test_the_seed_decides_the_weights(kind: str, preset: str, folder: Path) -> None:
    config = short(kind, preset, artifacts=folder)
    found = []
    for seed in (1, 1, 2):
        trainer.train(kind, replace(config, seed=seed))
        found.append(weights(folder, kind))
    assert equal(found[0], found[1]) and not equal(found[0], found[2])


def test_the_history_has_a_row_an_epoch(folder: Path) -> None:
    trainer.train("mf", short("mf", artifacts=folder), "other")
    history = pl.read_parquet(folder / "other.history.parquet")
    losses = ["train_loss", "validation_loss"]
    metrics = ["validation_hit_at_10", "validation_ndcg_at_10"]
    assert history.columns == ["epoch", *losses, *metrics, "seconds", "threads", "preparation_seconds"]
    assert (history["seconds"] > 0).all() and (folder / "other.pt").is_file()
    assert history["epoch"].to_list() == [1, 2, 3, 4] and history["train_loss"].is_sorted(descending=True)


def with_checksum(content: bytes) -> bytes:
    return content + hashlib.sha256(content).digest()


def torch_bytes(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_damaged_and_foreign_checkpoints_are_refused(folder: Path) -> None:
    path = folder / "mf.pt"
    whole = path.read_bytes()
    for content in (b"", b"no checkpoint", whole[: len(whole) // 2], whole + b"!", torch_bytes({"weights": 1})):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"mf\.pt is damaged or not a checkpoint of this version: train") as caught:
            checkpoint.read(path, "train it again")
        assert "\n" not in str(caught.value)
    for content in ({"weights": torch.ones(2)}, [1], {"provenance": 3}):
        path.write_bytes(with_checksum(torch_bytes(content)))
        with pytest.raises(InputError, match="not a checkpoint of this version"):
            checkpoint.read(path, "train it again")
    path.write_bytes(with_checksum(b"no checkpoint"))
    with pytest.raises(InputError, match=r"mf\.pt is not a readable checkpoint"):
        checkpoint.read(path, "train it again")


def test_changed_bytes_of_a_checkpoint_are_noticed(folder: Path) -> None:
    path, rng = folder / "mf.pt", np.random.default_rng(0)
    whole = path.read_bytes()
    for _ in range(500):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            content[place] ^= int(rng.integers(1, 256))
        path.write_bytes(content)
        if bytes(content) != whole:
            with pytest.raises(InputError):
                checkpoint.read(path, "train it again")


def test_a_checkpoint_of_two_models_is_refused(folder: Path) -> None:
    state = checkpoint.read(folder / "mf.pt", "")
    for change in ({"model": {}}, {"user_ids": [1]}, {"provenance": state["provenance"] | {"config": {"no": 1}}}):
        with pytest.raises(InputError, match="does not hold one model"):
            restore(state | change)


class Harmful:
    """Unpickling this would create a file."""

    def __reduce__(self):
        return os.system, ("touch harmed",)


def test_a_checkpoint_cannot_run_code(folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    for content in ({"provenance": Harmful()}, Harmful()):
        for stored in (torch_bytes(content), pickle.dumps(content)):
            Path("mf.pt").write_bytes(with_checksum(stored))
            with pytest.raises(InputError, match="is not a readable checkpoint"):
                checkpoint.read(Path("mf.pt"), "train it again")
    assert not Path("harmed").exists()


def test_ranks_equal_a_naive_ranking_with_ties_and_seen_items(folder: Path) -> None:
    data = load(folder)
    scores = torch.from_numpy(np.random.default_rng(0).integers(0, 3, (len(data.user_ids), len(data.item_ids) + 1)))

    rows = validation_rows(data, MFConfig())
    found = target_ranks(scores[rows].float(), data, rows)
    for row, rank in zip(rows.tolist(), found.tolist(), strict=True):
        seen = set(windows(data.histories.rows(row, row + 1), 30)[0]) - {0}
        unseen = [i for i in range(1, len(data.item_ids) + 1) if i not in seen]
        order = sorted(unseen, key=lambda i: (-int(scores[row, i]), i))
        assert rank == order.index(data.targets[row]) + 1


def test_large_data_is_validated_on_a_seeded_sample(folder: Path) -> None:
    data = load(folder)
    rows = [validation_rows(data, MFConfig(validation_users=5, seed=s)) for s in (0, 0, 1)]
    assert len(rows[0]) == 5 and torch.equal(rows[0], rows[1]) and not torch.equal(rows[0], rows[2])


def test_a_loss_that_is_not_finite_stops_the_run(folder: Path) -> None:
    data = load(folder)
    config = short("mf", artifacts=folder, learning_rate=1e30)
    model, _ = build("mf", data, config)
    with pytest.raises(InputError, match="try a smaller --learning-rate"):
        list(fit(Run(model, model.optimizer()), data, config))


@pytest.mark.parametrize(("masking", "learns"), [("causal", False), ("last", True)])
def test_where_no_user_has_two_items_it_is_said_that_nothing_is_learnt(
    masking: str, learns: bool, tmp_path: Path, capsys
) -> None:
    (tmp_path / "events.csv").write_text("user,item,timestamp\n1,a,1\n2,b,2\n3,c,3\n", encoding="utf-8")
    prepare(DataConfig(dataset=str(tmp_path / "events.csv"), artifacts=tmp_path))
    command.main(["bert", f"--artifacts={tmp_path}", "--epochs=1", "--dim=4", f"--masking={masking}"])
    assert ("no user has two items to train on, so no step is taken" in capsys.readouterr().out) != learns


def test_the_weights_that_are_kept_are_those_of_the_best_epoch(folder: Path) -> None:
    config = short("bert", "default", artifacts=folder, epochs=12, average=0.0, learning_rate=0.05)
    data = load(folder)
    model, _ = build("bert", data, config)
    run = Run(model, model.optimizer())
    weights = [_ and {k: v.clone() for k, v in model.state_dict().items()} for _ in fit(run, data, config)]
    best = run.best_record.epoch
    assert run.best_record.validation_ndcg_at_10 == max(r.validation_ndcg_at_10 for r in run.records)
    values = [record.validation_ndcg_at_10 for record in run.records]
    smooth = [np.mean(values[max(0, end - 3) : end]) for end in range(1, len(values) + 1)]
    last = max(best, 1 + int(np.argmax(smooth)))
    assert len(run.records) in (12, last + 2), "stops when the patience ends"
    assert equal(model.state_dict(), weights[best - 1])


def test_the_average_follows_the_weights(folder: Path) -> None:
    config = short("bert", "default", artifacts=folder, epochs=1, average=0.75, patience=0, batch_size=10_000)
    data = load(folder)
    model, _ = build("bert", data, config)
    run = Run(model, model.optimizer())
    list(fit(run, data, config))
    first = run.average["items.weight"]
    assert torch.equal(model.items.weight, first), "after one step the average is the weights"
    run = Run(model, model.optimizer())
    run.average = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    stepped = []
    step = run.optimizer.step
    run.optimizer.step = lambda: (step(), stepped.append(model.items.weight.detach().clone()))
    list(fit(run, data, config))
    torch.testing.assert_close(run.average["items.weight"], stepped[0] * 10 / 11)
    run.steps, before = 100, run.average["items.weight"].clone()
    run.records.clear()
    list(fit(run, data, config))
    torch.testing.assert_close(run.average["items.weight"], before * 0.75 + stepped[1] * 0.25)


def test_options_that_exclude_each_other_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="--dim 30 is not a multiple of --heads 4"):
        build("bert", load(folder), BertConfig(dim=30, heads=4))
    with pytest.raises(InputError, match="with the same --dim"):
        build("hybrid", load(folder), configuration("hybrid", "paper", artifacts=folder, dim=16))


def test_a_chain_comes_from_the_transitions_also_beside_a_model_from_scratch(folder: Path) -> None:
    data = load(folder)
    hybrid, scratch, random = (
        build(kind, data, short(kind, "default", chain=3, artifacts=folder, **changes))[0].state_dict()
        for kind, changes in (
            ("hybrid", {}), ("bert", {}), ("bert", {"chain_initial": "random", "chain_trained": True})
        )
    )  # fmt: skip
    for name in ("sources.weight", "successors.weight"):
        assert hybrid[name][1:].std() > 0 and torch.equal(hybrid[name], scratch[name])
        assert not torch.equal(random[name], scratch[name])
    assert not torch.equal(hybrid["items.weight"], scratch["items.weight"])


def test_a_hybrid_needs_an_mf_of_the_same_table(folder: Path) -> None:
    config = configuration("hybrid", "paper", artifacts=folder)
    other = pl.read_parquet(folder / "interactions.parquet").head(200)
    other.write_parquet(folder / "interactions.parquet")
    with pytest.raises(InputError, match="was trained on another table"):
        build("hybrid", load(folder), config)
    (folder / "mf.pt").unlink()
    with pytest.raises(InputError, match="run `python -m train mf"):
        build("hybrid", load(folder), config)


def test_users_without_training_items_stay_in_their_rows(folder: Path) -> None:
    table = pl.read_parquet(folder / "interactions.parquet")
    user = table["user"][0]
    table.filter((pl.col("user") != user) | (pl.col("split") != "train")).write_parquet(folder / "interactions.parquet")
    data = load(folder)
    assert len(data.histories) == len(data.user_ids) and data.histories.lengths[data.user_ids.index(user)] == 0
    for kind, preset in (("bert", "default"), ("hybrid", "default"), ("mf", "default"), ("bert", "paper")):
        assert trainer.train(kind, short(kind, preset, artifacts=folder, epochs=1)).records


def test_a_preset_is_a_name_from_the_list(folder: Path, run, refused) -> None:
    refused(
        run("train", "bert", f"--artifacts={folder}", "--preset=bert5"), "--preset is one of paper, bert4rec, sasrec"
    )
    refused(run("train", "bert", f"--artifacts={folder}", "--name=../x"), "--name ../x is not a plain file name")
    words = ("--preset=paper", "--recency-decay=0.5")
    refused(run("train", "bert", f"--artifacts={folder}", *words), "--recency-decay 0.5 weighs")


def test_mistyped_options_are_refused_before_anything_runs(folder: Path, run, refused) -> None:
    before = sorted(folder.iterdir())
    refused(
        run("train", "mf", f"--artifacts={folder}", "--epoch=3"),
        "unknown option --epoch; did you mean --epochs? options: --artifacts",
    )
    refused(run("train", "mf", f"--artifacts={folder}", "--epochs=2.5"), "--epochs takes a whole number; found '2.5'")
    assert sorted(folder.iterdir()) == before


def test_a_checkpoint_holds_what_was_trained_and_where_it_came_from(folder: Path) -> None:
    config = short("bert", "default", artifacts=folder, epochs=3, seed=5)
    run, data = trainer.train("bert", config, "named"), load(folder)
    state = checkpoint.read(folder / "named.pt", "")
    assert (state["item_ids"], state["user_ids"], state["rating_levels"]) == (
        data.item_ids, data.user_ids, data.rating_levels
    )  # fmt: skip
    assert state["history"] == [asdict(record) for record in run.records] and len(state["history"]) == 3
    assert state["best"] == asdict(run.best_record)
    assert state["preparation_seconds"] == run.preparation_seconds > 0
    assert equal(state["model"], run.model.state_dict()) and "members" not in state
    provenance = state["provenance"]
    assert provenance["config"] == {n: v for n, v in asdict(sized_for(config, data)).items() if n != "artifacts"}
    assert (provenance["kind"], provenance["dataset"], provenance["dataset_checksum"]) == (
        "bert",
        data.name,
        data.checksum,
    )
    assert provenance["parents"] == {} and provenance["torch"] == str(torch.__version__)
    assert set(provenance) == {"format", "kind", "config", "dataset", "dataset_checksum", "parents", "torch"}


def test_where_a_run_lies_is_no_part_of_its_origin_and_all_else_is(folder: Path) -> None:
    data, config = load(folder), short("bert", artifacts=folder)
    provenance = checkpoint.provenance("bert", config, data, {"mf.pt": "1"})
    assert provenance == checkpoint.provenance("bert", replace(config, artifacts=folder / "x"), data, {"mf.pt": "1"})
    others = (
        checkpoint.provenance("hybrid", config, data, {"mf.pt": "1"}),
        checkpoint.provenance("bert", replace(config, dropout=0.3), data, {"mf.pt": "1"}),
        checkpoint.provenance("bert", replace(config, seed=1), data, {"mf.pt": "1"}),
        checkpoint.provenance("bert", config, replace(data, checksum="0"), {"mf.pt": "1"}),
        checkpoint.provenance("bert", config, data, {"mf.pt": "2"}),
    )
    assert all(provenance != other for other in others)


def test_a_hybrid_names_the_mf_it_starts_from_by_its_checksum(folder: Path) -> None:
    trainer.train("hybrid", short("hybrid", artifacts=folder, epochs=1))
    parents = checkpoint.read(folder / "hybrid.pt", "")["provenance"]["parents"]
    assert parents == {"mf.pt": hashlib.sha256((folder / "mf.pt").read_bytes()).hexdigest()}


def test_a_checkpoint_of_another_format_is_refused(folder: Path) -> None:
    state = checkpoint.read(folder / "mf.pt", "")
    for number in (checkpoint.FORMAT - 1, checkpoint.FORMAT + 1):
        checkpoint.save(folder / "mf.pt", state | {"provenance": state["provenance"] | {"format": number}})
        with pytest.raises(InputError, match="is not a checkpoint of this version: train it again"):
            checkpoint.read(folder / "mf.pt", "train it again")
    with pytest.raises(InputError, match=r"none\.pt does not exist: train it first"):
        checkpoint.read(folder / "none.pt", "train it first")


def test_an_unfinished_run_lies_beside_the_finished_one_after_every_epoch(folder: Path, monkeypatch) -> None:
    seen = []
    save = checkpoint.save

    def watched(path: Path, content: dict) -> None:
        seen.append((path.name, len(content["history"]), sorted(content)))
        save(path, content)

    monkeypatch.setattr(checkpoint, "save", watched)
    trainer.train("mf", short("mf", artifacts=folder), "other")
    assert [found[:2] for found in seen] == [*(("other.partial.pt", n) for n in (1, 2, 3, 4)), ("other.pt", 4)]
    assert {"optimizer", "average", "steps"} <= set(seen[0][2]) and "optimizer" not in seen[-1][2]
    assert not (folder / "other.partial.pt").exists()


def test_every_epoch_is_printed_and_the_kept_one_is_named(folder: Path, capsys) -> None:
    words = [f"--artifacts={folder}", "--dim=8", "--max-length=6", "--epochs=9", "--patience=2", "--learning-rate=0.05"]
    command.main(["bert", *words, "--name=other", "--chain=3"])
    lines = capsys.readouterr().out.splitlines()
    history = pl.read_parquet(folder / "other.history.parquet")
    best = history["epoch"][history["validation_ndcg_at_10"].arg_max()]
    assert lines[0] == "other: solving for the vectors that it starts from ..."
    assert lines[1].startswith("other on ratings.csv: ") and lines[1].endswith(" weights, seed 0")
    assert lines[-1] == f"-> {folder / 'other.pt'}, epoch {best} of {len(history)}"
    assert lines[2].startswith(
        "1 transformer layer, 8 dimensions, 2 heads, dropout 0.5, 143 sequences a step, for 251 interactions of 40 "
        "users"
    )
    assert lines[-3].startswith(("chain weight", "the chain does not help"))
    assert lines[-2].startswith("ended since ")
    ended = next(place for place, line in enumerate(lines) if line.startswith("chain weight"))
    for line, row in zip(lines[3:ended], history.iter_rows(named=True), strict=True):
        assert line == (
            f"epoch {row['epoch']:>3}  train loss {row['train_loss']:8.4f}  validation loss "
            f"{row['validation_loss']:8.4f}  hit@10 {row['validation_hit_at_10'] * 100:6.2f} %  "
            f"ndcg@10 {row['validation_ndcg_at_10'] * 100:6.2f} %  {row['seconds']:6.2f} s"
        )
    command.main(["mf", f"--artifacts={folder}", "--name=solved"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"-> {folder / 'solved.pt'}" and len(lines) == 3
    assert lines[0].startswith("solved on ratings.csv: 4,224 weights"), "(41 + 25) vectors of 64; nothing is solved for"
    assert "train loss        -  validation loss        -" in lines[1]


def test_the_command_takes_kind_preset_name_and_changes(folder: Path, monkeypatch) -> None:
    taken = []

    def trained(*given):
        taken.append(given)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "train", trained)
    for words in (
        ["bert", "--preset=sasrec", "--dim=12", "--name=s"],
        ["hybrid", "--threads=3"],
        ["knn", "--preset=paper"],
    ):
        with pytest.raises(KeyboardInterrupt):
            command.main(words)
    usual = trainer.Manner(keep_state=True, snapshot_minutes=10.0)
    assert taken == [
        ("bert", configuration("bert", "sasrec", dim=12), "s", usual, ALONE),
        ("hybrid", configuration("hybrid", "default"), "hybrid", replace(usual, threads=3), ALONE),
        ("knn", configuration("knn"), "knn", usual, ALONE),
    ]
    for words, reason in (
        (["bert", "--preset=x"], "--preset is one of paper, bert4rec, sasrec, gsasrec, default; found 'x'"),
        (["bert", "--name=a/b"], "--name a/b is not a plain file name"),
        (["bert", "--name=.a"], r"--name \.a is not a plain file name"),
    ):
        with pytest.raises(InputError, match=reason):
            command.main(words)


def test_a_missing_cuda_device_is_named(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="--device cuda: PyTorch finds no CUDA device here; use --device cpu"):
        trainer.train("mf", MFConfig(artifacts=folder, device="cuda"))


@pytest.mark.parametrize("kind", ["mf", "bert"])
def test_held_out_items_do_not_change_what_is_trained(kind: str, folder: Path) -> None:
    found = []
    for turned in (False, True):
        table = pl.read_parquet(folder / "interactions.parquet")
        if turned:  # validation and test items change places
            other = pl.col("split").replace({"validation": "test", "test": "validation"})
            table = table.with_columns(split=other)
            table.write_parquet(folder / "interactions.parquet")
        data = load(folder)
        config = short(kind, artifacts=folder)
        model, _ = build(kind, data, config)
        run = Run(model, model.optimizer())
        records = list(fit(run, data, config))
        found.append((run.model.state_dict(), [r.train_loss for r in records], [r.validation_loss for r in records]))
    assert equal(found[0][0], found[1][0]) and found[0][1] == found[1][1] and found[0][2] != found[1][2]


def test_who_ends_at_the_best_epoch_is_told_to_train_longer(folder: Path, capsys) -> None:
    said = "the best epoch is the last that was allowed: more --epochs would help"

    def ended(*ndcgs: float | None, epochs: int, closed: bool = False) -> bool:
        records = [SimpleNamespace(epoch=n, validation_ndcg_at_10=ndcg) for n, ndcg in enumerate(ndcgs, 1)]
        run = SimpleNamespace(records=records, model=SimpleNamespace(closed_form=closed))
        return messages.ends_at_best(run, MFConfig(epochs=epochs))

    assert ended(0.1, 0.2, epochs=2)
    assert not ended(0.1, 0.2, epochs=3), "stopped before the cap"
    assert not ended(0.2, 0.1, epochs=2) and not ended(0.2, 0.2, epochs=2)
    assert not ended(None, None, epochs=2) and not ended(0.2, epochs=1) and not ended(0.1, epochs=1, closed=True)
    trainer.train("mf", replace(short("mf", artifacts=folder), learning_rate=0.0))
    assert said not in capsys.readouterr().out, "nothing is learnt, so no epoch is better"
    still = short("bert", "default", artifacts=folder, learning_rate=0.0, weight_decay=0.0)
    for epochs, why in ((9, "no epoch was better for 2 (--patience)"), (2, "all 2 epochs (--epochs) are done")):
        trainer.train("bert", replace(still, epochs=epochs))
        assert f"ended since {why}" in capsys.readouterr().out


@pytest.mark.parametrize("preset", ["sasrec", "gsasrec", "bert4rec"])
def test_a_published_model_goes_on_as_if_it_had_not_been_interrupted(preset: str, folder: Path, monkeypatch) -> None:
    small = {"dim": 8, "feedforward": 8, "max_length": 6, "stride": 0, "epochs": 3, "batch_size": 16, "negatives": 2}
    config = configuration("bert", preset, **small, artifacts=folder)
    trainer.train("bert", config, "whole")

    def stopping(*arguments):
        for record in fit(*arguments):
            if record.epoch == 2:
                raise KeyboardInterrupt
            yield record

    monkeypatch.setattr(trainer, "fit", stopping)
    with pytest.raises(KeyboardInterrupt):
        trainer.train("bert", config, "cut")
    monkeypatch.setattr(trainer, "fit", fit)
    trainer.train("bert", config, "cut")
    assert equal(weights(folder, "whole"), weights(folder, "cut"))
