"""Every option has its effect: changed alone, it changes what is trained, or how that is measured.

A case is the options that give the option something to act on, and its other value. What the right effect is, is
tested beside the code that has it; here no option may be forgotten, and none may be ignored.
"""

import io
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
import torch

from infer.cli import parse
from infer.cli.fields import ANY_BUT_0, options
from infer.errors import InputError
from train import trainer
from train.config import BertConfig, BestConfig, HybridConfig, LinearConfig, MFConfig, TrainConfig
from train.data import __main__ as preparation
from train.data.dataset import load
from train.loop.loop import fit
from train.loop.run import Run
from train.models.registry import build
from train.presets import CONFIGS, configuration

# Where a run lies and where it runs must not change what is trained.
ELSEWHERE = {"artifacts", "device"}
EVERY = {"seed": ({"validation_users": 5}, 1), "validation_users": ({}, 5)}
RATINGS = {"objective": "ratings", "epochs": 2, "batch_size": 16, "learning_rate": 0.01}
MF_CASES = EVERY | {
    "objective": ({}, "ratings"),
    "dim": ({}, 5),
    "epochs": (RATINGS, 3),
    "batch_size": (RATINGS, 17),
    "learning_rate": (RATINGS, 0.02),
    "weight_decay": (RATINGS, 0.1),
    "initial_std": (RATINGS, 0.2),
    "confidence": ({}, 6.0),
    "regularization": ({}, 31.0),
    "ratings": ({}, "weight"),
}
CHAIN = {"chain": 3}
BERT_CASES = EVERY | {
    "dim": ({}, 12),
    "block": ({}, "hstu"),
    "layers": ({}, 2),
    "heads": ({}, 4),
    "feedforward": ({}, 9),
    "activation": ({}, "relu"),
    "norm": ({}, "post"),
    "scale_embeddings": ({}, True),
    "input_norm": ({}, True),
    "transform": ({}, True),
    "dropout": ({}, 0.3),
    "input_dropout": ({}, 0.3),
    "positions": ({}, "none"),
    "head": ({}, "separate"),
    "codes": ({}, 2),
    "item_bias": ({}, False),
    "max_length": ({}, 4),
    "stride": ({}, 0),
    "masking": ({}, "last"),
    "mask_ratio": ({"masking": "cloze"}, 0.6),
    "span_length": ({"masking": "span"}, 1.0),
    "last_share": ({"masking": "cloze"}, 0.5),
    "recency_decay": ({"masking": "recency"}, 0.1),
    "append_mask": ({"masking": "last"}, True),
    "loss": ({}, "softmax"),
    "negatives": ({}, 5),
    "negative_power": ({}, 1.5),
    "unseen_negatives": ({"loss": "gbce"}, True),
    "calibration": ({"loss": "gbce"}, 0.2),
    "ratings": ({}, "weight"),
    "initial": ({"initial": "random"}, "ppmi"),
    "content": ({"initial": "ials"}, 0.0),
    "mf": ({"initial": "mf"}, "other"),
    "chain": ({}, 3),
    "chain_decay": (CHAIN | {"chain_weight": 0.3}, 0.5),  # or it would be left out where it does not help
    "chain_ease": (CHAIN | {"chain_weight": 0.3}, 0.1),
    "chain_power": (CHAIN | {"chain_weight": 0.3}, 0.9),
    "chain_weight": (CHAIN, 0.6),
    "chain_initial": (CHAIN | {"chain_trained": True}, "random"),
    "chain_trained": (CHAIN, True),
    "initial_std": ({}, 0.2),
    "initial_weights": ({}, "glorot"),
    "perturbation": ({"initial": "ials"}, 0.01),
    "frozen_epochs": ({"initial": "ials"}, 1),
    "epochs": ({}, 2),
    "patience": ({"epochs": 6, "learning_rate": 0.1, "average": 0.0}, 1),
    "batch_size": ({}, 17),
    "optimizer": ({"weight_decay": 0.5}, "adam"),
    "learning_rate": ({}, 1e-3),
    "schedule": ({}, "linear"),
    "warm_up": ({}, 3),
    "weight_decay": ({}, 0.5),
    "decay_all": ({"weight_decay": 0.5}, False),
    "beta2": ({}, 0.5),
    "sparse_updates": ({}, "on"),
    "epoch_steps": ({"batch_size": 2}, 1),
    "clip": ({}, 1e-3),
    "average": ({}, 0.1),
}
MARKOV = {"kind": "markov"}
LINEAR_CASES = EVERY | {
    "kind": ({}, "knn"),
    "max_length": ({}, 2),
    "decay": ({}, 0.5),
    "neighbours": ({}, 3),
    "lags": (MARKOV, 1),
    "lag_decay": (MARKOV, 0.5),
    "backward": (MARKOV, 0.0),
    "smoothing": (MARKOV, 1.0),
    "popularity": (MARKOV, 0.9),
    "rank": (MARKOV, 3),
    "power": (MARKOV | {"rank": 3}, 1.0),
    "ease": (MARKOV, 1.0),
    "locality": ({}, 1.0),
    "regularization": ({}, 10.0),
    "content": ({}, 0.0),
    "least_count": ({}, 9),
    "most_items": ({}, 23),
    "rare": ({"kind": "content"}, 8),
}
BEST_CASES = EVERY | {"members": ({}, "ease")}
SMALL = {
    "block": "transformer", "layers": 1, "heads": 2, "dim": 8, "feedforward": 8, "max_length": 6, "stride": 2,
    "epochs": 1, "patience": 0, "batch_size": 16, "negatives": 8,
}  # fmt: skip
BASE: dict[str, dict] = {
    "mf": {"dim": 4},
    "bert": SMALL,
    "ease": {},
    "best": {"members": "ease,markov"},
}
BASE["hybrid"] = BASE["bert"] | {"chain": 0}
CASES = {
    "mf": (MFConfig, MF_CASES),
    "bert": (BertConfig, BERT_CASES),
    "hybrid": (HybridConfig, BERT_CASES),
    "ease": (LinearConfig, LINEAR_CASES),
    "best": (BestConfig, BEST_CASES),
}
# Values of the fields on which other options hang.
FIELDS = {
    "objective": ("implicit", "ratings"),
    "block": ("hstu",),
    "loss": ("sampled", "softmax"),
    "initial": ("random",),
    "kind": ("knn", "markov", "ease"),
}
# What these change is what is measured, not what is trained.
MEASURED = {("ease", "seed"), ("best", "seed")} | {(kind, "validation_users") for kind in CASES}


