"""What differs between scanners and protocols, beyond grey values: noise, sharpness, resolution, shading."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from spleenseg.augment.tone import plus
from spleenseg.augment.warp import SCRATCH, Image

_SHADING_NODES, _SHADING_FINE = 4, 32  # a side: a slow change, no texture


def _gaussian_quantiles() -> NDArray[np.float32]:
    """Return 256 equally likely values of a Gaussian whose sums of two have variance 1."""
    normal = NormalDist()
    values = np.array([normal.inv_cdf((place + 0.5) / 256) for place in range(256)])
    return np.asarray(values / values.std() / math.sqrt(2.0), np.float32)


_QUANTILES = _gaussian_quantiles()


@dataclass(frozen=True)
class Noise:
    """Add Gaussian noise where the value is neither 0 nor 255: air stays black, whatever its noise.

    Attributes:
        sigma: standard deviation in grey values.
        seed: of the noise.
        shared: all channels get the same, as in a grey image shown in colour; else each its own.
        grain: pixels from one independent value to the next, at least 1: more than 1 in a scan of wide voxels that was
            enlarged, whose noise is as coarse as its voxels.
    """

    sigma: float
    seed: int
    shared: bool = True
    grain: float = 1.0

    def __call__(self, image: Image) -> Image:
        """Return the noisy image."""
        height, width, channels = image.shape
        if self.shared:
            return plus(image, _for_every_channel(self._grained((height, width)), channels))
        if self.grain == 1.0:
            return plus(image, self._noise((height, width * channels)))
        each = [replace(self, seed=self.seed + k)._grained((height, width)).copy() for k in range(channels)]
        return plus(image, np.stack(each, axis=-1).reshape(height, -1))

    def _grained(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Draw noise of `grain`: fewer values, brought to the size by cubic interpolation, to the same deviation."""
        if self.grain == 1.0:
            return self._noise(shape)
        coarse = self._noise((math.ceil(shape[0] / self.grain), math.ceil(shape[1] / self.grain)))
        fine = cv2.resize(coarse, shape[::-1], dst=SCRATCH.get("grain", shape), interpolation=cv2.INTER_CUBIC)
        fine *= np.float32(self.sigma / max(float(fine.std()), 1e-6))
        return np.asarray(fine)

    def _noise(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Sum two draws from a table of a Gaussian's quantiles: 65,536 values up to four sigmas."""
        drawn = np.random.default_rng(self.seed).bytes(2 * shape[0] * shape[1])
        one, other = np.frombuffer(drawn, np.uint8).reshape(2, *shape)
        table = _QUANTILES * np.float32(self.sigma)
        noise, more = (SCRATCH.get(name, shape) for name in ("noise", "more noise"))
        cv2.LUT(one, table, dst=noise)
        cv2.LUT(other, table, dst=more)
        cv2.add(noise, more, dst=noise)
        return noise


@dataclass(frozen=True)
class Blur:
    """Smooth by a Gaussian of standard deviation `sigma` in pixels."""

    sigma: float

    def __call__(self, image: Image) -> Image:
        """Return the smoothed image."""
        if self.sigma <= 0.0:
            return image.copy()
        return np.asarray(_smoothed(image, self.sigma)).reshape(image.shape)


@dataclass(frozen=True)
class LowResolution:
    """Show the image as if it had been taken with `factor` times the pixels a side, at most 1.

    Before pixels are left out the image is smoothed as much as wider pixels would: nothing is aliased.
    """

    factor: float

    def __call__(self, image: Image) -> Image:
        """Return the coarser image at its old size."""
        height, width = image.shape[:2]
        small = max(1, round(width * self.factor)), max(1, round(height * self.factor))
        if small == (width, height):
            return image.copy()
        smooth = _smoothed(image, 0.5 * math.sqrt(self.factor**-2 - 1.0))
        coarse = cv2.resize(smooth, small, interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)).reshape(image.shape)


@dataclass(frozen=True)
class Shading:
    """Change the attenuation slowly across the slice, as beam hardening and cupping do.

    A pixel of attenuation a (proportional to HU + 1000) becomes a · (1 + b), |b| <= `strength`.

    Attributes:
        strength: the largest |b|.
        floor: grey values from air (-1000 HU) up to the window's floor.
        seed: of the field b.
    """

    strength: float
    floor: float
    seed: int

    def __call__(self, image: Image) -> Image:
        """Return the shaded image."""
        height, width, channels = image.shape
        share = _for_every_channel(self._field(height, width), channels)
        flat = _flat(image)
        attenuation = cv2.add(flat, self.floor, dst=SCRATCH.get("attenuation", flat.shape), dtype=cv2.CV_32F)
        return plus(image, cv2.multiply(attenuation, share, dst=attenuation))

    def _field(self, height: int, width: int) -> NDArray[np.float32]:
        nodes = np.random.default_rng(self.seed).uniform(-1, 1, (_SHADING_NODES, _SHADING_NODES)).astype(np.float32)
        smooth = cv2.resize(nodes, (_SHADING_FINE, _SHADING_FINE), interpolation=cv2.INTER_CUBIC)
        smooth *= np.float32(self.strength / float(np.abs(smooth).max()))
        field = SCRATCH.get("shading", (height, width))
        cv2.resize(smooth, (width, height), dst=field, interpolation=cv2.INTER_LINEAR)
        return field


def _smoothed(image: Image, sigma: float) -> Image:
    kernel = cv2.getGaussianKernel(2 * math.ceil(3 * sigma) + 1, sigma)
    return np.asarray(cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE))


def _flat(image: Image) -> Image:
    """Show [H, W, C] as [H, W · C]: OpenCV then takes any number of channels."""
    return image.reshape(len(image), -1)


def _for_every_channel(plane: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Repeat [H, W] for the pixels of [H, W · C]."""
    if channels == 1:
        return plane
    return _flat(cv2.merge([plane] * channels, dst=SCRATCH.get("every channel", (*plane.shape, channels))))
