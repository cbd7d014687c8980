"""The U-Net of the reference, knob by knob."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tests.models.contract import Contract

from spleenseg.config import Config, load_config
from spleenseg.models.blocks import levels
from spleenseg.models.build import build_model

MakeConfig = Callable[..., Config]
SPLEEN = {
    "image_width": 512,
    "image_height": 512,
    "image_channels": 3,
    "base_filters": 16,
    "base_kernels": (5, 5),
    "num_layers": 7,
    "dropout_rate": 0.05,
    "dilation": (2, 2),
}


class TestTensorflowUNet(Contract):
    """Ronneberger 2015."""

    name = "TensorflowUNet"

    def parameters(self, config: Config) -> int:
        model = config.model
        widths = [model.base_filters * 2**level for level in range(model.num_layers)]
        kernels = [max(model.base_kernels[0] - 2 * level, 3) for level in range(model.num_layers)]

        def convolution(kernel: int, inputs: int, outputs: int) -> int:
            return kernel * kernel * inputs * outputs + outputs

        total, last = 0, model.image_channels
        for width, kernel in zip(widths, kernels, strict=True):
            total += convolution(kernel, last, width) + convolution(kernel, width, width)
            last = width
        for width, kernel in zip(widths[-2::-1], kernels[-2::-1], strict=True):
            total += convolution(2, last, width)
            total += convolution(kernel, 2 * width, width) + convolution(kernel, width, width)
            last = width
        return total + convolution(1, last, model.num_classes)


def _convolutions(model: Any) -> list[Any]:
    return [layer for layer in model.layers if type(layer) is keras.layers.Conv2D and layer.name != "logits"]


def test_the_spleen_config_has_the_reference_number_of_parameters(make_config: MakeConfig) -> None:
    assert build_model(make_config(**SPLEEN).model).count_params() == 31_127_153


def test_the_reference_config_file_builds_the_same_network(real_data: Path) -> None:
    config = load_config(real_data / "reference" / "train_eval_infer.config")
    model = build_model(config.model)
    assert model.count_params() == 31_127_153
    assert model.input_shape == (None, 512, 512, 3)


def test_levels_narrow_kernel_and_dilation_and_deepen_dropout(make_config: MakeConfig) -> None:
    config = make_config(num_layers=4, base_filters=4, base_kernels=(7, 5), dilation=(3, 2), dropout_rate=0.05)
    found = levels(config.model)
    assert [level.filters for level in found] == [4, 8, 16, 32]
    assert [level.kernel for level in found] == [(7, 5), (5, 3), (3, 3), (3, 3)]
    assert [level.dilation for level in found] == [(3, 2), (2, 1), (1, 1), (1, 1)]
    assert [level.dropout for level in found] == pytest.approx([0, 0.05, 0.1, 0.15])


def test_the_way_up_has_the_same_levels_as_the_way_down(make_config: MakeConfig) -> None:
    model = build_model(make_config(base_kernels=(5, 5), dilation=(2, 2), dropout_rate=0.1).model)
    kernels = [layer.kernel_size[0] for layer in _convolutions(model)]
    dilations = [layer.dilation_rate[0] for layer in _convolutions(model)]
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert kernels == [5, 5, 3, 3, 3, 3, 3, 3, 5, 5]
    assert dilations == [2, 2, 1, 1, 1, 1, 1, 1, 2, 2]
    assert rates == pytest.approx([0.1, 0.2, 0.1])


def test_convolutions_start_from_he_normal(make_config: MakeConfig) -> None:
    layers = _convolutions(build_model(make_config().model))
    assert all(isinstance(layer.kernel_initializer, keras.initializers.HeNormal) for layer in layers)


@pytest.mark.parametrize("name", ["relu", "mish", "leaky_relu"])
def test_the_activation_is_the_one_configured(make_config: MakeConfig, name: str) -> None:
    layers = _convolutions(build_model(make_config(activation=name).model))
    assert {layer.activation for layer in layers} == {keras.activations.get(name)}


@pytest.mark.parametrize("wanted", [False, True])
def test_normalisation_follows_every_convolution_when_asked(make_config: MakeConfig, wanted: bool) -> None:
    model = build_model(make_config(normalization=wanted).model)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == (len(_convolutions(model)) if wanted else 0)


def test_fixed_dropout_seeds_repeat_and_differ_between_layers(make_config: MakeConfig) -> None:
    config = make_config(dropout_rate=0.3, dropout_seed_fixing=True)
    image = np.full((1, 32, 32, 1), 128, np.float32)
    first, second = build_model(config.model), build_model(config.model)
    second.set_weights(first.get_weights())
    np.testing.assert_array_equal(np.asarray(first(image, training=True)), np.asarray(second(image, training=True)))
    seeds = [layer.seed for layer in first.layers if isinstance(layer, keras.layers.Dropout)]
    assert len(set(seeds)) == len(seeds) == 3


def test_width_and_height_keep_their_places(make_config: MakeConfig) -> None:
    model = build_model(make_config(image_width=64, image_height=32).model)
    assert model.input_shape == (None, 32, 64, 1)
    assert model.output_shape == (None, 32, 64, 1)
