"""One pass over the slices of a split: loss and metrics at the model's size, masks at the files' own size."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from spleenseg.datasets.slices import SliceSet
from spleenseg.datasets.targets import hard_target
from spleenseg.inference.engine import Floats
from spleenseg.inference.keras_engine import KerasEngine
from spleenseg.inference.labels import labels_of
from spleenseg.inference.predictor import at_size
from spleenseg.metrics import histogram
from spleenseg.metrics.calibration import BINS, Histogram, empty_histogram, levels
from spleenseg.models.run_folder import Trained
from spleenseg.progress import Reporter

Labels = npt.NDArray[np.uint8]
_FAST = 1


@dataclass(frozen=True)
class Packed:
    """A label map (or levels), compressed: masks of whole cohorts stay in memory until their case is complete."""

    data: bytes
    shape: tuple[int, int]

    @classmethod
    def of(cls, labels: Labels) -> Packed:
        """Compress uint8 [H, W]."""
        return cls(zlib.compress(np.ascontiguousarray(labels).data, _FAST), (labels.shape[0], labels.shape[1]))

    def unpacked(self) -> Labels:
        """Return uint8 [H, W]."""
        return np.frombuffer(zlib.decompress(self.data), np.uint8).reshape(self.shape)


@dataclass(frozen=True)
class Pass:
    """What one pass found.

    Attributes:
        figures: "loss" and each metric of `[model] metrics`, over all slices, at the model's size.
        truth: label map of each slice, at its file's own size, in the order of `SliceSet.files`.
        found: the predicted one.
        histograms: by case and label value: its voxels by probability (`metrics.histogram`).
        levels: where they were asked for, each slice's probability by its bin of a histogram; of one organ only.
    """

    figures: dict[str, float]
    truth: tuple[Packed, ...]
    found: tuple[Packed, ...]
    histograms: Mapping[tuple[str, int], Histogram]
    levels: tuple[Packed, ...] = ()

    def cut_at(self, threshold: float) -> Pass:
        """Return the pass with masks cut at another threshold, a whole hundredth; needs `levels`.

        Without them it is the same: several labels are told apart without a threshold.
        """
        place = round(threshold * BINS)
        cut = tuple(Packed.of((packed.unpacked() >= place).astype(np.uint8)) for packed in self.levels)
        return replace(self, found=cut or self.found)


def predict_all(
    trained: Trained,
    slices: SliceSet,
    threshold: float,
    batch_size: int,
    reporter: Reporter,
    *,
    keep_levels: bool = False,
) -> Pass:
    """Predict every slice once, as it is.

    Args:
        trained: the model; its config names loss and metrics.
        slices: the split.
        threshold: see `labels_of`.
        batch_size: slices predicted at once.
        reporter: shows progress.
        keep_levels: whether masks at other thresholds may be asked for (`Pass.cut_at`).
    """
    config, tally = trained.config, _Tally(trained.config)
    truths, masks, graded = [], [], []
    histograms: dict[tuple[str, int], Histogram] = defaultdict(empty_histogram)
    engine = KerasEngine(_with_logits(trained.model), batch_size)
    with reporter.task("evaluating slices", len(slices)) as task:
        for part in _parts(len(slices), batch_size):
            both = engine.probabilities(_images(slices, part))
            logits, probabilities = np.split(both, 2, axis=-1)
            tally.add(np.stack([hard_target(slices.labels(i), config.model.num_classes) for i in part]), logits)
            for index, found in zip(part, probabilities, strict=True):
                truth = slices.native_labels(index)
                native = at_size(found, (truth.shape[0], truth.shape[1]), slices.step(index))
                truths.append(Packed.of(truth))
                masks.append(Packed.of(labels_of(native, threshold)))
                if keep_levels and native.shape[-1] == 1:
                    graded.append(Packed.of(levels(native[..., 0])))
                _count(histograms, slices.files[index].case, native, truth)
            task.advance(len(part))
    return Pass(tally.figures(), tuple(truths), tuple(masks), dict(histograms), tuple(graded))


def _count(histograms: dict[tuple[str, int], Histogram], case: str, found: Floats, truth: Labels) -> None:
    """Add a slice to its case's histograms: of the organ, or with several channels of each but the background."""
    for value in [1] if found.shape[-1] == 1 else range(1, found.shape[-1]):
        histograms[case, value] += histogram(found[..., value if found.shape[-1] > 1 else 0], truth == value)


class _Tally:
    """Loss and metrics over all batches: the loss weighted by slices, the metrics over all pixels."""

    def __init__(self, config: Any) -> None:
        from spleenseg.training.keras_metrics import build_metrics
        from spleenseg.training.losses import build_loss

        model = config.model
        self._loss = build_loss(model.loss, model.final_activation, model.batch_dice)
        self._metrics = build_metrics(model.metrics, model.num_classes, model.final_activation)
        self._sum, self._count = 0.0, 0

    def add(self, targets: Floats, logits: Floats) -> None:
        self._sum += float(self._loss(targets, logits)) * len(targets)
        self._count += len(targets)
        for metric in self._metrics:
            metric.update_state(targets, logits)

    def figures(self) -> dict[str, float]:
        values = {metric.name: float(metric.result()) for metric in self._metrics}
        return {"loss": self._sum / self._count, **values}


def _with_logits(model: Any) -> Any:
    """Return a view of `model` whose output is [N, H, W, 2K]: logits, then probabilities."""
    import keras

    logits = model.get_layer("logits").output
    return keras.Model(model.inputs, keras.layers.Concatenate(dtype="float32")([logits, model.outputs[0]]))


def _parts(count: int, size: int) -> Iterator[range]:
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def _images(slices: SliceSet, part: range) -> Floats:
    return np.stack([slices.image(index) for index in part]).astype(np.float32)
