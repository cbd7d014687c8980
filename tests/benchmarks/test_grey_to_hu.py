from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from spleenseg.phantom import make_patient

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from grey_to_hu import hu_of, landmarks


@pytest.mark.parametrize(("seed", "low", "high"), [(0, -1024, 1200), (1, -2000, 1500), (2, -1024, 2900)])
def test_the_hu_of_a_slice_come_back_from_greys_scaled_by_its_range(seed: int, low: int, high: int) -> None:
    hu = make_patient(seed, 256, slices=12).hu[5].astype(float)
    grey = np.rint((hu.clip(low, high) - low) / (high - low) * 255).astype(np.uint8)
    found = hu_of(grey).astype(float)
    soft = (hu > 0) & (hu < 200)
    assert abs(np.median(found[soft] - hu[soft])) < 20


def test_a_slice_without_a_body_has_no_landmarks() -> None:
    with pytest.raises(ValueError, match="no body"):
        landmarks(np.zeros((64, 64), np.uint8))
