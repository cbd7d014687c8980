"""The engine that runs a Keras model as it was trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from spleenseg.inference.engine import Floats


class KerasEngine:
    """Runs a built Keras model; every batch has the same size, so that the model is traced once.

    Args:
        model: a built model with one output, float32 [N, H, W, K] probabilities.
        batch_size: images a step; the last batch of a call is filled up with zeros, which are dropped again.
    """

    def __init__(self, model: Any, batch_size: int = 4) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        self.model = model
        self.batch_size = batch_size

    def expect(self, slices: int, batch_size: int) -> None:
        """See `Engine.expect`."""
        self.batch_size = batch_size

    def probabilities(self, batch: Floats) -> Floats:
        """See `Engine.probabilities`."""
        starts = range(0, len(batch), self.batch_size)
        parts = [self._one_step(batch[start : start + self.batch_size]) for start in starts]
        return np.concatenate(parts) if parts else np.zeros(self._empty_shape(), np.float32)

    def _one_step(self, part: Floats) -> Floats:
        count = len(part)
        if count < self.batch_size:
            part = np.concatenate([part, np.zeros((self.batch_size - count, *part.shape[1:]), np.float32)])
        return np.asarray(self.model.predict_on_batch(part), np.float32)[:count]

    def _empty_shape(self) -> tuple[int, ...]:
        return (0, *self.model.output_shape[1:])
