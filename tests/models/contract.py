"""What every registered network must do: each architecture's test file has a class that inherits `Contract`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from PIL import Image

from spleenseg.config import Config, ModelConfig
from spleenseg.config.schema import effect_of
from spleenseg.config.section import Effect, facts
from spleenseg.models.build import LOGITS, PROBABILITY, build_model, logits_model
from spleenseg.models.weights import load_weights
from spleenseg.training.losses import build_loss

MakeConfig = Callable[..., Config]


KNOBS: dict[str, object] = {
    "base_filters": 3,
    "num_layers": 2,
    "base_kernels": (5, 5),
    "dilation": (2, 2),
    "dropout_rate": 0.2,
    "dropout_seed_fixing": True,
    "normalization": True,
    "activation": "mish",
    "input_normalize": False,
    "image_channels": 3,
    "num_classes": 3,
}
_ELSEWHERE = {
    *(
        "generator",
        "learning_rate",
        "clipvalue",
        "clipnorm",
        "weight_decay",
        "optimizer",
        "loss",
        "batch_dice",
        "metrics",
        "show_summary",
    ),
    *("evaluation", "pretrained", "init_from"),
}
NETWORK_KEYS = sorted(set(ModelConfig.model_fields) - _ELSEWHERE)


class Recorder:
    """A model section that notes which of its keys are read."""

    def __init__(self, section: ModelConfig, read: set[str]) -> None:
        self._section, self._read = section, read

    def __getattr__(self, key: str) -> object:
        self._read.add(key)
        return getattr(self._section, key)


def keys_with_effect(name: str) -> set[str]:
    """Return the keys that shape the network, as `config show` marks them."""
    return {key for key in NETWORK_KEYS if effect_of(facts(ModelConfig, key), name)[0] is Effect.WORKS}


def structure(model: Any) -> list[tuple[str, object]]:
    """Return what a network is made of, whatever its layers are called."""
    plain = {"name", "seed", "build_config", "inbound_nodes", "config"}

    def settings(layer: Any) -> dict[str, object]:
        config = {key: value for key, value in layer.get_config().items() if key not in plain}
        return {**config, "fixed_seed": layer.get_config().get("seed") is not None}

    return [(type(layer).__name__, json.dumps(settings(layer), sort_keys=True, default=str)) for layer in model.layers]


def unchanged(weights: list[Any], before: list[np.ndarray]) -> list[str]:
    """Return the paths of the weights that are as they were."""
    pairs = zip(weights, before, strict=True)
    return [weight.path for weight, old in pairs if np.array_equal(keras.ops.convert_to_numpy(weight), old)]


def some_image(config: Config, count: int = 1) -> np.ndarray:
    model = config.model
    shape = (count, model.image_height, model.image_width, model.image_channels)
    return np.random.default_rng(7).integers(0, 256, shape).astype(np.float32)


_USUAL: dict[type, tuple[Config, Any]] = {}


class Contract:
    """Inherit, give `name` and `parameters`, and the architecture is tested.

    Attributes:
        name: its name in the config.
        narrow: keys of the model section that keep it small.
        knobs: other values of keys that only it reads.
        overfit: keys of the model section for the test that learns two slices by heart, and what makes it learn.
        size, steps, rate: how large they are, how long and how fast it learns them.
    """

    name: str
    narrow: ClassVar[dict[str, object]] = {}
    knobs: ClassVar[dict[str, object]] = {}
    overfit: ClassVar[dict[str, object]] = {"base_filters": 8, "num_layers": 4}
    size = 128
    steps = 400
    rate = 2e-3

    def parameters(self, config: Config) -> int:
        """Return the number of parameters by the paper's formula."""
        raise AssertionError(f"{self.name} needs its formula")

    def build(self, make_config: MakeConfig, **model: object) -> tuple[Config, Any]:
        keras.utils.set_random_seed(3)
        config = make_config(**{"model": self.name, **self.narrow, **model})
        return config, build_model(config.model)

    def usual(self, make_config: MakeConfig) -> tuple[Config, Any]:
        """Return the narrow network that all tests share which leave it as it is."""
        if type(self) not in _USUAL:
            _USUAL[type(self)] = self.build(make_config)
        return _USUAL[type(self)]

    @pytest.mark.parametrize(
        ("width", "height", "channels", "classes"), [(32, 32, 1, 1), (64, 32, 3, 3), (32, 64, 5, 1)]
    )
    def test_gives_a_probability_for_every_pixel_and_class(
        self, make_config: MakeConfig, width: int, height: int, channels: int, classes: int
    ) -> None:
        self.check_outside(make_config, width, height, channels, classes)

    @pytest.mark.full
    @pytest.mark.parametrize(("width", "height"), [(64, 64), (96, 64)])
    @pytest.mark.parametrize("channels", [1, 3, 5])
    @pytest.mark.parametrize("classes", [1, 3])
    def test_gives_it_for_all_sizes_channels_and_classes(
        self, make_config: MakeConfig, width: int, height: int, channels: int, classes: int
    ) -> None:
        self.check_outside(make_config, width, height, channels, classes)

    def check_outside(self, make_config: MakeConfig, width: int, height: int, channels: int, classes: int) -> None:
        config, model = self.build(
            make_config,
            image_width=width,
            image_height=height,
            image_channels=channels,
            context=2 if channels == 5 else 0,
            num_classes=classes,
        )
        output = np.asarray(model(some_image(config)))
        assert output.shape == (1, height, width, classes)
        assert output.dtype == np.float32
        assert output.min() >= 0
        assert output.max() <= 1
        assert model.count_params() == self.parameters(config)
        if classes > 1:
            np.testing.assert_allclose(output.sum(axis=-1), 1, atol=1e-5)

    def test_ends_in_logits_and_then_probability(self, make_config: MakeConfig) -> None:
        config, model = self.usual(make_config)
        assert [layer.name for layer in model.layers[-2:]] == [LOGITS, PROBABILITY]
        image = some_image(config)
        logits = np.asarray(logits_model(model)(image), np.float64)
        np.testing.assert_allclose(np.asarray(model(image)), 1 / (1 + np.exp(-logits)), atol=1e-6)

    def test_brings_the_input_to_one_exactly_once(self, make_config: MakeConfig) -> None:
        config, model = self.usual(make_config)
        plain = build_model(config.model.model_copy(update={"input_normalize": False}))
        plain.set_weights(model.get_weights())
        image = some_image(config)
        np.testing.assert_allclose(np.asarray(model(image)), np.asarray(plain(image / 255)), atol=1e-5)

    @pytest.mark.parametrize("normalization", [False, True])
    def test_gradient_reaches_every_weight(self, make_config: MakeConfig, normalization: bool) -> None:
        config, model = self.build(make_config, normalization=normalization, activation="mish")
        learner = logits_model(model)
        learner.compile(optimizer=keras.optimizers.SGD(1.0), loss=build_loss("bce_dice_loss"), run_eagerly=True)
        before = [keras.ops.convert_to_numpy(weight).copy() for weight in model.trainable_weights]
        image = some_image(config, 2)
        learner.train_on_batch(image, (image > 128).astype(np.float32))
        assert unchanged(model.trainable_weights, before) == []

    def test_reads_the_keys_the_config_says_it_reads(self, make_config: MakeConfig) -> None:
        config = make_config(**{"model": self.name, **self.narrow, "dropout_rate": 0.1})
        read: set[str] = set()
        build_model(Recorder(config.model, read))  # type: ignore[arg-type]
        assert read >= {"model", "image_width", "image_height"}
        assert read & set(NETWORK_KEYS) == keys_with_effect(self.name)

    @pytest.mark.full
    def test_every_knob_changes_the_network_or_is_marked_without_effect(self, make_config: MakeConfig) -> None:
        knobs = {**KNOBS, **self.knobs}
        usual = {"dropout_rate": 0.1, "dropout_seed_fixing": False, **self.narrow}
        plain = structure(self.build(make_config, **usual)[1])
        changed = {
            key
            for key, value in knobs.items()
            if structure(self.build(make_config, **{**usual, key: value})[1]) != plain
        }
        assert changed == set(knobs) & keys_with_effect(self.name)

    @pytest.mark.parametrize("suffix", [".keras", pytest.param(".weights.h5", marks=pytest.mark.full)])
    def test_saving_and_loading_is_exact(self, make_config: MakeConfig, tmp_path: Path, suffix: str) -> None:
        config, model = self.build(make_config, normalization=True, dropout_rate=0.1)
        path = tmp_path / f"saved{suffix}"
        model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
        again = build_model(config.model)
        load_weights(again, path)
        image = some_image(config)
        np.testing.assert_array_equal(np.asarray(model(image)), np.asarray(again(image)))

    def test_weights_do_not_depend_on_the_size(self, make_config: MakeConfig, tmp_path: Path) -> None:
        config, model = self.usual(make_config)
        model.save_weights(tmp_path / "saved.weights.h5")
        larger = build_model(config.model.model_copy(update={"image_width": 64}))
        load_weights(larger, tmp_path / "saved.weights.h5")
        for ours, theirs in zip(larger.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)

    @pytest.mark.parametrize("precision", ["bfloat16", pytest.param("float16", marks=pytest.mark.full)])
    def test_reduced_precision_keeps_logits_and_weights_in_float32(
        self, make_config: MakeConfig, precision: str
    ) -> None:
        config, exact = self.usual(make_config)
        model = build_model(config.model, precision)
        model.set_weights(exact.get_weights())
        image = some_image(config)
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
        _, model = self.build(make_config, image_width=self.size, image_height=self.size, **self.overfit)
        learner = logits_model(model)
        learner.compile(optimizer=keras.optimizers.Adam(self.rate), loss=build_loss("bce_dice_loss"), jit_compile=False)
        images, masks = _two_slices(real_data, self.size)
        dice = 0.0
        for step in range(1, self.steps + 1):
            learner.train_on_batch(images, masks)
            if step % 25 == 0 and (dice := _dice(model, images, masks)) > 0.95:
                return
        raise AssertionError(f"Dice {dice:.3f} after {self.steps} steps")


def _dice(model: Any, images: np.ndarray, masks: np.ndarray) -> float:
    found = np.asarray(model(images)) >= 0.5
    return float(2 * (found & (masks > 0)).sum() / (found.sum() + masks.sum()))


def _two_slices(folder: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    files = sorted((folder / "msd-spleen-slices" / "images").iterdir())[:2]
    images = [Image.open(file).convert("L").resize((size, size)) for file in files]
    masks = [Image.open(file.parents[1] / "masks" / file.name).convert("L").resize((size, size)) for file in files]
    stacked = np.stack([np.asarray(image, np.float32) for image in images])[..., None]
    return stacked, (np.stack([np.asarray(mask) for mask in masks])[..., None] > 128).astype(np.float32)
