"""What a pass over slices found, as scans that can be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from spleenseg.datasets.folders import SliceFile, places_by_case
from spleenseg.datasets.manifest import Manifest
from spleenseg.datasets.slices import SliceSet, native_picture
from spleenseg.evaluation.cases import stack
from spleenseg.inference.labels import label_names

if TYPE_CHECKING:
    from spleenseg.evaluation.passes import Pass


class SliceScans:
    """Masks and slices of a pass, put together on demand; see `gallery.Scans`; the decoded slices are not kept."""

    def __init__(self, slices: SliceSet, found: Pass, names: dict[str, int]) -> None:
        self._files, self._found, self._names = slices.files, found, names
        self._look = slices.expectation
        self._manifest: Manifest | None = slices.manifest
        self._places = places_by_case(slices.files)

    def masks(self, case: str, label: str) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """See `gallery.Scans`."""
        own, value = self._places[case], self._names[label]
        truth, found = (
            stack([part[place] for place in own]) == value for part in (self._found.truth, self._found.found)
        )
        return truth, found

    def image(self, case: str, z: int) -> npt.NDArray[np.uint8]:
        """See `gallery.Scans`."""
        return native_picture(self._file(case, z), self._look)

    def aspect(self, case: str) -> float:
        """See `gallery.Scans`."""
        record = self._manifest.cases.get(case) if self._manifest else None
        return record.spacing[1] / record.spacing[0] if record else 1.0

    def number(self, case: str, z: int) -> int:
        """See `gallery.Scans`."""
        index = self._file(case, z).index
        return z if index is None else index

    def _file(self, case: str, z: int) -> SliceFile:
        return self._files[self._places[case][z]]


def names_of(slices: SliceSet, classes: int) -> dict[str, int]:
    """Return label name -> value in a `SliceSet`, where an organ alone is always 1."""
    names = label_names(slices.expectation.labels, classes)
    return names if classes > 1 else dict.fromkeys(names, 1)
