"""The learning rate of a step, as a pure function of how many came before: nothing to save, nothing to lose.

What stays of the configured rate is a factor in [0, 1]: it rises in a straight line over the warm-up (Goyal et al.
2017, arXiv:1706.02677) and then falls to 0 at the end of the planned training: `poly` as (1 - t) ** 0.9 (Chen et al.
2016, arXiv:1606.00915), `cosine` as half a wave (Loshchilov & Hutter 2017, arXiv:1608.03983). `constant` stays at 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from spleenseg.config import Config

POLY_POWER = 0.9


@dataclass(frozen=True)
class Schedule:
    """How the learning rate goes over a training.

    Attributes:
        kind: "constant", "poly" or "cosine".
        steps_per_epoch: steps of an epoch.
        total: steps of the whole training as planned; more steps stay at the last rate.
        warmup: steps over which the rate rises; the first already has 1 / (warmup + 1) of it.
    """

    kind: str
    steps_per_epoch: int
    total: int
    warmup: int = 0

    @classmethod
    def of(cls, config: Config) -> Schedule:
        """Return the schedule that [train] describes."""
        section = config.train
        total = section.epochs * section.steps_per_epoch
        return cls(section.schedule, section.steps_per_epoch, total, min(section.warmup_steps, total - 1))

    @property
    def steady(self) -> bool:
        """Whether every step has the same rate."""
        return self.kind == "constant" and self.warmup == 0

    def factor(self, epoch: int, step: int) -> float:
        """Return the share of the learning rate that a step gets, above 0 and at most 1.

        Args:
            epoch: from 0.
            step: of that epoch, from 0.
        """
        done = min(epoch * self.steps_per_epoch + step, self.total - 1)
        if done < self.warmup:
            return (done + 1) / (self.warmup + 1)
        t = (done - self.warmup) / (self.total - self.warmup)
        if self.kind == "poly":
            return float((1 - t) ** POLY_POWER)
        return (1 + math.cos(math.pi * t)) / 2 if self.kind == "cosine" else 1.0
