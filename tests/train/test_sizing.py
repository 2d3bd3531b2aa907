"""Sizes that follow from the table."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from infer.errors import InputError
from train.config import BertConfig, MFConfig
from train.presets import configuration
from train.sizing import MANY, SEQUENCES, mean_length, said, sequences, sized, sized_for, window_count


def table(*lengths: int) -> np.ndarray:
    return np.array(lengths)


def test_wider_vectors_begin_with_many_interactions() -> None:
    assert sized(BertConfig(), table(MANY - 1)).dim == 64 and sized(BertConfig(), table(MANY)).dim == 128
    assert sized(BertConfig()).dim == 64
    assert sized(MFConfig(dim=0), table(MANY - 1)).dim == 64 and sized(MFConfig(dim=0), table(MANY)).dim == 128
    assert sized(MFConfig(), table(MANY)).dim == 64 and sized(MFConfig(dim=3)).dim == 3


@pytest.mark.parametrize(("dim", "heads"), [(128, 4), (64, 2), (8, 2), (3, 1), (96, 3), (100, 2)])
def test_heads_have_32_dimensions_where_that_divides(dim: int, heads: int) -> None:
    assert sized(BertConfig(dim=dim)).heads == heads


def test_layers_of_hstu_begin_with_many_users() -> None:
    few, many = table(*[2] * (SEQUENCES - 1), 0), table(*[2] * SEQUENCES)
    assert [(c.block, c.layers) for c in (sized(BertConfig(), few), sized(BertConfig()))] == [("transformer", 1)] * 2
    found = sized(BertConfig(), many)
    assert (found.block, found.layers) == ("hstu", 2)
    found = sized(BertConfig(block="hstu", layers=3), few)
    assert (found.block, found.layers) == ("hstu", 3)
    assert sized(BertConfig(block="transformer"), many).layers == 1 and sized(BertConfig(block="hstu")).layers == 2


def test_what_the_chosen_block_does_not_have_is_refused() -> None:
    many, few = (SimpleNamespace(histories=SimpleNamespace(lengths=table(*[2] * n)), targets=np.ones(n), item_ids=[1])
                 for n in (SEQUENCES, SEQUENCES - 1))  # fmt: skip
    for name, value in (("feedforward", 9), ("activation", "relu"), ("norm", "post")):
        with pytest.raises(InputError, match=f"--{name} does nothing with hstu blocks, .* it is for --block=transf"):
            sized_for(BertConfig(**{name: value}), many)
        assert getattr(sized_for(BertConfig(**{name: value}), few), name) == value
    # What a preset brings along is no option that somebody gave.
    assert sized_for(configuration("bert", "sasrec", block="hstu"), many).block == "hstu"


def test_what_is_given_stays() -> None:
    given = BertConfig(
        block="hstu", layers=2, epochs=3, patience=7, dim=32, heads=4, batch_size=3, dropout=0.0, input_dropout=0.1,
        sparse_updates="on",
    )  # fmt: skip
    assert sized(given, table(MANY)) == given
    assert sized(MFConfig(), table(5)) == MFConfig() and not said(MFConfig(), table(5))
    assert sized(configuration("bert", "sasrec"), table(MANY)) == configuration("bert", "sasrec", sparse_updates="off")


def test_a_step_has_about_as_many_items_whatever_the_histories() -> None:
    # One window of 8 items each; a further one, that begins 1 to 25 earlier, has seldom any.
    assert sequences(np.full(1000, 8), 50, 25) == 100
    # Of 1,000 items there are 39 windows more, all but full: 16 of 50 items.
    assert sequences(np.full(50, 1000), 50, 25) == 16
    assert sequences(np.full(50, 1000), 50, 0) == 16 and sequences(np.full(9, 2), 50, 0) == 400
    assert sequences(np.array([1, 0]), 50, 25) == 16 and sequences(np.full(9, 2), 50, 25) == 400


def test_epochs_of_many_steps_are_cut() -> None:
    # Two windows in the mean of each user with 27 items, in steps of 25 sequences.
    lengths = np.full(250_000, 27)
    config = BertConfig(batch_size=25)
    assert sized(config, lengths).epoch_steps == 0 and window_count(lengths, 25) == 500_000
    assert sized(config, np.append(lengths, 27)).epoch_steps == 20_000
    assert sized(BertConfig(batch_size=25, epoch_steps=7), lengths).epoch_steps == 7


def test_long_epochs_take_less_patience() -> None:
    assert sized(BertConfig(), table(MANY - 1)).patience == sized(BertConfig()).patience == 10
    assert sized(BertConfig(), table(MANY)).patience == 5
    assert sized(BertConfig(patience=0), table(MANY)).patience == 0 and sized(BertConfig(patience=9)).patience == 9


def test_short_histories_take_more_dropout() -> None:
    assert sized(BertConfig(), table(19, 0, 20)).dropout == 0.5 and sized(BertConfig(), table(20, 0)).dropout == 0.2
    assert sized(BertConfig()).dropout == sized(BertConfig(dropout=0.2), table(5)).dropout == 0.2
    assert sized(BertConfig(dropout=0.3)).input_dropout == 0.3, "as in the encoder"
    assert mean_length(np.array([0, 0])) == 0


def test_where_nothing_is_held_out_epochs_are_few() -> None:
    assert sized(BertConfig(), table(5)).epochs == sized(BertConfig()).epochs == 100
    assert sized(BertConfig(), table(5), measured=False).epochs == 20
    assert sized(BertConfig(epochs=7), table(5), measured=False).epochs == 7


def test_what_is_held_out_is_read_from_the_data() -> None:
    histories = SimpleNamespace(lengths=table(5, 9))
    data: Any = SimpleNamespace(histories=histories, targets=np.array([0, 1]), item_ids=range(7))
    assert sized_for(BertConfig(), data) == sized(BertConfig(), table(5, 9))
    data.targets[:] = 0  # padding
    assert sized_for(BertConfig(), data) == sized(BertConfig(), table(5, 9), measured=False)
    data.item_ids = range(50_000)
    assert sized_for(BertConfig(), data).sparse_updates == "on"


def test_what_was_chosen_is_said_with_its_reason() -> None:
    lengths = table(8, 0, 8)
    assert said(sized(BertConfig(), lengths), lengths) == (
        "1 transformer layer, 64 dimensions, 2 heads, dropout 0.5, 100 sequences a step, for 16 interactions of 2 users"
    )
    assert window_count(np.array([8, 0, 8]), 25) == pytest.approx(2 + 12 / 25)
