"""Which slices lie next to each other in their scan: input of several adjacent slices (2.5-D)."""

from __future__ import annotations

from collections.abc import Sequence

from spleenseg.datasets.folders import SliceFile
from spleenseg.errors import UserError


def stacks(files: Sequence[SliceFile], context: int) -> tuple[tuple[int, ...], ...]:
    """Return for each file the places in `files` of slices z-context .. z+context of its case.

    Beyond the first and the last slice of a case the outermost one is repeated.

    Raises:
        UserError: `context` > 0 and a name tells no slice number, or a case has a gap.
    """
    if context == 0:
        return tuple((place,) for place in range(len(files)))
    places = {(file.case, _number(file)): place for place, file in enumerate(files)}
    first, last = _ends(files)
    return tuple(
        tuple(
            _place(places, file, min(max(z, first[file.case]), last[file.case]))
            for z in range(_number(file) - context, _number(file) + context + 1)
        )
        for file in files
    )


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
