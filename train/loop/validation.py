"""Validation after an epoch: loss, Hit@10 and NDCG@10, full ranking, training items dropped unless seen items are kept.

In: a model, its data, and the rows of the users who are measured. Out: means over these users.

    loss, hit, ndcg = validate(model, data, validation_rows(data, config), torch.device("cpu"))
"""

import polars as pl
import torch
from torch import Tensor

from infer.histories.vocabulary import PAD
from infer.metrics.ranking import rank_metrics
from infer.model.signature import USER_INPUT
from infer.system.progress import progress
from infer.tables.columns import RANK
from train.config import TrainConfig
from train.data.dataset import Data
from train.models.base import ScoringModel

# Length of the lists whose hits and NDCG choose an epoch.
K = 10
USERS = 256  # measured at once


@torch.no_grad()
def validate(
    model: ScoringModel, data: Data, rows: Tensor, device: torch.device
) -> tuple[float | None, float | None, float | None]:
    """Validation loss, Hit@10 and NDCG@10 of these users: full ranking, seen items dropped (`Data.blocked`).

    None without users. Users of whom the model knows nothing are misses, as the scorer counts them, and no part of
    the loss.
    """
    if not len(rows):
        return None, None, None
    model.eval()
    known = torch.from_numpy((data.histories if USER_INPUT in model.input_names else data.known).lengths > 0)
    losses, ranks = [], []
    for batch in progress(rows.split(USERS), desc="validating", unit=" batches", leave=False):
        scores = model(*(given.to(device) for given in model.inputs(data, batch)))  # (users, items + 1)
        ranks.append(target_ranks(scores, data, batch).where(known[batch], scores.shape[1] + K))
        if known[batch].any():
            whose = batch[known[batch]]
            loss = model.validation_loss(scores[known[batch].to(device)], data, whose)
            losses += [] if loss is None else [(float(loss), len(whose))]
    metrics = rank_metrics(K)
    means = pl.DataFrame({RANK: torch.cat(ranks).numpy()}).select(e.mean().alias(n) for n, e in metrics.items())
    mean = sum(loss * users for loss, users in losses) / sum(users for _, users in losses) if losses else None
    return mean, means[f"hit@{K}"][0], means[f"ndcg@{K}"][0]


def target_ranks(scores: Tensor, data: Data, rows: Tensor) -> Tensor:
    """(users,) rank of each user's validation item among all items that are not blocked, equal scores by index.

    An item that is blocked itself is in no list: its rank is beyond all of them.
    """
    scores = scores.scatter(1, data.blocked(rows).to(scores.device), -torch.inf)
    scores[:, PAD] = -torch.inf
    target = data.target(rows).to(scores.device)[:, None]
    target_scores = scores.gather(1, target)
    lower_index = torch.arange(scores.shape[1], device=scores.device) < target
    ahead = (scores > target_scores) | ((scores == target_scores) & lower_index)
    rank = (ahead.sum(1) + 1).where(target_scores[:, 0] > -torch.inf, scores.shape[1] + K)
    return rank.cpu()


def validation_rows(data: Data, config: TrainConfig) -> Tensor:
    """(users,) rows of the users with a validation item, if any, or a seeded sample of `validation_users` of them."""
    return data.measured_rows(config.validation_users, config.seed)
