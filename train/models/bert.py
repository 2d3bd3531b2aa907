"""The sequence model: a transformer encoder over a user's latest items.

In: windows of item indexes, oldest to newest, left-padded. Out: a score for every item. With
`preset=paper` it is MiniBERT4Rec: bidirectional like BERT4Rec (Sun et al. 2019), with item embeddings
only, no positions, and a linear head of its own; the defaults read only backwards, like SASRec.

With `chain` the scores are the sum of the encoder's and of a factorised Markov chain, as FPMC adds one
to matrix factorization (Rendle et al. 2010): every recent item, fading with its age, times a low-rank
item-to-item matrix. Its two factors are fixed and join the finished encoder's scores, or with
`chain_trained` they are trained with it.

    python -m train bert
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from infer.histories.vocabulary import PAD
from infer.model.metadata import BIAS
from infer.model.signature import LEVELS_INPUT, WINDOW_INPUT
from train.config import BertConfig
from train.data.dataset import Data
from train.models.base import ScoringModel
from train.models.coded import CodedVectors
from train.models.encoders import encoder
from train.models.layers import Dropout, sinusoidal
from train.models.losses import collisions, generalised_bce, next_item_loss, own_scores, sampled_softmax, softmax_loss
from train.models.masking import SequenceBatch, batches, negative_probability
from train.models.rows import RowAdamW
from train.models.starting import groups, initialise
from train.sizing import sized, window_count

# Weights with a row for each item, as far as a model has them.
OF_ITEMS = {
    "items.weight", "items.codes", "sources.weight", "successors.weight", "head.weight", "head.bias", "bias"
}  # fmt: skip


class MiniBERT4Rec(ScoringModel):
    """Encoder over the window; the state at a position scores the item that belongs there.

    items: size of the catalogue; the embedding has two more rows, padding and the mask token.
    counts: (items + 1,) how often each item occurs in training.  levels: how many rating levels there are.
    """

    any_length = True
    appends_columns = True
    fading: Tensor  # (length, length): what an item counts for the chain at a later position
    expected: Tensor  # (items + 1,): draws of each item among the negatives
    joined: Tensor | None  # (items + 1 or + 2, dim + rank + 1): what scores an item, after `join_tables`
    by_rows: RowAdamW | None = None  # in training, where only rows that a step reads are updated
    chain_at: float | None = None  # the weight that a continued model's fixed chain has already; None: that of a start

    def __init__(self, items: int, config: BertConfig, counts: np.ndarray | None = None, levels: int = 0) -> None:
        super().__init__()
        config = sized(config)
        config.check()
        counts = np.zeros(items + 1) if counts is None else counts
        self.config, self.mask = config, items + 1
        self.length = config.max_length  # of what the encoder reads; one of them is the mask, if appended
        self.window = self.length - config.append_mask
        self.rated = config.ratings == "embedding"
        if self.rated:
            self.input_names, self.level_count = (WINDOW_INPUT, LEVELS_INPUT), levels
        self.register_buffer("joined", None, persistent=False)
        self.items: nn.Embedding | CodedVectors
        self.coded = config.codes > 0
        if self.coded:
            self.items = CodedVectors(self.mask + 1, config.dim, config.codes)
        else:
            self.items = nn.Embedding(self.mask + 1, config.dim, padding_idx=PAD)
        with torch.no_grad():
            self.items.weight *= config.initial_std or 1.0
        if config.positions == "learned":
            self.positions = nn.Parameter(torch.randn(self.length, config.dim) * 0.02)
        elif config.positions == "sinusoidal":
            self.register_buffer("positions", sinusoidal(self.length, config.dim), persistent=False)
        if self.rated:
            self.levels = nn.Embedding(levels + 1, config.dim, padding_idx=PAD)
            nn.init.normal_(self.levels.weight[1:], std=0.02)
        self.rank = min(config.chain, items - 1)
        if self.rank:
            self.sources = nn.Embedding(self.mask + 1, self.rank, padding_idx=PAD)
            self.successors = nn.Embedding(self.mask + 1, self.rank, padding_idx=PAD)
            for table in (self.sources, self.successors):
                table.weight.requires_grad_(config.chain_trained)
                with torch.no_grad():
                    table.weight *= config.initial_std
            age = torch.arange(self.length)[:, None] - torch.arange(self.length)
            self.register_buffer("fading", (config.chain_decay ** age.clamp(min=0)).tril(), persistent=False)
        self.input_dropout = Dropout(config.input_dropout or 0.0)
        if config.input_norm:
            self.input_norm = nn.LayerNorm(config.dim)
        self.encoder = encoder(config)
        if config.head == "separate":
            self.head = nn.Linear(config.dim, self.mask, bias=config.item_bias)
        elif config.item_bias:
            popular = np.log((counts + 1) / (counts + 1).sum())
            self.bias = nn.Parameter(torch.tensor(popular - popular.mean(), dtype=torch.float32))
        if config.transform:
            dense, norm = nn.Linear(config.dim, config.dim), nn.LayerNorm(config.dim)
            self.transform = nn.Sequential(dense, nn.GELU(), norm)
        if config.initial_weights != "ours":
            initialise(self, config)
        chance = torch.from_numpy(negative_probability(counts, config)).float() * config.negatives
        self.register_buffer("expected", chance, persistent=False)

    @property
    def vectors(self) -> dict[str, int]:
        """The encoder's part, what the chain leads to, and the bias."""
        sizes = {"items": self.config.dim, "chain": self.rank, BIAS: int(self.config.item_bias)}
        return {name: size for name, size in sizes.items() if size}

    @property
    def item_rows(self) -> list[str]:
        """Whatever the encoder, the chain and the head know of each."""
        shared = {"items.weight", "items.whole"} if isinstance(self.items, CodedVectors) else set()
        return [name for name in self.state_dict() if name in OF_ITEMS - shared]

    @property
    def chained(self) -> bool:
        """Whether the chain takes part in what is computed now: a fixed one has no part in training."""
        return self.rank > 0 and (self.config.chain_trained or not self.training)

    def embedded(self, window: Tensor, levels: Tensor | None = None, items: Tensor | None = None) -> Tensor:
        """What the encoder reads: (batch, length, dim). A length below the window leaves out the oldest positions.

        items: the vectors of the window's items, where somebody has them.
        """
        hidden, length = self._read(window) if items is None else items, window.shape[1]
        if self.config.scale_embeddings:
            hidden = hidden * self.config.dim**0.5
        if self.config.positions != "none":
            hidden = hidden + self.positions[self.length - length :]
        if self.rated:
            hidden = hidden + self.levels(levels)
        if self.config.input_norm:
            hidden = self.input_norm(hidden)
        return self.input_dropout(hidden)

    def _read(self, window: Tensor) -> Tensor:
        """(batch, length, dim)"""
        if self.joined is None or self.config.head == "separate":
            return self.items(window)
        return nn.functional.embedding(window, self.joined)[..., : self.config.dim]

    def states(self, window: Tensor, levels: Tensor | None = None, items: Tensor | None = None) -> Tensor:
        """(batch, length) item indexes and rating levels to (batch, length, dim + rank), rank 0 unless `chained`.

        items: as in `embedded`.
        """
        states = self.encoder(self.embedded(window, levels, items), window != PAD)
        states = self.transform(states) if self.config.transform else states
        if not self.chained:
            return states
        length = window.shape[1]
        return torch.cat([states, self.fading[:length, :length] @ self.sources(window)], 2)

    def newest_chain(self, window: Tensor) -> Tensor:
        """(batch, rank): the chain's part of `states` at the last position."""
        # The last row of the fading, oldest first; of a shorter window its end.
        return self.fading[-1, self.length - window.shape[1] :] @ self.sources(window)

    def newest_state(self, window: Tensor, levels: Tensor | None = None) -> Tensor:
        """(batch, dim + rank): `states` at the last position, without computing the others in the last layer."""
        newest = self.encoder.newest(self.embedded(window, levels), window != PAD)
        newest = self.transform(newest) if self.config.transform else newest
        if not self.chained:
            return newest
        return torch.cat([newest, self.newest_chain(window)], 1)

    def item_vectors(self, items: Tensor | slice) -> Tensor:
        """(..., dim) the embeddings of items (...)."""
        return self.items(items) if isinstance(self.items, CodedVectors) else self.items.weight[items]

    @torch.no_grad()
    def spare(self) -> None:
        """The items' bias and whole vectors in half precision, if there are codes, which err by more."""
        if isinstance(self.items, CodedVectors):
            self.items.whole = nn.Parameter(self.items.whole.half(), requires_grad=False)
            if self.config.item_bias:
                self.bias = nn.Parameter(self.bias.half(), requires_grad=False)

    def output(
        self, items: Tensor | slice, vectors: Tensor | None = None, shifts: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Weights (n, dim + rank) and bias (n,) that turn a state into scores of these n items, of any shape.

        vectors: (n, dim), those of the items where somebody has them.  shifts: (n,) their bias, likewise.
        """
        separate = self.config.head == "separate"
        if vectors is None:
            vectors = self.head.weight[items] if separate else self.item_vectors(items)
        weight = vectors
        bias = self.head.bias if separate else self.bias if self.config.item_bias else None
        if self.chained:
            weight = torch.cat([weight, self.successors.weight[items]], -1)
        return weight, None if bias is None else bias[items].float() if shifts is None else shifts

    def score(self, states: Tensor, items: Tensor | None = None) -> Tensor:
        """(targets, dim + rank) states to (targets, items + 1) scores, or (targets, n) scores of n items."""
        return nn.functional.linear(states, *self.output(slice(self.mask) if items is None else items))

    def score_own(self, states: Tensor, items: Tensor) -> Tensor:
        """(targets, dim + rank) states and (targets, n) items to (targets, n): each state scores items of its own."""
        rows, place = (slice(self.mask), items) if self.mask <= items.numel() else items.unique(return_inverse=True)
        weight = self._with_bias(rows)
        return own_scores(_as_wide(states, weight), weight, place)

    def forward(self, window: Tensor, levels: Tensor | None = None) -> Tensor:
        """Scores of the next item: (batch, window) items and levels to (batch, items + 1)."""
        if self.config.append_mask:
            window = nn.functional.pad(window, (0, 1), value=self.mask)
            levels = None if levels is None else nn.functional.pad(levels, (0, 1), value=PAD)
        states, weight = self.newest_state(window, levels), self._with_bias(slice(self.mask))
        return _as_wide(states, weight) @ nn.functional.pad(weight, (0, 0, 0, self.extra_columns)).T

    def _with_bias(self, items: Tensor | slice) -> Tensor:
        """(n, dim + rank), with the bias as a further column: adding it to all scores takes half as long again."""
        if self.joined is not None:
            return self.joined[items]
        weight, bias = self.output(items)
        return weight if bias is None else torch.cat([weight, bias[:, None]], 1)

    @torch.no_grad()
    def join_tables(self) -> None:
        """Hold an item's vector, its part of the chain and its bias beside each other."""
        if isinstance(self.items, CodedVectors):
            return
        # A tied table has a row for the mask, too.
        weight, bias = self.output(slice(self.mask) if self.config.head == "separate" else slice(None))
        if bias is not None:
            shift = nn.functional.pad(bias, (0, len(weight) - len(bias)))
            weight = torch.cat([weight, shift[:, None]], 1)
        self.joined = weight

    def part_tables(self) -> None:
        """Undo `join_tables`."""
        self.joined = None

    def loss(self, batch: SequenceBatch) -> Tensor:
        """Mean loss of the hidden (or next) items, each times its weight."""
        if self.config.loss == "softmax":
            states, (weight, bias) = self._asked_states(batch), self.output(slice(self.mask))
            return softmax_loss(states, weight, bias, batch.item, batch.weight / batch.weight.sum())
        each = self._sampled_loss(batch) if self.config.loss == "sampled" else self._binary_loss(batch)
        return (each * batch.weight).sum() / batch.weight.sum()

    def _binary_loss(self, batch: SequenceBatch) -> Tensor:
        """(targets,)"""
        item = batch.item[:, None]
        scores = self.score_own(self._asked_states(batch), torch.cat([item, batch.negatives], 1))
        collides = item == batch.negatives
        return generalised_bce(scores[:, :1], scores[:, 1:], collides, self.mask - 1, self.config.calibration)

    def _sampled_loss(self, batch: SequenceBatch) -> Tensor:
        """(targets,): with one lookup of items, as the gradient of the whole table is filled and added to for each."""
        window, asked = batch.window.flatten(), torch.cat([batch.item, batch.negatives])
        read = vectors = shifts = None
        if self.config.head == "tied":
            vectors, shifts = self._looked_up(torch.cat([window, asked]), len(window), batch)
            read, vectors = vectors.split([len(window), len(asked)])
            read = read.view(*batch.window.shape, -1)
        states, (weight, bias) = self._asked_states(batch, read), self.output(asked, vectors, shifts)
        own, others = weight.split([len(batch.item), len(batch.negatives)])
        positive, shift = (states * own).sum(1), None
        if bias is not None:
            first, shift = bias.split([len(batch.item), len(batch.negatives)])
            positive = positive + first
        negative = nn.functional.linear(states, others, shift)
        collide = collisions(batch.item, batch.negatives)
        return sampled_softmax(positive[:, None], negative, self.expected[batch.negatives], collide)

    def _looked_up(self, index: Tensor, asked: int, batch: SequenceBatch) -> tuple[Tensor, Tensor | None]:
        """Vectors (n, dim) of the items at `index` (n,), and the bias of those from the place `asked` on."""
        if self.by_rows is None or not self.items.weight.requires_grad:
            return self.items(index), None
        rows = batch.items() if batch.rows is None else batch.rows
        place, shift = torch.searchsorted(rows, index), None
        if self.config.item_bias:
            shift = self.by_rows.take(self.bias, rows[rows < self.mask])[place[asked:]]
        return nn.functional.embedding(place, self.by_rows.take(self.items.weight, rows)), shift

    def _asked_states(self, batch: SequenceBatch, items: Tensor | None = None) -> Tensor:
        """(targets, dim + rank): the states at the places whose items are asked for.  items: as in `embedded`."""
        return self.states(batch.window, batch.levels, items).flatten(0, 1).index_select(0, batch.place)

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW, as in the paper, or Adam; of large tables of items by the rows that a step reads."""
        config = self.config
        options: dict[str, Any] = {
            "lr": config.learning_rate, "weight_decay": config.weight_decay, "betas": (0.9, config.beta2)
        }  # fmt: skip
        if config.sparse_updates == "on":
            tables = [self.items.weight, *([self.bias] if config.item_bias else [])]
            self.by_rows = RowAdamW(groups(self, config), tables, **options)
            return self.by_rows
        kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
        return kind(groups(self, config), fused=True, **options)

    def start_epoch(self, epoch: int) -> None:
        """Fix the item embeddings in the first `frozen_epochs` epochs, free them afterwards."""
        frozen = epoch <= self.config.frozen_epochs
        for weight in self.items.parameters():  # with codes there are whole vectors and parts
            weight.requires_grad_(not frozen)
            if frozen:
                weight.grad = None

    def expected_steps(self, data: Data) -> int:
        """Steps of an epoch: the windows' number in the mean over where they begin, by the batch; or as configured."""
        steps = math.ceil(window_count(data.histories.lengths, self.config.stride) / self.config.batch_size)
        return min(steps, self.config.epoch_steps or steps)

    def training_batches(self, data: Data, generator: torch.Generator) -> Iterator[SequenceBatch]:
        """One epoch of sequences, or as many steps of one as are configured."""
        return islice(batches(data, self.config, self.mask, generator), self.config.epoch_steps or None)

    def newest_of_both(self, window: Tensor, levels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The scores of `forward` as (batch, items + 1) of the encoder and as many of the chain, to be added."""
        chain = self.newest_chain(window) @ self.successors.weight[: self.mask].T
        return self(window, levels) - chain, chain

    @torch.no_grad()
    def weigh_chain(self, factor: float) -> None:
        """Multiply the chain's scores by `factor`; with 0 the model has no chain from now on."""
        if factor:
            self.sources.weight *= factor
            return
        del self.sources, self.successors, self.fading
        self.rank, self.config = 0, replace(self.config, chain=0)

    def validation_loss(self, scores: Tensor, data: Data, rows: Tensor) -> Tensor:
        """Mean cross-entropy over all items of the users' next item, whatever the training loss.

        It is the encoder's alone if the chain is fixed: that joins the scores for their order's sake, on a
        scale at which they are no logarithms of chances.
        """
        if self.rank and not self.config.chain_trained:
            window = data.windows(rows, self.window).to(scores.device)
            scores = scores - self.newest_chain(window) @ self.successors.weight[: self.mask].T
        return next_item_loss(scores, data.target(rows))

    def inputs(self, data: Data, rows: Tensor) -> tuple[Tensor, ...]:
        """The users' windows, and those of their rating levels if they are read."""
        window = data.windows(rows, self.window)
        return (window, data.level_windows(rows, self.window)) if self.rated else (window,)


def _as_wide(states: Tensor, weight: Tensor) -> Tensor:
    """(targets, columns of weight): with a 1 for the bias where there is one."""
    return states if weight.shape[1] == states.shape[1] else torch.cat([states, torch.ones_like(states[:, :1])], 1)
