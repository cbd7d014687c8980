"""From the model section of a config to a Keras model with the outside all models share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from spleenseg.errors import UserError
from spleenseg.models.registry import indivisible, resolve

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
LOGITS = "logits"
PROBABILITY = "probability"


def build_model(config: ModelConfig, precision: str = "float32") -> Any:
    """Build the network a model section describes, with fresh weights.

    Args:
        config: the model section.
        precision: what the layers compute in: "float32", "bfloat16" or "float16". Weights, logits and
            probabilities are float32 whichever it is.

    Returns:
        a keras.Model: float32 [N, image_height, image_width, image_channels] with values 0..255 ->
        float32 [N, image_height, image_width, num_classes], the probabilities. Its last two layers are
        `logits` and `probability`.

    Raises:
        UserError: an unknown model, or a size it cannot work at.
    """
    architecture = resolve(config.model)
    for key, problem in indivisible(architecture, config):
        raise UserError(f"[model] {key}: {problem}")
    module = import_module(architecture.module)
    with _computing_in(precision):
        image = keras.Input((config.image_height, config.image_width, config.image_channels), name="image")
        logits = _head(module.features(_normalised(image, config), config), config)
        output = layers.Activation(config.final_activation, dtype="float32", name=PROBABILITY)(logits)
    return keras.Model(image, output, name=architecture.name)


def logits_model(model: Any) -> Any:
    """Return a view of `model` that ends at the logits and shares all its weights: what training trains.

    Args:
        model: a model of `build_model`.

    Returns:
        a keras.Model: the same input -> float32 [N, H, W, K] logits, any real number.
    """
    return keras.Model(model.input, model.get_layer(LOGITS).output, name=f"{model.name}_{LOGITS}")


def _normalised(image: Any, config: ModelConfig) -> Any:
    """Bring 0..255 to 0..1 in float32, whatever the layers after it compute in."""
    if not config.input_normalize:
        return image
    return layers.Rescaling(1 / 255, dtype="float32", name="normalised")(image)


def _head(x: Any, config: ModelConfig) -> Any:
    return layers.Conv2D(config.num_classes, 1, dtype="float32", name=LOGITS)(x)


@contextmanager
def _computing_in(precision: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
