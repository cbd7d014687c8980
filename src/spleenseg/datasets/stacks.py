"""Which slices lie next to each other in their scan: input of several adjacent slices (2.5-D)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spleenseg.datasets.folders import SliceFile
from spleenseg.errors import UserError


def reach(context: int, context_mm: float | None, slice_mm: float | None) -> tuple[int, ...]:
    """Return how many slices up or down the neighbours of a slice lie, the slice itself (0) in the middle.

    Args:
        context: neighbours on each side.
        context_mm: how far apart they are; None: adjacent slices.
        slice_mm: how far apart the slices are; only needed with `context_mm`.

    Returns:
        2 * context + 1 numbers. With `context_mm` the slices nearest to its multiples: nothing is interpolated,
        so where slices lie more than twice as far apart, the slice itself is repeated.
    """
    if context_mm is None or context == 0:
        return tuple(range(-context, context + 1))
    if not slice_mm:
        raise ValueError("neighbours at a distance in mm need the distance of the slices")
    steps = [int(count * context_mm / slice_mm + 0.5) for count in range(1, context + 1)]
    return (*(-step for step in reversed(steps)), 0, *steps)


def stacks(
    files: Sequence[SliceFile],
    context: int,
    context_mm: float | None = None,
    slice_mm: Mapping[str, float] | None = None,
) -> tuple[tuple[int, ...], ...]:
    """Return for each file the places in `files` of its neighbours and itself, from the lowest up.

    Beyond the first and the last slice of a case the outermost one is repeated.

    Args:
        files: the slices.
        context: neighbours on each side.
        context_mm: how far apart these are; None: adjacent slices.
        slice_mm: distance of the slices by case, for `context_mm`.

    Raises:
        UserError: `context` > 0 and a name tells no slice number, a case has a gap, or with `context_mm`
            nobody knows how far apart the slices of a case are.
    """
    if context == 0:
        return tuple((place,) for place in range(len(files)))
    places = {(file.case, _number(file)): place for place, file in enumerate(files)}
    first, last = _ends(files)
    steps = {case: reach(context, context_mm, _slice_mm(case, context_mm, slice_mm or {})) for case in first}
    return tuple(
        tuple(
            _place(places, file, min(max(_number(file) + step, first[file.case]), last[file.case]))
            for step in steps[file.case]
        )
        for file in files
    )


def _slice_mm(case: str, context_mm: float | None, known: Mapping[str, float]) -> float | None:
    if context_mm is not None and case not in known:
        raise UserError(f"the distance between slices of {case} is unknown: context_mm needs a prepared dataset")
    return known.get(case)


def _number(file: SliceFile) -> int:
    if file.index is None:
        raise UserError(f"neighbouring slices of {file.image} are unknown: its name is not {{10000+z}}_{{case}}")
    return file.index


def _ends(files: Sequence[SliceFile]) -> tuple[dict[str, int], dict[str, int]]:
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for file in files:
        first[file.case] = min(first.get(file.case, _number(file)), _number(file))
        last[file.case] = max(last.get(file.case, _number(file)), _number(file))
    return first, last


def _place(places: dict[tuple[str, int], int], file: SliceFile, z: int) -> int:
    if (file.case, z) not in places:
        raise UserError(f"slice {z} of {file.case} is missing, a neighbour of {file.image}; set context = 0")
    return places[file.case, z]
