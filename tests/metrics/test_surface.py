from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from spleenseg.metrics import SurfaceDistances, nearest, surface_distances
from spleenseg.metrics.surface import _order
from spleenseg.metrics.surface_elements import surface_areas

PAIRS = hnp.arrays(bool, st.tuples(st.just(2), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)))
SIZES = st.floats(0.3, 6)
SPACINGS = st.tuples(SIZES, SIZES, SIZES)


def measured(truth: np.ndarray, pred: np.ndarray, spacing: tuple[float, ...]) -> SurfaceDistances:
    distances = surface_distances(truth, pred, spacing)
    assert distances is not None
    return distances


def figures(distances: SurfaceDistances, tolerance: float = 2.0) -> np.ndarray:
    return np.array(
        [
            distances.hausdorff(),
            distances.hausdorff(0.95),
            distances.average(),
            distances.normalized_surface_dice(tolerance),
        ]
    )


def both_filled(pair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    assume(pair[0].any() and pair[1].any())
    return pair[0], pair[1]


@settings(max_examples=60, deadline=None)
@given(PAIRS, SPACINGS)
def test_swapping_truth_and_prediction_changes_nothing(pair: np.ndarray, spacing: tuple[float, float, float]) -> None:
    truth, pred = both_filled(pair)
    one, other = measured(truth, pred, spacing), measured(pred, truth, spacing)
    assert figures(one) == pytest.approx(figures(other))


@settings(max_examples=60, deadline=None)
@given(PAIRS, SPACINGS, st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_distances_grow_with_the_voxels(pair: np.ndarray, spacing: tuple[float, float, float], factor: float) -> None:
    truth, pred = both_filled(pair)
    small = measured(truth, pred, spacing)
    large = measured(truth, pred, tuple(factor * size for size in spacing))
    expected = figures(small, 2.0) * [factor, factor, factor, 1]
    assert figures(large, 2.0 * factor) == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(PAIRS, SPACINGS, st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_empty_space_around_changes_nothing(
    pair: np.ndarray, spacing: tuple[float, float, float], room: list[int]
) -> None:
    truth, pred = both_filled(pair)
    margins = list(zip(room[:3], room[3:], strict=True))
    padded = measured(np.pad(truth, margins), np.pad(pred, margins), spacing)
    assert np.array_equal(figures(padded), figures(measured(truth, pred, spacing)))


@settings(max_examples=60, deadline=None)
@given(PAIRS, SPACINGS, st.permutations([0, 1, 2]), st.sets(st.integers(0, 2)))
def test_turning_and_mirroring_the_patient_changes_nothing(
    pair: np.ndarray, spacing: tuple[float, float, float], order: list[int], mirrored: set[int]
) -> None:
    truth, pred = (np.flip(mask.transpose(order), list(mirrored)) for mask in both_filled(pair))
    turned = tuple(spacing[::-1][axis] for axis in order)[::-1]
    assert figures(measured(truth, pred, turned)) == pytest.approx(figures(measured(pair[0], pair[1], spacing)))


@settings(max_examples=60, deadline=None)
@given(PAIRS, SPACINGS)
def test_percentiles_lie_in_order_and_a_mask_is_no_distance_from_itself(
    pair: np.ndarray, spacing: tuple[float, float, float]
) -> None:
    truth, pred = both_filled(pair)
    distances = measured(truth, pred, spacing)
    assert distances.average() <= distances.hausdorff() + 1e-12
    assert distances.hausdorff(0.5) <= distances.hausdorff(0.95) <= distances.hausdorff()
    assert distances.normalized_surface_dice(distances.hausdorff()) == pytest.approx(1)
    assert np.array_equal(figures(measured(truth, truth, spacing)), [0, 0, 0, 1])


@settings(max_examples=60, deadline=None)
@given(PAIRS, SPACINGS)
def test_the_hausdorff_distance_is_that_of_the_boundary_voxels_to_within_a_voxel(
    pair: np.ndarray, spacing: tuple[float, float, float]
) -> None:
    """MONAI measures between the voxels that erosion takes away; ours lie half a voxel's diagonal from them."""
    truth, pred = both_filled(pair)
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (truth, pred)]
    maps = [ndimage.distance_transform_edt(~edge, sampling=spacing[::-1]) for edge in edges]
    boundary = max(maps[0][edges[1]].max(), maps[1][edges[0]].max())
    assert abs(measured(truth, pred, spacing).hausdorff() - boundary) <= math.hypot(*spacing) + 1e-9


@settings(max_examples=40, deadline=None)
@given(PAIRS, SPACINGS, st.sampled_from(["tree", "map", "neighbours"]))
def test_every_way_to_the_nearest_place_gives_the_same(
    pair: np.ndarray, spacing: tuple[float, float, float], way: str
) -> None:
    truth, pred = both_filled(pair)
    places, targets = np.argwhere(truth), np.argwhere(pred)
    scale = np.array(spacing)
    gaps = (places[:, None] - targets[None]) * scale
    nearest_one = np.sqrt((gaps * gaps).sum(-1)).min(1)
    if way == "neighbours":
        found = nearest.nearest_distances(places, targets, spacing)
    else:
        found = getattr(nearest, f"_by_{way}")(places, targets, scale)
    assert np.array_equal(found, nearest_one)


def test_places_out_of_reach_are_found_too() -> None:
    places = np.array([[0, 0, 0], [40, 0, 1], [2, 2, 2]])
    targets = np.array([[40, 0, 0], [2, 2, 5]])
    found = nearest.nearest_distances(places, targets, (1.0, 1.0, 1.0))
    assert found.tolist() == [math.sqrt(33), 1.0, 3.0]


@pytest.mark.parametrize("gap", range(1, 12))
@pytest.mark.parametrize("count", [1, 600])
def test_a_gap_of_any_width_is_measured_whoever_finds_it(gap: int, count: int) -> None:
    places = np.stack([np.zeros(count, int), np.zeros(count, int), np.arange(count)], axis=1)
    found = nearest.nearest_distances(places, places + np.array([gap, 0, 0]), (0.7, 2.5, 1.0))
    assert np.array_equal(found, np.full(count, np.sqrt((gap * 0.7) ** 2)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.8, 0.8000001, 1.0, 1.28, 4.0, 7e4, 7.1e4, 1e300]), max_size=60))
