"""Which post-processing helps a network: measured on cases with truth that trained nothing (valid)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from spleenseg.inference.postprocess import Components, Labels, Place, Postprocess, postprocess
from spleenseg.metrics.overlap import confusion, dice

LEAST_CASES = 3
"""From how many cases on something is concluded."""
MIN_ML = 1.0
"""The smallest volume that is tried."""
_COMPONENTS: tuple[Components, ...] = ("all", "largest")
_TIE = 1e-4  # of mean Dice
_OFF_MIDDLE = 0.05  # of the scan's width or depth


@dataclass(frozen=True)
class CaseMasks:
    """Truth and prediction of one whole case.

    Attributes:
        load: returns both, uint8 [z, y, x], x -> patient's left, y -> back.
        voxel_ml: volume of a voxel in mL; None where nobody knows.
        slice_mm: distance of the slices; None where nobody knows.
    """

    load: Callable[[], tuple[Labels, Labels]]
    voxel_ml: float | None
    slice_mm: float | None = None


class Choice(BaseModel):
    """What was chosen on valid, or asked for.

    Attributes:
        options: what is done.
        cases: on how many cases it was measured; 0: on none, it was asked for.
        dice, dice_without: mean Dice over cases and labels with it and without; both empty: 1, one of them: 0.
            None where nothing was measured.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    options: Postprocess
    cases: int = 0
    dice: float | None = None
    dice_without: float | None = None

    def summary(self) -> str:
        """Say in one line what was chosen and what it gains."""
        if not self.cases:
            return f"post-processing as asked for: {self.options.words()} (not measured)"
        return (
            f"post-processing chosen on valid: {self.options.words()} "
            f"(mean Dice {self.dice:.4f}, without {self.dice_without:.4f}, {self.cases} cases)"
        )


def choose_postprocess(cases: Sequence[CaseMasks], names: Mapping[str, int]) -> Choice | None:
    """Return the options of the best mean Dice; of those within 0.0001 the ones that do least.

    Args:
        cases: with truth, none of which trained the network.
        names: label name -> value.

    Returns:
        None for fewer than `LEAST_CASES` cases.
    """
    if len(cases) < LEAST_CASES:
        return None
    sized = all(case.voxel_ml is not None for case in cases)
    candidates = list(_candidates(places_of(cases, names), sized))
    dices = np.array([[_mean_dice(case, names, options) for options in candidates] for case in cases]).mean(axis=0)
    best = next(index for index, value in enumerate(dices) if value >= dices.max() - _TIE)
    return Choice(options=candidates[best], cases=len(cases), dice=dices[best], dice_without=dices[0])


def places_of(cases: Sequence[CaseMasks], names: Mapping[str, int]) -> dict[str, Place]:
    """Return where each label's centre lies, as far as the truth of at least `LEAST_CASES` cases is of one mind."""
    offsets: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for case in cases:
        truth, _ = case.load()
        for name, value in names.items():
            if (found := _off_middle(truth == value)) is not None:
                offsets[name].append(found)
    places = {name: _place(found) for name, found in offsets.items() if len(found) >= LEAST_CASES}
    return {name: place for name, place in places.items() if place != Place()}


def _candidates(places: dict[str, Place], sized: bool) -> Iterator[Postprocess]:
    """Yield all options, those that do least first."""
    every = [
        Postprocess(components=components, fill_holes=fill, min_ml=least, places=places)
        for components, fill, least in product(_COMPONENTS, (False, True), (0.0, MIN_ML) if sized else (0.0,))
    ]
    yield from sorted(every, key=lambda options: options.steps)


def _mean_dice(case: CaseMasks, names: Mapping[str, int], options: Postprocess) -> float:
    truth, found = case.load()
    done, _ = postprocess(found, case.voxel_ml or 1.0, names, options, slice_mm=case.slice_mm)
    return float(np.mean([dice(confusion(truth == value, done == value)) for value in names.values()]))


def _off_middle(organ: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[float, float] | None:
    """Return how far the centre lies off the middle to the left and to the back, in shares of width and depth."""
    _, rows, columns = np.nonzero(organ)
    if not len(rows):
        return None
    _, height, width = organ.shape
    return float(columns.mean() - (width - 1) / 2) / width, float(rows.mean() - (height - 1) / 2) / height


def _place(offsets: Sequence[tuple[float, float]]) -> Place:
    low, high = np.min(offsets, axis=0), np.max(offsets, axis=0)
    clear = [1 if low[axis] > _OFF_MIDDLE else -1 if high[axis] < -_OFF_MIDDLE else 0 for axis in (0, 1)]
    sides: dict[int, Literal["left", "right"]] = {1: "left", -1: "right"}
    depths: dict[int, Literal["back", "front"]] = {1: "back", -1: "front"}
    return Place(side=sides.get(clear[0]), depth=depths.get(clear[1]))
