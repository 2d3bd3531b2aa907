"""Training sequences, and what is hidden in them: every masking strategy.

In: histories. Out: batches of windows, the places where something is predicted, and what belongs
there. A strategy is a function (lengths, generator) -> hidden (batch, length) bool over windows that
are left-padded, so that the last column is the newest item.

    one      one random item of each sequence (the paper)
    last     the newest item
    cloze    every item with the probability mask_ratio (Sun et al. 2019, BERT4Rec)
    span     one run of items of geometric length (Joshi et al. 2020, SpanBERT)
    recency  a share mask_ratio of the items, newer ones more likely (Petrov & Macdonald 2022,
             exponential importance)
    causal   nothing is hidden: every item predicts the next (Kang & McAuley 2018, SASRec)
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from infer.histories.vocabulary import PAD
from infer.histories.windows import slices
from train.config import BertConfig
from train.data.dataset import Data
from train.models.base import share
from train.models.weights import level_weights

# Draws of negatives before an item that the user has seen is left out instead.
MOST_DRAWS = 50


@dataclass(frozen=True)
class SequenceBatch:
    """One step's sequences.

    window, levels: (batch, length) items, with the hidden ones replaced, and rating levels.
    place: (targets,) flat positions in window.  item: (targets,) what belongs there.  weight:
    (targets,) of each in the loss.  negatives: (n,) sampled items for all targets, (targets, n) with a
    loss that wants own ones for each, or none.  rows: of a part of a batch, all items of the whole, ascending.
    """

    window: Tensor
    levels: Tensor
    place: Tensor
    item: Tensor
    weight: Tensor
    negatives: Tensor
    rows: Tensor | None = None

    def __len__(self) -> int:
        return len(self.item)

    def to(self, device: torch.device) -> "SequenceBatch":
        """The same on another device."""
        moved = {name: value.to(device) for name, value in vars(self).items() if value is not None}
        return SequenceBatch(**moved)

    def items(self) -> Tensor:
        """(n,) all items in windows, targets and negatives, each once, ascending."""
        return torch.cat([part.flatten() for part in (self.window, self.item, self.negatives)]).unique()

    @property
    def mass(self) -> float:
        """The sum of the weights."""
        return float(self.weight.sum())

    def part(self, rank: int, size: int) -> "SequenceBatch":
        """One of `size` parts: some of the windows, what is asked for in them, and its negatives."""
        rows, length = share(len(self.window), rank, size), self.window.shape[1]
        place = self.place - rows.start * length
        asked = (place >= 0) & (self.place < rows.stop * length)
        return SequenceBatch(
            self.window[rows], self.levels[rows], place[asked], self.item[asked], self.weight[asked],
            self.negatives if self.negatives.ndim == 1 else self.negatives[asked], self.items(),
        )  # fmt: skip


def batches(data: Data, config: BertConfig, mask: int, generator: torch.Generator) -> Iterator[SequenceBatch]:
    """One epoch of shuffled batches.

    mask: the index of the mask token, one more than there are items.
    """
    length = config.max_length + 1 if config.masking == "causal" else config.max_length
    begin, end, owner = _spans(data, config.stride, generator)
    seen = _pairs(data) if config.unseen_negatives else None
    probability = torch.from_numpy(negative_probability(data.counts, config))
    weights = torch.from_numpy(level_weights(data.rating_levels))
    for rows in torch.randperm(len(begin), generator=generator).split(config.batch_size):
        # Cut as they are needed: all of them hold each item many times.
        items, rated = _trimmed(*_cut(data, begin[rows.numpy()], end[rows.numpy()], length))
        if config.masking == "causal":
            inputs, targets = items[:, :-1], items[:, 1:]
            input_levels, target_levels = rated[:, :-1], rated[:, 1:]
            chosen = (inputs != PAD) & (targets != PAD)
        else:
            chosen = hide(items, config, generator)
            inputs, targets = items.masked_fill(chosen, mask), items
            input_levels, target_levels = rated.masked_fill(chosen, PAD), rated
        place = chosen.flatten().nonzero().squeeze(1)
        if not len(place):
            continue
        weight = torch.ones(len(place))
        if config.ratings == "weight":
            weight = weights[target_levels.flatten()[place]]
        negatives = torch.empty(0, dtype=torch.int64)
        if config.loss == "sampled":
            negatives = torch.multinomial(probability, config.negatives, replacement=True, generator=generator)
        elif config.loss == "gbce":
            negatives = torch.randint(1, mask, (len(place), config.negatives), generator=generator)
            if seen is not None:
                users = torch.from_numpy(owner)[rows][place // inputs.shape[1]]
                negatives = unseen(negatives, users, targets.flatten()[place], seen, mask, generator)
        yield SequenceBatch(inputs, input_levels, place, targets.flatten()[place], weight, negatives)


def sequences(data: Data, length: int, stride: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(n, length) windows of items and their rating levels.

    Each user's latest window, and with a stride more of them, further and further back: the second
    begins a random number of items (1 to stride) earlier, each further one `stride` items earlier.
    """
    begin, end, _ = _spans(data, stride, generator)
    return _cut(data, begin, end, length)


