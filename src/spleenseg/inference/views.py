"""Test-time augmentation: a slice seen several ways, and the answers turned back and averaged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from spleenseg.datasets.millimetres import PixelSize
from spleenseg.inference.combine import Combined, LogitMean, logits_of
from spleenseg.inference.engine import HU, Floats
from spleenseg.inference.predictor import Predictor
from spleenseg.inference.shown import floor_of

Affine = npt.NDArray[np.float64]
ANGLES = (-7.5, 7.5)
"""Rotations in degrees, anticlockwise as the slice is shown."""
SCALES = (0.9, 1.1)
"""Factors of size."""
_BACK = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_SEEN = np.float32(0.999)  # share of a pixel that a view must hold to have a say in it


def with_views(model: Predictor | Combined) -> Combined:
    """Return a model that sees every slice as it is, rotated, scaled, and mirrored if it was trained so.

    It takes as many times as long as there are views: five, or six with the mirrored one.
    """
    record = model.record
    count = 1 + len(ANGLES) + len(SCALES) + record.mirrored
    return Combined(
        members=[model] if isinstance(model, Predictor) else model.members,
        answer=lambda stacks, size: _answer(model, stacks, size),
        threshold=model.threshold,
        settings=f"{model.settings} tta",
        record=replace(record, engine=f"{record.engine}, {count} views", quality={}),
        memory=model.memory,
        views=count,
    )


def views(size: tuple[int, int], mirrored: bool) -> list[Affine]:
    """Return the maps from a slice of (height, width) to each of its other views, affine [2, 3] on (x, y)."""
    height, width = size
    centre = ((width - 1) / 2, (height - 1) / 2)
    found = [cv2.getRotationMatrix2D(centre, angle, 1.0) for angle in ANGLES]
    found += [cv2.getRotationMatrix2D(centre, 0.0, scale) for scale in SCALES]
    flip = [np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0]])] if mirrored else []
    return [np.asarray(matrix, np.float64) for matrix in (*found, *flip)]


def _answer(model: Predictor | Combined, stacks: HU, size: PixelSize | None) -> Floats:
    mean = LogitMean()
    mean.add(logits_of(model.of_hu(stacks, size)))
    outside = floor_of(model.expectation)
    for view in views((stacks.shape[2], stacks.shape[3]), model.record.mirrored):
        found = logits_of(model.of_hu(_seen(stacks, view, outside), size))
        back = np.stack([_back(logits, view) for logits in found])
        mean.add(back, _weight(view, (stacks.shape[2], stacks.shape[3])))
    return mean.probabilities()


def _seen(stacks: HU, view: Affine, outside: int) -> HU:
    """Show slices [N, S, H, W] through a view; what it shows from beyond their edges is `outside`."""
    planes = stacks.reshape(-1, *stacks.shape[2:])
    seen = [_warped(plane, view, cv2.INTER_LINEAR, outside) for plane in planes]
    return np.asarray(seen, np.int16).reshape(stacks.shape)


def _back(logits: Floats, view: Affine) -> Floats:
    """Bring the logits [H, W, K] of a view back to the slice: between them an edge stays where it is."""
    back = [_warped(plane, view, _BACK, 0) for plane in np.moveaxis(logits, -1, 0)]
    return np.stack(back, axis=-1).astype(np.float32, copy=False)


def _weight(view: Affine, size: tuple[int, int]) -> Floats:
    """Return float32 [H, W, 1]: 1 where the view holds the slice's pixel."""
    held = np.asarray(_warped(np.ones(size, np.float32), view, _BACK, 0))
    return np.asarray(held >= _SEEN, np.float32)[..., None]


def _warped(plane: npt.NDArray[Any], view: Affine, flags: int, outside: float) -> npt.NDArray[Any]:
    size, border = (plane.shape[1], plane.shape[0]), cv2.BORDER_CONSTANT
    flat = np.ascontiguousarray(plane)
    return np.asarray(cv2.warpAffine(flat, view, size, flags=flags, borderMode=border, borderValue=outside))
