"""Training from an earlier model: what is kept, new and gone, which options hold, and where it begins."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import polars as pl
import pytest
import torch

from export.carried import Carried
from export.exporter import export
from infer.errors import InputError
from infer.model.choice import Choice
from infer.model.signature import DROPPED
from infer.recommender import Recommender
from infer.system.fingerprints import sha256
from infer.tables.columns import RULES_KEY
from tests.helpers.rounds import write
from train import command, trainer
from train.config import TrainConfig
from train.data.dataset import load
from train.messages import other_rules
from train.models.registry import build, restore
from train.presets import configuration
from train.saved import checkpoint, earlier

TABLES = ("items.weight", "sources.weight", "successors.weight")
SMALL = {"dim": 4, "max_length": 6, "feedforward": 8, "stride": 3, "epochs": 2, "patience": 5}


def config(kind: str, folder: Path, **changes) -> TrainConfig:
    sizes = SMALL | ({"chain": 3, "initial": "ials"} if kind == "hybrid" else {})
    return configuration(kind, artifacts=folder, **sizes | changes)


@pytest.fixture
def nights(tmp_path: Path) -> tuple[Path, Path]:
    """Two tables: in the second the item 14 is gone, 99 and 5 are new."""
    write(tmp_path / "one", list(range(10, 20)))
    write(tmp_path / "two", [10, 11, 12, 13, 99, 15, 16, 5, 17, 18, 19], users=14)
    return tmp_path / "one", tmp_path / "two"


def started(folder: Path, kind: str) -> earlier.Start:
    return earlier.read(folder / f"{kind}.pt", kind)


@pytest.mark.parametrize("kind", ["bert", "hybrid"])
def test_rows_of_items_in_both_tables_are_kept_and_new_ones_are_on_their_scale(kind: str, nights) -> None:
    one, two = nights
    trainer.train(kind, config(kind, one, chain_weight=0.3 if kind == "hybrid" else None))
    start = started(one, kind)
    data = load(two)
    options = earlier.agreed(replace(earlier.base(start, kind), artifacts=two), start)
    model, _ = build(kind, data, earlier.paced(options, True), start.content)
    before, after = start.content["model"], model.state_dict()
    assert data.item_ids == [5, 10, 11, 12, 13, 15, 16, 17, 18, 19, 99]
    old = [0, *(start.content["item_ids"].index(i) + 1 for i in data.item_ids if i not in (5, 99))]
    now = [0, *(data.item_ids.index(i) + 1 for i in data.item_ids if i not in (5, 99))]
    for name in [name for name in TABLES if name in after]:
        assert torch.equal(after[name][now], before[name][old]), name
        assert torch.equal(after[name][-1], before[name][-1]), "the mask token"
    assert torch.equal(after["bias"][now], before["bias"][old])
    moved = {*TABLES, "bias"}
    assert all(torch.equal(after[name], before[name]) for name in after if name not in moved)
    new = [data.item_ids.index(i) + 1 for i in (5, 99)]
    kept = after["items.weight"][now[1:]].norm(dim=1)
    lengths = after["items.weight"][new].norm(dim=1)
    if kind == "hybrid":  # solved for: of length 1, brought to the median of the kept ones
        torch.testing.assert_close(lengths, kept.median().expand(2))
        assert after["sources.weight"][new].any() and after["successors.weight"][new].any()
    assert (lengths > 0).all() and (lengths < 3 * kept.max()).all()
    assert start.provenance(data) == {
        "name": f"{kind}.pt", "checksum": sha256(one / f"{kind}.pt"), "kept": 9, "new": 2, "dropped": 1
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["bert", "hybrid"])
def test_the_same_table_begins_at_the_earlier_validation_figure_and_leaves_the_earlier_file(
    kind: str, nights, capsys
) -> None:
    one, _ = nights
    trainer.train(kind, config(kind, one))
    stored = (one / f"{kind}.pt").read_bytes()
    before = started(one, kind).content
    command.main([kind, f"--artifacts={one}", f"--from={kind}.pt", "--name=next", "--epochs=1"])
    said = capsys.readouterr().out
    assert (one / f"{kind}.pt").read_bytes() == stored
    after = checkpoint.read(one / "next.pt", "")
    first = after["history"][0]
    assert (first["epoch"], first["train_loss"]) == (0, None)
    for name in ("validation_ndcg_at_10", "validation_hit_at_10", "validation_loss"):
        assert first[name] == before["best"][name]
    assert [record["epoch"] for record in after["history"]] == [0, 1]
    assert f"starts from {one / f'{kind}.pt'}: 10 items keep their weights, 0 are new, 0 are gone" in said
    assert after["provenance"]["start"]["checksum"] == sha256(one / f"{kind}.pt")
    assert "other rows" not in said


def test_rows_that_count_by_other_rules_than_those_of_the_earlier_model_are_told(nights, capsys) -> None:
    one, _ = nights
    trainer.train("bert", config("bert", one))
    table = pl.read_parquet(one / "interactions.parquet")
    about = pl.read_parquet_metadata(one / "interactions.parquet")
    about = {name: value for name, value in about.items() if name != "ARROW:schema"}
    table.write_parquet(
        one / "interactions.parquet", metadata=about | {RULES_KEY: json.dumps({"where": "land = 'JP'"})}
    )
    command.main(["bert", f"--artifacts={one}", "--from=bert.pt", "--name=next", "--epochs=1"])
    said = (
        f"WARNING: {one / 'bert.pt'} learned from other rows than this table has: no --where, now --where=land = 'JP'"
    )
    assert said in capsys.readouterr().out
    assert (
        other_rules({"where": "a", "repeats": "keep"}, {"where": "b", "repeats": "keep"}) == "--where=a, now --where=b"
    )


@pytest.mark.parametrize("how", ["from", "numbering", "parent"])
def test_what_is_named_is_the_checkpoint_that_was_read_though_it_is_replaced_meanwhile(
    nights, how: str, monkeypatch
) -> None:
    folder = nights[0]
    trainer.train("bert", config("bert", folder, epochs=1))
    path, data, torch_load = folder / "bert.pt", load(folder), torch.load
    read = sha256(path)

    def then_replaced(*given, **options):
        found = torch_load(*given, **options)
        checkpoint.save(path, found | {"ended": "another"})
        return found

    monkeypatch.setattr(torch, "load", then_replaced)
    if how == "from":
        checksum = earlier.read(path, "bert").checksum
    elif how == "numbering":
        checksum = earlier.read_numbering(path).checksum
    else:
        checksum = checkpoint.read_same_table(path, data, "")[1]
    assert checksum == read != sha256(path)


def test_the_weight_of_a_chain_can_be_set_to_nothing_and_back(nights) -> None:
    one, two = nights
    trainer.train("hybrid", config("hybrid", one, chain_weight=0.3))
    begun = started(one, "hybrid").content["model"]["sources.weight"][:-1]  # without the mask token

    def after(before: str, *words: str, folder: Path = one) -> torch.nn.Module:
        command.main(["hybrid", f"--artifacts={folder}", f"--from={one / before}", "--name=next", "--epochs=1", *words])
        return restore(checkpoint.read(folder / "next.pt", ""))

    without = after("hybrid.pt", "--chain-weight=0")
    assert without.rank == 3 and not without.sources.weight.any()
    (one / "next.pt").replace(one / "without.pt")
    assert not after("without.pt", folder=two).sources.weight.any(), "also with new items"
    chained = after("without.pt", "--chain-weight=0.6").sources.weight[:-1]
    torch.testing.assert_close(chained, begun * 2)
    assert after("without.pt", "--chain-weight=0.6", folder=two).sources.weight[1:-1].any(1).sum() > 5


def test_the_result_may_have_the_name_of_what_it_started_from(nights) -> None:
    one, two = nights
    trainer.train("bert", config("bert", one))
    checksum = sha256(one / "bert.pt")
    (two / "bert.pt").write_bytes((one / "bert.pt").read_bytes())
    command.main(["bert", f"--artifacts={two}", "--from=bert.pt", "--epochs=1", "--learning-rate=0"])
    state = checkpoint.read(two / "bert.pt", "")
    assert state["provenance"]["start"] == {
        "name": "bert.pt", "checksum": checksum, "kept": 9, "new": 2, "dropped": 1
    }  # fmt: skip
    assert len(state["item_ids"]) == 11 and state["provenance"]["config"]["dim"] == 4


def test_options_come_from_the_earlier_model_and_contradictions_are_refused(nights, monkeypatch) -> None:
    one, two = nights
    trainer.train("bert", config("bert", one, dropout=0.4, loss="softmax", schedule="linear"))
    start = started(one, "bert")
    base = earlier.base(start, "bert")
    assert (base.dim, base.dropout, base.loss, base.max_length) == (4, 0.4, "softmax", 6)
    assert (base.schedule, base.epochs, base.patience) == ("constant", 0, None), "how long it trains is its own"
    assert earlier.agreed(replace(base, dim=0, layers=0, block="auto"), start) == base
    assert earlier.paced(base, True).epochs == earlier.CAP and earlier.paced(base, False).epochs == earlier.UNMEASURED
    assert earlier.paced(replace(base, epochs=7, patience=0), True) == replace(base, epochs=7, patience=0)
    for option, said in (("--dim=8", "--dim=8 contradicts"), ("--max-length=9", "it out, or train from scratch")):
        with pytest.raises(InputError, match=said):
            command.main(["bert", f"--artifacts={two}", f"--from={one / 'bert.pt'}", option])
    for words, said in (
        (["hybrid", f"--from={one / 'bert.pt'}"], "is a bert: run `python -m train bert"),
        (["ease", f"--from={one / 'bert.pt'}"], "ease is solved anew from each table"),
        (["bert", "--from=none.pt"], "does not exist: name an earlier checkpoint with --from"),
        (["bert", f"--from={one / 'bert.pt'}", "--preset=sasrec"], "leave out --preset"),
    ):
        with pytest.raises(InputError, match=said):
            command.main([*words, f"--artifacts={two}"])
    assert not (two / "bert.pt").exists()
    monkeypatch.setattr(earlier, "LEAST_KEPT", 0.95)
    with pytest.raises(InputError, match=r"knows 10 items, of which .* has 9, fewer than 95%: train from scratch"):
        command.main(["bert", f"--artifacts={two}", f"--from={one / 'bert.pt'}"])
    write(two, [1, 2, 3])
    with pytest.raises(InputError, match=r"knows no item of .* its ids are 10, 11, 12, those of the table 1, 2, 3"):
        trainer.train("bert", replace(base, artifacts=two), manner=trainer.Manner(start=start))


def test_mf_goes_on_from_its_vectors(nights) -> None:
    one, two = nights
    trainer.train("mf", configuration("mf", artifacts=one, dim=3))
    start = started(one, "mf")
    model, _ = build("mf", load(two), replace(earlier.base(start, "mf"), artifacts=two), start.content)
    place = load(two).item_ids.index(12) + 1
    assert torch.equal(model.items.weight[place], start.content["model"]["items.weight"][3])
    assert model.items.weight[1].abs().max() < 0.01, "a new one as the solver begins it"
    run = trainer.train(
        "mf", replace(earlier.base(start, "mf"), artifacts=two, epochs=1), manner=trainer.Manner(start=start)
    )
    old = start.content["model"]["items.weight"][[1, 2, 3, 4, 6, 7, 8, 9, 10]]
    now = run.model.items.weight[[load(two).item_ids.index(i) + 1 for i in (10, 11, 12, 13, 15, 16, 17, 18, 19)]]
    near = torch.nn.functional.cosine_similarity(old, now).median()
    assert near > 0.8, "the axes of the night before"
    again = trainer.train("mf", configuration("mf", artifacts=two, dim=3, epochs=1, seed=5), "scratch")
    assert not torch.equal(again.model.items.weight, run.model.items.weight)


def test_kept_items_keep_their_indexes_and_gone_ones_are_no_candidates(nights) -> None:
    one, two = nights
    trainer.train("bert", config("bert", one))
    start = started(one, "bert")
    data = load(two, start.content["item_ids"])
    assert data.item_ids == [*range(10, 20), 5, 99] and data.retired.tolist() == [5]
    assert data.counts[5] == 0
    blocked = data.blocked(torch.arange(len(data.user_ids)))
    assert (blocked == 5).any(1).all(), "validation ranks nobody's item below it"
    assert start.provenance(data)["kept"] == 9 and start.provenance(data)["dropped"] == 1
    command.main(["bert", f"--artifacts={two}", f"--from={one / 'bert.pt'}", f"--keep-items={one / 'bert.pt'}"])
    state = checkpoint.read(two / "bert.pt", "")
    assert state["item_ids"] == data.item_ids and state["retired"] == [5]
    assert state["provenance"]["numbered_by"] == {"name": "bert.pt", "checksum": sha256(one / "bert.pt")}
    command.main(["ease", f"--artifacts={two}", "--content=0"])
    with pytest.raises(InputError, match=r"numbers its items otherwise \(--keep-items\)"):
        command.main(["best", f"--artifacts={two}", "--members=ease", f"--keep-items={one / 'bert.pt'}"])
    table = pl.read_parquet(two / "interactions.parquet").with_columns(pl.format("i{}", "item").alias("item"))
    table.write_parquet(two / "interactions.parquet")
    with pytest.raises(InputError, match="the item ids of the table are texts, those of the earlier model numbers"):
        load(two, start.content["item_ids"])
    assert np.array_equal(load(one, start.content["item_ids"]).retired, [])


def test_new_items_begin_as_they_do_where_the_gone_ones_are_dropped(nights) -> None:
    one, two = nights
    trainer.train("hybrid", config("hybrid", one, chain_weight=0.3))
    write(two, [16, 17, 18, 19, 99, 5], users=14)
    start = started(one, "hybrid")
    options = earlier.agreed(replace(earlier.base(start, "hybrid"), artifacts=two), start)

    def begun(*numbered: list[int]) -> dict[str, torch.Tensor]:
        data = load(two, *numbered)
        weights = build("hybrid", data, earlier.paced(options, True), start.content)[0].state_dict()
        rows = [data.item_ids.index(item) + 1 for item in (5, 99)]
        return {"bias": weights["bias"][rows], "lengths": weights["items.weight"][rows].norm(dim=1)}

    torch.testing.assert_close(begun(start.content["item_ids"]), begun(), atol=1e-5, rtol=1e-4)


def test_retired_items_are_not_missed_again(nights) -> None:
    one, two = nights
    trainer.train("bert", config("bert", one))
    start = started(one, "bert")
    start.content["item_ids"] += list(range(1000, 1200))
    with pytest.raises(InputError, match=r"knows 210 items, of which .* has 9, fewer than 5%"):
        earlier.known(start, load(two))
    start.content["retired"] = list(range(11, 211))
    assert earlier.known(start, load(two))["kept"] == 9


def test_nobody_gets_a_retired_item_from_an_exported_model(nights, run) -> None:
    one, two = nights
    trainer.train("bert", config("bert", one))
    command.main(["bert", f"--artifacts={two}", f"--keep-items={one / 'bert.pt'}", "--dim=4", "--epochs=1"])
    path, metadata = export("bert", two)
    assert metadata.retired == [5]
    index = {item: n for n, item in enumerate(metadata.item_ids, 1)}
    for file in (path, export("bert", two, carried=Carried(fixed_k=20))[0]):  # nor from another program
        history = np.array([[index[10], index[11]]])
        session = ort.InferenceSession(file)
        feeds = {"window": history, "seen": history, "k": np.array([20]), **Choice(history).inputs}
        items, scores = session.run(None, {given.name: feeds[given.name] for given in session.get_inputs()})
        listed = [metadata.item_ids[n - 1] for n in items[scores > DROPPED]]
        assert sorted(listed) == [5, 12, 13, 15, 16, 17, 18, 19, 99]
    model = Recommender(path)
    assert sorted(model.recommend([10, 14], k=20)["item"].to_list()) == [5, 11, 12, 13, 15, 16, 17, 18, 19, 99]
    found = model.recommend([10], k=20, exclude_items=[11])["item"].to_list()
    assert 14 not in found and 11 not in found and 12 in found
