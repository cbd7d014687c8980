"""The network and its learner: optimiser, loss and metrics as the config says, compiled once."""

from __future__ import annotations

from typing import Any

import keras

from spleenseg.config import Config
from spleenseg.models.build import build_model, logits_model
from spleenseg.training.keras_metrics import build_metrics
from spleenseg.training.losses import build_loss

ALWAYS_SHOWN = ("dice_coef", "iou_coef")


def build(config: Config) -> tuple[Any, Any]:
    """Return (network, learner): two Keras models over the same weights, ending in probabilities and in logits.

    Everything random (initial weights, dropout) follows from `[train] seed`.
    """
    keras.utils.set_random_seed(config.train.seed)
    network = build_model(config.model, config.train.precision)
    learner = logits_model(network)
    learner.compile(
        optimizer=_optimizer(config),
        loss=build_loss(config.model.loss),
        metrics=build_metrics(metric_names(config), config.model.num_classes),
        jit_compile=False,
    )
    learner.optimizer.build(learner.trainable_variables)
    return network, learner


def metric_names(config: Config) -> tuple[str, ...]:
    """Return the metrics of a run: those of the config, then Dice and IoU, which every log line shows."""
    return tuple(dict.fromkeys([*config.model.metrics, *ALWAYS_SHOWN]))


def _optimizer(config: Config) -> Any:
    makers = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
    make = makers[config.model.optimizer.lower()]
    return make(learning_rate=config.model.learning_rate, clipvalue=config.model.clipvalue)
