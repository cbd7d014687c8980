"""Whether a label lies on what it labels: the same outline, moved about, must not fit the image much better.

For each displacement of up to `REACH_MM` the *fit* is the mean slope of the image across the outline (HU a mm along its
normal), divided by the mean deviation of the image inside from its median (plus `_NOISE_HU`). At its own place the
outline of an organ follows edges and holds one tissue, so the fit is best there, or nearly so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

REACH_MM = 30.0
"""How far a displacement is looked for, along x and y."""
LEAST_MM = 5.0
"""Smaller displacements are no finding: raters differ by as much."""
FIT_LIMIT = 0.5
"""Share of the best fit below which a solid organ counts as displaced."""
LOOSE_FIT_LIMIT = 0.35
"""The same for other labels: muscles and bowel have edges of their own nearby."""
SPREAD_LIMIT_HU = 30.0
"""Mean deviation inside from which a solid organ is no organ."""

_SHOWN_HU = (-150.0, 250.0)
_TISSUE_HU = (-20.0, 240.0)  # a place whose median is outside is none for an organ that has it inside
_NOISE_HU = 10.0
_LEAST_ML = 5.0
_PIXEL_MM = 1.5
_BLUR_MM = 2.0
_INSIDE_MM = 3.0
_ALONG_MM = 5.0  # step of displacements along x and y
_ACROSS_MM = (-20.0, -10.0, 0.0, 10.0, 20.0)  # displacements along z
_MOST_POINTS = 1500
_LEAST_INSIDE = 0.7  # share of the points that must stay on the image

Image = NDArray[np.float32]
Points = NDArray[np.int64]


@dataclass(frozen=True)
class Placement:
    """How well a label fits where it is.

    Attributes:
        fit: share of the best fit that the label has at its own place, 0 to 1.
        displacement: (x, y, z) in mm from the label to where it fits best.
        spread_hu: mean deviation of the image inside the label from its median.
        median_hu: median of the image inside, cut to -150..250.
    """

    fit: float
    displacement: tuple[float, float, float]
    spread_hu: float
    median_hu: float

    def is_displaced(self, solid: bool) -> bool:
        """Say whether the label, of a solid organ or another, fits much better elsewhere nearby."""
        limit = FIT_LIMIT if solid else LOOSE_FIT_LIMIT
        return self.fit < limit and float(np.linalg.norm(self.displacement)) >= LEAST_MM


@dataclass(frozen=True, eq=False)
class _Outline:
    """An image and a label cut out of a scan: points on the outline with their normals, and points inside."""

    slopes: tuple[Image, Image]
    image: Image
    edge: Points
    normals: Image
    inside: Points
    pixel: tuple[float, float, float]


@dataclass(frozen=True)
class _Fit:
    slope: float
    spread: float
    median: float

    @property
    def quality(self) -> float:
        return self.slope / (self.spread + _NOISE_HU)


def place(
    hu: NDArray[np.int16], label: NDArray[np.bool_], spacing: tuple[float, float, float], *, across: bool = True
) -> Placement | None:
    """Measure how well a label fits the image where it is, against where it might be.

    Args:
        hu: int16 [z, y, x].
        label: bool [z, y, x], one organ.
        spacing: (x, y, z) in mm.
        across: also look along z; not for slices that do not lie next to one another.

    Returns:
        None for a label of less than 5 mL, which has too few edges.
    """
    if np.count_nonzero(label) * float(np.prod(spacing)) / 1000 < _LEAST_ML:
        return None
    outline = _outline(hu, label, spacing)
    if outline is None:
        return None
    here = _fit(outline, (0, 0, 0))
    keeps_tissue = _is_tissue(here.median)
    best, best_at = here, (0, 0, 0)
    for step in _steps(outline.pixel, across):
        there = _fit(outline, step)
        if there.quality > best.quality and (not keeps_tissue or _is_tissue(there.median)):
            best, best_at = there, step
    x, y, z = (count * mm for count, mm in zip(best_at[::-1], outline.pixel, strict=True))
    fit = here.quality / best.quality if best.quality > 0 else 1.0
    return Placement(fit, (x, y, z), here.spread, here.median)


def _is_tissue(hu: float) -> bool:
    return _TISSUE_HU[0] < hu < _TISSUE_HU[1]


def _steps(pixel: tuple[float, float, float], across: bool) -> Iterator[tuple[int, int, int]]:
    """Yield displacements (z, y, x) in voxels, the nearest first."""
    px, py, pz = pixel
    along = np.arange(-REACH_MM, REACH_MM + 1, _ALONG_MM)
    zs = sorted({round(mm / pz) for mm in _ACROSS_MM} | {-1, 1}) if across else [0]
    ys, xs = ({round(float(mm) / size) for mm in along} for size in (py, px))
    found = product(zs, sorted(ys), sorted(xs))
    return iter(sorted(found, key=lambda step: abs(step[0] * pz) + abs(step[1] * py) + abs(step[2] * px)))


def _outline(hu: NDArray[np.int16], label: NDArray[np.bool_], spacing: tuple[float, float, float]) -> _Outline | None:
    from scipy.ndimage import binary_erosion, gaussian_filter

    image, mask, pixel = _cut_out(hu, label, spacing)
    blur = (0.0, _BLUR_MM / pixel[1], _BLUR_MM / pixel[0])
    image, soft = gaussian_filter(image, blur), gaussian_filter(mask.astype(np.float32), blur)
    slopes, normals = _slopes(image, pixel), _slopes(soft, pixel)
    steep = np.hypot(*normals)
    plane = np.ones((1, 3, 3), bool)
    edge = _some(np.argwhere(mask & ~binary_erosion(mask, plane) & (steep > 1e-3)))
    inner = binary_erosion(mask, plane, iterations=max(1, round(_INSIDE_MM / pixel[0])))
    inside = _some(np.argwhere(inner if np.count_nonzero(inner) >= 50 else mask))
    if not len(edge):
        return None
    at = tuple(edge.T)
    return _Outline(slopes, image, edge, np.stack([side[at] / steep[at] for side in normals]), inside, pixel)


def _cut_out(
    hu: NDArray[np.int16], label: NDArray[np.bool_], spacing: tuple[float, float, float]
) -> tuple[Image, NDArray[np.bool_], tuple[float, float, float]]:
    """Return the surroundings of a label, its image cut to soft tissue, on pixels of about 1.5 mm; and their size."""
    x, y, z = spacing
    every = [1, *(max(1, int(_PIXEL_MM / size)) for size in (y, x))]
    margin = [int(_ACROSS_MM[-1] / z) + 1, int(REACH_MM / y) + 1, int(REACH_MM / x) + 1]
    spans = [_span(label, axis) for axis in range(3)]
    window = tuple(
        slice(max(0, first - more), last + 1 + more, step)
        for (first, last), more, step in zip(spans, margin, every, strict=True)
    )
    image = hu[window].clip(*_SHOWN_HU).astype(np.float32)
    return image, label[window], (x * every[2], y * every[1], z)


def _span(label: NDArray[np.bool_], axis: int) -> tuple[int, int]:
    others = tuple(other for other in range(3) if other != axis)
    places = np.flatnonzero(label.any(axis=others))
    return int(places[0]), int(places[-1])


def _slopes(image: Image, pixel: tuple[float, float, float]) -> tuple[Image, Image]:
    """Return the slope along y and x, a mm."""
    x, y, _ = pixel
    down: Image = np.gradient(image, y, axis=1)
    across: Image = np.gradient(image, x, axis=2)
    return down, across


def _some(points: Points) -> Points:
    """Return at most 1500 of the points, always the same ones."""
    if len(points) <= _MOST_POINTS:
        return points
    return points[np.random.default_rng(0).choice(len(points), _MOST_POINTS, replace=False)]


def _fit(outline: _Outline, step: tuple[int, int, int]) -> _Fit:
    """Measure the fit of the outline moved by (z, y, x) voxels; none where much of it would leave the image."""
    edge, on_image = _moved(outline.edge, step, outline.image)
    inside, _ = _moved(outline.inside, step, outline.image)
    if len(edge[0]) < _LEAST_INSIDE * len(outline.edge) or len(inside[0]) < _LEAST_INSIDE * len(outline.inside):
        return _Fit(0.0, 0.0, 0.0)
    along_y, along_x = (side[on_image] for side in outline.normals)
    slope = np.abs(outline.slopes[0][edge] * along_y + outline.slopes[1][edge] * along_x)
    values = outline.image[inside]
    median = float(np.median(values))
    return _Fit(float(slope.mean()), float(np.abs(values - median).mean()), median)


def _moved(points: Points, step: tuple[int, int, int], image: Image) -> tuple[tuple[Points, ...], NDArray[np.bool_]]:
    """Return the points moved, those that stay on the image, as an index; and which these are."""
    moved = points + step
    stays: NDArray[np.bool_] = np.all((moved >= 0) & (moved < image.shape), axis=1)
    return tuple(moved[stays].T), stays
