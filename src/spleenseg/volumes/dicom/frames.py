"""The frames of classic and enhanced images: where each lies and how its numbers become HU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from spleenseg.errors import UserError
from spleenseg.volumes.dicom.headers import Header, numbers

_UNIT = 1e-2  # how far from 1 and from a right angle direction cosines may be
_MOST_FRAMES = 1 << 16


@dataclass(frozen=True, eq=False)
class Frame:
    """One slice of a series.

    Attributes:
        header: of its file.
        index: its number in the file, from 0.
        position: centre of the first pixel, LPS mm.
        row: direction in which a row runs (the column index grows).
        column: direction in which a column runs (the row index grows).
        spacing: mm between rows, and between columns.
        thickness: SliceThickness in mm, or None.
        slope: HU of a step of the stored number.
        intercept: HU of the stored 0.
    """

    header: Header
    index: int
    position: NDArray[np.float64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    spacing: tuple[float, float]
    thickness: float | None
    slope: float
    intercept: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.header.whole("Rows"), self.header.whole("Columns")

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector across the slice."""
        cross = np.cross(self.row, self.column)
        return np.asarray(cross / np.linalg.norm(cross), np.float64)


def frames_of(header: Header) -> list[Frame]:
    """Describe every frame of an image.

    Raises:
        UserError: colour, no size, or a frame without position, orientation or pixel spacing.
    """
    _require_grey(header)
    groups = header.data.get("PerFrameFunctionalGroupsSequence")
    if not groups:
        if header.whole("NumberOfFrames", 1) > 1:
            raise UserError(f"{header.member.name}: holds several frames that state no position; no volume")
        return [_frame(header, 0, [header.data])]
    count = header.whole("NumberOfFrames", 1)
    if not 0 < count <= min(len(groups), _MOST_FRAMES):
        raise UserError(f"{header.member.name}: says it has {count} frames and describes {len(groups)}")
    shared = list(header.data.get("SharedFunctionalGroupsSequence") or ())[:1]
    return [_frame(header, index, levels_of(groups[index], shared)) for index in range(count)]


def plane(levels: list[Dataset], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return position, row and column direction of a frame from the first level that states each.

    Raises:
        UserError: one is missing or no direction.
    """
    position = _first(levels, "ImagePositionPatient", 3)
    cosines = _first(levels, "ImageOrientationPatient", 6)
    if position is None:
        raise UserError(f"{name}: states no position (ImagePositionPatient), so it has no place in a volume")
    if cosines is None:
        raise UserError(f"{name}: states no orientation (ImageOrientationPatient)")
    row, column = cosines[:3], cosines[3:]
    lengths = np.array([np.linalg.norm(row), np.linalg.norm(column)])
    if np.abs(lengths - 1).max() > _UNIT or abs(float(row @ column)) > _UNIT or np.abs(position).max() > 1e6:
        raise UserError(f"{name}: its orientation or position is not possible (ImageOrientationPatient)")
    return position, row, column


def pixel_spacing(levels: list[Dataset], name: str) -> tuple[float, float]:
    """Return mm between rows and between columns.

    Raises:
        UserError: missing, or not positive.
    """
    spacing = _first(levels, "PixelSpacing", 2)
    if spacing is None or not (spacing > 1e-4).all() or not (spacing < 1e4).all():
        raise UserError(f"{name}: states no usable pixel spacing (PixelSpacing)")
    return float(spacing[0]), float(spacing[1])


def _frame(header: Header, index: int, levels: list[Dataset]) -> Frame:
    name = header.member.name
    position, row, column = plane(levels, name)
    thickness = _first(levels, "SliceThickness", 1)
    slope, intercept = _rescale(levels, name)
    spacing = pixel_spacing(levels, name)
    thick = None if thickness is None else float(thickness[0])
    return Frame(header, index, position, row, column, spacing, thick, slope, intercept)


def _rescale(levels: list[Dataset], name: str) -> tuple[float, float]:
    if any(level.get("ModalityLUTSequence") for level in levels):
        raise UserError(f"{name}: its numbers become HU by a table (ModalityLUTSequence), which cannot be used")
    slope, intercept = _first(levels, "RescaleSlope", 1), _first(levels, "RescaleIntercept", 1)
    if any(level.get("RescaleSlope") is not None for level in levels) and slope is None:
        raise UserError(f"{name}: its rescale slope is no number")
    if slope is not None and slope[0] == 0:
        raise UserError(f"{name}: its rescale slope is 0")
    return 1.0 if slope is None else float(slope[0]), 0.0 if intercept is None else float(intercept[0])


def levels_of(group: Dataset, shared: list[Dataset]) -> list[Dataset]:
    """Return the data sets in which a frame's attributes may stand: its own functional groups, then the shared."""
    levels = []
    for functional in (group, *shared):
        for element in functional:
            if element.VR == "SQ" and element.value:
                levels.append(element.value[0])
    return levels


def _first(levels: list[Dataset], keyword: str, count: int) -> NDArray[np.float64] | None:
    found = (numbers(level, keyword, count) for level in levels)
    return next((values for values in found if values is not None), None)


def _require_grey(header: Header) -> None:
    name = header.member.name
    if header.whole("SamplesPerPixel", 1) != 1 or not header.text("PhotometricInterpretation").startswith("MONOCHROME"):
        raise UserError(f"{name}: holds colour; a volume holds one number a voxel")
    if header.whole("Rows") < 1 or header.whole("Columns") < 1:
        raise UserError(f"{name}: holds no image")
