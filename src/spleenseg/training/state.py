"""Where a training stands: counters, the best epoch, the learning rate and the figures of every epoch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class TrainState:
    """Everything of a training that is not a weight; saved with each checkpoint, plain enough for JSON.

    Attributes:
        epoch: the epoch running or about to run, from 0.
        step: steps of that epoch already done.
        learning_rate: the rate in force.
        base_rate: `[model] learning_rate`, of which reductions have left that; None: of an earlier version.
        best_score: lowest score so far (infinite before the first epoch ends): the validation loss, or what is
            better the higher it is (a validation figure, the number of the epoch) with its sign changed.
        best_epoch: the epoch that reached it, None before.
        stale_epochs: epochs since then, for early stopping.
        stale_since_reduction: epochs without improvement since the rate was last reduced.
        trained: the training figures of the epoch running, once all its steps are done and only validation is left.
        history: one row of figures per finished epoch.
    """

    learning_rate: float
    base_rate: float | None = None
    epoch: int = 0
    step: int = 0
    best_score: float = math.inf
    best_epoch: int | None = None
    stale_epochs: int = 0
    stale_since_reduction: int = 0
    trained: dict[str, float] | None = None
    history: list[dict[str, float]] = field(default_factory=list)

    def finish_epoch(self, figures: dict[str, float], best_by: str = "val_loss") -> bool:
        """Record an epoch's figures and move to the next; True when it is the best so far.

        Args:
            figures: of the epoch, by name.
            best_by: the one that is compared: a loss, the lower the better, or another, the higher the better; or
                "last": each epoch is better than the one before.
        """
        self.history.append({"epoch": self.epoch, **figures})
        score = _score({"last": self.epoch, **figures}, best_by)
        improved = score < self.best_score
        if improved:
            self.best_score, self.best_epoch = score, self.epoch
        self.stale_epochs = 0 if improved else self.stale_epochs + 1
        self.stale_since_reduction = 0 if improved else self.stale_since_reduction + 1
        self.epoch, self.step, self.trained = self.epoch + 1, 0, None
        return improved

    def reduce_rate_on_plateau(self, patience: int, factor: float) -> bool:
        """Multiply the rate by `factor` after `patience` epochs without improvement; True if done."""
        if self.stale_since_reduction < max(1, patience):
            return False
        self.learning_rate *= factor
        self.stale_since_reduction = 0
        return True

    def start_from(self, rate: float) -> None:
        """Have the rate in force that there would be if `rate` were the base rate; what reductions took stays away."""
        before, self.base_rate = self.base_rate, rate
        if before is not None and before != rate:
            self.learning_rate = rate * (self.learning_rate / before)

    def forget_best(self) -> None:
        """Have no best epoch: the next one is."""
        self.best_score, self.best_epoch = math.inf, None

    def should_stop(self, patience: int | None) -> bool:
        """Whether validation has not improved for `patience` epochs (None: never stop early)."""
        return patience is not None and self.stale_epochs >= patience

    def as_dict(self) -> dict[str, Any]:
        """Return the state as JSON-able values; an infinite score is None."""
        data = asdict(self)
        data["best_score"] = None if math.isinf(self.best_score) else self.best_score
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TrainState:
        """Rebuild a state that `as_dict` gave."""
        best = math.inf if data["best_score"] is None else data["best_score"]
        return cls(**{**data, "best_score": best})


def _score(figures: dict[str, float], best_by: str) -> float:
    """Return a figure so that the lower is the better."""
    return figures[best_by] if best_by.endswith("loss") else -figures[best_by]
