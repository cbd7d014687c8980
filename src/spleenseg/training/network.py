"""The network and its learner: optimiser, loss and metrics as the config says, compiled once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from spleenseg.config import Config
from spleenseg.models.build import build_model, logits_model
from spleenseg.training.keras_metrics import build_metrics
from spleenseg.training.losses import build_loss
from spleenseg.training.precision import resolve_precision
from spleenseg.training.registry import metric_names


class _EpochModel(keras.Model):  # type: ignore[misc]
    """A model whose figures run on from batch to batch until `begin_epoch`.

    Keras 3.15 resets them inside `train_on_batch` and `test_on_batch`, so that a log would tell of the last batch
    alone.
    """

    def begin_epoch(self) -> None:
        """Start counting anew."""
        super().reset_metrics()

    def reset_metrics(self) -> None:
        """Keep counting: only `begin_epoch` starts anew."""


@dataclass(frozen=True)
class Learner:
    """A network and what trains it: two Keras models over the same weights.

    Attributes:
        network: ends in probabilities; its weights are what is kept.
        model: ends in logits; compiled with optimiser, loss and metrics.
        metrics: those of the config, in its order.
    """

    network: Any
    model: Any
    metrics: tuple[Any, ...]

    def variables(self) -> list[Any]:
        """Return every variable a checkpoint holds: weights, dropout seeds, optimiser slots, running sums."""
        loss = next(metric for metric in self.model.metrics if metric.name == "loss")
        sums = [variable for metric in (loss, *self.metrics) for variable in metric.variables]
        return [*self.network.variables, *self.model.optimizer.variables, *sums]


def build(config: Config) -> Learner:
    """Build and compile the network of a config.

    Everything random (initial weights, dropout) follows from `[train] seed`.
    """
    keras.utils.set_random_seed(config.train.seed)
    section = config.model
    network = build_model(section, resolve_precision(config.train.precision))
    metrics = build_metrics(metric_names(config), section.num_classes, section.final_activation)
    view = logits_model(network)
    model = _EpochModel(view.input, view.output, name=view.name)
    model.compile(
        optimizer=_optimizer(config),
        loss=build_loss(section.loss, section.final_activation),
        metrics=list(metrics),
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)
    return Learner(network, model, tuple(metrics))


def _optimizer(config: Config) -> Any:
    makers = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
    make = makers[config.model.optimizer.lower()]
    return make(learning_rate=config.model.learning_rate, clipvalue=config.model.clipvalue)
