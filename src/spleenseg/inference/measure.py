"""What a label map says of a scan, in the units of the clinic."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from spleenseg.volumes import Volume

COLUMNS = ("case", "label", "volume_ml", "slices", "mean_hu", "touches_border", "notes")
Row = list[str | int | float | None]


def measure(volume: Volume, labels: npt.NDArray[np.uint8], names: Mapping[str, int]) -> list[Row]:
    """Return one row of `COLUMNS` a label, also for labels that were not found (0 mL, no mean).

    Args:
        volume: the scan.
        labels: uint8 [z, y, x], of its shape.
        names: label name -> value.

    Returns:
        rows: case, label name, volume in mL, slices that hold it, mean HU, and "yes" where it touches the
        border of the scan: it may be cut off there, and the volume too small; then what was done on reading.
    """
    return [_row(volume, labels == value, name) for name, value in names.items()]


def _row(volume: Volume, organ: npt.NDArray[np.bool_], name: str) -> Row:
    voxels = int(np.count_nonzero(organ))
    slices = int(np.count_nonzero(organ.any(axis=(1, 2))))
    mean = round(float(volume.array[organ].mean(dtype=np.float64)), 1) if voxels else None
    border = "yes" if touches_border(organ) else "no"
    notes = "; ".join(volume.notes) or None
    return [volume.case, name, round(voxels * volume.voxel_ml, 3), slices, mean, border, notes]


def touches_border(organ: npt.NDArray[np.bool_]) -> bool:
    """Tell whether an organ, bool [z, y, x], reaches any face of the scan."""
    faces = (face for axis in range(3) for face in (organ.take(0, axis), organ.take(-1, axis)))
    return any(bool(face.any()) for face in faces)
