"""One map for both: an image and its mask go the same way, exactly where that is possible."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleenseg.augment import geometry as geo
from spleenseg.augment.fields import Elastic
from spleenseg.augment.warp import Border, source_map, warp

from .pairs import every_geometry, iou, spleen_like

SQUARE, WIDE = (64, 64), (48, 80)


def picture(shape: tuple[int, int], channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, channels), dtype=np.uint8)


@pytest.mark.parametrize("name", every_geometry())
def test_an_image_equal_to_its_mask_stays_its_mask(name: str) -> None:
    mask = spleen_like()
    image = np.repeat(mask[..., None] * 255, 3, axis=2)
    for seed in range(3):
        moved, labels = warp(image, mask, every_geometry(seed)[name])
        assert labels.any()
        assert iou(moved[..., 0] >= 128, labels > 0) > 0.97


def test_real_masks_stay_aligned(real_data: Path) -> None:
    for path in sorted((real_data / "msd-spleen-slices" / "masks").glob("*.jpg")):
        mask = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) >= 128).astype(np.uint8)
        # A nearest neighbour is up to half a pixel off, which counts in a spleen 25 pixels across.
        least = 0.97 if mask.sum() > 1000 else 0.96
        for name, geometry in every_geometry(seed=4).items():
            moved, labels = warp(mask[..., None] * 255, mask, geometry)
            assert iou(moved[..., 0] >= 128, labels > 0) > least, (path.name, name)


@pytest.mark.parametrize("shape", [SQUARE, WIDE, (49, 81)])
@pytest.mark.parametrize(
    "geometry",
    [
        geo.IDENTITY,
        geo.rotation(0),
        geo.scaling(1.0),
        geo.shear(0.0, 0.0),
        geo.hflip().then(geo.hflip()),
        geo.vflip().then(geo.vflip()),
    ],
)
def test_identity_parameters_change_no_bit(geometry: geo.Geometry, shape: tuple[int, int]) -> None:
    image, mask = picture(shape), picture(shape, 1)[..., 0]
    moved, labels = warp(image, mask, geometry)
    np.testing.assert_array_equal(moved, image)
    np.testing.assert_array_equal(labels, mask)


def test_a_displacement_of_nothing_changes_no_bit_though_it_is_resampled() -> None:
    image, mask = picture(WIDE), picture(WIDE, 1)[..., 0]
    moved, labels = warp(image, mask, geo.displacement(Elastic(0.0, 8.0, 1)))
    np.testing.assert_array_equal(moved, image)
    np.testing.assert_array_equal(labels, mask)


@pytest.mark.parametrize("shape", [SQUARE, WIDE, (49, 81)])
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("flip", [geo.hflip(), geo.vflip(), geo.hflip().then(geo.vflip())])
def test_flips_undo_themselves(flip: geo.Geometry, channels: int, shape: tuple[int, int]) -> None:
    image, mask = picture(shape, channels), picture(shape, 1)[..., 0]
    once = warp(image, mask, flip)
    assert once[0].shape == image.shape
    assert (once[0] != image).any()
    twice = warp(*once, flip)
    np.testing.assert_array_equal(twice[0], image)
    np.testing.assert_array_equal(twice[1], mask)


def test_flips_go_the_way_their_names_say() -> None:
    image, mask = picture(WIDE), picture(WIDE, 1)[..., 0]
    np.testing.assert_array_equal(warp(image, mask, geo.hflip())[0], image[:, ::-1])
    np.testing.assert_array_equal(warp(image, mask, geo.vflip())[1], mask[::-1])


@pytest.mark.parametrize(("angle", "turns"), [(90, 1), (180, 2), (270, 3)])
def test_quarter_turns_are_exact_and_anticlockwise(angle: int, turns: int) -> None:
    image, mask = picture(SQUARE), picture(SQUARE, 1)[..., 0]
    moved, labels = warp(image, mask, geo.rotation(angle))
    np.testing.assert_array_equal(moved, np.rot90(image, turns))
    np.testing.assert_array_equal(labels, np.rot90(mask, turns))


def test_results_share_no_memory_with_the_source() -> None:
    image, mask = picture(SQUARE), picture(SQUARE, 1)[..., 0]
    for geometry in every_geometry().values():
        for made, given_ in zip(warp(image, mask, geometry), (image, mask), strict=True):
            assert not np.shares_memory(made, given_)


def test_one_result_is_not_overwritten_by_the_next() -> None:
    image, mask = picture(SQUARE), picture(SQUARE, 1)[..., 0]
    first = warp(image, mask, geo.rotation(10))
    kept = [array.copy() for array in first]
    warp(image[::-1].copy(), mask[::-1].copy(), geo.scaling(0.7))
    for array, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(array, copy)


def centre_of(mask: np.ndarray) -> tuple[float, float]:
    y, x = np.nonzero(mask)
    height, width = mask.shape
    return float(x.mean() - (width - 1) / 2), float(y.mean() - (height - 1) / 2)


def test_shrinking_and_zooming_scale_about_the_centre() -> None:
    mask = spleen_like(256, 320)
    x, y = centre_of(mask)
    for factor in (0.5, 0.8, 1.2):
        labels = warp(mask[..., None], mask, geo.scaling(factor))[1]
        assert centre_of(labels) == pytest.approx((x * factor, y * factor), abs=0.5)
        assert labels.sum() == pytest.approx(mask.sum() * factor**2, rel=0.01)


def test_a_vertical_shear_slides_columns_and_a_horizontal_one_rows() -> None:
    mask = spleen_like(256, 320)
    x, y = centre_of(mask)
    down = warp(mask[..., None], mask, geo.shear(vertical=0.2))[1]
    assert centre_of(down) == pytest.approx((x, y + 0.2 * x), abs=0.5)
    right = warp(mask[..., None], mask, geo.shear(horizontal=0.2))[1]
    assert centre_of(right) == pytest.approx((x + 0.2 * y, y), abs=0.5)


def test_a_shear_that_squashes_everything_onto_a_line_is_refused() -> None:
    with pytest.raises(ValueError, match="inverse"):
        geo.shear(0.5, 2.0)


def test_operations_follow_each_other_in_the_order_said() -> None:
    image, mask = np.repeat(spleen_like()[..., None] * 255, 3, axis=2), spleen_like()
    composed = warp(image, mask, geo.rotation(30).then(geo.shear(vertical=0.3)))[1]
    stepwise = warp(*warp(image, mask, geo.rotation(30)), geo.shear(vertical=0.3))[1]
    other = warp(*warp(image, mask, geo.shear(vertical=0.3)), geo.rotation(30))[1]
    assert iou(composed > 0, stepwise > 0) > 0.97
    assert iou(composed > 0, other > 0) < 0.95


@pytest.mark.parametrize(("border", "outside"), [("constant", 0), ("edge", 7)])
def test_the_border_is_what_was_asked_for_in_image_and_mask(border: Border, outside: int) -> None:
    image, mask = np.full((*SQUARE, 3), 7, np.uint8), np.full(SQUARE, 7, np.uint8)
    moved, labels = warp(image, mask, geo.scaling(0.5), border)
    assert {*moved[0].ravel(), *moved[-1].ravel()} == {outside}
    assert {*labels[0], *labels[-1]} == {outside}
    assert (moved[32, 32] == 7).all()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    labels=st.lists(st.integers(1, 255), min_size=1, max_size=4, unique=True),
    which=st.sampled_from(sorted(every_geometry())),
)
def test_no_label_appears_that_was_not_there(seed: int, labels: list[int], which: str) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.choice(np.array(labels, np.uint8), WIDE)
    moved = warp(mask[..., None], mask, every_geometry(seed)[which])[1]
    assert moved.dtype == np.uint8
    assert set(np.unique(moved)) <= {0, *labels}


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 9])
def test_every_channel_goes_the_same_way(channels: int) -> None:
    image, mask = picture(WIDE, channels), picture(WIDE, 1)[..., 0]
    geometry = every_geometry()["together"]
    moved = warp(image, mask, geometry)[0]
    assert moved.shape == image.shape
    for channel in range(channels):
        alone = warp(image[..., channel : channel + 1], mask, geometry)[0]
        np.testing.assert_allclose(moved[..., channel].astype(int), alone[..., 0], atol=1)


def test_floating_point_images_are_warped_as_whole_numbers_are() -> None:
    image, mask = picture(WIDE), picture(WIDE, 1)[..., 0]
    geometry = every_geometry()["together"]
    moved = warp(image.astype(np.float32), mask, geometry)[0]
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved, warp(image, mask, geometry)[0], atol=1.5)


@pytest.mark.parametrize("shape", [(512, 512), (300, 721), (49, 81)])
@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0, 8.0, 16.0, 40.0])  # node spacings of 1 to 16 pixels
def test_the_linear_part_is_exact_at_every_pixel_with_a_field_added(sigma: float, shape: tuple[int, int]) -> None:
    nothing = geo.displacement(Elastic(0.0, sigma, 1))
    height, width = shape
    x, y = np.arange(width)[None, :] - (width - 1) / 2, np.arange(height)[:, None] - (height - 1) / 2
    for linear in (geo.rotation(30), geo.scaling(0.61), geo.shear(0.31, -0.17), geo.rotation(7).then(geo.hflip())):
        to_x, to_y = source_map(linear.then(nothing), shape)
        xx, xy, yx, yy = linear.linear
        assert np.abs(to_x - (xx * x + xy * y + (width - 1) / 2)).max() < 2e-4
        assert np.abs(to_y - (yx * x + yy * y + (height - 1) / 2)).max() < 2e-4
    to_x, to_y = source_map(nothing, shape)
    np.testing.assert_array_equal(to_x, np.broadcast_to(np.arange(width), shape))
    np.testing.assert_array_equal(to_y, np.broadcast_to(np.arange(height)[:, None], shape))
