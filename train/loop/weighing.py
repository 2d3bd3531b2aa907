"""The weight of the Markov chain beside a finished encoder, found on the validation users.

In: a `Run` whose model holds the weights that are kept. Out: its chain on the scale that ranks the held-out items best,
or no chain; what was chosen in `run.chosen`, by what in `run.tried`, and what is then measured in `run.final`.

While the encoder is trained, the chain has a fixed weight (`train.models.chain.START`), and the best epoch is that of
the sum: it is what is served, and with a fixed weight epochs differ by the encoder alone.

    python -m train hybrid
"""

import logging

import numpy as np
import torch
from torch import Tensor

from train.data.dataset import Data
from train.loop.run import Run
from train.loop.validation import K, target_ranks, validate
from train.models.bert import MiniBERT4Rec
from train.models.chain import START

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
        run.chosen = {"chain_weight": model.chain_at or START}
        run.tried = {"chain_weight_ndcg_at_10": {}}  # not given: who goes on from it looks for another
        told = "nothing is held out to find the chain's weight by: it is %s; --chain-weight gives another"
        log.info(told, model.chain_at or START)
        return
    gains = gains_by_weight(model, data, rows, device)
    by_weight = {weight: float(gain.mean()) for weight, gain in gains.items()}
    weight = best_weight(gains, model.chain_at)
    model.weigh_chain(weight / (model.chain_at or START))
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
def gains_by_weight(model: MiniBERT4Rec, data: Data, rows: Tensor, device: torch.device) -> dict[float, np.ndarray]:
    """NDCG@10 in [0, 1] of each of these users (users,) for each of WEIGHTS, if the chain has the weight START now
    (of a continued model: its own).

    The scores of a few users are computed once and ranked with every weight. Users without a history are misses.
    """
    model.eval()
    known = torch.from_numpy(data.known.lengths > 0)
    gains = {weight: np.zeros(len(rows)) for weight in WEIGHTS}
    for places in known[rows].nonzero().squeeze(1).split(USERS):
        batch = rows[places]
        encoder, chain = model.newest_of_both(*(given.to(device) for given in model.inputs(data, batch)))
        for weight in WEIGHTS:
            rank = target_ranks(encoder + chain * (weight / (model.chain_at or START)), data, batch).double()
            gains[weight][places] = (1 / (rank + 1).log2()).where(rank <= K, 0.0)
    return gains


def best_weight(gains: dict[float, np.ndarray], earlier: float | None = None) -> float:
    """The weight nearest to START (by ratio) of those that are as good as the best, or 0 if that is one of them.

    gains: (users,) of each weight.  earlier: what a continued model has, which stays if it is as good as the best.
    best: the highest smoothed mean, in which by ascending weight each counts twice and
    its neighbours once; of equal ones the smallest.  As good: not below it by more than one standard error of the
    users' differences, since with few users the curve is flat and its highest point chance.
    """
    weights = sorted(weight for weight in gains if weight)
    smoothed = {}
    for place, weight in enumerate(weights):
        near = [weight, *weights[max(0, place - 1) : place + 2]]
        smoothed[weight] = float(np.mean([gains[w].mean() for w in near]))
    best = max(weights, key=lambda weight: (smoothed[weight], -weight))
    if earlier in gains and _as_good(gains[earlier], gains[best]):
        return earlier
    if 0.0 in gains and _as_good(gains[0.0], gains[best]):
        return 0.0
    fair = [weight for weight in weights if _as_good(gains[weight], gains[best])]
    return min(fair, key=lambda weight: abs(np.log(weight / START)))


def _as_good(gains: np.ndarray, best: np.ndarray) -> bool:
    """Whether one weight's gains (users,) are not below another's by more than a standard error of the difference."""
    behind = best - gains
    return bool(behind.mean() <= behind.std() / np.sqrt(len(behind)))
