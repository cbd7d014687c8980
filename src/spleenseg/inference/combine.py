"""Several answers about the same slices become one: by the mean of their logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spleenseg.datasets.manifest import Expectation
from spleenseg.datasets.millimetres import PixelSize
from spleenseg.inference.engine import HU, Floats
from spleenseg.inference.labels import labels_of
from spleenseg.inference.memory import NetworkMemory
from spleenseg.inference.predictor import Pixels, Predictor
from spleenseg.inference.record import Record

_LEAST = np.float32(1e-6)  # probability; a network that is certain does not outvote all others


@dataclass(frozen=True)
class Combined:
    """A model whose answers are made of several; see `predictor.SliceModel`.

    Attributes:
        members: the models; labels and looks are the same of all.
        answer: int16 HU [N, S, H, W] and the size of a pixel -> float32 [N, H, W, K], see `HuEngine.of_hu`.
        views: how often each is asked for a slice.
        threshold: see `labels_of`.
        settings: fingerprint of all that decides a label.
        record: what is known of them together.
        memory: what they take beside the scan, all together.
    """

    members: Sequence[Predictor]
    answer: Callable[[HU, PixelSize | None], Floats]
    threshold: float
    settings: str
    record: Record
    memory: NetworkMemory
    views: int = 1

    @property
    def first(self) -> Predictor:
        """One of the models."""
        return self.members[0]

    @property
    def expectation(self) -> Expectation:
        """How slices must look."""
        return self.first.expectation

    @property
    def batch_size(self) -> int:
        """Slices predicted at once."""
        return self.first.batch_size

    @property
    def names(self) -> dict[str, int]:
        """Label name -> value in label maps."""
        return self.first.names

    def expect(self, slices: int, batch_size: int) -> None:
        """See `Engine.expect`."""
        for member in self.members:
            member.expect(self.views * slices, batch_size)

    def of_hu(self, stacks: HU, size: PixelSize | None = None) -> Floats:
        """See `HuEngine.of_hu`."""
        return self.answer(stacks, size)

    def labels(self, probabilities: Floats) -> Pixels:
        """Decide the label of every pixel, uint8 [...] from [..., K]; an organ alone is 1."""
        return labels_of(probabilities, self.threshold)

    def values(self, labels: Pixels) -> Pixels:
        """Return labels as label maps hold them."""
        return self.first.values(labels)


class LogitMean:
    """The weighted mean of the logits of probabilities, taken in one after the other.

    One organ: log(p / (1 - p)). Several labels: log(p), and the softmax of the mean.
    """

    def __init__(self) -> None:
        self._sum: Floats | None = None
        self._weight: Floats | np.float32 = np.float32(0)

    def add(self, logits: Floats, weight: Floats | float = 1.0) -> None:
        """Take in `logits_of` probabilities, [..., K]; weights have a shape that goes with theirs."""
        share = np.asarray(weight, np.float32)
        added = logits * share
        self._sum = added if self._sum is None else self._sum + added
        self._weight = self._weight + share

    def probabilities(self) -> Floats:
        """Return the probabilities of the mean, float32 [..., K].

        Raises:
            ValueError: nothing was taken in.
        """
        if self._sum is None:
            raise ValueError("the mean of nothing")
        mean = self._sum / self._weight
        if mean.shape[-1] == 1:
            return np.asarray(1 / (1 + np.exp(-mean)), np.float32)
        raised = np.exp(mean - mean.max(axis=-1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=-1, keepdims=True), np.float32)


def mean_threshold(thresholds: Sequence[float]) -> float:
    """Return the threshold of the mean logit; that of all where they have the same."""
    if len(set(thresholds)) == 1:
        return thresholds[0]
    logits = [float(np.log(value / (1 - value))) for value in np.clip(thresholds, _LEAST, 1 - _LEAST)]
    return float(1 / (1 + np.exp(-np.mean(logits))))


def logits_of(probabilities: Floats) -> Floats:
    """Return the logits of probabilities [..., K], of several labels their logarithms; certainty is kept finite."""
    if probabilities.shape[-1] == 1:
        certain = np.clip(probabilities, _LEAST, 1 - _LEAST)
        return np.asarray(np.log(certain / (1 - certain)), np.float32)
    return np.asarray(np.log(np.maximum(probabilities, _LEAST)), np.float32)
