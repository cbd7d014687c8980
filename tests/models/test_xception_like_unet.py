"""XceptionLikeUNet: the contract, and its shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from tests.models.contract import Contract

from spleenseg.config import Config, parse_config
from spleenseg.errors import UserError
from spleenseg.models.build import build_model

MakeConfig = Callable[..., Config]


class TestTensorflowXceptionLikeUNet(Contract):
    name = "TensorflowXceptionLikeUNet"
    overfit: ClassVar[dict[str, object]] = {"base_filters": 16, "num_layers": 3}

    def parameters(self, config: Config) -> int:
        model = config.model
        widths = [model.base_filters * 2**level for level in range(model.num_layers)]
        kernels = [max(model.base_kernels[0] - 2 * level, 3) ** 2 for level in range(model.num_layers)]
        total, last = kernels[0] * model.image_channels * widths[0] + 4 * widths[0], widths[0]
        for width, kernel in zip(widths[1:], kernels[1:], strict=True):
            total += kernel * last + last * width + kernel * width + width * width + 2 * 4 * width
            total += last * width + width
            last = width
        for width, kernel in zip(widths[::-1], kernels[::-1], strict=True):
            total += kernel * last * width + kernel * width * width + 2 * 4 * width
            total += last * width + width
            last = width
        return total + last * model.num_classes + model.num_classes


def test_the_keras_example_is_met_but_for_biases_and_head() -> None:
    """Its 2,058,979 parameters count biases before normalisation, which shift nothing, and a 3x3 head of 3 classes."""
    text = "[model]\nimage_width=160\nimage_height=160\nimage_channels=3\nnum_classes=3\nbase_filters=32\nnum_layers=4"
    config = parse_config(text, Path("example.config"))
    biases = 32 + 2 * (64 + 128 + 256) + 2 * (256 + 128 + 64 + 32)
    head = 9 * 32 * 3 + 3 - (32 * 3 + 3)
    assert TestTensorflowXceptionLikeUNet().parameters(config) + biases + head == 2_058_979


def test_the_first_level_halves_too(make_config: MakeConfig) -> None:
    with pytest.raises(UserError, match="36 is not divisible by 8"):
        build_model(make_config(model="XceptionLikeUNet", num_layers=3, image_width=36).model)
