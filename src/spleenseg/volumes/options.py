"""What a caller may ask of reading beside the path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spleenseg.volumes.orientation import declared_affine, nearest_axis_map


@dataclass(frozen=True)
class ReadOptions:
    """How a scan is to be read.

    Attributes:
        modality: what the caller knows the scan to be ("CT"); taken over where the file does not say.
        series: which DICOM series of several: its UID, or its number.
        allow_gaps: resample a DICOM series with missing or uneven slices onto even positions.
        orientation: where the stored axes i, j, k run to, such as "LAS", against what the file says.
        key: key of the patient's pseudonym; without it the patient is the case.
        admit: is told the shape (z, y, x) before voxels are decoded, and raises what speaks against it.
    """

    modality: str | None = None
    series: str | None = None
    allow_gaps: bool = False
    orientation: str | None = None
    key: bytes | None = None
    admit: Callable[[tuple[int, int, int]], object] | None = None

    def check(self, shape: tuple[int, int, int], affine: NDArray[np.float64]) -> None:
        """Ask whether a scan of this stored shape (i, j, k) and affine may be read.

        Raises:
            UserError: `admit` refuses it, or `orientation` is none.
        """
        if self.admit is not None:
            meant = affine if self.orientation is None else declared_affine(self.orientation, affine, shape)
            self.admit(nearest_axis_map(meant).canonical_shape(shape))
