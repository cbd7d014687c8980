"""The weights that are judged and kept: an average of those a training goes through, and a share of where it began.

An exponential moving average (Polyak & Juditsky 1992; Izmailov et al. 2018).

The average smooths what single batches do to the weights, most of all while the learning rate is high. It is taken
of all numbers of the network that change, the running statistics of normalisations among them, so that weights and
statistics belong together. Early on it may not remember the random start: so the decay begins at 1/10 and rises to
what was asked for as (1 + t) / (10 + t) with the step t.

A network that goes on from another's weights learns what is new and forgets some of what it knew. Weights between the
two are often as good at the new and better at the old (Wortsman et al. 2022, arXiv:2109.01903, WiSE-FT).
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
    """The average of some variables and their start, and a way to try out what lies between.

    Args:
        variables: float Keras variables that training changes.
        decay: share of the average that is kept in a step, below 1; 0 keeps no average at all.
        start_share: share of the start in what is used, below 1; 0 keeps no start.

    Attributes:
        averages: Keras variables, one for each, none with `decay` 0.
        start: the same, none with `start_share` 0.
    """

    def __init__(self, variables: Sequence[Any], decay: float, start_share: float = 0.0) -> None:
        kept = [v for v in variables if keras.backend.is_float_dtype(v.dtype)] if decay or start_share else []
        self._variables, self._decay, self._start_share = kept, decay, start_share
        self.averages = _copies(kept, "average") if decay else []
        self.start = _copies(kept, "start") if start_share else []

    def remember_start(self) -> None:
        """Take the weights as they are for the start."""
        for start, variable in zip(self.start, self._variables, strict=bool(self.start)):
            start.assign(variable.value)

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
        """Let the network have the averages while the block runs, or what lies between them and the start, then its own
        weights again, bit for bit."""
        own = [_copied(variable) for variable in self._variables]
        try:
            for average, variable in zip(self.averages, self._variables, strict=bool(self.averages)):
                variable.assign(average.value)
            for start, variable in zip(self.start, self._variables, strict=bool(self.start)):
                way = ops.multiply(ops.subtract(start.value, variable.value), self._start_share)
                variable.assign_add(way)
            yield
        finally:
            for variable, value in zip(self._variables, own, strict=True):
                variable.assign(value)


def _copies(variables: Sequence[Any], name: str) -> list[Any]:
    return [
        keras.Variable(_copied(v), trainable=False, dtype=v.dtype, name=f"{name}_{index}")
        for index, v in enumerate(variables)
    ]


def _copied(variable: Any) -> NDArray[Any]:
    """Return the numbers of a variable, sharing no memory with it."""
    return np.array(ops.convert_to_numpy(variable.value))
