"""Whether the image of a scan bears out the orientation its file states.

Three questions, each answered from the image alone, and each with "uncertain" where the image does not tell:

- *Front and back*: the spine lies behind the middle of the trunk. Bone (> 200 HU) near the midline that persists from
  slice to slice is the spine; contrast in the bowel does not persist.
- *Left and right*: the liver, the largest solid mass of the abdomen, fills the front of the patient's right. Measured
  is where, in the half in front of the spine, soft tissue lies deeper than 24 mm from fat, gas and bone: liver rather
  than spleen, kidneys, bowel and muscle. Where this is balanced (large spleens do it) the place of a labelled organ
  decides, if its name says on which side it lies.
- *Up and down*: the lungs lie above the abdomen: at least 80 mm more of trunk without lung below them than above.

Only trunks are judged: 180 to 560 mm wide, surrounded by some air. Nothing is ever corrected by this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spleenseg.audit.anatomy import side_of
from spleenseg.audit.body import PIXEL_MM, Body, find_body
from spleenseg.audit.findings import AxisVerdict, Verdict
from spleenseg.volumes import Volume

AXES = ("left-right", "front-back", "up-down")
SPINE_LIMIT = 0.15
"""Of half the trunk's depth: how far off the middle the spine must lie to tell front from back."""
LIVER_LIMIT = 0.3
"""(right - left) / (right + left) of deep soft tissue from which left and right are told."""
LUNG_LIMIT_MM = 80.0
"""How much more of the trunk must be without lung on one side of the lungs."""

_BONE_HU = 200.0
_MIDLINE = 0.2  # of the trunk's width, to each side
_SOFT_HU = (0.0, 220.0)
_DEEP_MM = 24.0
_LEAST_DEEP_ML = 20.0
_IN_FRONT = 0.1  # of half the depth behind the middle: where the front ends
_MOST_LUNG = 0.2  # slices with more are chest, where the heart is the deep tissue
_SOME_LUNG = 0.01
_CLEARLY_LUNG = 0.03
_LEAST_SIDE = 0.15  # of half the trunk's width
_TRUNK_MM = (180.0, 560.0)
_LEAST_AIR = 0.02
_LEAST_SLICES = 5

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Seen:
    """One measurement on one axis.

    Attributes:
        score: positive agrees with the file; None: there was nothing to measure.
        limit: how far from 0 it must be to be sure.
        evidence: what was seen.
    """

    score: float | None
    limit: float
    evidence: str

    @property
    def verdict(self) -> Verdict:
        """What follows from it."""
        if self.score is None or abs(self.score) < self.limit:
            return "uncertain"
        return "agrees" if self.score > 0 else "contradicts"

    def as_verdict(self, case: str, axis: str) -> AxisVerdict:
        """Return the measurement as a verdict on an axis of a scan."""
        score = None if self.score is None else round(self.score, 3)
        return AxisVerdict(case, axis, self.verdict, score, self.evidence)


def judge_orientation(
    volume: Volume, labels: Labels | None = None, names: Mapping[str, int] | None = None, case: str | None = None
) -> tuple[AxisVerdict, AxisVerdict, AxisVerdict]:
    """Say for each axis whether the image agrees with what the file says.

    Args:
        volume: a CT.
        labels: uint8 [z, y, x] on its grid, if there are any.
        names: name -> value of the labels.
        case: what the scan is called; None: `volume.case`.

    Returns:
        Verdicts on left-right, front-back and up-down.
    """
    body = find_body(volume)
    problem = _not_a_trunk(body)
    if problem:
        left_right = front_back = up_down = Seen(None, 0, problem)
    else:
        front_back = spine(body)
        left_right = _sides(body, front_back.verdict, volume, labels, names or {})
        up_down = _lungs(body)
    seen = zip(AXES, (left_right, front_back, up_down), strict=True)
    found = [one.as_verdict(case or volume.case, axis) for axis, one in seen]
    return found[0], found[1], found[2]


def _not_a_trunk(body: Body) -> str:
    """Return why a scan cannot be judged, or an empty text."""
    low, high = _TRUNK_MM
    if body.air_share < _LEAST_AIR:
        return "there is no air around a body (cropped, or not in HU)"
    if not low <= body.width_mm <= high:
        return f"the body is {body.width_mm:.0f} mm wide, which is no trunk of {low:.0f} to {high:.0f} mm"
    if np.count_nonzero(body.trunk) < _LEAST_SLICES:
        return "there are too few slices"
    return ""


def spine(body: Body) -> Seen:
    """Measure how far behind the middle of the trunk the bone near the midline lies, in half depths."""
    x0, x1, y0, y1 = np.median(body.boxes(), axis=0)
    rows, columns = np.indices(body.hu.shape[1:])
    bone = (body.hu > _BONE_HU) & body.inside
    persistence = _smooth(bone[body.trunk].mean(axis=0)) ** 2
    weight = np.where(np.abs(columns - (x0 + x1) / 2) < _MIDLINE * (x1 - x0), persistence, 0)
    if weight.sum() <= 1e-6:
        return Seen(None, SPINE_LIMIT, "there is no bone near the midline")
    place = float((rows * weight).sum() / weight.sum())
    score = float((place - (y0 + y1) / 2) / max(1.0, (y1 - y0) / 2))
    where = "behind" if score > 0 else "in front of"
    evidence = f"the spine lies {abs(score):.0%} of half the depth {where} the middle"
    return Seen(score, SPINE_LIMIT, evidence)


