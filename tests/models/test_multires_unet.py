"""MultiResUNet: the contract, the paper's widths and the length of its paths."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import ClassVar

import pytest
from tests.models.contract import Contract

from spleenseg.config import Config
from spleenseg.models.build import build_model
from spleenseg.models.multires_unet import widths

MakeConfig = Callable[..., Config]


class TestTensorflowMultiResUNet(Contract):
    name = "TensorflowMultiResUNet"
    overfit: ClassVar[dict[str, object]] = {"base_filters": 8, "num_layers": 4, "normalization": True}

    def parameters(self, config: Config) -> int:
        """Blocks of W/6, W/3 and W/2 filters beside a 1x1 shortcut, W = 1.67 F; paths of F filters."""
        model = config.model
        filters = [model.base_filters * 2**level for level in range(model.num_layers)]
        norm = 4 if model.normalization else 0
        bias = 0 if model.normalization else 1

        def convolution(kernel: int, inputs: int, outputs: int) -> int:
            return kernel**2 * inputs * outputs + (norm + bias) * outputs

        def thirds(width: int) -> list[int]:
            return [max(1, int(1.67 * width * share)) for share in (0.167, 0.333, 0.5)]

        def block(inputs: int, width: int) -> int:
            row = sum(convolution(3, before, after) for before, after in pairwise([inputs, *thirds(width)]))
            total = sum(thirds(width))
            return row + convolution(1, inputs, total) + norm * total

        def path(inputs: int, width: int, length: int) -> int:
            steps = [
                convolution(3, before, width) + convolution(1, before, width) + norm * width
                for before in [inputs] + [width] * (length - 1)
            ]
            return sum(steps)

        total, last = 0, model.image_channels
        for level, width in enumerate(filters):
            total += block(last, width)
            last = sum(thirds(width))
            total += path(last, width, model.num_layers - 1 - level) if level < model.num_layers - 1 else 0
        for width in filters[-2::-1]:
            total += 4 * last * width + width + block(2 * width, width)
            last = sum(thirds(width))
        return total + last * model.num_classes + model.num_classes


def test_widths_are_those_of_the_paper() -> None:
    table_1 = [[8, 17, 26], [17, 35, 53], [35, 71, 106], [71, 142, 213], [142, 284, 427]]
    assert [widths(32 * 2**level) for level in range(5)] == table_1


def test_the_paper_s_size_has_the_paper_s_number_of_parameters(make_config: MakeConfig) -> None:
    config = make_config(
        model="TensorflowMultiResUNet", base_filters=32, num_layers=5, image_channels=3, normalization=True
    )
    model = build_model(config.model)
    scales = sum(layer.output.shape[-1] for layer in model.layers if re.search(r"(conv\d?|shortcut)_norm$", layer.name))
    joined = sum(layer.output.shape[-1] for layer in model.layers if layer.name.endswith("_scales"))
    # theirs: no scale after a convolution, one more normalisation of what a block joins, and one of the logits
    assert model.count_params() - scales + 4 * joined + 2 == 7_262_750


def test_paths_have_four_three_two_and_one_steps(make_config: MakeConfig) -> None:
    model = build_model(make_config(model="TensorflowMultiResUNet", num_layers=5).model)
    steps = [layer.name for layer in model.layers if layer.name.startswith("path") and layer.name.endswith("_sum")]
    assert [sum(name.startswith(f"path{level}_") for name in steps) for level in range(4)] == [4, 3, 2, 1]


@pytest.mark.parametrize("level", [0, 1])
def test_a_block_sees_three_steps_far(make_config: MakeConfig, level: int) -> None:
    model = build_model(make_config(model="TensorflowMultiResUNet", base_filters=12).model)
    found = model.get_layer(f"down{level}_scales").output.shape
    assert found[-1] == sum(widths(12 * 2**level))
