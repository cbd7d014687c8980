"""The pace shown beside the progress bar."""

from __future__ import annotations

import time

import pytest

from spleenseg.training.pace import Pace


def test_the_pace_is_that_of_the_latest_twenty_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 100.0, *(100.0 + 0.5 * step for step in range(1, 25))])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    pace = Pace(batch_size=4)
    assert pace.step() == "0.0 images/s"
    words = [pace.step() for _ in range(24)]
    assert words[-1] == "8.0 images/s"
