"""An exponential moving average of a network's weights (Polyak & Juditsky 1992; Izmailov et al. 2018).

The average smooths what single batches do to the weights, most of all while the learning rate is high. It is taken
of all numbers of the network that change, the running statistics of normalisations among them, so that weights and
statistics belong together. Early on it may not remember the random start: so the decay begins at 1/10 and rises to
what was asked for as (1 + t) / (10 + t) with the step t.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

EVERY = 4  # steps from one update to the next: costs a quarter, means the same


class WeightAverage:
    """The average of some variables, and a way to try it out.

    Args:
        variables: float Keras variables that training changes.
        decay: share of the average that is kept in a step, below 1; 0 keeps no average at all.

    Attributes:
        averages: Keras variables, one for each, none with `decay` 0; what a checkpoint saves.
    """

    def __init__(self, variables: Sequence[Any], decay: float) -> None:
        self._variables = [v for v in variables if keras.backend.is_float_dtype(v.dtype)] if decay else []
        self._decay = decay
        self.averages = [
            keras.Variable(_copied(v), trainable=False, dtype=v.dtype, name=f"average_{index}")
            for index, v in enumerate(self._variables)
        ]

    def update(self, step: int) -> None:
        """Take in the weights after `step` steps of the whole training; does nothing between two updates.

        The first few steps are too early for an average: it is the weights themselves.
        """
        if not self.averages or (step % EVERY and step > EVERY):
            return
        share = 1.0 if step < EVERY else 1 - min(self._decay, (1 + step) / (10 + step)) ** EVERY
        for average, variable in zip(self.averages, self._variables, strict=True):
            average.assign_add(ops.multiply(ops.subtract(variable.value, average.value), share))

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let the network have the averages while the block runs, then its own weights again, bit for bit."""
        own = [_copied(variable) for variable in self._variables]
        try:
            for average, variable in zip(self.averages, self._variables, strict=True):
                variable.assign(average.value)
            yield
        finally:
            for variable, value in zip(self._variables, own, strict=True):
                variable.assign(value)


def _copied(variable: Any) -> NDArray[Any]:
    """Return the numbers of a variable, sharing no memory with it."""
    return np.array(ops.convert_to_numpy(variable.value))
