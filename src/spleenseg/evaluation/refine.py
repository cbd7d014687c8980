"""Which post-processing the validation split recommends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from spleenseg.datasets.folders import SliceFile, places_by_case
from spleenseg.datasets.manifest import Manifest
from spleenseg.datasets.slices import SliceSet
from spleenseg.evaluation.cases import stack
from spleenseg.evaluation.passes import Packed, Pass
from spleenseg.inference.postprocess_choice import CaseMasks, Choice, choose_postprocess

Labels = npt.NDArray[np.uint8]


def choose_on(found: Pass, slices: SliceSet, names: Mapping[str, int]) -> Choice | None:
    """Measure what helps the masks of a pass; see `choose_postprocess`.

    Args:
        found: a pass over the validation split.
        slices: its slices.
        names: label name -> value.

    Returns:
        None where too few cases are whole: pieces of a case that lacks slices fall apart.
    """
    cases = list(_whole_cases(found, slices.files, slices.manifest, slices.expectation.display == "reference"))
    return choose_postprocess(cases, names)


def _whole_cases(
    found: Pass, files: Sequence[SliceFile], manifest: Manifest | None, mirrored: bool
) -> Iterator[CaseMasks]:
    for case, own in sorted(places_by_case(files).items()):
        record = manifest.cases.get(case) if manifest else None
        if _whole([files[place].index for place in own], record.shape[0] if record else None):
            size = (record.voxel_ml, record.spacing[2]) if record else (None, None)
            yield CaseMasks(_Stacked(found, own, mirrored), *size)


def _whole(indices: Sequence[int | None], slices: int | None) -> bool:
    """Tell whether slices follow on one another, and are all of the case where that is known."""
    first = indices[0]
    if first is None or (slices is not None and len(indices) != slices):
        return False
    return list(indices) == list(range(first, first + len(indices)))


class _Stacked:
    """Truth and prediction of a case, unpacked when called."""

    def __init__(self, found: Pass, places: Sequence[int], mirrored: bool) -> None:
        self._found, self._places, self._step = found, places, -1 if mirrored else 1

    def __call__(self) -> tuple[Labels, Labels]:
        return self._upright(self._found.truth), self._upright(self._found.found)

    def _upright(self, slices: Sequence[Packed]) -> Labels:
        return np.ascontiguousarray(stack([slices[place] for place in self._places])[:, :, :: self._step])
