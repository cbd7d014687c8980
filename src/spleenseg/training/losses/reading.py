"""How logits are read as probabilities, and over what they are summed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

Tensor = Any


@dataclass(frozen=True)
class Reading:
    """What all losses need to know of the network and the config.

    Attributes:
        final_activation: "sigmoid" (every channel for itself) or "softmax" (one label a pixel).
        batch_dice: sum over the whole batch rather than over each image.
    """

    final_activation: str
    batch_dice: bool = True

    @property
    def exclusive(self) -> bool:
        """Whether a pixel has one label."""
        return self.final_activation == "softmax"

    @property
    def axes(self) -> tuple[int, ...]:
        """What a sum of [N, H, W, K] runs over."""
        return (0, 1, 2) if self.batch_dice else (1, 2)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return [N, H, W, K] between 0 and 1."""
        return ops.softmax(logits, axis=-1) if self.exclusive else ops.sigmoid(logits)


def foreground(x: Tensor) -> Tensor:
    """Return all channels but the background's; a single channel is the organ's."""
    return x[..., 1:] if x.shape[-1] > 1 else x
