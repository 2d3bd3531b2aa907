"""Every value of every preset, beside the published one and its source.

A row is (ours, published, source). What no publication states is OURS, and has no published value: it is our
own choice or, for the paper's models, a guess. A value that is published differently shows both.

    sun       Sun et al. 2019, BERT4Rec, section 4, and the authors' repository FeiSun/BERT4Rec: run_ml-1m.sh,
              bert_train/bert_config_ml-1m_64.json, optimization.py
    kang      Kang & McAuley 2018, SASRec, sections III and IV, and the authors' repository kang205/SASRec: main.py
              as its README runs it on ml-1m, model.py
    petrov    Petrov & Macdonald 2023, gSASRec, and the authors' repository asash/gSASRec-pytorch: config.py,
              config_ml1m.py, train_gsasrec.py
    paper     Enhance Recommender Systems with Hybrid BERT and Matrix Factorization Embeddings
    PyTorch   default of the PyTorch class that the paper uses
"""

import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import NamedTuple

import pytest

from infer.cli.fields import options
from tests.helpers.checkerboard import ROOT
from train import presets
from train.config import BertConfig, BestConfig, HybridConfig, LinearConfig, MFConfig
from train.kinds import KINDS, Kind
from train.models.linear import SOLVERS
from train.presets import CONFIGS, DEFAULT, PRESETS, configuration


class Row(NamedTuple):
    ours: object
    published: object = None
    source: str = "OURS"


def of(source: str, published: object, ours: object = None) -> Row:
    """A published value, which ours equals unless another is given."""
    return Row(published if ours is None else ours, published, source)


EVERY = {"artifacts": Row(Path("artifacts")), "seed": Row(0), "device": Row("cpu"), "validation_users": Row(10_000)}

MF = EVERY | {
    "objective": Row("implicit"),
    "dim": Row(64),
    "epochs": Row(15),
    "batch_size": Row(1024),
    "learning_rate": Row(1e-3),
    "weight_decay": Row(0.0),
    "initial_std": Row(0.1),
    "confidence": Row(5.0),
    "regularization": Row(30.0),
    "ratings": Row("off"),
}
BERT = EVERY | {
    "dim": Row(0),
    "block": Row("auto"),
    "layers": Row(0),
    "heads": Row(0),
    "feedforward": Row(256),
    "activation": Row("gelu"),
    "norm": Row("pre"),
    "scale_embeddings": Row(False),
    "input_norm": Row(False),
    "transform": Row(False),
    "dropout": Row(None),
    "input_dropout": Row(None),
    "positions": Row("learned"),
    "head": Row("tied"),
    "codes": Row(0),
    "item_bias": Row(True),
    "max_length": Row(50),
    "stride": Row(25),
    "masking": Row("causal"),
    "mask_ratio": Row(None),
    "span_length": Row(None),
    "last_share": Row(0.0),
    "recency_decay": Row(None),
    "append_mask": Row(False),
    "loss": Row("sampled"),
    "negatives": Row(512),
    "negative_power": Row(0.5),
    "unseen_negatives": Row(False),
    "calibration": Row(0.75),
    "ratings": Row("off"),
    "initial": Row("random"),
    "content": Row(1.0),
    "mf": Row("mf"),
    "chain": Row(0),
    "chain_decay": Row(0.8),
    "chain_power": Row(0.2),
    "chain_ease": Row(0.7),
    "chain_weight": Row(None),
    "chain_initial": Row("transitions"),
    "chain_trained": Row(False),
    "initial_std": Row(0.1),
    "initial_weights": Row("ours"),
    "perturbation": Row(0.0),
    "frozen_epochs": Row(0),
    "epochs": Row(0),
    "epoch_steps": Row(0),
    "patience": Row(None),
    "batch_size": Row(0),
    "optimizer": Row("adamw"),
    "learning_rate": Row(2e-3),
    "schedule": Row("constant"),
    "warm_up": Row(0),
    "weight_decay": Row(0.01),
    "decay_all": Row(True),
    "beta2": Row(0.98),
    "sparse_updates": Row("auto"),
    "clip": Row(5.0),
    "average": Row(0.9998),
}
HYBRID = BERT | {"initial": Row("ials"), "chain": Row(256)}
EASE = EVERY | {
    "kind": Row("ease"),
    "max_length": Row(50),
    "decay": Row(0.8),
    "neighbours": Row(300),
    "lags": Row(20),
    "lag_decay": Row(0.85),
    "backward": Row(0.3),
    "smoothing": Row(100.0),
    "popularity": Row(0.2),
    "rank": Row(0),
    "power": Row(0.3),
    "ease": Row(0.0),
    "locality": Row(0.95),
    "regularization": Row(100.0),
    "content": Row(1.0),
    "least_count": Row(0),
    "most_items": Row(20_000),
    "rare": Row(5),
}

