"""Displacement fields: the statistics they promise, and no fold anywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from spleenseg.augment import geometry as geo
from spleenseg.augment.fields import Distortion, Elastic, Grid, Radial, unfolded
from spleenseg.augment.reference import elastic_amplitude
from spleenseg.augment.warp import source_map

SHAPE = (512, 512)


def field_of(*fields: Elastic | Distortion | Radial, shape: tuple[int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Displacement (dx, dy) at every pixel, as applied."""
    to_x, to_y = source_map(geo.Geometry(fields=fields), shape)
    return to_x - np.arange(shape[1], dtype=np.float32), to_y - np.arange(shape[0], dtype=np.float32)[:, None]


def smallest_jacobian(to_x: np.ndarray, to_y: np.ndarray) -> float:
    xx, xy = np.diff(to_x, axis=1)[:-1], np.diff(to_x, axis=0)[:, :-1]
    yx, yy = np.diff(to_y, axis=1)[:-1], np.diff(to_y, axis=0)[:, :-1]
    return float((xx * yy - xy * yx).min())


def correlation(fields: list[np.ndarray], lag: int, axis: int) -> float:
    values = [np.moveaxis(field, axis, 0) for field in fields]
    products = [float((value[lag:] * value[: len(value) - lag]).mean()) for value in values]
    return float(np.mean(products) / np.mean([float((value**2).mean()) for value in values]))


@pytest.mark.parametrize("sigma", [3.0, 8.0, 20.0])
def test_the_elastic_field_is_that_of_a_full_resolution_implementation(sigma: float) -> None:
    amplitude = 0.05 * sigma  # weak enough that nothing needs unfolding
    ours = [plane for seed in range(8) for plane in field_of(Elastic(amplitude, sigma, seed))]
    rng = np.random.default_rng(0)
    exact = [gaussian_filter(rng.standard_normal(SHAPE), sigma, mode="wrap") for _ in range(8)]
    assert np.mean([plane.var() + plane.mean() ** 2 for plane in ours]) ** 0.5 == pytest.approx(amplitude, rel=0.04)
    for axis in (0, 1):
        for lag in (round(sigma / 2), round(sigma), round(2 * sigma), round(4 * sigma)):
            theory = np.exp(-(lag**2) / (4 * sigma**2))
            assert correlation(ours, lag, axis) == pytest.approx(theory, abs=0.06)
            assert correlation(ours, lag, axis) == pytest.approx(correlation(exact, lag, axis), abs=0.09)


def test_the_elastic_field_is_as_strong_at_the_edge_as_in_the_middle() -> None:
    fields = np.array([field_of(Elastic(1.0, 8.0, seed), shape=(128, 128))[0] for seed in range(150)])
    spread = (fields**2).mean(axis=0) ** 0.5
    assert spread[:4].mean() == pytest.approx(spread[60:68].mean(), rel=0.1)
    assert spread[:, -4:].mean() == pytest.approx(spread[:, 60:68].mean(), rel=0.1)


def test_the_two_axes_of_the_elastic_field_are_independent() -> None:
    pairs = [field_of(Elastic(1.0, 8.0, seed)) for seed in range(8)]
    assert abs(np.mean([(dx * dy).mean() for dx, dy in pairs])) < 0.06


def test_alpah_1300_and_sigmoid_8_mean_what_the_reference_really_does() -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (256, 256, 3))
    smoothed = gaussian_filter(noise, 8, mode="constant") * 1300  # over the channels as well
    assert elastic_amplitude(1300, 8) == pytest.approx(smoothed[32:-32, 32:-32].std(), rel=0.1)
    assert elastic_amplitude(2600, 8) == pytest.approx(2 * elastic_amplitude(1300, 8))
    assert elastic_amplitude(1300, 16) == pytest.approx(elastic_amplitude(1300, 8) / 2)


def test_unfolding_hardly_touches_the_reference_strength() -> None:
    strengths = [np.mean([plane.std() for plane in field_of(Elastic(2.3, 8.0, seed))]) for seed in range(20)]
    assert np.mean(strengths) == pytest.approx(2.3, rel=0.03)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**62),
    sigma=st.floats(2.0, 40.0),
    strength=st.floats(0.0, 4.0),
    reach=st.floats(0.0, 0.3),
    angle=st.floats(-180, 180),
)
def test_nothing_ever_folds(seed: int, sigma: float, strength: float, reach: float, angle: float) -> None:
    shape = (120, 152)
    elastic, distortion = Elastic(strength * sigma, sigma, seed), Distortion(reach, 2 * sigma, seed + 1)
    for fields in [(elastic,), (distortion,), (elastic, distortion)]:
        moved = geo.Geometry(fields=fields).then(geo.rotation(angle))
        to_x, to_y = (plane.astype(np.float64) for plane in source_map(moved, shape))
        assert smallest_jacobian(to_x, to_y) > 0