def test_distances_are_sorted_as_numpy_does_equal_ones_in_their_order(values: list[float]) -> None:
    distances = np.array(values)
    assert np.array_equal(_order(distances), np.argsort(distances, kind="stable"))


def test_boxes_a_known_way_apart_have_the_distances_computed_by_hand() -> None:
    truth = np.zeros((20, 30, 40), bool)
    truth[5:15, 8:20, 10:30] = True
    shifted = np.roll(truth, (1, 0, 0), (0, 1, 2))
    distances = measured(truth, shifted, (5.0, 5.0, 3.0))
    assert distances.hausdorff() == 3.0
    assert distances.hausdorff(0.95) == 3.0
    lids, walls = 2 * 60 * 100, 2 * (60 + 100) * 30
    assert distances.truth_mm2.sum() == pytest.approx(lids + walls, rel=0.05)
    assert distances.average() == pytest.approx(3 * lids / (lids + walls), rel=0.06)


def test_the_area_of_a_ball_is_that_of_the_sphere_with_the_steps_of_its_voxels() -> None:
    z, y, x = np.ogrid[-20:21, -40:41, -40:41]
    ball = (z * 2.0) ** 2 + y**2 + x**2 <= 36**2
    area = measured(ball, ball, (1.0, 1.0, 2.0)).truth_mm2.sum()
    assert 1.0 < area / (4 * math.pi * 36**2) < 1.15


def test_weighting_by_area_tells_a_large_piece_of_surface_from_a_small_one() -> None:
    """A far outlier of 4 % of the elements but 1 % of the area does not move the 97th percentile."""
    distances = SurfaceDistances(
        truth_mm=np.array([1.0] * 96 + [50.0] * 4),
        truth_mm2=np.array([1.0] * 96 + [0.25] * 4),
        pred_mm=np.array([1.0, 2.0]),
        pred_mm2=np.array([3.0, 1.0]),
    )
    assert distances.hausdorff(0.97) == 2.0
    assert distances.hausdorff() == 50.0
    assert distances.average() == pytest.approx((96 + 50 + 3 + 2) / (97 + 4))
    assert distances.normalized_surface_dice(1.0) == pytest.approx((96 + 3) / 101)


def test_each_pattern_of_eight_voxels_has_the_area_known_from_its_shape() -> None:
    areas = surface_areas((1.0, 1.0, 1.0))
    corner, wall = math.sqrt(3) / 8, 1.0
    assert areas[0] == areas[255] == 0
    assert areas[1 << 5] == pytest.approx(corner)
    assert areas[0b00001111] == pytest.approx(wall)
    assert areas[0b00000011] == pytest.approx(math.sqrt(2) / 2)
    assert areas[0b01101001] == pytest.approx(4 * corner)  # four corners, none beside another
    assert areas[0b00010111] == pytest.approx(6 * corner)  # a corner and its three neighbours: a hexagon
    assert np.allclose(areas, areas[::-1])


@settings(max_examples=30, deadline=None)
@given(SPACINGS, st.permutations([0, 1, 2]), st.sets(st.integers(0, 2)))
def test_areas_do_not_depend_on_how_the_block_is_turned(
    spacing: tuple[float, float, float], order: list[int], mirrored: set[int]
) -> None:
    codes = np.arange(256)
    blocks = (codes[:, None] >> np.arange(8) & 1).reshape(-1, 2, 2, 2)
    turned = np.flip(blocks.transpose(0, *(axis + 1 for axis in order)), [axis + 1 for axis in mirrored])
    new_codes = (turned.reshape(-1, 8) << np.arange(8)).sum(1)
    assert np.allclose(surface_areas(spacing), surface_areas([spacing[axis] for axis in order])[new_codes], rtol=1e-12)


def test_an_empty_mask_has_no_distances() -> None:
    empty, filled = np.zeros((3, 3, 3), bool), np.ones((3, 3, 3), bool)
    for truth, pred in ((empty, filled), (filled, empty), (empty, empty)):
        assert surface_distances(truth, pred, (1, 1, 1)) is None


def test_what_cannot_be_measured_is_refused() -> None:
    volume = np.ones((3, 3, 3))
    with pytest.raises(ValueError, match="differ in shape"):
        surface_distances(volume, volume[1:], (1, 1, 1))
    with pytest.raises(ValueError, match=r"\[z, y, x\]"):
        surface_distances(volume[0], volume[0], (1, 1, 1))
    for spacing in ((1, 1), (1, 0, 1), (1, 1, float("nan"))):
        with pytest.raises(ValueError, match="three positive sizes"):
            surface_distances(volume, volume, spacing)
