"""FastUNet: the contract, and what it costs beside the reference's U-Net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import pytest
from tests.models.supervised import DeeplySupervised
from tests.models.test_unet import SPLEEN

from spleenseg.config import Config
from spleenseg.errors import UserError
from spleenseg.models.build import build_model, side_weights
from spleenseg.models.cost import multiply_adds

MakeConfig = Callable[..., Config]


def block_parameters(width: int) -> int:
    """Twice as wide, 5x5 for each channel, back; four numbers of normalisation per channel."""
    return 2 * width * width + 4 * 2 * width + 25 * 2 * width + 4 * 2 * width + 2 * width * width + 4 * width


class TestFastUNet(DeeplySupervised):
    name = "FastUNet"
    sides = 1
    narrow: ClassVar[dict[str, object]] = {"num_layers": 4}
    overfit: ClassVar[dict[str, object]] = {"base_filters": 8, "num_layers": 5}
    rate = 5e-3

    def parameters(self, config: Config) -> int:
        model = config.model
        widths = [model.base_filters * min(2**level, 16) for level in range(model.num_layers - 1)]
        total, last = 0, model.image_channels
        for number, width in enumerate(widths):
            total += (9 if number < 2 else 4) * last * width + 4 * width
            total += min(number, 2) * block_parameters(width)
            last = width
        for width in widths[-2:0:-1]:
            total += last * width + 4 * width + block_parameters(width)
            last = width
        base = widths[0]
        total += last * base + 4 * base if len(widths) > 1 else 0
        total += 9 * base * base + 4 * base
        return total + base * model.num_classes + model.num_classes


def test_a_large_image_costs_a_tenth_of_the_reference_network_at_most(make_config: MakeConfig) -> None:
    reference = multiply_adds(build_model(make_config(**SPLEEN).model))
    ours = multiply_adds(build_model(make_config(**{**SPLEEN, "model": "FastUNet"}).model))
    assert 2 * reference / 1e9 == pytest.approx(44.7, abs=0.05)
    assert ours * 10 < reference


def test_sides_count_half_as_much_at_each_coarser_level(make_config: MakeConfig) -> None:
    deep = build_model(make_config(model="FastUNet", num_layers=5, deep_supervision=True).model)
    assert side_weights(deep) == (1.0, 0.5, 0.25)


def test_no_features_have_the_image_size(make_config: MakeConfig) -> None:
    model = build_model(make_config(model="FastUNet", num_layers=4, num_classes=3).model)
    full = [layer for layer in model.layers if layer.output.shape[1] == 32]
    assert [layer.name for layer in full] == ["image", "normalised", "logits", "probability"]


def test_levels_widen_up_to_a_limit_and_are_seen_twice(make_config: MakeConfig) -> None:
    model = build_model(make_config(model="FastUNet", num_layers=8, image_width=128, image_height=128).model)
    widths = [model.get_layer(f"down{level}_halve").filters for level in range(1, 8)]
    blocks = [sum(f"down{level}_block{b}_add" in _names(model) for b in range(3)) for level in range(1, 8)]
    assert widths == [2, 4, 8, 16, 32, 32, 32]
    assert blocks == [0, 1, 2, 2, 2, 2, 2]


def test_every_convolution_is_normalised(make_config: MakeConfig) -> None:
    model = build_model(make_config(model="FastUNet", normalization=False).model)
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    convolutions = {layer.name for layer in model.layers if isinstance(layer, kinds)} - {"logits", "logits_small"}
    norms = {layer.name for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}
    assert norms == {f"{name}_norm" for name in convolutions}


def test_a_single_level_is_refused(make_config: MakeConfig) -> None:
    with pytest.raises(UserError, match=r"\[model\] num_layers: a single level is too few"):
        build_model(make_config(model="FastUNet", num_layers=1).model)


def _names(model: Any) -> set[str]:
    return {layer.name for layer in model.layers}