def test_a_textbook_field_of_these_parameters_would_fold() -> None:
    field = Elastic(27.0, 8.0, 1)
    grid = Grid(SHAPE, field.spacing)
    dx, dy = field.on(grid)
    raw = [grid.upsample(plane, np.empty(grid.fine, np.float32)) for plane in (dx, dy)]
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    assert smallest_jacobian(x + raw[0], y + raw[1]) < 0
    tamed = [grid.upsample(plane, np.empty(grid.fine, np.float32)) for plane in unfolded(dx, dy, grid.spacing)]
    assert smallest_jacobian(x + tamed[0], y + tamed[1]) > 0


def test_unfolding_uses_the_room_there_is() -> None:
    field = Elastic(27.0, 8.0, 1)
    grid = Grid(SHAPE, field.spacing)
    dx, dy = field.on(grid)
    half = unfolded(*unfolded(dx, dy, 4), 4)
    np.testing.assert_allclose(half[0], unfolded(dx, dy, 4)[0], rtol=1e-3, atol=1e-4)
    stronger = [plane * np.float32(1.1) for plane in half]
    assert np.abs(unfolded(*stronger, 4)[0]).max() == pytest.approx(np.abs(half[0]).max(), rel=1e-2)


def test_the_distortion_moves_as_far_as_it_says_and_no_further() -> None:
    farthest = []
    for seed in range(10):
        dx, dy = field_of(Distortion(0.03, 40.0, seed))
        farthest += [float(np.abs(plane).max()) for plane in (dx, dy)]
        assert 4.0 < np.hypot(dx, dy).mean() < 9.5
    assert max(farthest) <= 0.03 * 512 + 1e-3
    assert np.mean(farthest) == pytest.approx(0.03 * 512, rel=0.03)


def test_the_distortion_moves_nothing_across_the_edge() -> None:
    for seed in range(5):
        dx, dy = field_of(Distortion(0.03, 40.0, seed))
        assert max(np.abs(dx[:, [0, -1]]).max(), np.abs(dy[[0, -1]]).max()) < 0.5


def test_fields_on_different_grids_add_up() -> None:
    elastic, distortion = Elastic(1.0, 8.0, 3), Distortion(0.02, 40.0, 4)
    assert elastic.spacing < distortion.spacing
    together = field_of(elastic, distortion)
    apart = field_of(elastic), field_of(distortion)
    for axis in (0, 1):
        np.testing.assert_allclose(together[axis], apart[0][axis] + apart[1][axis], atol=0.25)


@pytest.mark.parametrize("shape", [(64, 64), (65, 81), (100, 50)])
def test_a_barrel_follows_its_formula_and_ends_at_its_circle(shape: tuple[int, int]) -> None:
    height, width = shape
    dx, dy = field_of(Radial((0.5, 0.5), 0.4, 0.5), shape=shape)
    y, x = np.mgrid[:height, :width]
    away_x, away_y = x - (width - 1) / 2, y - (height - 1) / 2
    distance = np.hypot(away_x, away_y)
    radius = 0.4 * width
    with np.errstate(invalid="ignore"):
        factor = np.where(distance < radius, np.sin(np.pi * distance / radius / 2) ** 0.5, 1.0)
    middle = distance > 6  # the field is steep at its centre, which the grid rounds off
    np.testing.assert_allclose(dx[middle], ((factor - 1) * away_x)[middle], atol=0.5)
    np.testing.assert_allclose(dy[middle], ((factor - 1) * away_y)[middle], atol=0.5)
    assert not dx[distance > radius + 6].any()


def test_a_barrel_swells_the_middle_and_a_pincushion_shrinks_it() -> None:
    for amount, sign in ((0.5, -1), (-0.5, 1)):
        dx, _ = field_of(Radial((0.5, 0.5), 0.5, amount), shape=(64, 64))
        assert np.sign(dx[32, 44]) == sign


def test_a_field_is_its_seed_and_nothing_else() -> None:
    np.testing.assert_array_equal(field_of(Elastic(2.3, 8.0, 5))[0], field_of(Elastic(2.3, 8.0, 5))[0])
    assert (field_of(Elastic(2.3, 8.0, 5))[0] != field_of(Elastic(2.3, 8.0, 6))[0]).any()
