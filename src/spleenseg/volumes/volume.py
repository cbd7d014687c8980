"""`Volume`: one CT in one orientation, with what is needed to write results back into its own grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from nibabel.orientations import aff2axcodes
from numpy.typing import NDArray

from spleenseg.volumes.orientation import AxisMap, declared_affine, nearest_axis_map

if TYPE_CHECKING:
    from spleenseg.volumes.dicom.source import DicomSource


@dataclass(frozen=True, eq=False)
class StoredGrid:
    """The grid of a file as it is stored: axis lengths, geometry, and how its axes became x, y, z.

    Attributes:
        shape: lengths of the stored axes (i, j, k).
        affine: float64 4x4, stored voxel (i, j, k, 1) to RAS mm.
        axis_map: the permutation and flips from stored axes to (Left, Posterior, Superior).
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    axis_map: AxisMap

    @classmethod
    def of(cls, shape: tuple[int, int, int], affine: NDArray[np.float64]) -> StoredGrid:
        """Describe a grid by its stored shape and affine."""
        affine = np.array(affine, dtype=np.float64)
        return cls(shape, affine, nearest_axis_map(affine))

    @property
    def canonical_shape(self) -> tuple[int, int, int]:
        """Shape (z, y, x) of the array read from this grid."""
        return self.axis_map.canonical_shape(self.shape)

    @property
    def canonical_affine(self) -> NDArray[np.float64]:
        """Affine of voxel (x, y, z, 1) of the array read from this grid, to RAS mm."""
        return self.axis_map.canonical_affine(self.affine, self.shape)


@dataclass(frozen=True, eq=False)
class Volume:
    """One scan.

    Attributes:
        array: int16 HU [z, y, x], C-contiguous; x -> patient Left, y -> Posterior, z -> Superior.
        affine: float64 4x4, voxel (x, y, z, 1) to RAS mm; may be oblique or sheared.
        case: stem of the file or folder.
        patient: pseudonym of the patient, or the case where nothing is known.
        modality: "CT", "MR", ... or None where the file does not say.
        stored: the source's own grid; where an orientation was declared, with the affine of the file and the
            axis map of the declaration, so that labels return to where the file says it lies.
        notes: what was done on reading that a user of the results must know, a sentence each.
        source: the DICOM images it was read from, or None.
    """

    array: NDArray[np.int16]
    affine: NDArray[np.float64]
    case: str
    patient: str
    modality: str | None
    stored: StoredGrid
    notes: tuple[str, ...] = ()
    source: DicomSource | None = None

    @classmethod
    def from_stored(
        cls,
        stored_array: NDArray[np.int16],
        affine: NDArray[np.float64],
        *,
        case: str,
        patient: str | None = None,
        modality: str | None = None,
        orientation: str | None = None,
        notes: tuple[str, ...] = (),
        source: DicomSource | None = None,
    ) -> Volume:
        """Bring an array [i, j, k] and its affine (voxel (i, j, k, 1) to RAS mm) into the one orientation.

        `stored_array` may become the memory of the volume; `orientation` declares where its axes run to,
        against the affine.

        Raises:
            UserError: `orientation` is none.
        """
        i, j, k = stored_array.shape
        grid = StoredGrid.of((i, j, k), affine)
        if orientation is not None:
            meant = declared_affine(orientation, grid.affine, grid.shape)
            notes = (*notes, _overridden(orientation, grid.affine))
        else:
            meant = grid.affine
        axis_map = nearest_axis_map(meant)
        array = np.require(axis_map.to_canonical(stored_array), np.int16, ["C", "W", "A"])
        canonical = axis_map.canonical_affine(meant, grid.shape)
        stored = StoredGrid(grid.shape, grid.affine, axis_map)
        return cls(array, canonical, case, patient or case, modality, stored, notes, source)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along x, y and z, in mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres (exact for sheared grids: the affine's determinant)."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0


def _overridden(orientation: str, affine: NDArray[np.float64]) -> str:
    said = "".join(aff2axcodes(affine))
    return f"orientation overridden: {orientation.upper()}, where the file says {said}"
