from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spleenseg.metrics import Counts, confusion, dice, iou, precision, sensitivity, specificity
from spleenseg.metrics.overlap import crop_to_both

PAIRS = hnp.arrays(bool, st.tuples(st.just(2), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)))


def test_the_figures_of_a_small_example_are_those_computed_by_hand() -> None:
    truth, pred = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0]), np.array([1, 1, 1, 0, 1, 0, 0, 0, 0, 0])
    counts = confusion(truth, pred)
    assert counts == Counts(tp=3, fp=1, fn=1, tn=5)
    assert dice(counts) == 6 / 8
    assert iou(counts) == 3 / 5
    assert sensitivity(counts) == 3 / 4
    assert precision(counts) == 3 / 4
    assert specificity(counts) == 5 / 6


def test_both_empty_is_perfect_and_one_empty_is_nothing() -> None:
    nothing, something = np.zeros((2, 2)), np.array([[1, 0], [0, 0]])
    both, missed, invented = (
        confusion(nothing, nothing),
        confusion(something, nothing),
        confusion(nothing, something),
    )
    assert (dice(both), iou(both), sensitivity(both), precision(both)) == (1, 1, None, None)
    assert (dice(missed), iou(missed), sensitivity(missed), precision(missed)) == (0, 0, 0, None)
    assert (dice(invented), iou(invented), sensitivity(invented), precision(invented)) == (0, 0, None, 0)
    assert specificity(confusion(np.ones(3), np.ones(3))) is None


def test_an_empty_mask_scores_nothing_where_binary_accuracy_would_praise_it() -> None:
    truth = np.zeros((100, 100), np.uint8)
    truth[:17, :17] = 1
    counts = confusion(truth, np.zeros_like(truth))
    assert (counts.tp + counts.tn) / truth.size > 0.97
    assert dice(counts) == 0


def test_masks_of_different_types_compare_by_what_is_not_zero() -> None:
    inside = np.array([True, False, True])
    for kind in (np.uint8, np.int16, np.float32):
        counts = confusion(inside, inside.astype(kind) * 7)
        assert counts == Counts(tp=2, fp=0, fn=0, tn=1)


def test_shapes_that_differ_are_refused_even_if_numpy_could_stretch_them() -> None:
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(1, 2\)"):
        confusion(np.zeros((2, 2)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="differ in shape"):
        crop_to_both(np.zeros((2, 2)), np.zeros((1, 2)))


@settings(max_examples=80, deadline=None)
@given(PAIRS)
def test_counts_add_up_and_the_figures_hang_together(pair: np.ndarray) -> None:
    truth, pred = pair
    counts, swapped = confusion(truth, pred), confusion(pred, truth)
    assert counts.tp + counts.fp + counts.fn + counts.tn == truth.size
    assert counts.truth == truth.sum()
    assert dice(counts) == dice(swapped)
    assert sensitivity(counts) == precision(swapped)
    assert dice(counts) == pytest.approx(2 * iou(counts) / (1 + iou(counts)))


@settings(max_examples=80, deadline=None)
@given(PAIRS, st.sampled_from([bool, np.uint8, np.int16, np.float32]))
def test_the_common_box_loses_nothing_and_is_tight(pair: np.ndarray, kind: type) -> None:
    truth, pred = (mask.astype(kind) * (-1 if kind is np.int16 else 1) for mask in pair)
    small_truth, small_pred = crop_to_both(truth, pred)
    assert np.count_nonzero(small_truth) == np.count_nonzero(truth)
    assert np.count_nonzero(small_pred) == np.count_nonzero(pred)
    union = (small_truth != 0) | (small_pred != 0)
    for axis in range(3):
        planes = np.moveaxis(union, axis, 0)
        assert not len(planes) or (planes[0].any() and planes[-1].any())
