"""How `segment` reads a scan, that it is CT of an abdomen, and that it lies as its file says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spleenseg.errors import UserError
from spleenseg.inference.guard import guarded
from spleenseg.inference.scans import Scan
from spleenseg.inference.stated_axes import with_doubts
from spleenseg.volumes import Volume, read_volume

_LEAST_MM = 0.01


@dataclass(frozen=True)
class Reading:
    """How scans are read.

    Attributes:
        series: which DICOM series of several: its UID or its number.
        allow_gaps: resample DICOM with missing or uneven slices onto even positions.
        orientation: where the stored axes run to, such as "LAS", against what the files say.
        force: take what is no CT of an abdomen, as far as `guard` can tell; what it says is noted.
    """

    series: str | None = None
    allow_gaps: bool = False
    orientation: str | None = None
    force: bool = False

    def asked(self) -> str:
        """Return what was asked for, "" where nothing was: part of what a result depends on."""
        words: dict[str, object] = {
            "series": self.series,
            "allow-gaps": self.allow_gaps or None,
            "orientation": self.orientation,
        }
        words["force"] = self.force or None
        return "".join(f" {key}={value}" for key, value in words.items() if value is not None)


def read_ct(scan: Scan, reading: Reading, admit: Callable[[tuple[int, int, int]], object] | None = None) -> Volume:
    """Read a scan; what looks odd, and axes that look the wrong way round, stand in its notes.

    Args:
        scan: the scan.
        reading: how.
        admit: is told the shape (z, y, x) before voxels are decoded, and may refuse it.

    Raises:
        UserError: it cannot be read, says that it is no CT, has voxels too small for one, or shows that it is none of
            an abdomen.
    """
    volume = read_volume(
        scan.path, series=reading.series, allow_gaps=reading.allow_gaps, orientation=reading.orientation, admit=admit
    )
    if volume.modality not in (None, "CT"):
        raise UserError(f"{scan.path}: is {volume.modality}; only CT can be segmented")
    _require_size(scan, volume)
    return with_doubts(guarded(volume, reading.force))


def _require_size(scan: Scan, volume: Volume) -> None:
    """Refuse voxels that no CT of a patient has: their lengths are in another unit than mm, so mL would be wrong.

    Raises:
        UserError: an edge is below `_LEAST_MM`.
    """
    if min(volume.spacing) < _LEAST_MM:
        size = "x".join(f"{edge:.3g}" for edge in volume.spacing)
        raise UserError(
            f"{scan.path}: voxels of {size} mm are too small for CT of a patient; its lengths may be metres: "
            "write them in mm, or state their unit"
        )
