from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from spleenseg.inference.loading import load_predictor
from spleenseg.inference.slices import predict_slices
from spleenseg.inference.smoothing import Smoothing

from .runs import brightness_run


def applied(smoothing: Smoothing, volume: np.ndarray) -> np.ndarray:
    return np.stack(list(smoothing.apply(iter(volume))))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 3), st.floats(0.2, 4), st.floats(0.5, 5))
def test_a_constant_stays_and_there_are_as_many_slices(count: int, labels: int, mm: float, step: float) -> None:
    constant = np.full((count, 7, 9, labels), 0.375, np.float32)
    found = applied(Smoothing(mm, (0.8, 0.7, step)), constant)
    np.testing.assert_allclose(found, constant, atol=1e-5)
    assert found.shape == constant.shape


def test_inside_of_a_scan_it_is_the_gaussian_of_scipy_in_millimetres() -> None:
    volume = np.zeros((21, 41, 41, 1), np.float32)
    volume[10, 20, 20] = 1
    found = applied(Smoothing(2.0, (1.0, 0.5, 2.5)), volume)
    wanted = gaussian_filter(volume[..., 0], (2.0 / 2.5, 2.0 / 0.5, 2.0), truncate=4)
    np.testing.assert_allclose(found[..., 0], wanted, atol=3e-4 * wanted.max() + 1e-5)


def test_a_scan_of_fewer_slices_than_the_gaussian_reaches_is_smoothed_too() -> None:
    volume = np.zeros((2, 5, 5, 1), np.float32)
    volume[0] = 1
    found = applied(Smoothing(5.0, (1, 1, 1)), volume)
    assert 0.5 < found[0].min() < 0.52
    np.testing.assert_allclose(found[0] + found[1], 1, atol=1e-5)


def test_a_speck_goes_and_a_body_stays(tmp_path) -> None:
    hu = np.full((7, 32, 32), -100, np.int16)
    hu[:, 8:24, 4:12] = 200
    hu[3, 4, 26] = 200
    model = load_predictor(brightness_run(tmp_path, [0.5], image_width=32, image_height=32))
    plain = predict_slices(hu, model).labels
    smooth = predict_slices(hu, model, smoothing=Smoothing(1.5, (1, 1, 1))).labels
    assert (plain[3, 4, 26], smooth[3, 4, 26]) == (1, 0)
    assert smooth[:, 10:22, 6:10].all()
    assert smooth.sum() == pytest.approx(plain.sum(), rel=0.05)


@pytest.mark.parametrize("threshold", [0.06, 0.5, 0.94])
def test_a_sharp_edge_stays_in_its_place_at_any_threshold(threshold: float) -> None:
    volume = np.full((5, 40, 40, 1), 0.001, np.float32)
    volume[:, :, 20:] = 0.999
    found = applied(Smoothing(2.0, (1, 1, 1), threshold), volume) >= threshold
    np.testing.assert_array_equal(found, volume >= threshold)
    if threshold != 0.5:
        plain = applied(Smoothing(2.0, (1, 1, 1)), volume) >= threshold
        assert np.count_nonzero(plain != found) >= 5 * 40 * 2


@pytest.mark.parametrize("threshold", [0.06, 0.94, 1.0])
def test_a_constant_stays_what_it_is_at_any_threshold(threshold: float) -> None:
    constant = np.full((3, 5, 5, 1), 0.8, np.float32)
    np.testing.assert_allclose(applied(Smoothing(1.0, (1, 1, 1), threshold), constant), constant, atol=2e-2)
