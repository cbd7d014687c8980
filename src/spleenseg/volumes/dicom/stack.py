"""Slices by their positions: order, the one exact affine, and every reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spleenseg.errors import UserError
from spleenseg.volumes.dicom.frames import Frame
from spleenseg.volumes.dicom.series import is_localizer

_SAME_DIRECTION = 1e-3  # direction cosines of two slices of one stack
_SAME_POSITION_MM = 1e-3
_ROUNDING_MM, _ROUNDING = 0.105, 0.02  # of positions: one decimal at both ends, or a part of the step
_MOST_ROUNDING = 0.25  # of the step, however thin the slices
_MULTIPLE = 0.1  # how near to a whole number of steps a gap is that slices are missing from
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MOST_SLICES = 1 << 14


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in their order.

    Attributes:
        frames: sorted by position along their normal.
        affine: float64 4x4, voxel (column, row, slice, 1) to RAS mm, of the even grid.
        at: where on the grid's third axis each frame lies; whole numbers unless it was uneven.
        slices: length of the grid's third axis.
        note: what resampling onto the grid does, "" where every frame is a slice of it.
    """

    frames: tuple[Frame, ...]
    affine: NDArray[np.float64]
    at: NDArray[np.float64]
    slices: int
    note: str

    @property
    def positions(self) -> NDArray[np.float64]:
        """ImagePositionPatient of every frame, [n, 3] LPS mm."""
        return np.array([frame.position for frame in self.frames])


def stack(frames: Sequence[Frame], name: str, allow_gaps: bool) -> Stack:
    """Order slices and find their affine.

    A tilted gantry is a third axis that is not perpendicular to the slices: it follows from the positions.

    Args:
        frames: of one series, in any order.
        name: what messages call it.
        allow_gaps: put missing or uneven slices on an even grid, to be interpolated.

    Raises:
        UserError: localizers, slices of different size, spacing or orientation, two at one position, or
            missing and uneven ones unless allowed.
    """
    _require_alike(frames, name)
    normal = frames[0].normal
    ordered = sorted(frames, key=lambda frame: float(frame.position @ normal))
    along = np.array([float(frame.position @ normal) for frame in ordered])
    positions = np.array([frame.position for frame in ordered])
    if len(ordered) == 1:
        step, at, note = normal * _only_thickness(ordered[0], name), np.zeros(1), ""
    else:
        _require_apart(along, name)
        step, at, note = _steps(positions, along, [frame.thickness for frame in ordered], name, allow_gaps)
    return Stack(tuple(ordered), _affine(ordered[0], step), at, round(float(at[-1])) + 1, note)


def _affine(first: Frame, step: NDArray[np.float64]) -> NDArray[np.float64]:
    between_rows, between_columns = first.spacing
    affine = np.eye(4)
    affine[:3, 0] = first.row * between_columns
    affine[:3, 1] = first.column * between_rows
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    return np.asarray(_LPS_TO_RAS @ affine, np.float64)


def _require_alike(frames: Sequence[Frame], name: str) -> None:
    first = frames[0]
    if any(is_localizer(frame.header) for frame in frames):
        raise UserError(f"{name}: holds a localizer (scout), not only slices; leave it out")
    if len({frame.shape for frame in frames}) > 1:
        raise UserError(f"{name}: its slices differ in size; give one series a folder")
    directions = np.array([[*frame.row, *frame.column] for frame in frames])
    if np.abs(directions - directions[0]).max() > _SAME_DIRECTION:
        raise UserError(f"{name}: its slices differ in orientation; give one series a folder")
    spacings = np.array([frame.spacing for frame in frames])
    if not np.allclose(spacings, first.spacing, rtol=1e-3, atol=0):
        raise UserError(f"{name}: its slices differ in pixel spacing; give one series a folder")


def _require_apart(along: NDArray[np.float64], name: str) -> None:
    apart = np.diff(along)
    if float(along[-1] - along[0]) < _SAME_POSITION_MM:
        raise UserError(f"{name}: all {len(along)} slices lie at one position ({along[0]:.2f} mm); no volume")
    if apart.min() < _SAME_POSITION_MM:
        count, where = int((apart < _SAME_POSITION_MM).sum()), along[int(apart.argmin())]
        raise UserError(
            f"{name}: {count + 1} slices share a position with another (first at {where:.2f} mm): "
            "copies, or several phases in one series; keep one of each"
            if count > 1
            else f"{name}: two slices share the position {where:.2f} mm; keep one of them"
        )


def _steps(
    positions: NDArray[np.float64],
    along: NDArray[np.float64],
    thicknesses: Sequence[float | None],
    name: str,
    allow_gaps: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    """Return the step between slices, where each frame lies in steps, and what was made even."""
    last = len(along) - 1
    whole = positions[-1] - positions[0]
    share = (along - along[0]) / (along[-1] - along[0])
    sideways = float(np.linalg.norm(positions - positions[0] - share[:, None] * whole, axis=1).max())
    mean = float(along[-1] - along[0]) / last
    tolerance = max(min(_ROUNDING_MM, _MOST_ROUNDING * mean), _ROUNDING * mean)
    if sideways > tolerance:
        raise UserError(f"{name}: its slices are shifted sideways by up to {sideways:.2f} mm; no even grid fits them")
    if float(np.abs(share * last - np.arange(last + 1)).max()) * mean <= tolerance:
        return whole / last, np.arange(last + 1, dtype=np.float64), ""
    fault, pitch = _fault(along, thicknesses)
    if not allow_gaps:
        raise UserError(f"{name}: {fault}; export the whole series, or interpolate with --allow-gaps")
    slices = round(float(along[-1] - along[0]) / pitch) + 1
    if slices > _MOST_SLICES:
        raise UserError(f"{name}: {fault}; {slices} slices would fill the gaps, more than can be meant")
    at = share * (slices - 1)
    note = f"{fault}: {last + 1} slices interpolated onto {slices} even positions"
    return whole / (slices - 1), at, f"{note} {(along[-1] - along[0]) / (slices - 1):.4g} mm apart"


def _fault(along: NDArray[np.float64], thicknesses: Sequence[float | None]) -> tuple[str, float]:
    """Say where slices are missing or uneven, and which step would make them even, in mm."""
    steps = np.diff(along)
    smallest = float(steps.min())
    multiples = steps / smallest
    widest = int(steps.argmax())
    where = f"between {along[widest]:.2f} and {along[widest + 1]:.2f} mm"
    known = [thickness for thickness in thicknesses if thickness is not None and thickness > 0]
    if np.abs(multiples - np.rint(multiples)).max() <= _MULTIPLE:
        lacking = int(np.rint(multiples).sum()) - len(steps)
        noun = "slice is" if lacking == 1 else "slices are"
        return f"{lacking} {noun} missing (steps of {smallest:.4g} mm; gap {where})", smallest
    if known and smallest > 2 * max(known):
        return f"slices are missing: {smallest:.4g} to {steps.max():.4g} mm apart (widest gap {where})", smallest
    return f"slices are uneven: {smallest:.4g} to {steps.max():.4g} mm apart (widest gap {where})", _typical(steps)


def _typical(steps: NDArray[np.float64]) -> float:
    """Return the step that most slices have, to the hundredth of a millimetre; the smaller of equals."""
    values, counts = np.unique(np.round(steps, 2), return_counts=True)
    return max(float(values[counts.argmax()]), 0.05)


def _only_thickness(frame: Frame, name: str) -> float:
    thickness = frame.thickness
    if thickness is None or not 0 < thickness < 1e3:
        raise UserError(f"{name}: is a single slice that states no thickness; give the folder of its series")
    return thickness