def _trimmed(items: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """The same sequences without the oldest places that are padding in all of them; at least two places."""
    first = int((items != PAD).any(0).int().argmax().clamp(max=items.shape[1] - 2)) if items.shape[1] > 2 else 0
    return items[:, first:], levels[:, first:]


def unseen(
    negatives: Tensor, users: Tensor, target: Tensor, seen: Tensor, rows: int, generator: torch.Generator
) -> Tensor:
    """(targets, n) negatives, in which items that the user has seen are drawn again.

    users, target: (targets,) rows of the users and what they chose.  seen: sorted user * rows + item.  rows: items + 1.
    What is still seen after MOST_DRAWS, of a user who has seen nearly all, becomes the target, which a loss leaves out.
    """
    for _ in range(MOST_DRAWS):
        key = users[:, None] * rows + negatives
        found = seen[torch.searchsorted(seen, key).clamp(max=len(seen) - 1)] == key
        if not found.any():
            return negatives
        negatives = negatives.masked_scatter(found, torch.randint(1, rows, (int(found.sum()),), generator=generator))
    key = users[:, None] * rows + negatives
    found = seen[torch.searchsorted(seen, key).clamp(max=len(seen) - 1)] == key
    return torch.where(found, target[:, None], negatives)


def _pairs(data: Data) -> Tensor:
    """Sorted user * (items + 1) + item of all training histories, users by their row."""
    histories = data.histories
    users = np.repeat(np.arange(len(histories.lengths)), histories.lengths)
    return torch.from_numpy(np.unique(users * len(data.counts) + histories.items))


def _spans(data: Data, stride: int, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) where each window's items begin and end among all, and the row of its user."""
    starts, stops = data.histories.offsets[:-1], data.histories.offsets[1:]
    ends = [stops]
    begins = [starts]
    owners = [np.arange(len(starts))]
    if stride:
        shift = torch.randint(1, stride + 1, (len(starts),), generator=generator).numpy()
        first = stops - shift
        more = np.maximum(-(-(first - starts - 1) // stride), 0)  # windows of at least two items
        which = np.repeat(np.arange(len(starts)), more)
        back = np.arange(more.sum()) - np.repeat(np.cumsum(more) - more, more)
        ends.append(first[which] - back * stride)
        begins.append(starts[which])
        owners.append(which)
    begin, end, owner = np.concatenate(begins), np.concatenate(ends), np.concatenate(owners)
    filled = end > begin
    return begin[filled], end[filled], owner[filled]


def _cut(data: Data, begin: np.ndarray, end: np.ndarray, length: int) -> tuple[Tensor, Tensor]:
    """(n, length) items and rating levels between these places, the latest of each."""
    items = torch.from_numpy(slices(data.histories.items, begin, end, length))
    if data.histories.levels is None:
        return items, torch.zeros_like(items)
    return items, torch.from_numpy(slices(data.histories.levels, begin, end, length))


def hide(window: Tensor, config: BertConfig, generator: torch.Generator) -> Tensor:
    """(batch, length) bool: which items are hidden; at least one in each row, never padding."""
    length = window.shape[1]
    real = (window != PAD).sum(1, keepdim=True)  # (batch, 1)
    age = torch.arange(length - 1, -1, -1)  # the newest item has age 0
    exists = age < real
    random = torch.rand(len(window), 1, generator=generator)
    single = age == (random * real).long().clamp(max=length - 1)
    if config.last_share and config.masking not in ("last", "causal"):
        only = torch.rand(len(window), 1, generator=generator) < config.last_share
        others = hide(window, replace(config, last_share=0.0), generator)
        return torch.where(only, (age == 0) & exists, others)
    if config.masking == "one":
        return single
    if config.masking == "last":
        return (age == 0) & exists
    if config.masking == "cloze":
        ratio = 0.2 if config.mask_ratio is None else config.mask_ratio
        chosen = (torch.rand(window.shape, generator=generator) < ratio) & exists
        return torch.where(chosen.any(1, keepdim=True), chosen, single)
    if config.masking == "span":
        mean = 3.0 if config.span_length is None else config.span_length
        draw = torch.rand(len(window), 1, generator=generator).clamp(min=1e-9)
        span = (draw.log() / np.log(1 - 1 / mean)).ceil() if mean > 1 else torch.ones_like(draw)
        newest = (random * real).long().clamp(max=length - 1)
        return (age >= newest) & (age < newest + span.clamp(min=1)) & exists
    decay = 0.8 if config.recency_decay is None else config.recency_decay
    ratio = 0.2 if config.mask_ratio is None else config.mask_ratio
    # Gumbel's trick: the largest of log weight + noise are a weighted sample without replacement.
    noise = -(-torch.rand(window.shape, generator=generator).clamp(1e-9, 1 - 1e-7).log()).log()
    order = (age * np.log(decay) + noise).masked_fill(~exists, -torch.inf).argsort(1, descending=True).argsort(1)
    return (order < (real * ratio).ceil().clamp(min=1)) & exists


def negative_probability(counts: np.ndarray, config: BertConfig) -> np.ndarray:
    """(items + 1,) float64 probability of drawing each item as a negative; padding never."""
    power = config.negative_power if config.loss == "sampled" else 0.0
    with np.errstate(over="ignore"):
        weights = (counts + 1.0) ** power
    if not np.isfinite(weights.sum()):  # beyond all numbers; their shares are not
        weights = ((counts + 1.0) / (counts[1:].max() + 1.0)) ** power
    weights[PAD] = 0.0
    return weights / weights.sum()
