"""Post-processing that whoever exports a model asks for, where whole cases with truth to choose on are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spleenseg.datasets.folders import places_by_case
from spleenseg.datasets.slices import SliceSet
from spleenseg.inference.postprocess import Place, Postprocess
from spleenseg.inference.postprocess_choice import CaseMasks, Choice, places_of
from spleenseg.inference.refinement import Refinement

Labels = NDArray[np.uint8]


def asked(
    refinement: Refinement, found: Choice | None, train: Callable[[], SliceSet], names: Mapping[str, int]
) -> Choice:
    """Return what is asked for over what was `found` on valid; else where organs lie follows from the training slices.

    These, `train`, are read only then.
    """
    recorded = found.options if found else Postprocess(places=training_places(train(), names))
    return Choice(options=refinement.postprocess(recorded))


def training_places(slices: SliceSet, names: Mapping[str, int]) -> dict[str, Place]:
    """Return where each label's centre lies in a training set, as far as all its cases are of one mind.

    Args:
        slices: of any order; those of a case are taken together.
        names: label name -> value.
    """
    return places_of(list(_cases(slices, places_by_case(slices.files).values())), names)


def _cases(slices: SliceSet, groups: Iterable[Sequence[int]]) -> Iterator[CaseMasks]:
    step = -1 if slices.expectation.display == "reference" else 1
    for group in groups:
        truth: Labels = np.stack([slices.labels(index) for index in group])[:, :, ::step]
        yield CaseMasks(partial(_twice, truth), None)


def _twice(truth: Labels) -> tuple[Labels, Labels]:
    return truth, truth
