"""Where the seconds of a scan went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

PHASES = ("read", "predict", "write")


class Stopwatch:
    """Seconds by phase of one scan."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block as one of `PHASES`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] = time.perf_counter() - started

    def columns(self) -> list[float | None]:
        """Return the seconds of each of `PHASES`, None where a scan did not come so far."""
        return [round(self._seconds[name], 3) if name in self._seconds else None for name in PHASES]
