"""Whether the image of a scan bears out the axes that its file states, said in the notes; nothing is corrected.

A header that mirrors a scan or turns it upside down makes the liver look like a spleen to any model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from spleenseg.volumes import Volume

_ENDS = {"left-right": "LR", "front-back": "PA", "up-down": "SI"}  # where x, y and z run to; the other way round


def with_doubts(volume: Volume) -> Volume:
    """Return the scan with a note for each axis on which its image contradicts its file."""
    doubts = tuple(_doubts(volume))
    return replace(volume, notes=(*volume.notes, *doubts)) if doubts else volume


def _doubts(volume: Volume) -> Iterator[str]:
    from spleenseg.audit import judge_orientation

    wrong = [found for found in judge_orientation(volume) if found.verdict == "contradicts"]
    code = _turned(volume, {found.axis for found in wrong})
    for found in wrong:
        yield (
            f"{found.axis} may be the wrong way round in the file: {found.evidence}; look at the overlay, and if so "
            f"segment it with --orientation {code}"
        )


def _turned(volume: Volume, wrong: Collection[str]) -> str:
    """Return where the stored axes i, j, k run to if the axes `wrong` are the wrong way round, such as "LAS"."""
    letters = [""] * 3
    axis_map = volume.stored.axis_map
    for stored, flipped, (axis, ends) in zip(axis_map.axes, axis_map.flips, _ENDS.items(), strict=True):
        letters[stored] = ends[flipped != (axis in wrong)]
    return "".join(letters)
