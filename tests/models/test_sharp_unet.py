"""SharpUNet: the contract, and what sharpening does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
from scipy import ndimage
from tests.models.contract import Contract

from spleenseg.config import Config
from spleenseg.models.build import build_model
from spleenseg.models.sharp_unet import Sharpen

MakeConfig = Callable[..., Config]


class TestTensorflowSharpUNet(Contract):
    name = "TensorflowSharpUNet"
    narrow: ClassVar[dict[str, object]] = {"filters": [2, 4], "max_filter": 6}
    overfit: ClassVar[dict[str, object]] = {"filters": [8, 16, 32], "max_filter": 64}

    def parameters(self, config: Config) -> int:
        model = config.model
        kernel = model.base_ksize[0] * model.base_ksize[1]
        extra = 5 if model.normalization else 1
        total, last = 0, model.image_channels
        for width in (*model.filters, model.max_filter):
            total += kernel * (last * width + width * width) + 2 * extra * width
            last = width
        for width in reversed(model.filters):
            total += 4 * last * width + width
            total += kernel * (2 * width * width + width * width) + 2 * extra * width
            last = width
        return total + last * model.num_classes + model.num_classes


def test_each_channel_is_filtered_with_the_kernel_of_the_paper() -> None:
    image = np.random.default_rng(1).random((2, 9, 7, 3)).astype(np.float32)
    kernel = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]])
    found = np.asarray(Sharpen()(image))
    for index in np.ndindex(2, 3):
        number, channel = index
        wanted = ndimage.convolve(image[number, :, :, channel], kernel, mode="constant")
        np.testing.assert_allclose(found[number, :, :, channel], wanted, atol=1e-5)


def test_what_is_passed_across_is_sharpened_and_has_no_weights(make_config: MakeConfig) -> None:
    model = build_model(make_config(model="SharpUNet", filters=[2, 3], max_filter=4).model)
    for level in range(2):
        joined: list[Any] = model.get_layer(f"up{level}_join").input
        assert joined[1] is model.get_layer(f"down{level}_sharpen").output
    assert all(weight.trainable for layer in model.layers for weight in layer.weights)
    assert not any(layer.weights for layer in model.layers if isinstance(layer, Sharpen))


def test_widths_and_kernel_are_those_of_the_config(make_config: MakeConfig) -> None:
    model = build_model(make_config(model="SharpUNet", filters=[2, 3], max_filter=5, base_ksize=(5, 3)).model)
    convolutions = [x for x in model.layers if type(x) is keras.layers.Conv2D and x.name != "logits"]
    assert [layer.filters for layer in convolutions] == [2, 2, 3, 3, 5, 5, 3, 3, 2, 2]
    assert {layer.kernel_size for layer in convolutions} == {(5, 3)}
