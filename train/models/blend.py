"""The blend: several trained models inside one graph, their scores weighed by what validation shows.

In: finished checkpoints in artifacts/ (item-item models and encoders, also several of a kind under other names). Out:
one model whose score is the sum of its members' scores, each standardised over the catalogue for each user and, since
they are small for most items and large for few, compressed: sign(z) log(1 + |z|), times weights that are fitted to the
validation items. A member that does not help is left out; if one alone is as good as all together, it stays alone.

    python -m train best --members=ease,content,hybrid
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from infer.errors import InputError
from infer.histories.vocabulary import PAD
from infer.model.signature import WINDOW_INPUT
from train.config import BestConfig
from train.data.dataset import Data
from train.models import ranking, registry
from train.models.base import ScoringModel
from train.models.losses import BLOCKED, next_item_loss
from train.saved import checkpoint
from train.saved.places import Places

log = logging.getLogger(__name__)

# Of some users: standardised scores, which of them are no candidates, and the validation items.
Part = tuple[Tensor, Tensor, Tensor]

# Weights are pulled a little towards equal ones; with a few hundred users they would fit noise.
PENALTY = 1e-3

# Numbers held at once while fitting.
BUDGET = 300_000_000


class Blend(ScoringModel):
    """Members, in order, and their weights (members,).

    found: whether the weights are those of an earlier blend, and not to be fitted.

    provenances: what the members' checkpoints say of themselves; with them the blend is complete.
    """

    provenances: list[dict[str, Any]]

    closed_form = True
    weights: Tensor  # (members,)
    unrated: Tensor  # (items + 1,) bool: which items nobody has rated
    newcomers: Tensor  # (2,): offset and weight of content

    def __init__(self, members: Sequence[ScoringModel], items: int, config: BestConfig) -> None:
        super().__init__()
        for name, member in zip(names(config), members, strict=True):
            if member.input_names != (WINDOW_INPUT,):
                raise InputError(
                    f"--members: {name} reads {', '.join(member.input_names)}; only windows can be blended"
                )
        self.config, self.provenances, self.found = config, [], False
        self.members = nn.ModuleList(members)
        self.register_buffer("weights", torch.ones(len(members)))
        self.register_buffer("unrated", torch.zeros(items + 1, dtype=torch.bool))
        self.register_buffer("newcomers", torch.tensor([0.0, 1.0]))

    @property
    def windows(self) -> list[int]:
        """How many items each member reads."""
        return [member.window for member in self.members if isinstance(member, ScoringModel)]

    @property
    def window(self) -> int:  # type: ignore[override]
        """How many items the longest reads."""
        return max(self.windows)

    @property
    def any_length(self) -> bool:  # type: ignore[override]
        """Whether all members do, of windows as long as the longest's."""
        return all(
            member.any_length and member.window == self.window
            for member in self.members
            if isinstance(member, ScoringModel)
        )

    @property
    def content(self) -> int | None:
        """The place of the first member that scores by what items are, if there is one."""
        return next((place for place, member in enumerate(self.members) if member.from_content), None)

    def keep(self, places: Sequence[int]) -> None:
        """Leave out all members but those in these places, which stay in their order."""
        names_ = names(self.config)
        self.config = replace(self.config, members=",".join(names_[place] for place in places))
        self.chosen = {"members": self.config.members}
        self.provenances = [self.provenances[place] for place in places] if self.provenances else []
        self.members = nn.ModuleList(self.members[place] for place in places)
        self.weights = self.weights[list(places)]

    def standardised(self, window: Tensor) -> Tensor:
        """(batch, window) items to (members, batch, items + 1) comparable scores; padding has 0."""
        by_member = []
        for member, length in zip(self.members, self.windows, strict=True):
            # All read the whole window, of any length; or one of the full length is cut.
            own = window if length == self.window else window[:, self.window - length :]
            scores = member(own)[:, 1:]
            centred = scores - scores.mean(1, keepdim=True)
            # Clamped, since the exporter takes a sum with so small a number for a sum with zero.
            unit = centred / centred.square().mean(1, keepdim=True).sqrt().clamp(min=1e-6)
            by_member.append(unit.sign() * unit.abs().log1p())
        return nn.functional.pad(torch.stack(by_member), (1, 0))

    def combined(self, scores: Tensor, weights: Tensor, newcomers: Tensor) -> Tensor:
        """(members, batch, items + 1) to (batch, items + 1).

        Of an item that nobody has rated only the content says anything: it has a scale of its own.
        """
        total = (scores * weights[:, None, None]).sum(0)
        if self.content is None:
            return total
        return torch.where(self.unrated, newcomers[0] + newcomers[1] * scores[self.content], total)

    def forward(self, window: Tensor) -> Tensor:
        """Scores of the next item: (batch, window) items to (batch, items + 1)."""
        return self.combined(self.standardised(window), self.weights, self.newcomers)

    def take(self, content: Mapping[str, Any]) -> None:
        """Take over the weights of an earlier blend; raises InputError if its members are of other kinds."""
        kinds = [[p["kind"] for p in provenances] for provenances in (content["members"], self.provenances)]
        for name, then, now in zip(names(self.config), *kinds, strict=True):
            if then != now:
                raise InputError(f"{name} is of kind {now}, but of {then} in the blend whose weights --refit takes")
        self.weights.copy_(content["model"]["weights"])
        self.newcomers.copy_(content["model"]["newcomers"])
        self.found = True

    def solve(self, data: Data) -> None:
        """Fit the weights: least cross-entropy of the validation items over all unseen ones, then `ranking`'s changes.

        Weights are positive; the scale of their sum is fitted too and does not change a ranking.
        A seeded sample of the users is used where the scores of all would not fit into memory. What became of each
        member is logged.
        """
        self.eval()
        self.unrated.copy_(torch.from_numpy(data.counts == 0))
        if self.found:
            for name, weight in zip(names(self.config), self.weights.tolist(), strict=True):
                log.info("%s: weight %.3f, as it was found", name, weight)
            return
        if (data.targets == PAD).all():
            raise InputError(
                f"{data.name} holds nothing out for validation, by which best weighs its members: "
                "train and export one of them, or prepare the data with another --split"
            )
        rows = data.measured_rows(max(1, BUDGET // (len(self.members) * len(data.counts))), self.config.seed)
        parts = [self._fitting(data, batch) for batch in rows.split(64)]
        device = self.weights.device
        logs = torch.zeros(len(self.members), requires_grad=True, device=device)
        newcomers = torch.zeros(2, requires_grad=True, device=device)
        optimizer = torch.optim.LBFGS([logs, newcomers], max_iter=60, line_search_fn="strong_wolfe")

        def step() -> Tensor:
            optimizer.zero_grad()
            total = 0.0
            for scores, blocked, target in parts:
                blend = self.combined(scores, logs.exp(), torch.stack([newcomers[0], newcomers[1].exp()]))
                loss = nn.functional.cross_entropy(blend.masked_fill(blocked, BLOCKED), target, reduction="sum") / len(
                    rows
                )
                loss.backward()
                total += float(loss.detach())
            penalty = PENALTY * ((logs - logs.mean()).square().sum() + newcomers.square().sum())
            penalty.backward()
            return penalty.detach() + total

        optimizer.step(step)
        with torch.no_grad():
            self.weights.copy_(logs.exp())
            self.newcomers.copy_(torch.stack([newcomers[0], newcomers[1].exp()]))
            self._rank(parts)

    def _rank(self, parts: list[Part]) -> None:
        """Change the weights where lists become better, leave out who does not help, and say what became of each."""
        names_, content = names(self.config), self.content

        def gains(weights: Tensor) -> np.ndarray:
            ranked = [ranking.gains(self.combined(s, weights, self.newcomers), b, t) for s, b, t in parts]
            return np.concatenate(ranked)

        def alone_gains(place: int) -> np.ndarray:
            """By the member's own scores: those of items that nobody has rated have the scale of the blend."""
            return np.concatenate([ranking.gains(s[place], b, t) for s, b, t in parts])

        alone = [float(alone_gains(place).mean()) for place in range(len(names_))]
        weights = ranking.searched(gains, self.weights, () if content is None else (content,))
        total, best = float(gains(weights).mean()), int(np.argmax(alone))
        if alone[best] >= total and weights.count_nonzero() > 1:
            weights = torch.eye(len(names_), device=self.weights.device)[best]
            log.info("%s alone is as good as the blend: it is the only member that is kept", names_[best])
        for name, weight, own in zip(names_, weights.tolist(), alone, strict=True):
            said = f"weight {weight:.3f}" if weight else "left out, since lists are no better with it"
            log.info("%s: NDCG@10 %.2f %% alone, %s", name, own * 100, said)
        log.info("blend: NDCG@10 %.2f %% of %s validation users", max(total, alone[best]) * 100, f"{count(parts):,}")
        self.weights.copy_(weights)
        self.keep(weights.nonzero().squeeze(1).tolist())

    @torch.no_grad()
    def _fitting(self, data: Data, rows: Tensor) -> Part:
        """What the weights of these users (users,) are fitted to."""
        device = self.weights.device
        scores = self.standardised(*(given.to(device) for given in self.inputs(data, rows)))
        blocked = torch.zeros(scores.shape[1:], dtype=torch.bool).scatter(1, data.blocked(rows), True)
        blocked[:, PAD] = True
        return scores, blocked.to(device), data.target(rows).to(device)

    def validation_loss(self, scores: Tensor, data: Data, rows: Tensor) -> Tensor:
        """Mean cross-entropy of the validation items over all items."""
        return next_item_loss(scores, data.target(rows))


def count(parts: list[Part]) -> int:
    """How many users there are."""
    return sum(len(target) for _, _, target in parts)


def names(config: BestConfig) -> list[str]:
    """The members by name; raises InputError if there are none or one is named twice."""
    members = [name.strip() for name in config.members.split(",") if name.strip()]
    if not members or len(set(members)) < len(members):
        raise InputError(f"--members takes different names separated by commas; found '{config.members}'")
    return members


def build(data: Data, config: BestConfig) -> tuple[Blend, dict[str, str]]:
    """A blend of finished checkpoints of the same table, and their checksums."""
    members = [_member(name, data, config) for name in names(config)]
    model = Blend([registry.restore(state) for state, _ in members], len(data.item_ids), config)
    model.provenances = [state["provenance"] for state, _ in members]
    return model, {f"{name}.pt": digest for name, (_, digest) in zip(names(config), members, strict=True)}


def empty(state: dict[str, Any], config: BestConfig) -> Blend:
    """The blend that a checkpoint's weights fit into, with its members."""
    shared = {name: value for name, value in state.items() if name != "members"}
    members = [registry.empty(shared | {"provenance": provenance}) for provenance in state["members"]]
    return Blend(members, len(state["item_ids"]), config)


def _member(name: str, data: Data, config: BestConfig) -> tuple[dict[str, Any], str]:
    """A finished checkpoint and its checksum; raises InputError if it cannot be blended."""
    advice = f"train {name} first, or leave it out of --members"
    state, digest = checkpoint.read_same_table(Places(config.artifacts, name).finished, data, advice)
    if "members" in state:
        raise InputError(f"--members: {name} is a blend itself; name its members")
    return state, digest
