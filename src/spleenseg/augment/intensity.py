"""Operations on grey values: they change the image and never its mask. Images are 0..255."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from spleenseg.augment.warp import Image

WHITE = 255.0


class Intensity(Protocol):
    """Parameters of one grey-value operation; hashable and replayable."""

    def __call__(self, image: Image) -> Image:
        """Return the changed image: same shape and type, values 0..255."""


@dataclass(frozen=True)
class Sharpen:
    """Add `k` times the difference between a pixel and each of its eight neighbours."""

    k: float

    def __call__(self, image: Image) -> Image:
        """Return the sharpened image."""
        kernel = np.full((3, 3), -self.k, np.float32)
        kernel[1, 1] = 1.0 + 8.0 * self.k
        sharp = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)
        return like(sharp, image)


@dataclass(frozen=True)
class Brighten:
    """Map a value v to `alpha` · v + `beta`, black and white included."""

    alpha: float
    beta: float

    def __call__(self, image: Image) -> Image:
        """Return the brightened image."""
        return like(image.astype(np.float32) * np.float32(self.alpha) + np.float32(self.beta), image)


def like(values: NDArray[Any], image: Image) -> Image:
    """Give computed values the shape, type and range 0..255 of `image`."""
    values = np.clip(values.reshape(image.shape), 0, WHITE)
    return np.rint(values).astype(np.uint8) if image.dtype == np.uint8 else values.astype(image.dtype)