BEST = EVERY | {"members": Row("ease,markov,content,bert,hybrid")}

# A guess: the paper does not state it.
GUESS = "guess"
PAPER_MF = MF | {
    "objective": of("paper: squared error of the ratings", "ratings"),
    "dim": of("paper: k", 32),
    "epochs": of("paper", 30),
    "learning_rate": of("PyTorch, Adam", 1e-3),
    "weight_decay": of("PyTorch, Adam", 0.0),
    "initial_std": Row(0.1, source=GUESS),
}
PAPER_BERT = BERT | {
    "block": of("paper: nn.TransformerEncoderLayer", "transformer"),
    "dim": of("paper: the length of MF's item vectors, from which the hybrid starts", 32),
    "layers": Row(2, source=GUESS),
    "heads": Row(4, source=GUESS),
    "feedforward": of("PyTorch, TransformerEncoderLayer", 2048),
    "activation": of("paper", "relu"),
    "norm": of("PyTorch, TransformerEncoderLayer", "post"),
    "dropout": of("PyTorch, TransformerEncoderLayer", 0.1),
    "input_dropout": of("PyTorch, TransformerEncoderLayer: none", 0.0),
    "positions": of("paper: item embeddings only", "none"),
    "head": of("paper: a linear layer of its own", "separate"),
    "item_bias": of("PyTorch, Linear", True),
    "max_length": Row(10, source=GUESS),
    "stride": Row(0),
    "masking": of("paper: one random position of each sequence", "one"),
    "append_mask": of("paper: the last position predicts the next item", False),
    "loss": of("paper: cross-entropy over all items", "softmax"),
    "initial": of("paper: BERT alone starts from random vectors", "random"),
    "initial_std": of("PyTorch, Embedding", 1.0),
    "epochs": of("paper", 20),
    "patience": Row(0),
    "batch_size": Row(32),
    "learning_rate": of("PyTorch, AdamW", 1e-3),
    "weight_decay": of("PyTorch, AdamW", 0.01),
    "beta2": of("PyTorch, AdamW", 0.999),
    "clip": Row(0.0),
    "average": Row(0.0),
}
PAPER_HYBRID = PAPER_BERT | {
    "initial": of("paper: item embeddings start from MF's", "mf"),
    "initial_std": of("paper: as MF left them, not rescaled", 0.0),
    "perturbation": Row(0.01, source=GUESS),
    "frozen_epochs": Row(2, source=GUESS),
}
BERT4REC = BERT | {
    "block": of("sun: Transformer layer", "transformer"),
    "dim": of("sun: hidden_size", 64),
    "layers": of("sun: L, num_hidden_layers", 2),
    "heads": of("sun: h, num_attention_heads", 2),
    "feedforward": of("sun: intermediate_size", 256),
    "activation": of("sun: hidden_act, section 3.3", "gelu"),
    "norm": of("sun: section 3.3, layer norm of the sum", "post"),
    "input_norm": of("sun: modeling.py, layer_norm_and_dropout of the embeddings", True),
    "transform": of("sun: section 3.5, GELU(h W + b); run.py, with layer norm", True),
    "dropout": of("sun: hidden_dropout_prob", 0.2),
    "input_dropout": of("sun: hidden_dropout_prob", 0.2),
    "positions": of("sun: section 3.4", "learned"),
    "head": of("sun: section 3.5, the shared item embedding", "tied"),
    "item_bias": of("sun: section 3.5", True),
    "max_length": of("sun: N for MovieLens, max_seq_length", 200),
    "stride": of("sun: prop_sliding_window times max_seq_length", 100),
    "masking": of("sun: section 3.6", "cloze"),
    "mask_ratio": of("sun: rho for ML-1M, masked_lm_prob", 0.2),
    "last_share": of("sun: gen_data_fin.py, mask_last once beside dupe_factor=10 copies", 1 / 11),
    "append_mask": of("sun: section 3.6, the mask token at the end", True),
    "loss": of("sun: section 3.6", "softmax"),
    "initial_std": of("sun: initializer_range", 0.02),
    "initial_weights": of("sun: section 4.1, truncated normal", "truncated"),
    "optimizer": of("sun: AdamWeightDecayOptimizer", "adamw"),
    "learning_rate": of("sun: learning_rate", 1e-4),
    "schedule": of("sun: polynomial_decay of power 1", "linear"),
    "warm_up": of("sun: num_warmup_steps", 100),
    "weight_decay": of("sun", 0.01),
    "decay_all": of("sun: exclude_from_weight_decay", False),
    "beta2": of("sun", 0.999),
    "clip": of("sun: clip_norm", 5.0),
    "batch_size": of("sun: batch_size", 256),
    # Theirs are 400,000 steps, of which no pass is chosen.
    "epochs": Row(1000),
    "patience": Row(100),
    "average": of("sun: none", 0.0),
}
SASREC = BERT | {
    "block": of("kang: self-attention and point-wise feed-forward block", "transformer"),
    "dim": of("kang: d, hidden_units", 50),
    "layers": of("kang: b, num_blocks", 2),
    "heads": of("kang: num_heads", 1),
    "feedforward": of("kang: hidden_units, as wide as dim", 50),
    "activation": of("kang: section III.B", "relu"),
    "norm": of("kang: model.py, queries=normalize(seq), keys=seq", "query"),
    "scale_embeddings": of("kang: modules.py, embedding with scale=True", True),
    "dropout": of("kang: ML-1M, dropout_rate", 0.2),
    "input_dropout": of("kang: ML-1M, dropout_rate", 0.2),
    "positions": of("kang: section III.A", "learned"),
    "head": of("kang: section III.D, shared item embedding", "tied"),
    "item_bias": of("kang: section III.D", False),
    "max_length": of("kang: n for ML-1M, maxlen", 200),
    "stride": of("kang: the latest window only", 0),
    "masking": of("kang: causality", "causal"),
    # With t = 0 the generalised loss is binary cross-entropy.
    "loss": of("kang: section III.E, binary cross-entropy", "gbce"),
    "calibration": of("kang: section III.E", 0.0),
    "negatives": of("kang: one for each target", 1),
    "unseen_negatives": of("kang: sampler.py, none that is in the user's sequence", True),
    "initial_weights": of("kang: default of TensorFlow's get_variable", "glorot"),
    "optimizer": of("kang: AdamOptimizer", "adam"),
    "learning_rate": of("kang: lr", 1e-3),
    "beta2": of("kang: model.py", 0.98),
    "weight_decay": of("kang: l2_emb", 0.0),
    "clip": of("kang: none", 0.0),
    "batch_size": of("kang: batch_size", 128),
    "epochs": of("kang: num_epochs", 201, ours=1000),
    "patience": of("kang: as many epochs without a better one", 20),
    "average": of("kang: none", 0.0),
}
GSASREC = SASREC | {
    "dim": of("petrov: embedding_dim", 128),
    "layers": of("petrov: num_blocks", 2),
    "heads": of("petrov: num_heads", 1),
    "feedforward": of("petrov: as SASRec, as wide as dim", 128),
    "norm": of("petrov: transformer_decoder.py", "query"),
    "scale_embeddings": of("petrov: gsasrec.py", False),
    "dropout": of("petrov: README, dropout_rate of the checkpoint for ML-1M", 0.5),
    "input_dropout": of("petrov: README, dropout_rate of the checkpoint for ML-1M", 0.5),
    "head": of("petrov: README, reuse_item_embeddings=False by default", "separate"),
    "max_length": of("petrov: sequence_length", 200),
    "stride": of("petrov: dataset_utils.py, the latest window only", 0),
    "loss": of("petrov: generalised binary cross-entropy", "gbce"),
    "negatives": of("petrov: negs_per_pos", 256),
    "unseen_negatives": of("petrov: dataset_utils.py, torch.randint of all items", False),
    "calibration": of("petrov: t, gbce_t", 0.75),
    "initial_weights": of("petrov: PyTorch, Embedding", "normal"),
    "initial_std": of("petrov: PyTorch, Embedding", 1.0),
    "learning_rate": of("petrov: PyTorch, Adam", 1e-3),
    "beta2": of("petrov: PyTorch, Adam", 0.999),
    "weight_decay": of("petrov: PyTorch, Adam", 0.0),
    "batch_size": of("petrov: train_batch_size", 128),
    "epochs": of("petrov: config.py, max_epochs", 10_000),
    "patience": of("petrov: config.py, early_stopping_patience", 200),
}
# Which values of an encoder that starts from matrix factorization nobody but us has published.
STARTED = {"initial": Row("ials"), "chain": Row(0)}

