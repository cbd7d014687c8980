"""From the model section of a config to a Keras model with the outside all models share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from spleenseg.errors import UserError
from spleenseg.models.registry import problems, resolve
from spleenseg.models.supervision import Supervised, side_logits

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
        UserError: an unknown model, or a size or settings it cannot work at.
    """
    architecture = resolve(config.model)
    for key, problem in problems(architecture, config):
        raise UserError(f"[model] {key}: {problem}")
    module = import_module(architecture.module)
    with _computing_in(precision):
        image = keras.Input((config.image_height, config.image_width, config.image_channels), name="image")
        found = module.features(_normalised(image, config), config)
        end = found if isinstance(found, Supervised) else Supervised(found)
        output = layers.Activation(config.final_activation, dtype="float32", name=PROBABILITY)(_head(end, config))
    model = keras.Model(image, output, name=architecture.name)
    model.supervision = end
    return model


def logits_model(model: Any, deep_supervision: bool = False) -> Any:
    """Return a view of `model` that ends at the logits and shares all its weights: what training trains.

    Args:
        model: a model of `build_model`.
        deep_supervision: also give the logits made on the way. What only they need belongs to the view, not to
            `model`: it is trained with the rest, and absent from the weights saved for inference.

    Returns:
        a keras.Model: the same input -> float32 [N, H, W, K] logits, any real number; with
        `deep_supervision` a list of such, the network's own first, then its sides, all to be compared with
        the same truth and weighted by `side_weights`. The list has one entry for a network without sides.
    """
    logits = model.get_layer(LOGITS).output
    outputs = [logits, *model.supervision.sides] if deep_supervision else logits
    return keras.Model(model.input, outputs, name=f"{model.name}_{LOGITS}")


def side_weights(model: Any) -> tuple[float, ...]:
    """Return how much each output of `logits_model(model, deep_supervision=True)` counts in the loss."""
    end = model.supervision
    return (1.0, *(end.weights or (1.0,) * len(end.sides)))


def _normalised(image: Any, config: ModelConfig) -> Any:
    """Bring 0..255 to 0..1 in float32, whatever the layers after it compute in."""
    if not config.input_normalize:
        return image
    return layers.Rescaling(1 / 255, dtype="float32", name="normalised")(image)


def _head(end: Supervised, config: ModelConfig) -> Any:
    name = f"{LOGITS}_first" if end.refine else LOGITS
    logits = side_logits(end.main, config, name, kernel=1)
    return end.refine(logits) if end.refine else logits


@contextmanager
def _computing_in(precision: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
