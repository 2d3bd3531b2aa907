"""The blend: several trained models inside one graph, their scores weighed by what validation shows.

In: finished checkpoints in artifacts/ (item-item models and transformers). Out: one model whose
score is the sum of its members' scores, each standardised over the catalogue for each user, times
weights that are fitted to the validation items. Item-item scores are zero for most items and large
for few, so they are also compressed: sign(z) log(1 + |z|).

    python -m train best --members=ease,markov,content,hybrid
"""

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from infer.errors import InputError
from infer.schema import PAD
from infer.sequences import seen, windows
from train.batches import Data
from train.config import BestConfig
from train.linear import Neighbours

# Weights are pulled a little towards equal ones; with a few hundred users they would fit noise.
PENALTY = 1e-3


class Blend(nn.Module):
    """Members, in order, and their weights (members,).

    origins: what the members' checkpoints say of themselves; with them the blend is complete.
    """

    input_names = ("window",)
    closed_form = True

    def __init__(self, members: list[nn.Module], config: BestConfig) -> None:
        super().__init__()
        for name, member in zip(names(config), members, strict=True):
            if member.input_names != ("window",):
                raise InputError(
                    f"--members: {name} reads {', '.join(member.input_names)}; only windows can be blended"
                )
        self.config, self.members, self.origins = config, nn.ModuleList(members), []
        self.window = max(member.window for member in members)
        self.register_buffer("weights", torch.full((len(members),), 1.0))

    def standardised(self, window: Tensor) -> Tensor:
        """(batch, window) items to (members, batch, items + 1) comparable scores; padding has 0."""
        found = []
        for member in self.members:
            scores = member(window[:, self.window - member.window :])[:, 1:]
            centred = scores - scores.mean(1, keepdim=True)
            # Clamped, since the exporter takes a sum with so small a number for a sum with zero.
            unit = centred / centred.square().mean(1, keepdim=True).sqrt().clamp(min=1e-6)
            found.append(unit.sign() * unit.abs().log1p() if isinstance(member, Neighbours) else unit)
        return nn.functional.pad(torch.stack(found), (1, 0))

    def forward(self, window: Tensor) -> Tensor:
        """Scores of the next item: (batch, window) items to (batch, items + 1)."""
        return (self.standardised(window) * self.weights[:, None, None]).sum(0)

    @torch.no_grad()
    def solve(self, data: Data) -> None:
        """Fit the weights: least cross-entropy of the validation items over all unseen ones.

        Weights are positive; the scale of their sum is fitted too and does not change a ranking.
        """
        self.eval()
        rows = torch.from_numpy(np.flatnonzero(data.targets != PAD))
        parts = []
        for part in rows.split(64):
            scores = self.standardised(*self.inputs(data, part))
            drop = torch.from_numpy(seen(data.histories.take(part.numpy())))
            blocked = torch.zeros(scores.shape[1:], dtype=torch.bool).scatter(1, drop, True)
            blocked[:, PAD] = True
            parts.append((scores, blocked, torch.from_numpy(data.targets)[part]))

        def loss(logs: np.ndarray) -> tuple[float, np.ndarray]:
            """Mean cross-entropy and its gradient at the logarithms of the weights."""
            weights = torch.from_numpy(np.exp(logs)).float()
            total, gradient = 0.0, torch.zeros(len(weights))
            for scores, blocked, target in parts:
                blend = torch.einsum("mbi,m->bi", scores, weights).masked_fill(blocked, -torch.inf)
                chance = blend.softmax(1)
                own = torch.arange(len(target))
                total -= float(blend.log_softmax(1)[own, target].sum())
                gradient += torch.einsum("mbi,bi->m", scores, chance) - scores[:, own, target].sum(1)
            spread = logs - logs.mean()
            slope = gradient.double().numpy() / len(rows) * np.exp(logs) + 2 * PENALTY * spread
            return total / len(rows) + PENALTY * float(spread @ spread), slope

        start = np.zeros(len(self.members))
        fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-6.0, 3.0)] * len(start))
        self.weights.copy_(torch.from_numpy(np.exp(fitted.x)))

    def validation_loss(self, scores: Tensor, data: Data, rows: Tensor) -> Tensor:
        """Mean cross-entropy of the validation items over all items."""
        scores = scores.clone()
        scores[:, PAD] = -torch.inf
        return nn.functional.cross_entropy(scores, torch.from_numpy(data.targets)[rows])

    def inputs(self, data: Data, rows: Tensor) -> tuple[Tensor, ...]:
        """What `forward` takes for the users in these rows."""
        return (torch.from_numpy(windows(data.histories.take(rows.numpy()), self.window)),)


def names(config: BestConfig) -> list[str]:
    """The members by name; raises InputError if there are none or one is named twice."""
    found = [name.strip() for name in config.members.split(",") if name.strip()]
    if not found or len(set(found)) < len(found):
        raise InputError(f"--members takes different names separated by commas; found '{config.members}'")
    return found
