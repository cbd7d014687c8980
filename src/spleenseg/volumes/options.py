"""What a caller may ask of reading beside the path."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadOptions:
    """How a scan is to be read.

    Attributes:
        modality: what the caller knows the scan to be ("CT"); taken over where the file does not say.
        series: which DICOM series of several: its UID, or its number.
        allow_gaps: resample a DICOM series with missing or uneven slices onto even positions.
        orientation: where the stored axes i, j, k run to, such as "LAS", against what the file says.
        key: key of the patient's pseudonym; without it the patient is the case.
    """

    modality: str | None = None
    series: str | None = None
    allow_gaps: bool = False
    orientation: str | None = None
    key: bytes | None = None