@pytest.fixture(scope="module")
def folder(ratings_csv: Path, tmp_path_factory) -> Path:
    """The prepared checkerboard with titles and genres, two trained MFs and two members of a blend."""
    folder = tmp_path_factory.mktemp("options")
    items = ratings_csv.with_name("items.csv")
    preparation.main([f"--dataset={ratings_csv}", f"--items={items}", f"--artifacts={folder}"])
    for name, seed in (("mf", 0), ("other", 1)):
        trainer.train("mf", configuration("mf", dim=8, epochs=1, seed=seed, artifacts=folder), name)
    for kind in ("ease", "markov"):
        trainer.train(kind, configuration(kind, artifacts=folder))
    return folder


def outcome(kind: str, config: TrainConfig) -> tuple[bytes, list[dict]]:
    """The scores of all users and the kept weights, byte for byte, and what was measured."""
    data = load(config.artifacts)
    kind = getattr(config, "kind", kind)
    model, _ = build(kind, data, config)
    run = Run(model, None if model.closed_form else model.optimizer())
    list(fit(run, data, config))
    buffer = io.BytesIO()
    with torch.no_grad():
        scores = model.eval()(*model.inputs(data, torch.arange(len(data.user_ids))))
    for value in (scores, *model.state_dict().values()):
        buffer.write(value.contiguous().numpy().tobytes())
    return buffer.getvalue(), [asdict(replace(record, seconds=0.0)) for record in run.records]


