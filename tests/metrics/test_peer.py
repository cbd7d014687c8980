"""Surface figures beside `surface-distance` itself, on shapes that hypothesis thinks of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spleenseg.metrics import case_metrics

peer = pytest.importorskip("surface_distance")

PAIRS = hnp.arrays(bool, st.tuples(st.just(2), st.integers(1, 8), st.integers(1, 8), st.integers(1, 8)))
SIZES = st.floats(0.3, 6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:surface_distance")
@settings(max_examples=100, deadline=None)
@given(PAIRS, SIZES, SIZES, SIZES)
def test_surface_figures_equal_those_of_surface_distance_on_any_shape(
    pair: np.ndarray, x: float, y: float, z: float
) -> None:
    truth, pred = pair
    assume(truth.any() and pred.any())
    measured = peer.compute_surface_distances(truth, pred, (z, y, x))
    distances = np.concatenate([measured["distances_gt_to_pred"], measured["distances_pred_to_gt"]])
    areas = np.concatenate([measured["surfel_areas_gt"], measured["surfel_areas_pred"]])
    expected = {
        "hd_mm": peer.compute_robust_hausdorff(measured, 100),
        "hd95_mm": peer.compute_robust_hausdorff(measured, 95),
        "assd_mm": (distances * areas).sum() / areas.sum(),
        "nsd_2mm": peer.compute_surface_dice_at_tolerance(measured, 2.0),
    }
    figures = case_metrics(truth, pred, (x, y, z))
    for name, value in expected.items():
        assert abs(getattr(figures, name) - value) <= max(1e-4, 1e-5 * value), name
