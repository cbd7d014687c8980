"""Batch normalisation in one operation: the figures of Keras's own layer, and its saved weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from spleenseg.models.batch_norm import BatchNormalization

LAYERS = (keras.layers.BatchNormalization, BatchNormalization)


def features(shape: tuple[int, ...] = (3, 8, 6, 5)) -> np.ndarray:
    return np.random.default_rng(0).normal(3, 2, shape).astype(np.float32)


def trained(layer: Any, x: np.ndarray, steps: int = 3) -> list[np.ndarray]:
    """Learn something by a layer; return all that came of it, gradients through their effect on the weights too."""
    model = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.Conv2D(4, 3, name="first"), layer])
    model.get_layer("first").set_weights([np.sin(np.arange(180.0)).reshape(3, 3, 5, 4), np.zeros(4)])
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse")
    target = np.cos(np.arange(3 * 6 * 4 * 4.0)).reshape(3, 6, 4, 4)
    losses = [model.train_on_batch(x, target) for _ in range(steps)]
    return [np.array(losses), model.predict_on_batch(x), *(np.array(weight) for weight in model.get_weights())]


def test_it_learns_what_keras_own_layer_learns() -> None:
    own, fused = (trained(kind(momentum=0.9), features()) for kind in LAYERS)
    assert len(own) == len(fused) == 8
    for one, other in zip(own, fused, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_in_half_precision_the_statistics_stay_float32(dtype: str) -> None:
    own, fused = (kind(momentum=0.0, dtype=dtype) for kind in LAYERS)
    x = features()
    for layer in (own, fused):
        assert keras.backend.standardize_dtype(layer(x, training=True).dtype) == dtype.removeprefix("mixed_")
    np.testing.assert_allclose(own.moving_variance, fused.moving_variance, rtol=2e-2)
    assert keras.backend.standardize_dtype(fused.moving_variance.dtype) == "float32"


@pytest.mark.parametrize("keys", [{}, {"scale": False}, {"center": False}])
@pytest.mark.parametrize("shape", [(3, 8, 6, 5), (7, 5), (2, 4, 4, 4, 3)])
def test_every_shape_and_setting_gives_the_figures_of_keras(shape: tuple[int, ...], keys: dict[str, bool]) -> None:
    own, fused = (kind(momentum=0.5, **keys) for kind in LAYERS)
    x = features(shape)
    for training in (True, False):
        np.testing.assert_allclose(own(x, training=training), fused(x, training=training), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(own.moving_variance, fused.moving_variance, rtol=1e-5)


def test_a_frozen_layer_keeps_its_statistics() -> None:
    layer = BatchNormalization()
    layer.build((None, 8, 6, 5))
    layer.trainable = False
    layer(features(), training=True)
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(5))


def test_weights_saved_by_keras_own_layer_load(tmp_path: Path) -> None:
    models = [keras.Sequential([keras.Input((8, 6, 5)), kind()]) for kind in LAYERS]
    models[0].set_weights([np.arange(5.0) + k for k in range(4)])
    models[0].save_weights(tmp_path / "own.weights.h5")
    models[1].load_weights(tmp_path / "own.weights.h5")
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)
