"""EfficientUNet: the contract, and its trunk held to the paper and to an implementation of others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import keras
import numpy as np
import pytest
from tests.models.contract import Contract

from spleenseg.config import Config
from spleenseg.models.build import build_model
from spleenseg.models.efficientnet import SCALES, efficientnet, rounded

MakeConfig = Callable[..., Config]
TABLE_1 = [(3, 1, 16, 1), (3, 2, 24, 6), (5, 2, 40, 6), (3, 3, 80, 6), (5, 3, 112, 6), (5, 4, 192, 6), (3, 1, 320, 6)]
NORM = 4  # scale, shift, mean and variance of each channel


def trunk_parameters(channels: int, size: str) -> int:
    """Sum of the paper's table 1, row by row, every width and depth scaled."""
    wider, deeper = SCALES[size]
    last = rounded(32 * wider)
    total = 9 * channels * last + NORM * last
    for kernel, repeats, filters, expansion in TABLE_1:
        for _ in range(math.ceil(repeats * deeper)):
            inside, outputs, squeezed = last * expansion, rounded(filters * wider), last // 4
            expand = last * inside + NORM * inside if expansion > 1 else 0
            depthwise = kernel**2 * inside + NORM * inside
            squeeze = inside * squeezed + squeezed + squeezed * inside + inside
            total += expand + depthwise + squeeze + inside * outputs + NORM * outputs
            last = outputs
    return total


class TestTensorflowEfficientUNet(Contract):
    name = "TensorflowEfficientUNet"
    knobs: ClassVar[dict[str, object]] = {"efficientnet": "B1"}
    overfit: ClassVar[dict[str, object]] = {"base_filters": 8, "normalization": True}
    size = 64

    def parameters(self, config: Config) -> int:
        model = config.model
        wider, _ = SCALES[model.efficientnet]
        skips = [model.image_channels, *(rounded(filters * wider) for filters in (16, 24, 40, 112))]
        last = rounded(320 * wider)
        total = trunk_parameters(model.image_channels, model.efficientnet)
        extra = NORM if model.normalization else 1
        for level in reversed(range(5)):
            width = model.base_filters * 2**level
            kernel = max(model.base_kernels[0] - 2 * level, 3) ** 2
            total += 4 * last * width + width
            total += kernel * (width + skips[level]) * width + kernel * width * width + 2 * extra * width
            last = width
        return total + last * model.num_classes + model.num_classes


def test_the_trunk_of_b0_has_the_published_number_of_parameters() -> None:
    top = 320 * 1280 + NORM * 1280
    classifier = 1280 * 1000 + 1000
    assert trunk_parameters(3, "B0") + top + classifier == 5_330_564  # the paper: 5.3 M


def test_the_trunk_computes_what_keras_applications_does_with_the_same_weights() -> None:
    keras.utils.set_random_seed(5)
    theirs = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(64, 64, 3))
    image = keras.Input((64, 64, 3))
    ours = keras.Model(image, efficientnet(image, "B0"))
    for layer in ours.layers:
        if layer.weights:
            layer.set_weights(theirs.get_layer(layer.name).get_weights())
    taps = ["block1a_project_bn", "block2b_add", "block3b_add", "block5c_add", "block7a_project_bn"]
    start = theirs.get_layer("stem_conv_pad").input  # what normalises before it is numbered by how many came earlier
    reference = keras.Model(start, [theirs.get_layer(tap).output for tap in taps])
    pixels = np.random.default_rng(1).random((1, 64, 64, 3)).astype(np.float32)
    for found, wanted in zip(ours(pixels), reference(pixels), strict=True):
        np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), atol=1e-5)


@pytest.mark.parametrize("size", ["B2", "B6"])
def test_larger_trunks_build_without_downloads(make_config: MakeConfig, size: str) -> None:
    config = make_config(model="TensorflowEfficientUNet", efficientnet=size)
    model = build_model(config.model)
    assert model.count_params() == TestTensorflowEfficientUNet().parameters(config)
    assert model.output_shape == (None, 32, 32, 1)
