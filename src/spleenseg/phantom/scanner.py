"""The scanner: field of view, table, blur, noise, and HU as whole numbers."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from spleenseg.phantom.grid import Array, Frame
from spleenseg.phantom.traits import Traits
from spleenseg.phantom.trunk import body_extent, table_place

_FINEST_PIXEL, _COARSEST_PIXEL = 0.6, 1.0  # mm, at 512 pixels
_FULL_SIZE = 512
_AIR = -1000.0
_BLUR_MM = 0.55
_LOWEST_HU, _HIGHEST_HU = -1024, 3071
_RECONSTRUCTED = 0.5  # radius of the reconstructed circle, of the side


def frame_of(traits: Traits, size: int, slices: int | None, rng: np.random.Generator) -> Frame:
    """Return the scan's grid: all of the body in the field of view, from the lung bases to the lower abdomen.

    Args:
        traits: the patient.
        size: pixels a side; the field of view does not depend on it.
        slices: number of slices, or None for as many as `traits.step` gives; the range does not depend on it.
        rng: where the patient's place on the table is drawn from.
    """
    half_width, front, back = body_extent(traits)
    view = np.clip(2 * half_width + 2 * traits.margin, _FINEST_PIXEL * _FULL_SIZE, _COARSEST_PIXEL * _FULL_SIZE)
    bottom, top = -traits.below * traits.build, traits.dome + traits.above
    count = slices or max(1, round((top - bottom) / traits.step))
    step = (top - bottom) / slices if slices else traits.step
    pixel = float(view) / size
    x = -view / 2 + pixel / 2 + rng.normal(0, 4)
    y = (front + back) / 2 + 8 - view / 2 + pixel / 2 + rng.normal(0, 4)
    return Frame(size, count, pixel, float(step), (float(x), float(y), float(bottom + step / 2)))


def add_table(hu: Array, frame: Frame, traits: Traits, rng: np.random.Generator) -> None:
    """Put the table under the patient, the same in all slices: a thin curved shell with a light core; in place."""
    x, y = np.meshgrid(frame.axis("x"), frame.axis("y"))
    width, sag = rng.uniform(200, 235), rng.uniform(8, 22)
    surface = table_place(traits) + rng.uniform(2, 9) - sag * (x / width) ** 2
    depth = y - surface
    thickness = 22 + 16 * np.sqrt(np.clip(1 - (x / width) ** 2, 0, 1))
    inside = np.minimum(np.minimum(depth, thickness - depth), width - np.abs(x))
    core = 75 * np.clip(inside / frame.pixel + 0.5, 0, 1)
    shell = 800 * np.exp(-((inside - 1) ** 2) / 1.6)
    table = (_AIR + core + shell).astype(np.float32)
    for plane in hu:
        np.copyto(plane, np.maximum(plane, table), where=plane < _AIR + 60)


def blur(hu: Array, frame: Frame) -> Array:
    """Average each slice over its thickness, and blur it in plane as the detector does."""
    count, layers = frame.slices, frame.layers
    mixed = hu.reshape(count, layers, *hu.shape[1:]).mean(axis=1) if layers > 1 else 0.75 * hu
    if layers == 1:
        mixed[1:] += 0.125 * hu[:-1]
        mixed[:-1] += 0.125 * hu[1:]
        mixed[0] += 0.125 * hu[0]
        mixed[-1] += 0.125 * hu[-1]
    sigma = max(_BLUR_MM / frame.pixel, 0.5)
    for plane in mixed:
        cv2.GaussianBlur(plane, (0, 0), sigma, dst=plane, borderType=cv2.BORDER_REPLICATE)
    return mixed


def add_noise(hu: Array, frame: Frame, traits: Traits, rng: np.random.Generator) -> None:
    """Add noise with the spectrum of a reconstructed slice, strongest in the middle of the body; in place."""
    half_width, front, back = body_extent(traits)
    thick = np.sqrt(half_width * (back - front) / 2) / 150
    level = traits.dose * np.sqrt(3 / frame.step) * thick**1.5
    map_ = (level * _noise_map(frame, half_width, (front + back) / 2)).astype(np.float32)
    fine, coarse = max(0.5 / frame.pixel, 0.35), max(1.5 / frame.pixel, 0.7)
    scale: float | None = None
    for plane in hu:
        white = rng.standard_normal(plane.shape, dtype=np.float32)
        grain = cv2.GaussianBlur(white, (0, 0), fine) - 0.75 * cv2.GaussianBlur(white, (0, 0), coarse)
        scale = scale or 1 / float(grain.std())
        plane += map_ * (grain * np.float32(scale))


def _noise_map(frame: Frame, half_width: float, middle: float) -> NDArray[np.float64]:
    x, y = np.meshgrid(frame.axis("x"), frame.axis("y"))
    inside = np.exp(-((x / half_width) ** 2) - ((y - middle) / (0.8 * half_width)) ** 2)
    result: NDArray[np.float64] = 0.45 + 0.75 * inside
    return result


def digitize(hu: Array, rng: np.random.Generator) -> NDArray[np.int16]:
    """Round to whole HU in the range of a scanner; in half of the scans the corners are not reconstructed."""
    if rng.random() < 0.5:
        side = np.linspace(-0.5, 0.5, hu.shape[1])
        hu[:, np.hypot(side[:, None], side[None]) > _RECONSTRUCTED] = _LOWEST_HU
    np.rint(hu, out=hu)
    return np.clip(hu, _LOWEST_HU, _HIGHEST_HU, out=hu).astype(np.int16)
