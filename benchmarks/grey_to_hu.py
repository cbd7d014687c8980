"""HU of CT slices that were stored as pictures whose grey values were scaled image by image.

Two greys of a slice are known tissues: the air around the patient (-1000 HU) and fat (-105 HU). All others lie on the
line through them. Air is the commonest grey outside of the body within the circle that a scanner reconstructs. Fat is
found together with soft tissue: of all pairs of peaks in the body's histogram whose distances from air are in the
proportion of fat and soft tissue, the highest. No model plays a part in it.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

AIR_HU, FAT_HU = -1000.0, -105.0
SOFT_HU = (0.0, 135.0)
"""Where soft tissue lies: from bowel and muscle without contrast to liver and spleen with it."""
_CIRCLE = 0.48  # radius, of the side
_STEP = 0.25  # greys
_LEAST_PEAK = 0.15  # of the highest
_LEAST_CONTRAST = 30  # greys from air to fat
Pixels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.float64]


def hu_of(grey: Pixels) -> npt.NDArray[np.int16]:
    """Return the HU of a slice, int16 [y, x], of its greys, uint8 [y, x].

    Raises:
        ValueError: there is no body in it, or no fat and soft tissue.
    """
    air, fat = landmarks(grey)
    slope = (FAT_HU - AIR_HU) / (fat - air)
    return np.rint(np.clip(AIR_HU + slope * (grey - air), -1024, 3071)).astype(np.int16)


def landmarks(grey: Pixels) -> tuple[float, float]:
    """Return the greys of air and of fat."""
    body = body_of(grey)
    outside = _circle(grey.shape) & ~body
    air = float(np.bincount(grey[outside], minlength=256).argmax())
    greys = np.arange(air, 256, _STEP)
    histogram = _histogram(grey[body], greys)
    peaks = np.where(_is_peak(histogram), histogram, 0)
    fats = np.where(greys > air + _LEAST_CONTRAST, peaks, 0)
    joint = np.sqrt(fats * _highest_soft(peaks, greys, air))
    if not joint.any():  # one broad hump of soft tissue, or one peak
        joint = np.sqrt(fats * _highest_soft(histogram, greys, air))
    if not joint.any():
        raise ValueError("no peaks of fat and soft tissue in this slice")
    return air, float(greys[joint.argmax()])


def body_of(grey: Pixels) -> npt.NDArray[np.bool_]:
    """Return the body, bool [y, x]: the largest piece of what is brighter than halfway from air to tissue.

    Raises:
        ValueError: there is none.
    """
    inside = _circle(grey.shape)
    level, _ = cv2.threshold(grey[inside].reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    bright = ((grey > level) & inside).astype(np.uint8)
    bright = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, pieces, facts, _ = cv2.connectedComponentsWithStats(bright, connectivity=4)
    if count < 2:
        raise ValueError("no body in this slice")
    outline = (pieces == 1 + facts[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)
    found, _ = cv2.findContours(outline, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(outline), found, -1, 1, cv2.FILLED)
    return filled.astype(bool)


def _circle(shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    y, x = np.mgrid[-0.5 : 0.5 : shape[0] * 1j, -0.5 : 0.5 : shape[1] * 1j]
    return np.asarray(np.hypot(x, y) < _CIRCLE)


def _histogram(values: Pixels, greys: Numbers) -> Numbers:
    """Return how often greys occur, smoothed over about three of them and read off between whole ones."""
    counts = np.bincount(values, minlength=256).astype(np.float64)
    smooth = cv2.GaussianBlur(counts[None], (0, 0), 1.2, borderType=cv2.BORDER_REPLICATE)[0]
    return np.interp(greys, np.arange(256), smooth)


def _highest_soft(counts: Numbers, greys: Numbers, air: float) -> Numbers:
    """Return, for each grey taken as fat, the highest count where soft tissue would then lie."""
    low, high = ((value - AIR_HU) / (FAT_HU - AIR_HU) for value in SOFT_HU)
    found = np.zeros_like(counts)
    for index, distance in enumerate(greys - air):
        near = counts[(greys - air >= low * distance) & (greys - air <= high * distance)]
        found[index] = near.max(initial=0)
    return found


def _is_peak(histogram: Numbers) -> npt.NDArray[np.bool_]:
    """Tell where a local maximum lies that is no ripple."""
    left, right = np.roll(histogram, 1), np.roll(histogram, -1)
    peak = (histogram >= left) & (histogram >= right) & (histogram > _LEAST_PEAK * histogram.max())
    peak[[0, -1]] = False
    return np.asarray(peak)
