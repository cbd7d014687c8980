"""CT files: reading them into one orientation, writing label maps back into the source's own grid."""

from __future__ import annotations

from spleenseg.volumes.dicom import list_series
from spleenseg.volumes.reading import case_name, is_scan, means_scan, read_labels, read_volume
from spleenseg.volumes.volume import StoredGrid, Volume
from spleenseg.volumes.windows import apply_window
from spleenseg.volumes.writing import write_dicom_seg, write_labels, write_map, write_seg_nrrd, write_volume

__all__ = [
    "StoredGrid",
    "Volume",
    "apply_window",
    "case_name",
    "is_scan",
    "list_series",
    "means_scan",
    "read_labels",
    "read_volume",
    "write_dicom_seg",
    "write_labels",
    "write_map",
    "write_seg_nrrd",
    "write_volume",
]
