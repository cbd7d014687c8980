"""Whether a scan is something that a model of the abdomen in CT may be used on.

Physics only. CT is calibrated: air has -1000 HU, fat about -100, soft tissue 0 to 200, bone more. What cannot be CT in
HU, and heads, are refused; what looks odd but may be right is noted. The limits stand far from what abdominal CT shows:
see the tests on real scans.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from spleenseg.errors import UserError
from spleenseg.volumes import Volume

_GRID_MM = 3.0
_MOST_SLICES = 16
_SKIN_HU, _SOFT_HU, _BONE_HU = -300, (0, 200), 250
PADDING_HU = -1100  # below is no HU of anything: what scanners write outside of their circle
_NO_FAT_HU = -20  # a scan whose least value is above has neither air nor fat
_AIR_TO_FAT_HU, _LEAST_LIGHT = -50, 0.002  # of what is no padding; abdominal CT: 0.58 and more
_NO_AIR_HU = -500
_GREATEST_HU, _MOST_BEYOND = 3100, 0.05
_LEAST_SOFT = 0.15  # of the body; abdominal CT: 0.39 and more
_PICTURE_MAX = (200, 256)
_LEAST_CLIPPED = 0.25, 2e-4  # share of voxels at the least and the greatest value of clipped CT
_MOST_MIDDLE = 150  # clipped CT shows soft tissue there and no fat; a picture of 8 bits has its greys anywhere
_HEAD_BONE = 0.12  # of the body; abdominal CT: 0.05 and less, heads: 0.19
_HEAD_MM = 240.0
_BODY_MM = 220.0  # the abdomen of an adult is wider
_LEAST_VIEW_MM = 100.0  # less shows too little of a body to tell its parts
Body = NDArray[np.int16]


@dataclass(frozen=True)
class Looks:
    """What is measured of a scan, on a coarse grid of some of its slices.

    Attributes:
        lowest, highest: HU; the lowest of all that is no padding.
        light: share of what is no padding that is air or fat, or has the least value where that is a bit more.
        beyond: share of voxels above any HU of tissue.
        at_lowest, at_highest: share of voxels that have the least and the greatest value.
        middle: median of all others.
        soft, bone: share of the body.
        view: of a slice, (width, height) in mm.
        size: of the body, median (width, depth) in mm; 0 where there is none.
    """

    lowest: int
    highest: int
    light: float
    beyond: float
    at_lowest: float
    at_highest: float
    middle: float
    soft: float
    bone: float
    view: tuple[float, float]
    size: tuple[float, float]

    @classmethod
    def of(cls, volume: Volume) -> Looks:
        """Measure a scan."""
        hu, (dx, dy) = _coarse(volume)
        found = [_body(plane) for plane in hu]
        body = np.concatenate([inside for inside, _ in found])
        boxes = np.array([box for _, box in found]) * (dx, dy)
        lowest, highest = _lowest(volume.array), int(volume.array.max())
        _, rows, columns = volume.array.shape
        return cls(
            lowest,
            highest,
            light=_share(hu[hu >= PADDING_HU] <= max(_AIR_TO_FAT_HU, min(lowest, _NO_FAT_HU))),
            beyond=_share(hu > _GREATEST_HU),
            at_lowest=_share(hu == lowest),
            at_highest=_share(hu == highest),
            middle=_median(hu[(hu > lowest) & (hu < highest)]),
            soft=_share((body >= _SOFT_HU[0]) & (body < _SOFT_HU[1])),
            bone=_share(body > _BONE_HU),
            view=(columns * volume.spacing[0], rows * volume.spacing[1]),
            size=(float(np.median(boxes[:, 0])), float(np.median(boxes[:, 1]))),
        )

    def refusal(self) -> str | None:
        """Return why this is no CT of an abdomen, None where it may be one."""
        values = f"its values, {self.lowest} to {self.highest}, are no HU of a CT"
        if not self._has_air_or_fat and not self._clipped:
            hardly = "no" if self.lowest > _NO_FAT_HU else "hardly any"
            lack = f"{hardly} air at -1000, {hardly} fat at -100"
            return f"{values} ({lack}): is it MR, a picture of 8 bits, or without its offset?"
        if self.beyond > _MOST_BEYOND:
            return f"{values} ({self.beyond:.0%} above any tissue)"
        if not self._tells or self._clipped:
            return None
        if min(self.size) == 0:
            return "there is no body in it"
        if self.soft < _LEAST_SOFT:
            return f"{self.soft:.0%} of it is soft tissue (0 to 200 HU), too little for a CT of a body"
        if self.bone > _HEAD_BONE and max(self.size) < _HEAD_MM:
            return f"{self._extent} and {self.bone:.0%} bone it looks like a head, not like an abdomen"
        return None

    def flags(self) -> Iterator[str]:
        """Yield what looks odd and may be right, a sentence each."""
        if self.lowest > _NO_FAT_HU:
            yield f"values only from {self.lowest} to {self.highest}: clipped CT, or no HU at all; check the mask"
        elif self.lowest > _NO_AIR_HU:
            yield f"no air in it (least value {self.lowest} HU): cropped within the body, or clipped; check the mask"
        if not self._tells:
            yield f"a slice shows {self.view[0]:.0f} x {self.view[1]:.0f} mm, too little to tell that it is an abdomen"
        elif max(self.size) < _BODY_MM:
            yield f"{self._extent} it may be no abdomen of an adult, or cropped; check the mask"

    @property
    def _has_air_or_fat(self) -> bool:
        """Whether there is what lies below water in any CT of a body; a small piece may hold next to nothing of it."""
        return self.lowest <= _NO_FAT_HU and (self.light >= _LEAST_LIGHT or not self._tells)

    @property
    def _clipped(self) -> bool:
        """Whether values pile up at both ends, as clipping heaps up air and bone."""
        low, high = _LEAST_CLIPPED
        in_range = _PICTURE_MAX[0] <= self.highest <= _PICTURE_MAX[1]
        heaped = self.at_lowest >= low and self.at_highest >= high
        return in_range and heaped and self.middle < _MOST_MIDDLE

    @property
    def _tells(self) -> bool:
        return min(self.view) >= _LEAST_VIEW_MM

    @property
    def _extent(self) -> str:
        return f"with {self.size[0]:.0f} x {self.size[1]:.0f} mm across"


def guarded(volume: Volume, force: bool = False) -> Volume:
    """Return the scan with what looks odd among its notes.

    Args:
        volume: the scan.
        force: only note what would be refused.

    Raises:
        UserError: it is no CT in HU, or no abdomen.
    """
    looks = Looks.of(volume)
    refusal = looks.refusal()
    if refusal and not force:
        raise UserError(f"{volume.case}: {refusal}; not segmented (--force does it nevertheless)")
    said = (f"segmented by --force: {refusal}",) if refusal else tuple(looks.flags())
    return replace(volume, notes=(*volume.notes, *said)) if said else volume


def _lowest(array: Body) -> int:
    """Return the least HU [z, y, x] that is no padding; the least of all where everything is."""
    least = int(array.min())
    if least >= PADDING_HU:
        return least
    beyond_all = np.iinfo(array.dtype).max
    lowest = min(int(np.where(plane < PADDING_HU, beyond_all, plane).min()) for plane in array)
    return least if lowest == beyond_all else lowest


def _coarse(volume: Volume) -> tuple[Body, tuple[float, float]]:
    """Return some voxels of some slices, int16 [z, y, x], and their distance along x and y in mm."""
    x, y, _ = volume.spacing
    across, down = max(1, round(_GRID_MM / x)), max(1, round(_GRID_MM / y))
    chosen = np.unique(np.linspace(0, len(volume.array) - 1, _MOST_SLICES).astype(int))
    return volume.array[chosen, ::down, ::across], (across * x, down * y)


def _body(plane: Body) -> tuple[Body, tuple[int, int]]:
    """Return the HU of the largest piece in a slice that is no air, int16 [n], and its width and depth in voxels."""
    dense = (plane > _SKIN_HU).astype(np.uint8)
    if min(plane.shape) > 20:  # takes away table and blankets, which are thin
        dense = cv2.morphologyEx(dense, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, pieces, facts, _ = cv2.connectedComponentsWithStats(dense, connectivity=4)
    if count < 2:
        return np.zeros(0, np.int16), (0, 0)
    largest = 1 + int(facts[1:, cv2.CC_STAT_AREA].argmax())
    box = int(facts[largest, cv2.CC_STAT_WIDTH]), int(facts[largest, cv2.CC_STAT_HEIGHT])
    return plane[pieces == largest], box


def _share(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if flags.size else 0.0


def _median(values: NDArray[np.int16]) -> float:
    return float(np.median(values)) if values.size else 0.0
