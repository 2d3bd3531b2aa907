"""The weight of the Markov chain beside a finished encoder, found on the validation users.

In: a `Run` whose model holds the weights that are kept. Out: its chain on the scale that ranks the held-out items best,
or no chain; what was chosen in `run.chosen`, by what in `run.tried`, and what is then measured in `run.final`.

While the encoder is trained, the chain has a fixed weight (`train.models.chain.START`), and the best epoch is that of
the sum: it is what is served, and with a fixed weight epochs differ by the encoder alone.

    python -m train hybrid
"""

import logging

import torch
from torch import Tensor

from train.data.dataset import Data
from train.models.bert import MiniBERT4Rec
from train.models.chain import START
from train.run import Run
from train.validation import K, target_ranks, validate

log = logging.getLogger(__name__)

# Tried standard deviations of the chain's scores over the items: about sqrt(2) apart, within which NDCG is flat.
WEIGHTS = (0.0, 0.02, 0.03, 0.04, 0.06, 0.08, 0.11, 0.15, 0.21, 0.3, 0.42, 0.6, 0.85, 1.2)
USERS = 256  # whose scores are held at once


def weigh(run: Run, data: Data, rows: Tensor, device: torch.device) -> None:
    """Find the chain's weight by these users (users,), if the model has a fixed chain whose weight is not given."""
    model = run.model
    if not isinstance(model, MiniBERT4Rec) or not model.rank:
        return
    if model.config.chain_trained or model.config.chain_weight is not None:
        return
    if not len(rows):
        run.chosen = {"chain_weight": START}
        log.info("nothing is held out to find the chain's weight by: it is %s; --chain-weight gives another", START)
        return
    by_weight = ndcg_by_weight(model, data, rows, device)
    weight = best_weight(by_weight)
    model.weigh_chain(weight / START)
    run.chosen = {"chain_weight": weight}
    run.tried = {"chain_weight_ndcg_at_10": {f"{w:g}": value for w, value in by_weight.items()}}
    found = ", ".join(f"{w:g}: {value * 100:.2f}" for w, value in by_weight.items())
    log.info("chain weight %g, by NDCG@10 %% of %s validation users: %s", weight, f"{len(rows):,}", found)
    if not weight:
        run.chosen["chain"] = 0
        log.info("the chain does not help the encoder: it is left out of the model")
    loss, hit, ndcg = validate(model, data, rows, device)
    run.final = {"validation_loss": loss, f"validation_hit_at_{K}": hit, f"validation_ndcg_at_{K}": ndcg}


@torch.no_grad()
def ndcg_by_weight(model: MiniBERT4Rec, data: Data, rows: Tensor, device: torch.device) -> dict[float, float]:
    """NDCG@10 in [0, 1] of these users for each of WEIGHTS, if the chain has the weight START now.

    The scores of a few users are computed once and ranked with every weight. Users without a history are misses.
    """
    model.eval()
    known = torch.from_numpy(data.known.lengths > 0)
    gains = dict.fromkeys(WEIGHTS, 0.0)
    for batch in rows[known[rows]].split(USERS):
        encoder, chain = model.newest_of_both(*(given.to(device) for given in model.inputs(data, batch)))
        for weight in WEIGHTS:
            rank = target_ranks(encoder + chain * (weight / START), data, batch).double()
            gains[weight] += float((1 / (rank + 1).log2()).where(rank <= K, 0.0).sum())
    return {weight: gain / len(rows) for weight, gain in gains.items()}


def best_weight(by_weight: dict[float, float]) -> float:
    """The weight above 0 with the highest smoothed NDCG, or 0 if that is no higher than without the chain.

    By ascending weight each value counts twice and its neighbours once: with few users one weight may be better by
    chance, but not a stretch of them. Of equal ones the smallest.
    """
    weights = sorted(weight for weight in by_weight if weight)
    smoothed = {}
    for place, weight in enumerate(weights):
        near = weights[max(0, place - 1) : place + 2]
        total = by_weight[weight] + sum(by_weight[w] for w in near)
        smoothed[weight] = total / (len(near) + 1)
    best = max(weights, key=lambda weight: (smoothed[weight], -weight))
    return best if smoothed[best] > by_weight.get(0.0, 0.0) else 0.0
