"""The factorised Markov chain beside an encoder: its two factors, and the scale of its scores.

In: training histories. Out: what each item leads from and to, (items + 1, rank) each, set in a `MiniBERT4Rec`.

    python -m train bert --chain=64
"""

import logging
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from infer.histories.windows import windows
from train.config import BertConfig, LinearConfig
from train.data.dataset import Data
from train.models import initial
from train.models.bert import MiniBERT4Rec
from train.models.linear import markov

log = logging.getLogger(__name__)

# What the chain factorises; chosen on validation.
TRANSITIONS = LinearConfig(kind="markov", smoothing=300.0, popularity=0.0)
# Most pairs of an item and one that follows it: with more interactions fewer steps are counted, so that the
# matrix stays within a few GiB.
MOST_PAIRS = 100_000_000
# The chain's weight while the encoder is trained, and for good where nothing is held out to find another by.
# Chosen where users are few, by choosing epochs on half of the validation users and measuring the other half; many
# users find another.
START = 0.3
# Users by whom the chain's scale is found.
SCALE_USERS = 1_000


def chain_factors(data: Data, config: BertConfig) -> tuple[Tensor, Tensor]:
    """Two (items + 1, rank): what an item leads from, and what it leads to.

    Their product is the best approximation of that rank (`chain`, or what the catalogue has) to `chain_matrix`, if
    chain_power is 1. A smaller power flattens its spectrum: the few patterns that most transitions follow, popularity
    above all, then outweigh the others less.
    """
    matrix = chain_matrix(data, config, initial.MOST_ENTRIES)
    sources, successors = initial.factorised(matrix, config.chain, config.seed, config.chain_power)
    return torch.from_numpy(sources), torch.from_numpy(successors)


def chain_matrix(data: Data, config: BertConfig, most: int | None = None) -> sp.csr_matrix:
    """(items, items) what the chain factorises: TRANSITIONS', and `chain_ease` times EASE's of the same norm.

    Of fewer steps beyond MOST_PAIRS, and without EASE where there are more items than it can invert; both are logged.
    most: of transitions alone as many of the largest as will be factorised are enough; None: all.
    """
    lags = max(1, min(TRANSITIONS.lags, MOST_PAIRS // max(1, len(data.histories.items))))
    if lags < TRANSITIONS.lags:
        log.info("the chain counts what follows within %d steps instead of %d, to spare memory", lags, TRANSITIONS.lags)
    inverted = len(data.item_ids) <= TRANSITIONS.most_items
    if config.chain_ease and not inverted:
        log.info("the chain has transitions alone: EASE would invert a matrix of %s items", f"{len(data.item_ids):,}")
    table = replace(TRANSITIONS, lags=lags, ease=config.chain_ease if inverted else 0.0)
    return sp.csr_matrix(markov(data, table, None if table.ease else most))


def start_weight(config: BertConfig) -> float:
    """The standard deviation over the items of the chain's scores before another is found: chain_weight if given."""
    return START if config.chain_weight is None else config.chain_weight


@torch.no_grad()
def start_chain(model: MiniBERT4Rec, factors: tuple[Tensor, Tensor], data: Data) -> None:
    """Set the chain to `factors`, two (items + 1, rank), on a scale beside that of the encoder.

    successors: standard deviation initial_std, as the item embeddings, unless that is 0.  sources: such that
    the scores of one user vary over the items with a standard deviation of `start_weight`, in the mean
    over a seeded sample of users with a history.
    """
    config, (sources, successors) = model.config, factors
    spread = successors[1:].std() if len(successors) > 2 else successors.new_zeros(())
    if config.initial_std and spread:
        successors = successors * (config.initial_std / spread)
    rows = np.flatnonzero(data.histories.lengths)
    rows = np.sort(np.random.default_rng(config.seed).permutation(rows)[:SCALE_USERS])
    window = torch.from_numpy(windows(data.histories.take(rows), model.length))
    state = model.fading[-1] @ sources[window]  # (users, rank)
    # The variance over the items without the scores of all of them: s' Cov s.
    covariance = torch.atleast_2d(successors[1:].T.cov(correction=0))  # of rank 1 it is a number
    deviation = ((state @ covariance) * state).sum(1).clamp(min=0).sqrt().mean()
    sources = sources * (start_weight(config) / deviation if deviation else 1.0)
    for table, factor in ((model.sources, sources), (model.successors, successors)):
        table.weight[: model.mask] = factor
