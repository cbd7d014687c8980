"""UNet3Plus: the contract, its full-scale skips, deep supervision and the guidance by classification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from tests.models.supervised import DeeplySupervised

from spleenseg.config import Config
from spleenseg.models.build import build_model, logits_model
from spleenseg.models.unet3plus import Guided

MakeConfig = Callable[..., Config]


def formula(channels: int, base: int, count: int, per_channel: int) -> int:
    """Pairs on the way down; per level up, each of all scales to `base` filters, then one mix of them all."""

    def convolution(inputs: int, outputs: int) -> int:
        return 9 * inputs * outputs + per_channel * outputs

    down = [base * 2**level for level in range(count)]
    total = sum(
        convolution(inputs, width) + convolution(width, width)
        for inputs, width in zip([channels, *down[:-1]], down, strict=True)
    )
    for level in range(count - 1):
        above = [count * base] * (count - 2 - level)
        total += sum(convolution(width, base) for width in [*down[: level + 1], *above, down[-1]])
        total += convolution(count * base, count * base)
    return total


class TestTensorflowUNet3Plus(DeeplySupervised):
    name = "TensorflowUNet3Plus"
    knobs: ClassVar[dict[str, object]] = {"classification_guided": True}
    sides = 2

    def parameters(self, config: Config) -> int:
        model = config.model
        total = formula(model.image_channels, model.base_filters, model.num_layers, 4 if model.normalization else 1)
        return total + (model.num_layers * model.base_filters + 1) * model.num_classes


def test_the_paper_s_size_has_the_paper_s_number_of_parameters(make_config: MakeConfig) -> None:
    config = make_config(model="UNet3Plus", base_filters=64, num_layers=5, image_channels=3, normalization=True)
    assert build_model(config.model).count_params() / 1e6 == pytest.approx(26.97, abs=0.02)


def test_every_level_is_made_of_all_scales(make_config: MakeConfig) -> None:
    model = build_model(make_config(model="UNet3Plus", num_layers=4).model)
    for level in range(3):
        joined = model.get_layer(f"up{level}_join").input
        assert [tuple(x.shape[1:]) for x in joined] == [(32 // 2**level, 32 // 2**level, 2)] * 4


def test_nothing_drops_out_of_the_logits(make_config: MakeConfig) -> None:
    config = make_config(model="UNet3Plus", dropout_rate=0.5, base_filters=4)
    model = build_model(config.model)
    assert type(model.layers[-3]) is keras.layers.Activation
    drops = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert drops == ["down0_dropout", "down1_dropout", "down2_dropout"]


def _guided(logits: np.ndarray, presence: np.ndarray) -> np.ndarray:
    return np.asarray(Guided()([logits.astype(np.float32), presence.astype(np.float32)]))


def test_guidance_multiplies_the_probability_of_one_organ() -> None:
    logits = np.linspace(-60, 60, 25).reshape(1, 5, 5, 1)
    presence = np.array(1.3).reshape(1, 1, 1, 1)
    found = 1 / (1 + np.exp(-_guided(logits, presence).astype(np.float64)))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)) / (1 + np.exp(-1.3)), rtol=1e-4)


def test_guidance_gives_the_background_what_it_takes_from_organs() -> None:
    rng = np.random.default_rng(4)
    logits, presence = rng.normal(0, 5, (2, 3, 3, 4)), rng.normal(0, 3, (2, 1, 1, 3))
    share = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    organs = share[..., 1:] / (1 + np.exp(-presence))
    wanted = np.concatenate([1 - organs.sum(-1, keepdims=True), organs], -1)
    found = np.exp(_guided(logits, presence).astype(np.float64))
    np.testing.assert_allclose(found / found.sum(-1, keepdims=True), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("value", [-1e4, 1e4])
def test_guidance_is_finite_at_the_extremes(value: float) -> None:
    for channels in (1, 3):
        found = _guided(np.full((1, 2, 2, channels), 1e4), np.full((1, 1, 1, max(1, channels - 1)), value))
        assert np.isfinite(found).all()


@pytest.mark.parametrize("classes", [1, 3])
def test_what_is_absent_is_nowhere(make_config: MakeConfig, classes: int) -> None:
    config = make_config(model="UNet3Plus", classification_guided=True, num_classes=classes)
    model = build_model(config.model)
    kernel, bias = model.get_layer("presence_map").weights
    kernel.assign(np.zeros(kernel.shape))
    image = np.random.default_rng(1).uniform(0, 255, (1, 32, 32, 1)).astype(np.float32)

    def organs(presence: float) -> Any:
        bias.assign(np.full(bias.shape, presence))
        return np.asarray(model(image))[..., -max(1, classes - 1) :]

    assert organs(-20.0).max() < 1e-6
    unguided = build_model(config.model.model_copy(update={"classification_guided": False}))
    for weight in unguided.weights:
        path = weight.path.replace("logits/", "logits_first/")
        weight.assign(next(other for other in model.weights if other.path == path))
    np.testing.assert_allclose(organs(20.0), np.asarray(unguided(image))[..., -max(1, classes - 1) :], atol=1e-5)


def test_guidance_is_learnt_from_the_segmentation_alone(make_config: MakeConfig) -> None:
    keras.utils.set_random_seed(4)  # in so narrow a network the largest presence may lie where all features are zero
    config = make_config(model="UNet3Plus", classification_guided=True, deep_supervision=True)
    learner = logits_model(build_model(config.model), deep_supervision=True)
    assert [tuple(output.shape) for output in learner.outputs] == [(None, 32, 32, 1)] * 3
    learner.compile(optimizer=keras.optimizers.SGD(1.0), loss=["binary_crossentropy"] * 3, run_eagerly=True)
    kernel = learner.get_layer("presence_map").kernel
    before = np.asarray(kernel)
    image = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 1)).astype(np.float32)
    learner.train_on_batch(image, [np.zeros((2, 32, 32, 1), np.float32)] * 3)
    assert not np.array_equal(before, np.asarray(kernel))
