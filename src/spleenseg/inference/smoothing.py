"""Probabilities smoothed in millimetres before the threshold, slice by slice as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from math import ceil

import cv2
import numpy as np

from spleenseg.inference.engine import Floats
from spleenseg.inference.labels import HALF

_LEAST = 1e-6
_REACH = 3.0  # standard deviations


@dataclass(frozen=True)
class Smoothing:
    """A Gaussian in three dimensions.

    Attributes:
        mm: its standard deviation.
        spacing: of the voxels, (x, y, z) in mm.
        threshold: of one organ. Odds are divided by its odds before, and multiplied by them afterwards: a sharp edge
            stays in its place at any threshold, where plain smoothing would move it inwards at a high one.
    """

    mm: float
    spacing: tuple[float, float, float]
    threshold: float = HALF

    @property
    def weights(self) -> Floats:
        """What the slices of each output weigh, from the lowest up; an odd number of them."""
        reach = ceil(_REACH * self.mm / self.spacing[2])
        steps = np.arange(-reach, reach + 1) * self.spacing[2] / self.mm
        return np.asarray(np.exp(-0.5 * steps**2), np.float32)

    def apply(self, slices: Iterable[Floats]) -> Iterator[Floats]:
        """Yield as many slices, float32 [y, x, K]; no more of them are held than `weights` are.

        What lies outside of the scan weighs nothing across slices and repeats the edge within them, so that a
        constant stays what it is.
        """
        weights = self.weights
        held: deque[Floats | None] = deque(maxlen=len(weights))
        outside = len(weights) // 2
        for plane in chain(repeat(None, outside), map(self._in_plane, slices), repeat(None, outside)):
            held.append(plane)
            if len(held) == len(weights):
                yield self._shifted(_mean(held, weights), 1 - self.threshold)

    def _in_plane(self, plane: Floats) -> Floats:
        x, y, _ = self.spacing
        shifted = np.ascontiguousarray(self._shifted(plane, self.threshold))
        blurred = cv2.GaussianBlur(shifted, (0, 0), self.mm / x, sigmaY=self.mm / y, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(blurred, np.float32).reshape(plane.shape)

    def _shifted(self, plane: Floats, zero: float) -> Floats:
        """Divide the odds of one organ by those of `zero`; of several labels the likeliest wins, at no threshold."""
        if self.threshold == HALF or plane.shape[-1] > 1:
            return plane
        share = np.float32(np.clip(zero, _LEAST, 1 - _LEAST))
        inside, outside = plane * (1 - share), (1 - plane) * share
        return np.asarray(inside / (inside + outside), np.float32)


def _mean(planes: Sequence[Floats | None] | deque[Floats | None], weights: Floats) -> Floats:
    present = [(plane, weight) for plane, weight in zip(planes, weights, strict=True) if plane is not None]
    total = np.float32(sum(weight for _, weight in present))
    found = np.zeros_like(present[0][0])
    for plane, weight in present:
        found += plane * (weight / total)
    return found
