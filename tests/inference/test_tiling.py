from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleenseg.inference.tiling import blending_weight, tile_corners, tiled_probabilities

SIDES = st.integers(1, 70)


def brightness(images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Stand for a network that looks at one pixel at a time: two channels, both from the first one."""
    for image in images:
        organ = image[..., :1].astype(np.float32) / 255
        yield np.concatenate([1 - organ, organ], axis=-1)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.integers(1, 40), st.integers(1, 40), st.data())
def test_tiles_cover_every_pixel_stay_inside_and_share_the_overlap(height, width, high, wide, data):
    overlap = data.draw(st.integers(0, min(high, wide) - 1))
    size = (max(height, high), max(width, wide))
    covered = np.zeros(size, int)
    corners = list(tile_corners(size, (high, wide), overlap))
    for top, left in corners:
        assert 0 <= top <= size[0] - high
        assert 0 <= left <= size[1] - wide
        covered[top : top + high, left : left + wide] += 1
    assert covered.min() >= 1
    tops = sorted({top for top, _ in corners})
    assert all(above + high - below >= overlap for above, below in pairwise(tops))


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, st.integers(0, 255))
def test_a_constant_field_is_the_same_tiled_and_whole(height, width, value):
    image = np.full((height, width, 3), value, np.uint8)
    tiled = tiled_probabilities(image, brightness, tile=(32, 24), overlap=8)
    (whole,) = brightness([image])
    np.testing.assert_allclose(tiled, whole, atol=1e-6)


@pytest.fixture(scope="module", params=["convolutions", "convolutions and a coarser level"])
def network(request: pytest.FixtureRequest) -> Callable[[Iterable[np.ndarray]], Iterator[np.ndarray]]:
    """Return a random network of several layers, padded with zeros, which sees at most 6 pixels far."""
    keras = pytest.importorskip("keras")
    layers = keras.layers
    keras.utils.set_random_seed(3)
    convolutions = [layers.Conv2D(6, 3, padding="same", activation="relu") for _ in range(3)]
    if "coarser" in request.param:
        convolutions[1:2] = [layers.MaxPool2D(2), convolutions[1], layers.UpSampling2D(2)]
    model = keras.Sequential([layers.Rescaling(1 / 255), *convolutions, layers.Conv2D(2, 3, padding="same")])

    def predict(images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for image in images:
            logits = np.asarray(model(image[None].astype(np.float32)))[0]
            yield 1 / (1 + np.exp(-20 * logits))

    return predict


@pytest.mark.parametrize("picture", ["constant", "noise"])
@pytest.mark.parametrize("overlap", [24, 32, 40])
def test_a_network_that_sees_a_quarter_of_the_overlap_gives_the_same_tiled_and_whole(network, picture, overlap):
    image = np.full((120, 176, 3), 60, np.uint8)  # tiles begin at even pixels, as the coarser level needs
    if picture == "noise":
        image = np.random.default_rng(2).integers(0, 256, image.shape).astype(np.uint8)
    (whole,) = network([image])
    assert np.ptp(whole) > 0.1  # not constant even on a constant picture: zeros lie beyond its border
    tiled = tiled_probabilities(image, network, (64, 64), overlap)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_a_picture_of_the_size_of_a_tile_is_one_tile(network):
    image = np.random.default_rng(4).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    (whole,) = network([image])
    np.testing.assert_allclose(tiled_probabilities(image, network, (64, 64), 32), whole, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, st.integers(0, 23))
def test_no_answer_lies_outside_of_those_of_the_tiles(height, width, overlap):
    random = np.random.default_rng(0)

    def anything(images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for image in images:
            yield random.uniform(0.2, 0.7, (*image.shape[:2], 1)).astype(np.float32)

    found = tiled_probabilities(np.zeros((height, width, 3), np.uint8), anything, (32, 24), overlap)
    assert found.min() >= 0.2 - 1e-6
    assert found.max() <= 0.7 + 1e-6


def test_a_pixelwise_network_gives_the_same_tiled_and_whole_on_a_picture_that_is_not_square():
    image = np.random.default_rng(1).integers(0, 256, (75, 131, 3), np.uint8)
    tiled = tiled_probabilities(image, brightness, tile=(32, 32), overlap=0)
    (whole,) = brightness([image])
    np.testing.assert_allclose(tiled, whole, atol=1e-6)


def test_blending_leaves_no_step_where_tiles_disagree():
    answers = iter([0.0, 1.0])

    def undecided(images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for image in images:
            yield np.full((*image.shape[:2], 1), next(answers), np.float32)

    row = tiled_probabilities(np.zeros((32, 48, 3), np.uint8), undecided, (32, 32), 16)[16, :, 0]
    assert (row[0], row[-1]) == (0, 1)
    assert np.all(np.diff(row) >= 0)
    assert np.diff(row).max() < 0.3
    assert row[23] + row[24] == pytest.approx(1, abs=1e-5)


def test_the_weight_is_highest_in_the_middle_and_never_nothing():
    weight = blending_weight((33, 65))[..., 0]
    assert np.unravel_index(weight.argmax(), weight.shape) == (16, 32)
    assert weight.min() > 0


def test_an_overlap_as_large_as_the_tile_is_refused():
    with pytest.raises(ValueError, match="overlap 32"):
        list(tile_corners((64, 64), (32, 32), 32))