TABLES = {
    ("paper", "mf"): PAPER_MF,
    ("paper", "bert"): PAPER_BERT,
    ("paper", "hybrid"): PAPER_HYBRID,
    ("bert4rec", "mf"): MF,
    ("bert4rec", "bert"): BERT4REC,
    ("bert4rec", "hybrid"): BERT4REC | STARTED,
    ("sasrec", "mf"): MF,
    ("sasrec", "bert"): SASREC,
    ("sasrec", "hybrid"): SASREC | STARTED,
    ("gsasrec", "mf"): MF,
    ("gsasrec", "bert"): GSASREC,
    ("gsasrec", "hybrid"): GSASREC | STARTED,
    ("default", "mf"): MF,
    ("default", "bert"): BERT,
    ("default", "hybrid"): HYBRID,
    **{(preset, "best"): BEST for preset in PRESETS},
}
LINEAR_TABLES = {
    "ease": EASE,
    "knn": EASE | {"kind": Row("knn"), "decay": Row(0.6)},
    "markov": EASE | {"kind": Row("markov")},
    "content": EASE | {"kind": Row("content"), "neighbours": Row(50)},
}


def ours(table: dict[str, Row]) -> dict[str, object]:
    return {name: row.ours for name, row in table.items()}


@pytest.mark.parametrize(("preset", "kind"), TABLES)
def test_every_value_of_a_preset_is_the_written_one(preset: str, kind: str) -> None:
    assert asdict(configuration(kind, preset)) == ours(TABLES[preset, kind])


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", LINEAR_TABLES)
def test_an_item_item_model_is_the_same_in_every_preset(kind: str, preset: str) -> None:
    assert asdict(configuration(kind, preset)) == ours(LINEAR_TABLES[kind])


