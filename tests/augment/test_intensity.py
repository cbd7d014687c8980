"""Grey-value operations: the image changes as defined, the mask never."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleenseg.augment import Transform
from spleenseg.augment.intensity import Brighten, Intensity, Sharpen
from spleenseg.augment.scanner import Blur, LowResolution, Noise, Shading
from spleenseg.augment.tone import Contrast, Gamma, Linear, Window, other_window, rescaled_hu

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
MASK = (IMAGE[..., 0] > 128).astype(np.uint8)
ABDOMEN = Window(-160, 240)

CHANGING: list[Intensity] = [
    Sharpen(1.0),
    Brighten(1.2, 10),
    Linear(1.1, -7),
    Contrast(1.2),
    Gamma(0.8),
    Noise(6.0, 1),
    Noise(6.0, 1, shared=False),
    Noise(6.0, 1, grain=2.5),
    Noise(6.0, 1, shared=False, grain=2.5),
    Blur(0.8),
    LowResolution(0.5),
    Shading(0.02, 535.0, 1),
]
KEEPING_ENDS = [one for one in CHANGING if not isinstance(one, Sharpen | Brighten | Blur | LowResolution)]
NEUTRAL: list[Intensity] = [
    Sharpen(0.0),
    Brighten(1.0, 0.0),
    Linear(1.0, 0.0),
    Contrast(1.0),
    Gamma(1.0),
    Noise(0.0, 1),
    Blur(0.0),
    LowResolution(1.0),
    Shading(0.0, 535.0, 1),
]


def grey(*values: float, dtype: type = np.uint8) -> np.ndarray:
    return np.array(values, dtype)[None, :, None]


@pytest.mark.parametrize("operation", CHANGING, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_image_keeps_its_type_and_range_and_the_mask_everything(
    operation: Intensity, dtype: type, channels: int
) -> None:
    source = np.random.default_rng(1).integers(0, 256, (32, 40, channels)).astype(dtype)
    before = source.copy()
    image, mask = Transform(intensity=(operation,)).apply(source, MASK)
    assert image.dtype == dtype
    assert image.shape == source.shape
    assert 0 <= image.min() < image.max() <= 255
    assert (image != source).any()
    np.testing.assert_array_equal(source, before)
    np.testing.assert_array_equal(mask, MASK)


@pytest.mark.parametrize("operation", CHANGING, ids=str)
def test_whole_numbers_and_floating_point_images_change_alike(operation: Intensity) -> None:
    exact = operation(IMAGE.astype(np.float32))
    np.testing.assert_allclose(
        operation(IMAGE), exact, atol=1.01 if isinstance(operation, Blur | LowResolution) else 0.51
    )


@pytest.mark.parametrize("operation", CHANGING, ids=str)
def test_results_are_replayable_and_not_overwritten_by_the_next(operation: Intensity) -> None:
    first = operation(IMAGE)
    kept = first.copy()
    again = operation(IMAGE)
    operation(IMAGE[::-1].copy())
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(again, kept)


@pytest.mark.parametrize("operation", NEUTRAL, ids=str)
def test_identity_parameters_change_no_bit(operation: Intensity) -> None:
    for dtype in (np.uint8, np.float32):
        np.testing.assert_array_equal(operation(IMAGE.astype(dtype)), IMAGE)


@pytest.mark.parametrize("operation", KEEPING_ENDS, ids=str)
def test_what_lies_beyond_the_window_stays_there(operation: Intensity) -> None:
    for dtype in (np.uint8, np.float32):
        image = np.where(IMAGE > 200, 255, np.where(IMAGE < 50, 0, IMAGE)).astype(dtype)
        changed = operation(image)
        for end in (0, 255):
            np.testing.assert_array_equal(changed[image == end], end)
        inside = (image > 0) & (image < 255)
        assert (changed[inside] != image[inside]).any()


def test_brightening_maps_values_linearly_and_stops_at_white() -> None:
    assert Brighten(1.2, 10)(grey(0, 100, 250)).ravel().tolist() == [10, 130, 255]


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


@settings(max_examples=40, deadline=None)
@given(
    low=st.floats(-1000, 100),
    width=st.floats(50, 2000),
    share=st.floats(0.01, 0.99),
    factor=st.floats(0.8, 1.25),
    shift=st.floats(-100, 100),
)
def test_a_scanner_that_reads_other_hu_shows_them_through_the_same_window(
    low: float, width: float, share: float, factor: float, shift: float
) -> None:
    window = Window(low, low + width)
    hu = low + share * width
    shown = (factor * hu + shift - low) * 255 / width
    found = rescaled_hu(window, factor, shift)(grey(share * 255, dtype=np.float32)).item()
    assert found == pytest.approx(np.clip(shown, 0, 255), abs=1e-2)


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0.01, 0.99), low=st.floats(-100, 100), high=st.floats(-100, 100))
def test_another_window_shows_the_same_hu_elsewhere(share: float, low: float, high: float) -> None:
    hu = -160 + share * 400
    shown = (hu - (-160 + low)) * 255 / (400 - low + high)
    found = other_window(ABDOMEN, low, high)(grey(share * 255, dtype=np.float32)).item()
    assert found == pytest.approx(np.clip(shown, 0, 255), abs=1e-2)


def test_a_window_that_would_close_is_refused() -> None:
    with pytest.raises(ValueError, match="400 HU"):
        other_window(ABDOMEN, 250, -150)


def test_ten_hu_are_as_many_grey_values_as_the_window_says() -> None:
    assert rescaled_hu(ABDOMEN, 1.0, 10).offset == pytest.approx(10 * 255 / 400)
    assert rescaled_hu(Window(0, 255), 1.0, 10).offset == pytest.approx(10)
    water = (0 - -160) * 255 / 400
    assert rescaled_hu(ABDOMEN, 1.1, 0)(grey(water, dtype=np.float32)).item() == pytest.approx(water, abs=1e-3)


def test_contrast_turns_about_the_mean_of_the_body() -> None:
    image = grey(0, 0, 0, 0, 100, 140, dtype=np.float32)
    assert Contrast(1.5)(image).ravel().tolist() == pytest.approx([0, 0, 0, 0, 90, 150])
    assert Contrast(2.0)(grey(0, 0)).ravel().tolist() == [0, 0]


def test_gamma_is_the_power_it_says() -> None:
    found = Gamma(0.5)(grey(0, 51, 255, dtype=np.float32)).ravel()
    np.testing.assert_allclose(found, [0, 255 * 0.2**0.5, 255], rtol=1e-5)


def test_noise_is_gaussian_of_the_strength_it_says() -> None:
    image = np.full((256, 256, 1), 128, np.float32)
    noise = (Noise(10.0, 3)(image) - image).ravel()
    assert noise.mean() == pytest.approx(0, abs=0.2)
    assert noise.std() == pytest.approx(10, rel=0.02)
    assert (noise**4).mean() / noise.var() ** 2 == pytest.approx(3, abs=0.2)
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.02
    share_beyond_two = (np.abs(noise) > 20).mean()
    assert share_beyond_two == pytest.approx(0.0455, abs=0.006)


@pytest.mark.parametrize("grain", [1.7, 3.0, 8.0])
def test_coarse_noise_has_the_same_strength_and_is_alike_within_its_grain(grain: float) -> None:
    image = np.full((256, 256, 3), 128, np.float32)
    noise = Noise(10.0, 3, grain=grain)(image) - image
    assert noise.std() == pytest.approx(10, rel=0.02)
    near, far = (np.corrcoef(noise[:-step].ravel(), noise[step:].ravel())[0, 1] for step in (1, 3 * math.ceil(grain)))
    assert near > 0.4
    assert abs(far) < 0.1
    np.testing.assert_array_equal(noise[..., 0], noise[..., 2])
    own = Noise(10.0, 3, shared=False, grain=grain)(image) - image
    assert abs(np.corrcoef(own[..., 0].ravel(), own[..., 2].ravel())[0, 1]) < 0.1


def test_noise_is_one_for_a_grey_image_in_colour_and_many_for_neighbouring_slices() -> None:
    image = np.full((32, 40, 3), 128, np.uint8)
    one, many = Noise(10.0, 3)(image), Noise(10.0, 3, shared=False)(image)
    np.testing.assert_array_equal(one[..., 0], one[..., 2])
    assert (many[..., 0] != many[..., 2]).any()
    assert abs(np.corrcoef(many[..., 0].ravel(), many[..., 2].ravel())[0, 1]) < 0.1


def test_blurring_spreads_a_point_by_its_sigma() -> None:
    point = np.zeros((41, 41, 1), np.float32)
    point[20, 20] = 200
    smooth = Blur(2.0)(point)[..., 0]
    x = np.arange(41) - 20
    assert smooth.sum() == pytest.approx(200, rel=1e-3)
    assert (smooth * x**2).sum() / smooth.sum() == pytest.approx(4, rel=0.02)


def test_low_resolution_loses_what_is_fine_and_keeps_what_is_coarse() -> None:
    fine = (np.indices((64, 64)).sum(axis=0)[..., None] % 2 * 200).astype(np.uint8)
    assert LowResolution(0.5)(fine).std() < 0.05 * fine.std()
    ramp = np.broadcast_to(np.linspace(20, 220, 64, dtype=np.float32)[None, :, None], (64, 64, 1)).copy()
    np.testing.assert_allclose(LowResolution(0.5)(ramp)[:, 4:-4], ramp[:, 4:-4], atol=1)


def test_shading_is_slow_and_never_stronger_than_it_says() -> None:
    floor = 840 * ABDOMEN.per_hu
    water = np.full((128, 160, 3), 160 * ABDOMEN.per_hu, np.float32)
    for seed in range(5):
        hu = (Shading(0.01, floor, seed)(water) - water) / ABDOMEN.per_hu
        assert 9.5 < np.abs(hu).max() < 10.01
        assert np.abs(np.diff(hu, axis=1)).max() < 0.8
        np.testing.assert_array_equal(hu[..., 0], hu[..., 2])
