"""Grey values mapped one by one: shifts and factors of HU, other windows, contrast, gamma.

A slice shows a window (low, high) of HU as 0..255, so one HU is 255 / (high - low) grey values. What is 0 or
255 lies at the window's end or anywhere beyond it. How far is no longer known, so these values stay where
they are: air does not turn grey because the scanner reads 10 HU more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from spleenseg.augment.intensity import WHITE, like
from spleenseg.augment.warp import SCRATCH, Image

Curve = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Window:
    """The HU that a slice shows as 0 and as 255."""

    low: float
    high: float

    @property
    def per_hu(self) -> float:
        """Grey values a HU."""
        return WHITE / (self.high - self.low)


@dataclass(frozen=True)
class Linear:
    """Map a value v to `factor` · v + `offset`."""

    factor: float
    offset: float

    def __call__(self, image: Image) -> Image:
        """Return the mapped image."""
        return mapped(image, lambda v: v * np.float32(self.factor) + np.float32(self.offset))


def rescaled_hu(window: Window, factor: float, shift: float) -> Linear:
    """Return what a scanner that reads `factor` · HU + `shift` makes of a slice seen through `window`."""
    return Linear(factor, ((factor - 1.0) * window.low + shift) * window.per_hu)


def other_window(window: Window, low: float, high: float) -> Linear:
    """Return what shows a slice as if its window began `low` HU and ended `high` HU further up.

    Raises:
        ValueError: nothing would be left of the window.
    """
    width = window.high - window.low
    shown = width + high - low
    if shown <= 0:
        raise ValueError(f"a window of {width:g} HU cannot begin {low:g} HU and end {high:g} HU further up")
    return Linear(width / shown, -WHITE * low / shown)


@dataclass(frozen=True)
class Contrast:
    """Stretch values by `factor` about the mean of all that is above the window's floor."""

    factor: float

    def __call__(self, image: Image) -> Image:
        """Return the stretched image."""
        flat = image.reshape(image.shape[0], -1)
        middle = np.float32(cv2.sumElems(flat)[0] / max(1, cv2.countNonZero(flat)))
        return mapped(image, lambda v: (v - middle) * np.float32(self.factor) + middle)


@dataclass(frozen=True)
class Gamma:
    """Map a value v of 0..1 to v to the power of `exponent`: below 1 brightens the dark parts."""

    exponent: float

    def __call__(self, image: Image) -> Image:
        """Return the mapped image."""
        return mapped(image, lambda v: WHITE * np.power(v / np.float32(WHITE), np.float32(self.exponent)))


def mapped(image: Image, curve: Curve) -> Image:
    """Map every value but 0 and 255 by `curve`, which takes and gives grey values; bytes by a table."""
    if image.dtype != np.uint8:
        return keeping_ends(curve(image), image)
    grey = np.arange(256, dtype=np.uint8)[:, None]
    table = keeping_ends(curve(grey.astype(np.float32)), grey)
    return np.asarray(cv2.LUT(image, table)).reshape(image.shape)


def keeping_ends(values: NDArray[np.float32], image: Image) -> Image:
    """Give computed values the type and range of `image`, and its own values where those are 0 or 255."""
    if image.dtype != np.uint8:
        return np.where((image <= 0) | (image >= WHITE), image, like(values, image))
    return plus(image, values.reshape(len(image), -1) - image.reshape(len(image), -1))


def plus(image: Image, change: NDArray[np.float32]) -> Image:
    """Add a `change` [H, W · C] to an image [H, W, C] wherever it is neither 0 nor 255; rounds half to even."""
    if image.dtype != np.uint8:
        return keeping_ends(image + change.reshape(image.shape), image)
    flat = image.reshape(change.shape)
    changed, inside = (SCRATCH.get(name, change.shape, np.uint8) for name in ("changed", "inside"))
    cv2.add(flat, change, dst=changed, dtype=cv2.CV_8U)
    cv2.inRange(flat, 1, 254, dst=inside)
    return np.asarray(cv2.copyTo(changed, inside, flat.copy())).reshape(image.shape)
