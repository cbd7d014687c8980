"""ResEncUNet: the contract, its levels, its sides, and that its blocks work on volumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from tests.models.contract import Contract

from spleenseg.config import Config
from spleenseg.errors import UserError
from spleenseg.models.build import build_model, logits_model, side_weights
from spleenseg.models.res_enc_unet import contracted, expanded

MakeConfig = Callable[..., Config]


def body_parameters(base: int, depth: int, channels: int, axes: int = 2) -> int:
    """Stem, residual blocks (1, 3, 4, 6, 6, ...) of two convolutions, one convolution a level on the way up."""
    widths = [min(base * 2**level, {2: 512, 3: 320}[axes]) for level in range(depth)]
    kernel, double = 3**axes, 2**axes
    total, last = kernel * channels * base + 2 * base, base
    for level, width in enumerate(widths):
        for _ in range((1, 3, 4, 6)[min(level, 3)]):
            total += kernel * last * width + kernel * width * width + 2 * 2 * width
            total += last * width + 2 * width if last != width else 0
            last = width
    for width in widths[-2::-1]:
        total += double * last * width + width + kernel * 2 * width * width + 2 * width
        last = width
    return total


class TestResEncUNet(Contract):
    name = "ResEncUNet"
    overfit: ClassVar[dict[str, object]] = {"base_filters": 4, "num_layers": 4}

    def parameters(self, config: Config) -> int:
        model = config.model
        head = model.base_filters * model.num_classes + model.num_classes
        return body_parameters(model.base_filters, model.num_layers, model.image_channels) + head


def test_blocks_per_level_and_widths_are_those_of_the_paper(make_config: MakeConfig) -> None:
    config = make_config(model="ResEncUNet", base_filters=32, num_layers=7, image_width=128, image_height=128)
    scales = contracted(keras.Input((128, 128, 1)), config.model)
    assert [x.shape[-1] for x in scales] == [32, 64, 128, 256, 512, 512, 512]
    assert [x.shape[1] for x in scales] == [128, 64, 32, 16, 8, 4, 2]
    names = [layer.name for layer in keras.Model(scales[0], scales[-1]).layers if layer.name.endswith("_add")]
    blocks = [sum(name.startswith(f"down{level}_") for name in names) for level in range(1, 7)]
    assert blocks == [3, 4, 6, 6, 6, 6]


def test_the_same_blocks_work_on_volumes(make_config: MakeConfig) -> None:
    config = make_config(model="ResEncUNet", base_filters=2, num_layers=3).model
    volume = keras.Input((8, 16, 12, 1))
    model = keras.Model(volume, expanded(contracted(volume, config))[0])
    assert model.output_shape == (None, 8, 16, 12, 2)
    assert model.count_params() == body_parameters(2, 3, 1, axes=3)
    assert np.isfinite(np.asarray(model(np.random.default_rng(1).random((1, 8, 16, 12, 1), np.float32)))).all()


def test_brightness_and_contrast_of_the_whole_image_do_not_matter(make_config: MakeConfig) -> None:
    keras.utils.set_random_seed(2)
    model = build_model(make_config(model="ResEncUNet", num_layers=2).model)
    image = np.random.default_rng(3).integers(40, 120, (1, 32, 32, 1)).astype(np.float32)
    inner = slice(8, -8)  # away from the padding, which does not change with the image
    plain, brighter = (np.asarray(model(x))[0, inner, inner] for x in (image, 2 * image))
    np.testing.assert_allclose(plain, brighter, atol=2e-3)


def test_sides_count_half_as_much_at_each_coarser_level_and_are_not_saved(make_config: MakeConfig) -> None:
    settings: dict[str, Any] = {"model": "ResEncUNet", "num_layers": 4, "num_classes": 3}
    plain, deep = (build_model(make_config(**settings, deep_supervision=wanted).model) for wanted in (False, True))
    assert side_weights(plain) == (1.0,)
    assert side_weights(deep) == (1.0, 0.5, 0.25)
    assert logits_model(deep, deep_supervision=True).output_shape == [(None, 32, 32, 3)] * 3
    assert deep.count_params() == plain.count_params()


def test_a_single_pixel_at_the_bottom_is_refused(make_config: MakeConfig) -> None:
    with pytest.raises(UserError, match=r"\[model\] num_layers: 6 levels leave a single pixel"):
        build_model(make_config(model="ResEncUNet", num_layers=6).model)
