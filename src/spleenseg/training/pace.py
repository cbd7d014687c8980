"""How fast a training goes: images a second over the latest steps."""

from __future__ import annotations

import time
from collections import deque

_STEPS = 20


class Pace:
    """Counts images against the clock.

    Args:
        batch_size: images a step.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._ends = deque([time.perf_counter()], maxlen=_STEPS + 1)

    def step(self) -> str:
        """Take note of a step that has just ended; return the pace in words, such as `12.3 images/s`."""
        self._ends.append(time.perf_counter())
        seconds = self._ends[-1] - self._ends[0]
        return f"{(len(self._ends) - 1) * self._batch_size / max(seconds, 1e-9):.1f} images/s"
