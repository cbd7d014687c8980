"""The network and its learner: optimiser, loss and metrics as the config says, compiled once."""

from __future__ import annotations

from typing import Any

import keras

from spleenseg.config import Config
from spleenseg.models.build import build_model, logits_model
from spleenseg.training.keras_metrics import build_metrics
from spleenseg.training.losses import build_loss
from spleenseg.training.precision import resolve_precision
from spleenseg.training.registry import metric_names


def build(config: Config) -> tuple[Any, Any]:
    """Return (network, learner): two Keras models over the same weights, ending in probabilities and in logits.

    Everything random (initial weights, dropout) follows from `[train] seed`.
    """
    keras.utils.set_random_seed(config.train.seed)
    model = config.model
    network = build_model(model, resolve_precision(config.train.precision))
    learner = logits_model(network)
    learner.compile(
        optimizer=_optimizer(config),
        loss=build_loss(model.loss, model.final_activation),
        metrics=build_metrics(metric_names(config), model.num_classes, model.final_activation),
        jit_compile=False,
    )
    learner.optimizer.build(learner.trainable_variables)
    return network, learner


def _optimizer(config: Config) -> Any:
    makers = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
    make = makers[config.model.optimizer.lower()]
    return make(learning_rate=config.model.learning_rate, clipvalue=config.model.clipvalue)
