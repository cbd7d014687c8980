"""What every registered network must do: one class that each architecture's test class inherits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from spleenseg.config import Config
from spleenseg.models.build import LOGITS, PROBABILITY, build_model, logits_model
from spleenseg.models.registry import ARCHITECTURES, names, resolve
from spleenseg.models.weights import load_weights
from spleenseg.training.losses import build_loss

MakeConfig = Callable[..., Config]


def _image(config: Config, count: int = 1) -> np.ndarray:
    model = config.model
    shape = (count, model.image_height, model.image_width, model.image_channels)
    return np.random.default_rng(7).integers(0, 256, shape).astype(np.float32)


class Contract:
    """Inherit, give `name` and `parameters`, and the architecture is tested."""

    name: str

    def parameters(self, config: Config) -> int:
        """Return the number of parameters by the paper's formula."""
        raise AssertionError(f"{self.name} needs its formula")

    def build(self, make_config: MakeConfig, **model: object) -> tuple[Config, Any]:
        keras.utils.set_random_seed(3)
        config = make_config(model=self.name, **model)
        return config, build_model(config.model)

    @pytest.mark.parametrize(("width", "height"), [(32, 32), (64, 32)])
    @pytest.mark.parametrize("channels", [1, 3, 5])
    @pytest.mark.parametrize("classes", [1, 3])
    def test_gives_a_probability_for_every_pixel_and_class(
        self, make_config: MakeConfig, width: int, height: int, channels: int, classes: int
    ) -> None:
        config, model = self.build(
            make_config,
            image_width=width,
            image_height=height,
            image_channels=channels,
            context=2 if channels == 5 else 0,
            num_classes=classes,
        )
        output = np.asarray(model(_image(config)))
        assert output.shape == (1, height, width, classes)
        assert output.dtype == np.float32
        assert output.min() >= 0
        assert output.max() <= 1
        assert model.count_params() == self.parameters(config)
        if classes > 1:
            np.testing.assert_allclose(output.sum(axis=-1), 1, atol=1e-5)

    def test_ends_in_logits_and_then_probability(self, make_config: MakeConfig) -> None:
        config, model = self.build(make_config)
        assert [layer.name for layer in model.layers[-2:]] == [LOGITS, PROBABILITY]
        image = _image(config)
        logits = np.asarray(logits_model(model)(image), np.float64)
        np.testing.assert_allclose(np.asarray(model(image)), 1 / (1 + np.exp(-logits)), atol=1e-6)

    def test_brings_the_input_to_one_exactly_once(self, make_config: MakeConfig) -> None:
        config, model = self.build(make_config)
        plain = build_model(config.model.model_copy(update={"input_normalize": False}))
        plain.set_weights(model.get_weights())
        image = _image(config)
        np.testing.assert_allclose(np.asarray(model(image)), np.asarray(plain(image / 255)), atol=1e-5)

    def test_gradient_reaches_every_weight(self, make_config: MakeConfig) -> None:
        config, model = self.build(make_config, normalization=True, activation="mish")
        learner = logits_model(model)
        learner.compile(optimizer=keras.optimizers.SGD(1.0), loss=build_loss("bce_dice_loss"))
        before = [keras.ops.convert_to_numpy(weight).copy() for weight in model.trainable_weights]
        image = _image(config, 2)
        learner.train_on_batch(image, (image > 128).astype(np.float32))
        still = [
            weight.path
            for weight, old in zip(model.trainable_weights, before, strict=True)
            if np.array_equal(keras.ops.convert_to_numpy(weight), old)
        ]
        assert still == []

    @pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
    def test_saving_and_loading_is_exact(self, make_config: MakeConfig, tmp_path: Path, suffix: str) -> None:
        config, model = self.build(make_config, normalization=True, dropout_rate=0.1)
        path = tmp_path / f"saved{suffix}"
        model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
        again = build_model(config.model)
        load_weights(again, path)
        image = _image(config)
        np.testing.assert_array_equal(np.asarray(model(image)), np.asarray(again(image)))

    def test_weights_do_not_depend_on_the_size(self, make_config: MakeConfig, tmp_path: Path) -> None:
        config, model = self.build(make_config)
        model.save_weights(tmp_path / "saved.weights.h5")
        larger = build_model(config.model.model_copy(update={"image_width": 64}))
        load_weights(larger, tmp_path / "saved.weights.h5")
        for ours, theirs in zip(larger.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)

    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_reduced_precision_keeps_logits_and_weights_in_float32(
        self, make_config: MakeConfig, precision: str
    ) -> None:
        config = make_config(model=self.name)
        exact, model = build_model(config.model), build_model(config.model, precision)
        model.set_weights(exact.get_weights())
        image = _image(config)
        output = np.asarray(model(image))
        assert model.get_layer(LOGITS).output.dtype == "float32"
        assert output.dtype == np.float32
        assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
        assert not np.array_equal(output, np.asarray(exact(image)))
        np.testing.assert_allclose(output, np.asarray(exact(image)), atol=0.05)
        assert keras.config.dtype_policy().name == "float32"

    @pytest.mark.full
    def test_overfits_two_real_slices(self, make_config: MakeConfig, real_data: Path) -> None:
        keras.utils.set_random_seed(1)
        size = 128
        _, model = self.build(make_config, image_width=size, image_height=size, base_filters=8, num_layers=4)
        learner = logits_model(model)
        learner.compile(optimizer=keras.optimizers.Adam(2e-3), loss=build_loss("bce_dice_loss"))
        images, masks = _two_slices(real_data, size)
        for _ in range(400):
            learner.train_on_batch(images, masks)
        found = np.asarray(model(images)) >= 0.5
        dice = 2 * (found & (masks > 0)).sum() / (found.sum() + masks.sum())
        assert dice > 0.95


def _two_slices(folder: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    files = sorted((folder / "msd-spleen-slices" / "images").iterdir())[:2]
    images = [Image.open(file).convert("L").resize((size, size)) for file in files]
    masks = [Image.open(file.parents[1] / "masks" / file.name).convert("L").resize((size, size)) for file in files]
    stacked = np.stack([np.asarray(image, np.float32) for image in images])[..., None]
    return stacked, (np.stack([np.asarray(mask) for mask in masks])[..., None] > 128).astype(np.float32)


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


def test_every_registered_network_is_under_the_contract() -> None:
    assert {test.name for test in Contract.__subclasses__()} == set(names())


@pytest.mark.parametrize("name", names())
def test_every_network_says_its_paper_and_lives_in_a_module_of_its_own(name: str) -> None:
    assert resolve(name).paper
    assert [architecture.module for architecture in ARCHITECTURES].count(resolve(name).module) == 1
