"""The body in a scan, on a coarse grid: what of it is skin-enclosed, bone, lung, and how deep in soft tissue.

Physics only, no learning. Water has 0 HU and air -1000, so a body is what exceeds `_SKIN_HU`, closed in each slice;
opening it takes away the table and blankets, which are thin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spleenseg.metrics.holes import with_holes_filled
from spleenseg.volumes import Volume

PIXEL_MM = 4.0
"""Pixel size of the coarse grid along x and y."""

_STEP_MM = 4.0  # slices nearer to one another are skipped
_SKIN_HU = -300.0
_LUNG_HU = (-930.0, -500.0)  # lung holds a tenth to a half of tissue; gas in the bowel is nearly -1000
_OPENING = 5  # pixels: borders of gas and fat pass the range of lung, but are thin
_TRUNK_SHARE = 0.4  # of the largest cross-section: less is neck or limb

Planes = NDArray[np.float32]
Masks = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Body:
    """A scan on the coarse grid; x -> Left, y -> Posterior, z -> Superior, as the file says.

    Attributes:
        hu: float32 [z, y, x].
        inside: bool [z, y, x]: the body, with its lungs and gas.
        lung: share of the body's cross-section that is lung, a slice.
        trunk: bool [z]: slices whose cross-section is that of a trunk.
        step_mm: between slices.
    """

    hu: Planes
    inside: Masks
    lung: NDArray[np.float64]
    trunk: NDArray[np.bool_]
    step_mm: float

    @property
    def air_share(self) -> float:
        """Share of the image that is not body."""
        return float(1 - self.inside.mean())

    @property
    def extent_mm(self) -> float:
        """Length of the trunk along z."""
        return float(np.count_nonzero(self.trunk)) * self.step_mm

    def boxes(self) -> NDArray[np.float64]:
        """Return (x0, x1, y0, y1) of the body in each slice of the trunk, in pixels: [n, 4]."""
        return np.array([_box(self.inside[z]) for z in np.flatnonzero(self.trunk)], dtype=float).reshape(-1, 4)

    @property
    def width_mm(self) -> float:
        """Median width of the trunk; 0 where there is none."""
        boxes = self.boxes()
        return float(np.median(boxes[:, 1] - boxes[:, 0] + 1)) * PIXEL_MM if len(boxes) else 0.0


def find_body(volume: Volume) -> Body:
    """Bring a scan to the coarse grid and find the body in it."""
    hu, step = _coarse(volume)
    inside = np.stack([_closed_body(plane) for plane in hu])
    area = np.count_nonzero(inside, axis=(1, 2))
    lung = np.array([_lung_pixels(plane, body) for plane, body in zip(hu, inside, strict=True)])
    trunk = (area > 0) & (area > _TRUNK_SHARE * area.max())
    return Body(hu, inside, lung / np.maximum(area, 1), trunk, step)


def _coarse(volume: Volume) -> tuple[Planes, float]:
    import cv2

    dx, dy, dz = volume.spacing
    _, rows, columns = volume.array.shape
    size = max(1, round(columns * dx / PIXEL_MM)), max(1, round(rows * dy / PIXEL_MM))
    every = max(1, int(_STEP_MM / dz))
    chosen = volume.array[::every]
    planes = [
        cv2.resize(plane.clip(-1024, 1500).astype(np.float32), size, interpolation=cv2.INTER_AREA) for plane in chosen
    ]
    return np.stack(planes), every * dz


def _closed_body(plane: Planes) -> Masks:
    """Return the largest piece of a slice that is no air, with its holes."""
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    opened = cv2.morphologyEx((plane > _SKIN_HU).astype(np.uint8), cv2.MORPH_OPEN, kernel)
    count, pieces, figures, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return np.zeros(plane.shape, bool)
    largest = 1 + int(np.argmax(figures[1:, cv2.CC_STAT_AREA]))
    return with_holes_filled(pieces == largest)


def _lung_pixels(plane: Planes, inside: Masks) -> int:
    import cv2

    low, high = _LUNG_HU
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_OPENING, _OPENING))
    aerated = ((plane > low) & (plane < high) & inside).astype(np.uint8)
    return int(np.count_nonzero(cv2.morphologyEx(aerated, cv2.MORPH_OPEN, kernel)))


def _box(inside: Masks) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return columns[0], columns[-1], rows[0], rows[-1]