@pytest.fixture(scope="module")
def base(folder: Path):
    """What is trained with unchanged options; each once."""
    known = {}

    def found(kind: str, config: TrainConfig) -> tuple[bytes, list[dict]]:
        if (kind, config) not in known:
            known[kind, config] = outcome(kind, config)
        return known[kind, config]

    return found


@pytest.mark.parametrize("kind", CASES)
def test_every_option_has_a_case(kind: str) -> None:
    config, cases = CASES[kind]
    assert CONFIGS[kind] is config
    assert set(cases) == {f.name for f in fields(config)} - ELSEWHERE


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, (_, cases) in CASES.items() for name in cases])
def test_an_option_that_is_changed_alone_changes_what_comes_out(kind: str, name: str, folder: Path, base) -> None:
    needs, other = CASES[kind][1][name]
    config = replace(configuration(kind, artifacts=folder, **BASE[kind]), **needs)
    changed = replace(config, **{name: other})
    assert getattr(config, name) != other
    trained, measured = base(kind, config)
    if name == "most_items":
        with pytest.raises(InputError, match="above --most-items 23"):
            outcome(kind, changed)
        return
    found, records = outcome(kind, changed)
    if (kind, name) in MEASURED:
        assert found == trained and records != measured
    else:
        assert found != trained


@pytest.mark.parametrize("kind", CASES)
def test_the_same_options_give_the_same_bytes(kind: str, folder: Path, base) -> None:
    config = configuration(kind, artifacts=folder, **BASE[kind])
    assert outcome(kind, config) == base(kind, config)


# The smallest value that each number may have.
ABOVE_ZERO = {
    "mf": {"epochs", "batch_size"},
    "bert": {"feedforward", "max_length", "span_length", "negatives"},
    "ease": {"max_length", "neighbours", "lags", "most_items"},
    "best": set(),
}
ABOVE_ZERO["hybrid"] = ABOVE_ZERO["bert"]


@pytest.mark.parametrize("kind", CASES)
def test_every_number_has_its_smallest_value(kind: str) -> None:
    config, cases = CASES[kind]
    for f in (f for f in fields(config) if f.metadata):
        base = replace(config(), **cases.get(f.name, ({},))[0])
        numeric = f.type in (int, float, int | None, float | None)
        expected = int(f.name in ABOVE_ZERO[kind] | {"validation_users"}) if numeric else None
        assert f.metadata["minimum"] == expected, f.name
        if numeric:
            word = f"--{f.name.replace('_', '-')}"
            assert parse(config, [f"{word}={expected}"], "", base) == replace(base, **{f.name: expected})
            with pytest.raises(InputError, match=f"{word} is at least {expected}; found {expected - 1}"):
                parse(config, [f"{word}={expected - 1}"], "", base)


@pytest.mark.parametrize("kind", CASES)
def test_an_option_that_does_nothing_beside_the_others_is_refused(kind: str, folder: Path, base) -> None:
    config, cases = CASES[kind]
    for o in (o for o in options(config).values() if o.only):
        needs, other = cases[o.field]
        others = {name: _without(name, wanted) for name, wanted in o.only.items()}
        for name, value in others.items():
            idle = replace(configuration(kind, artifacts=folder, **BASE[kind]), **needs | {name: value})
            with pytest.raises(InputError, match=f"^--{o.name} does nothing with .*{value}: it "):
                parse(config, [f"--{o.name}={other}"], "", idle)
            assert outcome(kind, idle) == outcome(kind, replace(idle, **{o.field: other})), (o.field, name)


def _without(name: str, wanted: tuple) -> object:
    """A value of a field with which an option that is for `wanted` does nothing."""
    if wanted == ANY_BUT_0:
        return 0
    return next(value for value in FIELDS[name] if value not in wanted)


