"""BASNet: the contract, the paper's size, and that the refinement corrects logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import keras
import numpy as np
from tests.models.contract import Contract

from spleenseg.config import Config
from spleenseg.models.build import build_model, logits_model

MakeConfig = Callable[..., Config]
NORM = 4


def network_parameters(base: int, depth: int, channels: int, classes: int, norm: int) -> int:
    """Trunk (ResNet-34, then three blocks a level), bridge, three convolutions a level up, first logits, refinement.

    `norm`: numbers per channel of a convolution outside the trunk.
    """

    def convolution(inputs: int, filters: int) -> int:
        return 9 * inputs * filters + norm * filters

    widths = [base * min(2**level, 8) for level in range(depth)]
    total, last = convolution(channels, base), base
    for level, width in enumerate(widths):
        for block in range((3, 4, 6, 3)[min(level, 3)]):
            total += 9 * last * width + 9 * width * width + 2 * NORM * width
            projected = last != width or (block == 0 and level in (1, 2, 3))
            total += last * width + NORM * width if projected else 0
            last = width
    total += 3 * convolution(last, last)
    for level in reversed(range(depth)):
        narrow = widths[max(level - 1, 0)]
        total += convolution(last + widths[level], widths[level]) + convolution(widths[level], widths[level])
        total += convolution(widths[level], narrow)
        last = narrow
    total += 9 * last * classes + classes
    total += 9 * classes * base + base + 5 * convolution(base, base) + 4 * convolution(2 * base, base)
    return total + base * classes + classes


class TestTensorflowBASNet(Contract):
    name = "TensorflowBASNet"
    overfit: ClassVar[dict[str, object]] = {"base_filters": 8, "num_layers": 4, "normalization": True}

    def parameters(self, config: Config) -> int:
        model = config.model
        shape = model.base_filters, model.num_layers, model.image_channels, model.num_classes
        return network_parameters(*shape, norm=NORM if model.normalization else 1)


def test_the_paper_has_87_million_parameters() -> None:
    assert round(network_parameters(64, 6, 3, 1, norm=3) / 1e6, 1) == 87.1  # the paper: 87.1 M


def test_the_network_adds_a_correction_to_its_first_logits(make_config: MakeConfig) -> None:
    keras.utils.set_random_seed(4)
    model = build_model(make_config(model="BASNet").model)
    correction = model.get_layer("logits_first")
    correction.set_weights([np.zeros_like(weight) for weight in correction.get_weights()])
    first = keras.Model(model.input, model.get_layer("logits_side_1").output)
    image = np.random.default_rng(1).random((1, 32, 32, 1)).astype(np.float32) * 255
    np.testing.assert_array_equal(np.asarray(logits_model(model)(image)), np.asarray(first(image)))


def test_every_level_and_the_bridge_are_supervised_on_request(make_config: MakeConfig) -> None:
    plain, deep = (build_model(make_config(model="BASNet", deep_supervision=wanted).model) for wanted in (False, True))
    assert len(logits_model(plain, deep_supervision=True).outputs) == 1
    assert logits_model(deep, deep_supervision=True).output_shape == [(None, 32, 32, 1)] * (1 + 3 + 1)
    assert deep.count_params() == plain.count_params()


def test_the_trunk_does_not_halve_at_first(make_config: MakeConfig) -> None:
    model = build_model(make_config(model="BASNet", num_layers=5).model)
    sizes = [model.get_layer(f"down{level}_block2_act2").output.shape[1] for level in range(5)]
    assert sizes == [32, 16, 8, 4, 2]
