"""The network and its learner: optimiser, loss and metrics as the config says, compiled once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from spleenseg.config import Config
from spleenseg.models.build import build_model, logits_model, side_weights
from spleenseg.training.determinism import use_deterministic_operations
from spleenseg.training.devices import use_devices
from spleenseg.training.ema import WeightAverage
from spleenseg.training.keras_metrics import build_metrics
from spleenseg.training.losses import Loss, build_loss
from spleenseg.training.losses.boundary import with_distances
from spleenseg.training.precision import resolve_precision
from spleenseg.training.registry import loss_name, metric_names

Tensor = Any
_NOT_DECAYED = ("bias", "gamma", "beta")  # there is nothing to be had from making these small


class _EpochModel(keras.Model):  # type: ignore[misc]
    """Logits that learn from a loss, and whose figures run on from batch to batch until `Learner.begin_epoch`.

    Keras 3.15 resets them inside `train_on_batch` and `test_on_batch`, so that a log would tell of the last batch
    alone. With several outputs (deep supervision) all of them learn; validation and metrics see the first, which
    is the network's own.
    """

    def learn_by(self, loss: Loss, weights: tuple[float, ...], classes: int) -> None:
        """Set what is learnt; call before `compile`.

        Args:
            loss: of targets and logits.
            weights: how much each output counts in it.
            classes: channels of the targets that metrics compare with; those behind them are the loss's.
        """
        self._pixel_loss, self._shares, self._classes = loss, [w / sum(weights) for w in weights], classes

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: None = None,
        training: bool = True,
    ) -> Tensor:
        """Return the loss: in training the weighted mean over the outputs, else that of the first."""
        outputs = _listed(y_pred)
        if not training:
            return self._pixel_loss(y, outputs[0])
        return sum(share * self._pixel_loss(y, output) for share, output in zip(self._shares, outputs, strict=True))

    def compute_metrics(self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: None = None) -> Any:
        """Count the first output against the targets."""
        return super().compute_metrics(x, y[..., : self._classes], _listed(y_pred)[0], sample_weight)

    def reset_metrics(self) -> None:
        """Keep counting: only `Learner.begin_epoch` starts anew."""


def _listed(outputs: Tensor) -> list[Tensor]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


@dataclass(frozen=True)
class Learner:
    """A network and what trains it: two Keras models over the same weights.

    Attributes:
        network: ends in probabilities; its weights are what is kept.
        model: ends in logits, with deep supervision also those made on the way; compiled with optimiser, loss
            and metrics.
        metrics: those of the config, in its order.
        distant: whether the loss compares with distances as well.
        average: the weights that are judged and kept, if not the network's own: `[train] ema` and `start_share`.
        devices: what computes, by the backend's names.
    """

    network: Any
    model: Any
    metrics: tuple[Any, ...]
    distant: bool
    average: WeightAverage
    devices: tuple[str, ...]

    def train_on(self, images: Tensor, targets: Tensor) -> dict[str, float]:
        """Take a step; return the figures since `begin_epoch`.

        Args:
            images: float32 [B, H, W, C], values 0..255.
            targets: float32 [B, H, W, K].
        """
        return _floats(self.model.train_on_batch(images, self._extended(targets), return_dict=True))

    def test_on(self, images: Tensor, targets: Tensor) -> dict[str, float]:
        """Return the figures since `begin_epoch`, this batch among them; nothing is learnt."""
        return _floats(self.model.test_on_batch(images, self._extended(targets), return_dict=True))

    def set_rate(self, rate: float) -> None:
        """Take the steps to come at this learning rate."""
        self.model.optimizer.learning_rate = float(rate)

    def is_finite(self) -> bool:
        """Whether every weight of the network is a number."""
        return all(np.isfinite(keras.ops.convert_to_numpy(variable.value)).all() for variable in self.network.variables)

    def begin_epoch(self) -> None:
        """Start counting figures anew.

        Keras resets only what a first batch has made known to it: not the sums a checkpoint has brought before.
        """
        for metric in self._sums():
            metric.reset_state()

    def figures(self) -> dict[str, float]:
        """Return the figures since `begin_epoch`, also where a checkpoint brought them."""
        return _floats({metric.name: metric.result() for metric in self._sums()})

    def variables(self) -> list[Any]:
        """Return every variable a checkpoint holds: weights, dropout seeds, optimiser slots, running sums, the
        moving average, the start.

        Side heads of deep supervision belong to the learner alone, and come after the network's own.
        """
        own = self.network.variables
        known = {id(variable) for variable in own}
        sides = [v for layer in self.model.layers for v in layer.variables if id(v) not in known]
        sums = [variable for metric in self._sums() for variable in metric.variables]
        return [*own, *sides, *self.model.optimizer.variables, *sums, *self.average.averages, *self.average.start]

    def _sums(self) -> tuple[Any, ...]:
        return next(metric for metric in self.model.metrics if metric.name == "loss"), *self.metrics

    def _extended(self, targets: Tensor) -> Tensor:
        return with_distances(targets) if self.distant else targets


def build(config: Config) -> Learner:
    """Build and compile the network of a config.

    Everything random (initial weights, dropout) follows from `[train] seed`.
    """
    if config.train.deterministic:
        use_deterministic_operations()
    devices = use_devices(config.train.devices, config.train.batch_size)
    keras.utils.set_random_seed(config.train.seed)
    section, precision = config.model, resolve_precision(config.train.precision)
    network = build_model(section, precision)
    metrics = build_metrics(metric_names(config), section.num_classes, section.final_activation)
    view = logits_model(network, section.deep_supervision)
    model = _EpochModel(view.input, view.output, name=view.name)
    loss = build_loss(section.loss, section.final_activation, section.batch_dice)
    model.learn_by(loss, side_weights(network), section.num_classes)
    model.compile(optimizer=_optimizer(config, precision), metrics=list(metrics), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    average = WeightAverage(network.weights, config.train.ema, config.train.start_share)
    return Learner(network, model, tuple(metrics), loss_name(section.loss) == "boundary_loss", average, devices)


def _optimizer(config: Config, precision: str) -> Any:
    """Return the optimiser; in float16 it scales the loss, or small gradients would vanish."""
    section = config.model
    rate = float(section.learning_rate)  # Keras refuses a whole number
    clipping = {"clipvalue": section.clipvalue} if section.clipnorm is None else {"global_clipnorm": section.clipnorm}
    if section.optimizer.lower() == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=section.weight_decay, **clipping)
        optimizer.exclude_from_weight_decay(var_names=list(_NOT_DECAYED))
    else:
        optimizer = keras.optimizers.Adam(rate, **clipping)
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "float16" else optimizer


def _floats(logs: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in logs.items()}