@pytest.mark.parametrize(
    ("allowed", "refused", "reason"),
    [
        ({"dropout": 0.999}, {"dropout": 1.0}, "--dropout 1.0 is not below 1"),
        ({"input_dropout": 0.999}, {"input_dropout": 1.0}, "--input-dropout 1.0 is not below 1"),
        ({"beta2": 0.9999}, {"beta2": 1.0}, "--beta2 1.0 is not below 1"),
        ({"sparse_updates": "on", "beta2": 0.9}, {"sparse_updates": "on", "beta2": 0.89}, "a --beta2 of at least 0.9"),
        ({"average": 0.9999}, {"average": 1.0}, "--average 1.0 is not below 1"),
        ({"calibration": 1.0}, {"calibration": 1.01}, "--calibration 1.01 is above 1"),
        ({"max_length": 2}, {"max_length": 1}, "--max-length 1 leaves an encoder a single item"),
        ({"masking": "cloze", "mask_ratio": 1.0}, {"masking": "cloze", "mask_ratio": 1.01}, "is a share up to 1"),
        ({"masking": "recency", "mask_ratio": 0.1}, {"masking": "span", "mask_ratio": 0.1}, "not span"),
        ({"masking": "span", "span_length": 2.0}, {"masking": "cloze", "span_length": 2.0}, "cloze hides no spans"),
        (
            {"masking": "recency", "recency_decay": 1.0},
            {"masking": "recency", "recency_decay": 1.01},
            "recency-decay 1.01",
        ),
        (
            {"masking": "recency", "recency_decay": 0.01},
            {"masking": "recency", "recency_decay": 0.0},
            "recency-decay 0.0",
        ),
        ({"masking": "recency", "recency_decay": 0.5}, {"masking": "last", "recency_decay": 0.5}, "work with last$"),
        ({"masking": "last", "append_mask": True}, {"append_mask": True}, "--append-mask needs a mask token"),
        (
            {"masking": "last", "append_mask": True, "max_length": 2},
            {"masking": "last", "append_mask": True, "max_length": 1},
            "--append-mask needs --max-length of at least 2",
        ),
        (
            {"masking": "cloze", "last_share": 1.0},
            {"masking": "cloze", "last_share": 1.01},
            "--last-share 1.01 is a share",
        ),
        ({"masking": "one", "last_share": 0.1}, {"last_share": 0.1}, "hides items in; found causal"),
        ({"loss": "gbce", "unseen_negatives": True}, {"unseen_negatives": True}, "is for --loss gbce.*found sampled"),
        (
            {"initial_weights": "glorot", "initial_std": 0.0},
            {"initial_weights": "normal", "initial_std": 0.0},
            "--initial-weights normal needs an --initial-std above 0",
        ),
        ({"max_length": 3}, {"dim": 9, "heads": 2}, "--dim 9 is not a multiple of --heads 2"),
        ({"initial": "ials", "frozen_epochs": 1}, {"frozen_epochs": 1}, "--frozen-epochs with --initial random"),
        ({"initial": "ials", "perturbation": 0.1}, {"perturbation": 0.1}, "--perturbation disturbs given vectors"),
        ({"chain": 1}, {"chain": 1, "masking": "last"}, "--chain scores what follows an item"),
        ({"chain_decay": 1.0}, {"chain_decay": 1.01}, "--chain-decay 1.01 is not above 0 and at most 1"),
        ({"chain_decay": 0.01}, {"chain_decay": 0.0}, "--chain-decay 0.0 is not above 0 and at most 1"),
        (
            {"chain": 1, "chain_initial": "random", "chain_trained": True},
            {"chain": 1, "chain_initial": "random"},
            "--chain-initial random adds meaningless scores",
        ),
        ({"chain": 1, "chain_trained": True}, {"chain_trained": True}, "do nothing without --chain: give its rank"),
    ],
)
def test_the_last_allowed_value_is_allowed_and_the_next_refused(allowed: dict, refused: dict, reason: str) -> None:
    BertConfig(**allowed).check()
    with pytest.raises(InputError, match=reason):
        BertConfig(**refused).check()


@pytest.mark.parametrize("name", ["decay", "lag_decay", "locality"])
def test_what_fades_by_distance_is_above_zero_and_at_most_one(name: str) -> None:
    for value in (0.001, 1.0):
        LinearConfig(**{name: value}).check()
    for value in (0.0, 1.001):
        with pytest.raises(InputError, match=f"--{name.replace('_', '-')} {value} is not above 0 and at most 1"):
            LinearConfig(**{name: value}).check()
