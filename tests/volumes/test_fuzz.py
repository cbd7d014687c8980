"""Randomly damaged files of every kind: an error in one line or a volume, never a crash, a hang or a flood."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TWO_GB = 2 << 30


def found_in(seed: int, count: int) -> tuple[list[dict[str, object]], dict[str, int]]:
    """Return the faults and the summary of one process; a crash shows the case it died of."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.volumes.fuzzing", str(seed), str(count)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60 + count,
    )
    cases = [line for line in done.stderr.splitlines() if line.startswith('{"case')]
    assert done.returncode == 0, f"died of {cases[-1] if cases else done.stderr[-500:]}"
    *faults, summary = map(json.loads, done.stdout.splitlines())
    return faults, summary


def test_a_few_hundred_damaged_files_end_in_one_line_or_a_volume() -> None:
    faults, summary = found_in(seed=0, count=500)
    assert faults == []
    assert summary["read"] > 20
    assert summary["refused"] > 200
    assert summary["peak_bytes"] < TWO_GB


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, 21))
def test_a_hundred_thousand_damaged_files_end_in_one_line_or_a_volume(seed: int) -> None:
    faults, summary = found_in(seed, count=5000)
    assert faults == []
    assert summary["peak_bytes"] < TWO_GB
