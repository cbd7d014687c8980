"""Labels by coverage: in their place, of their size, ties shared out evenly, and no value that was not there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleenseg.datasets.majority import by_coverage
from spleenseg.datasets.millimetres import labels_on_grid


def shrunk(labels: np.ndarray, side: int) -> np.ndarray:
    return by_coverage(labels, lambda plane: cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA))


def disc(centre: tuple[int, int], radius: int, side: int = 512) -> np.ndarray:
    return cv2.circle(np.zeros((side, side), np.uint8), centre, radius, 1, -1)


@pytest.mark.parametrize("side", [128, 256, 320, 384])
def test_an_organ_keeps_its_place_and_size(side: int) -> None:
    truth, step = disc((201, 300), 60), 512 / side
    found = shrunk(truth, side)
    centre = [(places + 0.5).mean() * step for places in np.nonzero(found)]
    assert centre == pytest.approx([(places + 0.5).mean() for places in np.nonzero(truth)], abs=0.1 * step)
    assert found.sum() * step**2 == pytest.approx(truth.sum(), rel=0.005)


@pytest.mark.parametrize("edge", range(200, 204))
def test_where_a_side_is_halved_a_straight_edge_moves_neither_way(edge: int) -> None:
    half = np.zeros((512, 512), np.uint8)
    half[:, edge:] = 1
    assert shrunk(half, 256).mean() == pytest.approx(half.mean(), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), side=st.integers(5, 39), most=st.integers(1, 4))
def test_every_label_is_one_that_covers_most_of_its_pixel(seed: int, side: int, most: int) -> None:
    labels = np.random.default_rng(seed).integers(0, most + 1, (40, 40)).astype(np.uint8)
    found = shrunk(labels, side)
    shares = [
        cv2.resize((labels == value).astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
        for value in range(most + 1)
    ]
    assert found.dtype == np.uint8
    assert (np.choose(found, shares) >= np.max(shares, axis=0) - 1e-3).all()


def test_nothing_stays_nothing_and_everything_everything() -> None:
    for value in (0, 3):
        np.testing.assert_array_equal(shrunk(np.full((64, 64), value, np.uint8), 24), value)


def test_on_a_grid_of_millimetres_two_neighbours_share_their_border() -> None:
    labels = np.zeros((90, 80), np.uint8)
    labels[20:60, 10:40], labels[20:60, 40:70] = 1, 7
    found = labels_on_grid(labels, (50, 40), (1.8, 2.0))
    assert set(np.unique(found)) == {0, 1, 7}
    assert (found == 1).sum() == pytest.approx((found == 7).sum(), abs=22)
    assert (found > 0).sum() * 3.6 == pytest.approx((labels > 0).sum(), rel=0.05)
