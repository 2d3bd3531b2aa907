"""AdamW and a moving average for tables of which a step reads few rows, at the cost of those rows.

In: a table, and the rows that a step reads. Out: these rows as a small table of its own, whose gradient `step` applies.

    optimizer = RowAdamW(groups, [model.items.weight], lr=2e-3)
    vectors = optimizer.take(model.items.weight, rows)  # (rows, dim), as if every step had updated all rows

A step of AdamW (Loshchilov & Hutter 2019) moves every row of a table, also those without a gradient: their momentum
fades out and their weights decay. Here a row's missed steps are made up for when it is next read. Without a gradient
the k-th of them moves it by lr b1^k m / (sqrt(b2^k v) + eps), so that all of them add up to a geometric series in
b1 / sqrt(b2), after which m, v and the weight have faded by powers; the moving average of a weight that decays is such
a series, too. What differs from AdamW on the whole table is rounding, eps, and that in a row's missed steps the bias
corrections, the learning rate and what momentum still moves count as constant.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from infer.histories.vocabulary import PAD

# After so many missed steps half of what momentum still moves has been moved (b1 0.9): their corrections stand for all.
MIDDLE = 6


class RowAdamW(torch.optim.AdamW):
    """AdamW of all weights; of `tables`, which are among them, only the rows that `take` gave are updated.

    Weights and averages of a table are complete after `catch_up`, and in between where a row was taken.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], tables: Iterable[Tensor], **options: Any) -> None:
        super().__init__(groups, fused=True, **options)
        self.tables = list(tables)
        self.taken: list[tuple[Tensor, Tensor, Tensor]] = []
        for table in self.tables:
            rows = table.new_zeros(len(table))
            self.state[table] = {
                "step": torch.zeros(()), "exp_avg": torch.zeros_like(table), "exp_avg_sq": torch.zeros_like(table),
                # By row: the step that it was last brought to, and the sum below as it was then.
                "at": rows, "faded_at": rows.clone(),
                "faded": torch.zeros(()),  # sum of the logarithms of the average's decays since `catch_up`
            }  # fmt: skip
        self.updated: dict[Tensor, Tensor] = {}
        self.averages: dict[Tensor, Tensor] = {}

    @torch.no_grad()
    def take(self, table: Tensor, rows: Tensor) -> Tensor:
        """(n, ...) the rows of a table, brought up to date, to compute a loss with; their gradient is the next step's.

        rows: (n,), each once.
        """
        self._bring(table, rows)
        taken = table.index_select(0, rows).requires_grad_()
        self.taken.append((table, rows, taken))
        return taken

    def gradients(self) -> list[Tensor]:
        """Of the rows that were taken for this step."""
        return [taken.grad for _, _, taken in self.taken if taken.grad is not None]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, and the rows that were taken."""
        self.taken.clear()
        super().zero_grad(set_to_none)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update the rows that were taken, and all other weights."""
        self.updated = {table: rows for table, rows, _ in self.taken}
        for table in self.tables:
            self.state[table]["step"] += 1
        for table, rows, taken in self.taken:
            if taken.grad is None:
                continue
            state, group = self.state[table], self._group(table)
            step, (beta1, beta2) = float(state["step"]), group["betas"]
            gradient = taken.grad
            gradient[rows == PAD] = 0
            moment = state["exp_avg"].index_select(0, rows).lerp_(gradient, 1 - beta1)
            square = state["exp_avg_sq"].index_select(0, rows).mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            root = (square / (1 - beta2**step)).sqrt_().add_(group["eps"])
            weight = taken.detach() * (1 - group["lr"] * group["weight_decay"])
            table.index_copy_(0, rows, weight.addcdiv_(moment, root, value=-group["lr"] / (1 - beta1**step)))
            state["exp_avg"].index_copy_(0, rows, moment)
            state["exp_avg_sq"].index_copy_(0, rows, square)
            state["at"][rows] = step
        self.taken.clear()
        super().step(closure)

    @torch.no_grad()
    def follow(self, table: Tensor, average: Tensor, decay: float) -> None:
        """Let the moving average of a table follow the step: of rows that it has not read when they are next read."""
        self.averages[table], state, rows = average, self.state[table], self.updated.get(table)
        state["faded"] += math.log(decay)
        if rows is not None:
            followed = average.index_select(0, rows).lerp_(table.index_select(0, rows), 1 - decay)
            average.index_copy_(0, rows, followed)
            state["faded_at"][rows] = state["faded"]

    @torch.no_grad()
    def catch_up(self) -> None:
        """Bring all rows of all tables and averages up to date, which costs as much as a step on the whole tables."""
        for table in self.tables:
            self._bring(table, torch.arange(len(table), device=table.device))
            self.state[table]["faded"].zero_()
            self.state[table]["faded_at"].zero_()

    def _bring(self, table: Tensor, rows: Tensor) -> None:
        """Make up for the steps that these rows have missed."""
        state, group = self.state[table], self._group(table)
        (beta1, beta2), rate, now = group["betas"], group["lr"], float(state["step"])
        shape = (-1,) + (1,) * (table.dim() - 1)
        missed = (now - state["at"].index_select(0, rows)).view(shape)
        moment, square = state["exp_avg"].index_select(0, rows), state["exp_avg_sq"].index_select(0, rows)
        ratio = beta1 / math.sqrt(beta2)
        series = ratio * (1 - ratio**missed) / (1 - ratio)
        step = (now - missed + missed.clamp(max=MIDDLE)).clamp(min=1)
        root = (square / (1 - beta2**step)).sqrt_().add_(group["eps"])
        before = table.index_select(0, rows)
        kept = math.log1p(-rate * group["weight_decay"])
        # Momentum moves in the first of the steps, and what it moved decays in those after.
        weight = (before - rate * series / (1 - beta1**step) * moment / root) * (kept * missed).exp()
        table.index_copy_(0, rows, weight)
        state["exp_avg"].index_copy_(0, rows, moment.mul_(beta1**missed))
        state["exp_avg_sq"].index_copy_(0, rows, square.mul_(beta2**missed))
        state["at"][rows] = now
        average = self.averages.get(table)
        if average is not None:
            faded = (state["faded"] - state["faded_at"].index_select(0, rows)).view(shape)
            each = faded / missed.clamp(min=1)  # logarithm of the mean decay
            # The average of a weight that decays: again a geometric series, in the ratio of both decays.
            apart = each - kept
            series = torch.where(apart == 0, missed, (apart * missed).expm1_() / apart.expm1())
            moved = average.index_select(0, rows) * faded.exp() - each.expm1() * series.nan_to_num(0) * weight
            average.index_copy_(0, rows, moved)
            state["faded_at"][rows] = state["faded"]

    def _group(self, table: Tensor) -> dict[str, Any]:
        return next(group for group in self.param_groups if any(weight is table for weight in group["params"]))
