"""Grey-value operations: the image changes as defined, the mask never."""

from __future__ import annotations

import numpy as np
import pytest

from spleenseg.augment import Transform
from spleenseg.augment.intensity import Brighten, Sharpen

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
MASK = (IMAGE[..., 0] > 128).astype(np.uint8)


@pytest.mark.parametrize("operation", [Sharpen(1.0), Brighten(1.2, 10)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_image_keeps_its_type_and_range_and_the_mask_everything(operation, dtype) -> None:
    image, mask = Transform(intensity=(operation,)).apply(IMAGE.astype(dtype), MASK)
    assert image.dtype == dtype
    assert image.shape == IMAGE.shape
    assert 0 <= image.min() < image.max() <= 255
    assert (image != IMAGE).any()
    np.testing.assert_array_equal(mask, MASK)


@pytest.mark.parametrize("operation", [Sharpen(0.0), Brighten(1.0, 0.0)])
def test_identity_parameters_change_no_bit(operation) -> None:
    for dtype in (np.uint8, np.float32):
        np.testing.assert_array_equal(operation(IMAGE.astype(dtype)), IMAGE)


def test_brightening_maps_values_linearly_and_stops_at_white() -> None:
    image = np.array([[[0], [100], [250]]], np.uint8)
    assert Brighten(1.2, 10)(image).ravel().tolist() == [10, 130, 255]


def test_sharpening_leaves_flat_regions_and_steepens_edges() -> None:
    image = np.full((9, 9, 1), 100, np.uint8)
    image[:, 5:] = 120
    sharp = Sharpen(1.0)(image)
    assert (sharp[:, :4] == 100).all()
    assert (sharp[:, 6:] == 120).all()
    assert sharp[4, 4, 0] < 100
    assert sharp[4, 5, 0] > 120


def test_sharpening_treats_one_channel_as_it_treats_three() -> None:
    np.testing.assert_array_equal(Sharpen(0.5)(IMAGE[..., :1])[..., 0], Sharpen(0.5)(IMAGE)[..., 0])