def _sides(body: Body, front_back: Verdict, volume: Volume, labels: Labels | None, names: Mapping[str, int]) -> Seen:
    mass = deep_tissue(body, front_back)
    organ = None if labels is None else _organ_side(body, volume, labels, names)
    if organ is None or organ.verdict == "uncertain":
        return mass
    if mass.verdict == "uncertain":
        return organ
    if mass.verdict != organ.verdict:
        return Seen(0.0, LIVER_LIMIT, f"{mass.evidence}, but {organ.evidence}")
    return Seen(mass.score, mass.limit, f"{mass.evidence}; {organ.evidence}")


def deep_tissue(body: Body, front_back: Verdict) -> Seen:
    """Compare the deep soft tissue of both sides, in front of the spine where front and back are known."""
    forward = {"agrees": 1, "contradicts": -1, "uncertain": 0}[front_back]
    right = left = 0.0
    for z in np.flatnonzero(body.trunk & (body.lung < _MOST_LUNG)):
        on_right, on_left = _deep_in_slice(body.hu[z], body.inside[z], forward)
        right, left = right + on_right, left + on_left
    ml = (right + left) * PIXEL_MM**2 * body.step_mm / 1000 / _DEEP_MM
    if ml < _LEAST_DEEP_ML:
        return Seen(None, LIVER_LIMIT, "there is no large solid organ")
    score = (right - left) / (right + left)
    side = "right" if score > 0 else "left"
    return Seen(
        score, LIVER_LIMIT, f"{(1 + abs(score)) / 2:.0%} of the deep soft tissue is on what the file calls {side}"
    )


def _deep_in_slice(plane: NDArray[np.float32], inside: NDArray[np.bool_], forward: int) -> tuple[float, float]:
    """Return the depth beyond `_DEEP_MM` of all soft tissue in mm, added up, on the right and on the left."""
    import cv2

    rows, columns = np.indices(plane.shape)
    ys, xs = np.nonzero(inside)
    middle_x, middle_y = (xs.min() + xs.max()) / 2, (ys.min() + ys.max()) / 2
    smooth = cv2.GaussianBlur(plane, (3, 3), 0)
    soft = (smooth > _SOFT_HU[0]) & (smooth < _SOFT_HU[1]) & inside
    depth = cv2.distanceTransform(soft.astype(np.uint8), cv2.DIST_L2, 5) * PIXEL_MM
    deep = np.maximum(depth - _DEEP_MM, 0)
    if forward:
        half = (ys.max() - ys.min()) / 2
        deep = np.where(forward * (rows - middle_y) < _IN_FRONT * half, deep, 0)
    return float(deep[columns < middle_x].sum()), float(deep[columns > middle_x].sum())


def _organ_side(body: Body, volume: Volume, labels: Labels, names: Mapping[str, int]) -> Seen | None:
    """Judge by the labelled organs whose names say on which side they lie."""
    x0, x1, _, _ = np.median(body.boxes(), axis=0)
    scale = volume.spacing[0] / PIXEL_MM
    seen = []
    for name, value in names.items():
        side = side_of(name)
        columns = np.count_nonzero(labels == value, axis=(0, 1)) if side else np.zeros(0)
        if columns.sum() * volume.voxel_ml >= _LEAST_DEEP_ML:
            place = float((np.arange(len(columns)) * columns).sum() / columns.sum()) * scale
            offset = side * (place - (x0 + x1) / 2) / max(1.0, (x1 - x0) / 2)
            where = "left" if offset * side > 0 else "right"
            seen.append(Seen(offset, _LEAST_SIDE, f"the label {name} is on what the file calls {where}"))
    return max(seen, key=lambda one: abs(one.score or 0)) if seen else None


def _lungs(body: Body) -> Seen:
    """Compare how much of the trunk below and above the lungs is without them, in mm."""
    shares = body.lung[body.trunk]
    if not shares.size or shares.max() < _CLEARLY_LUNG:
        return Seen(None, LUNG_LIMIT_MM, "there is no lung in the scan")
    has = np.flatnonzero(shares > _SOME_LUNG)
    below, above = (float(count) * body.step_mm for count in (has[0], len(shares) - 1 - has[-1]))
    evidence = f"{below:.0f} mm of trunk lie below the lungs as the file has it, {above:.0f} mm above"
    return Seen(below - above, LUNG_LIMIT_MM, evidence)


def _smooth(plane: NDArray[np.floating]) -> NDArray[np.float64]:
    import cv2

    blurred: NDArray[np.float64] = cv2.GaussianBlur(plane.astype(np.float64), (5, 5), 0)
    return blurred
