"""DeepLabV3Plus: the contract, its atrous rates, and its trunk held to an implementation of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from tests.models.contract import Contract

from spleenseg.config import Config
from spleenseg.models.build import build_model
from spleenseg.models.resnet import resnet50

MakeConfig = Callable[..., Config]
NORM = 4  # scale, shift, mean and variance of each channel


def trunk_parameters(channels: int) -> int:
    """Sum of He et al.'s table 1: a 7x7 convolution, then 3, 4, 6 and 3 bottlenecks, no biases."""

    def convolution(kernel: int, inputs: int, outputs: int) -> int:
        return kernel**2 * inputs * outputs + NORM * outputs

    total, last = convolution(7, channels, 64), 64
    for blocks, width in [(3, 64), (4, 128), (6, 256), (3, 512)]:
        total += convolution(1, last, 4 * width)
        for _ in range(blocks):
            total += convolution(1, last, width) + convolution(3, width, width) + convolution(1, width, 4 * width)
            last = 4 * width
    return total


class TestTensorflowDeepLabV3Plus(Contract):
    name = "TensorflowDeepLabV3Plus"
    overfit: ClassVar[dict[str, object]] = {"base_filters": 4, "normalization": True}
    size = 64

    def parameters(self, config: Config) -> int:
        model = config.model
        width, fine, extra = 16 * model.base_filters, 3 * model.base_filters, NORM if model.normalization else 1

        def separable(inputs: int) -> int:
            return 9 * inputs + inputs * width + extra * width

        pyramid = 2048 * width + extra * width + 3 * separable(2048) + 2048 * width + width
        pyramid += 5 * width * width + extra * width
        decoder = 256 * fine + extra * fine + separable(width + fine) + separable(width)
        head = width * model.num_classes + model.num_classes
        return trunk_parameters(model.image_channels) + pyramid + decoder + head


def test_the_trunk_has_the_published_number_of_parameters() -> None:
    channels_normalised = 26_560
    classifier = 2048 * 1000 + 1000
    assert trunk_parameters(3) - 2 * channels_normalised + classifier == 25_557_032  # ResNet-50: 25.6 M


def test_the_trunk_computes_what_keras_applications_does_with_the_same_weights() -> None:
    keras.utils.set_random_seed(5)
    theirs = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(64, 64, 3))
    image = keras.Input((64, 64, 3))
    ours = keras.Model(image, resnet50(image)[:3])
    for layer in ours.layers:
        if layer.weights:
            layer.set_weights([weight for weight in theirs.get_layer(layer.name).weights if weight.name != "bias"])
    taps = ["conv2_block3_out", "conv3_block4_out", "conv4_block6_out"]
    reference = keras.Model(theirs.input, [theirs.get_layer(tap).output for tap in taps])
    pixels = np.random.default_rng(1).random((1, 64, 64, 3)).astype(np.float32)
    for found, wanted in zip(ours(pixels), reference(pixels), strict=True):
        scale = np.abs(np.asarray(wanted)).max()
        np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), atol=1e-5 * scale)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from spleenseg.config import parse_config

    keys = "model='DeepLabV3Plus'\nimage_width=64\nimage_height=96\nimage_channels=1\nnum_classes=1\nbase_filters=16"
    return build_model(parse_config(f"[model]\n{keys}", tmp_path_factory.mktemp("config") / "c").model)


def test_the_output_stride_is_sixteen_and_the_last_stage_is_dilated(model: Any) -> None:
    shapes = [model.get_layer(f"conv{stage}_block1_out").output.shape[1:] for stage in (2, 3, 4, 5)]
    assert shapes == [(24, 16, 256), (12, 8, 512), (6, 4, 1024), (6, 4, 2048)]
    assert [model.get_layer(f"conv5_block{number}_2_conv").dilation_rate for number in (1, 2, 3)] == [(2, 2)] * 3


def test_the_pyramid_has_the_paper_s_rates_and_widths(model: Any) -> None:
    atrous = [layer for layer in model.layers if isinstance(layer, keras.layers.SeparableConv2D)]
    pyramid = [layer for layer in atrous if layer.name.startswith("aspp")]
    assert [(layer.kernel_size, layer.dilation_rate[0]) for layer in pyramid] == [
        ((3, 3), 6),
        ((3, 3), 12),
        ((3, 3), 18),
    ]
    assert {layer.filters for layer in atrous} == {256}
    assert model.get_layer("aspp_join").output.shape == (None, 6, 4, 5 * 256)
    assert model.get_layer("decoder_join").output.shape == (None, 24, 16, 256 + 48)


def test_logits_are_made_at_a_fourth_of_the_size_and_enlarged(model: Any) -> None:
    assert model.get_layer("logits_small").output.shape == (None, 24, 16, 1)
    assert model.get_layer("logits").output.shape == (None, 96, 64, 1)
