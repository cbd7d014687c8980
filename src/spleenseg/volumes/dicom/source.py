"""Where a volume read from DICOM came from: what a segmentation needs in order to refer to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True, eq=False, repr=False)
class DicomSource:
    """The images behind a volume; nothing of the patient is kept or shown.

    Attributes:
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID.
        positions: float64 [n, 3], ImagePositionPatient (LPS mm) of every frame in the order of the stored slices.
        load: reads the headers of the images again, without pixels: one a slice, or one multi-frame.
        frames: number of each slice's frame in a multi-frame image, from 0, in the order of `positions`.
    """

    study_uid: str
    series_uid: str
    positions: NDArray[np.float64]
    load: Callable[[], list[Dataset]]
    frames: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"DicomSource({len(self.positions)} slices)"
