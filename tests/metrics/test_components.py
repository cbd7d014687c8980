"""Pieces of masks, counted."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import label

from spleenseg.metrics.components import count_components

SHAPES = array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6)


@settings(max_examples=200, deadline=None)
@given(SHAPES.flatmap(lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))))
def test_pieces_of_any_shape_are_counted_as_scipy_counts_them(pair: tuple[np.ndarray, np.ndarray]) -> None:
    truth, pred = pair
    found = count_components(truth, pred)
    pieces, count = label(truth, structure=np.ones((3, 3, 3)))
    assert found.truth == count
    assert found.missed == sum(not pred[pieces == number].any() for number in range(1, count + 1))


def test_pieces_along_a_single_row_are_counted() -> None:
    row = np.zeros((1, 1, 41), bool)
    row[..., ::2] = True
    found = count_components(row, ~row)
    assert (found.truth, found.pred, found.missed, found.extra) == (21, 20, 21, 20)
