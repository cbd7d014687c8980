"""U2Net: the contract, and the paper's table of blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import keras
from tests.models.contract import Contract

from spleenseg.config import Config, parse_config
from spleenseg.models.build import build_model, logits_model, side_weights

MakeConfig = Callable[..., Config]
PAPER_DOWN = [(7, 32, 64), (6, 32, 128), (5, 64, 256), (4, 128, 512), ("4F", 256, 512), ("4F", 256, 512)]
PAPER_UP = [(7, 16, 64), (6, 32, 64), (5, 64, 128), (4, 128, 256), ("4F", 256, 512)]


def block_parameters(height: int | str, inputs: int, inside: int, outputs: int, extra: int) -> int:
    """A block's input convolution, its way down, its bottom and its way up; `extra` numbers per channel."""

    def convolution(channels: int, filters: int) -> int:
        return 9 * channels * filters + extra * filters

    down = (height if isinstance(height, int) else 4) - 2
    total = convolution(inputs, outputs) + convolution(outputs, inside) + down * convolution(inside, inside)
    total += convolution(inside, inside)
    return total + down * convolution(2 * inside, inside) + convolution(2 * inside, outputs)


def network_parameters(base: int, channels: int, classes: int, extra: int) -> int:
    """The paper's six levels, every width scaled from 64 to `base`."""

    def scaled(width: int) -> int:
        return max(width * base // 64, 1)

    total, last, skips = 0, channels, []
    for height, inside, outputs in PAPER_DOWN:
        total += block_parameters(height, last, scaled(inside), scaled(outputs), extra)
        last = scaled(outputs)
        skips.append(last)
    heads = [skips.pop()]
    for (height, inside, outputs), skip in zip(PAPER_UP[::-1], skips[::-1], strict=True):
        total += block_parameters(height, last + skip, scaled(inside), scaled(outputs), extra)
        last = scaled(outputs)
        heads.append(last)
    total += sum(9 * width * classes + classes for width in heads)
    return total + len(heads) * classes * classes + classes


class TestTensorflowU2Net(Contract):
    name = "TensorflowU2Net"
    narrow: ClassVar[dict[str, object]] = {"base_filters": 8, "num_layers": 6}
    overfit: ClassVar[dict[str, object]] = {"base_filters": 8, "num_layers": 6, "normalization": True}

    def parameters(self, config: Config) -> int:
        model = config.model
        extra = 4 if model.normalization else 1
        return network_parameters(model.base_filters, model.image_channels, model.num_classes, extra)


def test_the_paper_has_44_million_parameters() -> None:
    """The authors' code: 44,009,869 with a bias, a scale and a shift for every channel of every convolution."""
    assert network_parameters(64, channels=3, classes=1, extra=3) == 44_009_869


def test_six_levels_of_64_filters_are_the_network_of_the_paper() -> None:
    text = "[model]\nimage_width=64\nimage_height=64\nimage_channels=3\nnum_classes=1\nbase_filters=64\nnum_layers=6"
    model = build_model(parse_config(text + "\nmodel='U2Net'", Path("paper.config")).model)
    assert model.count_params() == network_parameters(64, channels=3, classes=1, extra=1)


def test_fewer_levels_keep_two_flat_ones_at_the_bottom(make_config: MakeConfig) -> None:
    model = build_model(make_config(model="U2Net", num_layers=4).model)
    dilated = {layer.name: layer.dilation_rate[0] for layer in _convolutions(model) if layer.dilation_rate[0] > 2}
    assert {name.split("_")[0] for name in dilated} == {"down2", "down3", "up2"}
    assert max(dilated.values()) == 8


def test_the_logits_of_all_levels_are_joined_and_supervised_on_request(make_config: MakeConfig) -> None:
    plain, deep = (build_model(make_config(model="U2Net", deep_supervision=wanted).model) for wanted in (False, True))
    assert plain.get_layer("logits").input.shape[-1] == 3
    assert deep.count_params() == plain.count_params()
    assert side_weights(plain) == (1.0,)
    assert side_weights(deep) == (1.0,) * 4
    assert logits_model(deep, deep_supervision=True).output_shape == [(None, 32, 32, 1)] * 4


def _convolutions(model: Any) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