def test_every_preset_and_kind_has_a_table() -> None:
    others = [kind for kind in KINDS if kind not in LINEAR_TABLES]
    assert set(TABLES) == {(preset, kind) for preset in PRESETS for kind in others}
    assert others == ["mf", "bert", "hybrid", "best"] and {*LINEAR_TABLES} == {*SOLVERS}


def test_no_preset_is_called_as_a_kind_and_none_changes_a_kind_that_there_is_not() -> None:
    assert not set(PRESETS) & set(KINDS)
    assert DEFAULT == "default" and PRESETS[DEFAULT] == {}
    assert all(set(changes) <= set(KINDS) for changes in PRESETS.values())


def test_an_entry_is_all_that_the_command_and_the_configuration_need(monkeypatch) -> None:
    monkeypatch.setitem(KINDS, "wide", Kind("a wider mf", MFConfig, "train.models.mf", {"dim": 128}))
    assert asdict(configuration("wide", "paper")) == ours(MF) | {"dim": 128}
    assert configuration("wide", dim=3).dim == 3
    assert all((kind.about and kind.about[0].islower()) or kind.about.startswith("EASE") for kind in KINDS.values())
    assert {name: kind.config for name, kind in KINDS.items() if name != "wide"} == CONFIGS


def test_whoever_asks_for_a_configuration_does_not_wait_for_pytorch() -> None:
    script = (
        "import sys, train.presets; train.presets.configuration('hybrid'); raise SystemExit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0


def test_what_bert_reads_is_said_where_its_options_are_listed() -> None:
    text = BertConfig.__doc__
    assert "By default it reads only backwards" in text and BertConfig().masking == "causal"
    for preset in ("bert4rec", "paper"):
        assert f"--preset={preset}" in text and configuration("bert", preset).masking != "causal"


def test_what_the_loop_reads_is_neutral_where_it_is_no_option() -> None:
    for config in (MFConfig(), LinearConfig(), BestConfig()):
        assert (config.patience, config.clip, config.average, config.solves_first) == (0, 0.0, 0.0, False)
        assert (config.schedule, config.warm_up) == ("constant", 0)
    assert LinearConfig().epochs == BestConfig().epochs == 1 and MFConfig().epochs == 15
    assert (BertConfig().patience, BertConfig().clip, BertConfig().average) == (None, 5.0, 0.9998)


@pytest.mark.parametrize(
    ("changes", "solved"),
    [({}, False), ({"initial": "ials"}, True), ({"chain": 1}, True), ({"initial": "mf", "chain": 2}, True)],
)
def test_an_encoder_says_whether_something_is_solved_for_before_it(changes: dict, solved: bool) -> None:
    assert BertConfig(**changes).solves_first is solved


@pytest.mark.parametrize(
    ("config", "table"),
    [
        (MFConfig, MF),
        (BertConfig, BERT),
        (HybridConfig, HYBRID),
        (LinearConfig, EASE),
        (BestConfig, BEST),
    ],
)
def test_the_defaults_are_the_written_ones_and_what_a_kind_without_a_preset_gets(config: type, table: dict) -> None:
    assert asdict(config()) == ours(table)
    kind = next(name for name, found in CONFIGS.items() if found is config and name not in ("knn", "markov"))
    assert kind == "content" or configuration(kind) == config()
    assert list(ours(table)) == [f.name for f in fields(config)], "in the order of --help"


def test_what_the_paper_does_not_state_is_called_a_guess() -> None:
    tables = (PAPER_MF, PAPER_BERT, PAPER_HYBRID)
    guesses = {name for table in tables for name, row in table.items() if row.source == GUESS}
    assert guesses == {"initial_std", "max_length", "layers", "heads", "perturbation", "frozen_epochs"}
    (sentence,) = (part for part in presets.__doc__.split("\n\n") if "guess" in part)
    assert all(name in sentence for name in guesses)


def test_changes_by_name_come_on_top_of_a_preset() -> None:
    found = configuration("hybrid", "gsasrec", dim=16, initial="ppmi", negatives=3)
    assert asdict(found) == ours(GSASREC | STARTED) | {"dim": 16, "initial": "ppmi", "negatives": 3}
    assert configuration("knn", decay=0.5, max_length=3).decay == 0.5


def test_differences_are_named_with_their_values() -> None:
    changed = presets.differences(configuration("bert", "bert4rec"))
    defaults = ours(BERT)
    assert changed == {name: value for name, value in ours(BERT4REC).items() if value != defaults[name]}
    assert "ratings" not in changed and changed["last_share"] == 1 / 11
    assert presets.differences(configuration("content")) == {"kind": "content", "neighbours": 50}


def test_presets_that_build_upon_each_other_do_not_change_each_other() -> None:
    assert PRESETS["sasrec"]["bert"]["negatives"] == 1 and PRESETS["gsasrec"]["bert"]["negatives"] == 256
    assert "chain" not in PRESETS["sasrec"]["bert"] and PRESETS["sasrec"]["hybrid"]["chain"] == 0


FROM_ZERO = """
    average backward beta2 calibration chain chain_decay chain_ease chain_power chain_weight clip codes confidence
    content decay dropout ease epoch_steps frozen_epochs initial_std input_dropout lag_decay last_share learning_rate
    least_count locality mask_ratio negative_power patience perturbation popularity power rank rare recency_decay
    regularization seed smoothing stride warm_up weight_decay
"""
FROM_ONE = """
    batch_size dim epochs feedforward heads lags layers most_items negatives neighbours span_length
    max_length validation_users
"""


@pytest.mark.parametrize("config", [MFConfig, BertConfig, HybridConfig, BestConfig, LinearConfig])
def test_the_least_value_of_an_option_is_zero_where_that_has_a_meaning_and_otherwise_one(config: type) -> None:
    least = {name: known.minimum for name, known in options(config).items()}
    numbers = {name: value for name, value in least.items() if value is not None}
    by_table: tuple[str, ...] = ("dim",) if config is MFConfig else ()
    if issubclass(config, BertConfig):
        by_table = ("dim", "layers", "heads", "batch_size", "epochs")
    assert numbers == {name: 0 if name in (*FROM_ZERO.split(), *by_table) else 1 for name in numbers}
    assert set(numbers) <= {*FROM_ZERO.split(), *FROM_ONE.split()}
    assert not {name for name in least if least[name] is None} & {*FROM_ZERO.split(), *FROM_ONE.split()}
