"""Metrics of a whole epoch: pixels are counted as the batches go by, and divided once at the end.

The mean of batch figures is not the figure of the epoch (a batch without the organ would weigh as much as one
full of it). Predictions and targets are both made hard first: targets at 0.5; predictions at a probability of
0.5 or, with softmax, at the most probable label. With K > 1 channels channel 0 is the background, and a figure
is the mean over the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from spleenseg.errors import UserError, did_you_mean

Tensor = Any
Figure = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
_CARRY = 2.0**22


def build_metrics(
    names: Sequence[str], num_classes: int = 1, final_activation: str = "sigmoid", from_logits: bool = True
) -> list[Any]:
    """Return metrics by their names in the config, as `keras.Model.compile(metrics=...)` takes them.

    Args:
        names: of `registry.METRICS`.
        num_classes: channels K.
        final_activation: "sigmoid" or "softmax".
        from_logits: whether predictions are logits or already probabilities.

    Raises:
        UserError: there is none of a name.
    """
    for name in names:
        if name not in _FIGURES:
            raise UserError(f"no metric '{name}'{did_you_mean(name, _FIGURES)}; accepted: {', '.join(_FIGURES)}")
    exclusive = final_activation == "softmax" and num_classes > 1
    threshold = 0.0 if from_logits else 0.5
    return [PixelMetric(name, num_classes, exclusive, threshold) for name in names]


class PixelMetric(keras.metrics.Metric):  # type: ignore[misc]
    """One figure from the true and false positives and negatives of all pixels since the last reset.

    Float32 stops counting ones at 2 ** 24, and whole numbers of 64 bits are not to be had on every backend: so
    a count is kept in two float32 parts, ones and carries, which are exact up to 2 ** 46 pixels.

    Args:
        name: one of `registry.METRICS`.
        num_classes: channels K.
        exclusive: a pixel has the one label of its highest prediction; else each channel decides for itself.
        threshold: the prediction from which on a channel decided for itself is on.
    """

    def __init__(self, name: str, num_classes: int, exclusive: bool, threshold: float) -> None:
        super().__init__(name=name, dtype="float32")
        self.figure, self.exclusive, self.threshold = _FIGURES[name], exclusive, threshold
        self.ones = self.add_weight(shape=(4, num_classes), initializer="zeros", name="ones")
        self.carries = self.add_weight(shape=(4, num_classes), initializer="zeros", name="carries")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: None = None) -> None:
        """Count one batch: targets in [0, 1] and predictions, both [N, H, W, K]."""
        truth = ops.cast(ops.cast(y_true, "float32") >= 0.5, "float32")
        total = self.ones + _counts(truth, self._decided(ops.cast(y_pred, "float32")))
        carried = ops.floor(total / _CARRY)
        self.ones.assign(total - carried * _CARRY)
        self.carries.assign(self.carries + carried)

    def result(self) -> Tensor:
        """Return the figure over everything counted since the last reset, float32 scalar."""
        tp, fp, fn, tn = ops.unstack(self.carries * _CARRY + self.ones, num=4, axis=0)
        if self.exclusive and self.figure is _accuracy:
            return _share(ops.sum(tp), ops.sum(tp + fn))
        figure = self.figure(tp, fp, fn, tn)
        return ops.mean(figure[1:] if figure.shape[0] > 1 else figure)

    def _decided(self, predictions: Tensor) -> Tensor:
        """Return 1 where a channel's label is predicted, else 0."""
        if self.exclusive:
            return ops.one_hot(ops.argmax(predictions, axis=-1), predictions.shape[-1], dtype="float32")
        return ops.cast(predictions >= self.threshold, "float32")


def _counts(truth: Tensor, found: Tensor) -> Tensor:
    """Return true positives, false positives, false negatives, true negatives by channel: [4, K]."""
    area = (0, 1, 2)
    tp = ops.sum(truth * found, axis=area)
    fp = ops.sum(found, axis=area) - tp
    fn = ops.sum(truth, axis=area) - tp
    tn = ops.sum(ops.ones_like(truth), axis=area) - tp - fp - fn
    return ops.stack([tp, fp, fn, tn])


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """Divide; nothing of nothing is all of it."""
    return ops.where(whole > 0, part / ops.maximum(whole, 1.0), 1.0)


def _dice(tp: Tensor, fp: Tensor, fn: Tensor, tn: Tensor) -> Tensor:
    return _share(2 * tp, 2 * tp + fp + fn)


def _iou(tp: Tensor, fp: Tensor, fn: Tensor, tn: Tensor) -> Tensor:
    return _share(tp, tp + fp + fn)


def _sensitivity(tp: Tensor, fp: Tensor, fn: Tensor, tn: Tensor) -> Tensor:
    return _share(tp, tp + fn)


def _specificity(tp: Tensor, fp: Tensor, fn: Tensor, tn: Tensor) -> Tensor:
    return _share(tn, tn + fp)


def _precision(tp: Tensor, fp: Tensor, fn: Tensor, tn: Tensor) -> Tensor:
    return _share(tp, tp + fp)


def _accuracy(tp: Tensor, fp: Tensor, fn: Tensor, tn: Tensor) -> Tensor:
    return _share(tp + tn, tp + fp + fn + tn)


_FIGURES: dict[str, Figure] = {
    "dice_coef": _dice,
    "iou_coef": _iou,
    "sensitivity": _sensitivity,
    "specificity": _specificity,
    "precision": _precision,
    "binary_accuracy": _accuracy,
}
