"""What only shows when the scans of a dataset are compared: odd spacings, copies, and patients in several splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from spleenseg.audit.findings import Finding
from spleenseg.audit.scan import ScanFacts
from spleenseg.datasets.likeness import look_alikes

MOST_RATIO = 4.0
"""How many times another scan's distance of voxels may be the median of the dataset, or the median that distance."""
PLAUSIBLE_MM = (0.1, 15.0)
"""Distances of voxels outside are an error of the unit."""

_LEAST_CASES = 5
_LEAST_SHARED = 3  # slices that two scans must share to be of one scan
_SAME_PLACE_MM = 1.0
_AXES = ("x", "y", "z")


def compare(scans: Sequence[ScanFacts]) -> list[Finding]:
    """Compare the scans of a dataset with one another."""
    readable = [scan for scan in scans if scan.spacing is not None]
    copies, pairs = _copies(readable)
    return [*_spacings(readable), *copies, *_look_alikes(readable, pairs), *_shared_patients(readable)]


def _spacings(scans: Sequence[ScanFacts]) -> list[Finding]:
    if not scans:
        return []
    all_mm = np.array([scan.spacing for scan in scans])
    median = np.median(all_mm, axis=0)
    found = []
    for scan, mm in zip(scans, all_mm, strict=True):
        for axis, size, usual in zip(_AXES, mm, median, strict=True):
            text = f"voxels are {size:.3g} mm apart along {axis}"
            if not PLAUSIBLE_MM[0] <= size <= PLAUSIBLE_MM[1]:
                found.append(Finding(scan.case.name, "spacing", "warning", f"{text}, which no CT has; check the unit"))
            elif len(scans) >= _LEAST_CASES and not 1 / MOST_RATIO <= size / usual <= MOST_RATIO:
                found.append(Finding(scan.case.name, "spacing", "warning", f"{text}; the median is {usual:.3g} mm"))
    return found


def _copies(scans: Sequence[ScanFacts]) -> tuple[list[Finding], set[frozenset[str]]]:
    """Find scans that share identical slices; where these lie at other places, an affine is wrong."""
    places: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for number, scan in enumerate(scans):
        for z, digest in enumerate(scan.slices):
            if digest is not None:
                places[digest].append((number, z))
    shared: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for same in places.values():
        for (one, z_one), (other, z_other) in pairwise(sorted(same)):
            if one != other:
                shared[one, other].append((z_one, z_other))
    found, pairs = [], set()
    for (one, other), slices in sorted(shared.items()):
        if len(slices) >= _LEAST_SHARED:
            found.append(_copy(scans[one], scans[other], slices))
            pairs.add(frozenset((scans[one].case.name, scans[other].case.name)))
    return found, pairs


def _copy(one: ScanFacts, other: ScanFacts, slices: list[tuple[int, int]]) -> Finding:
    apart = _apart_mm(one, other, slices[0])
    count = f"{len(slices)} of its {len(other.slices)} slices are those of {one.case.name}"
    if len(one.slices) != len(other.slices) and apart > _SAME_PLACE_MM:
        text = f"{count}, but its affine puts them {apart:.0f} mm away: one of the two affines is wrong"
        return Finding(other.case.name, "grid", "error", text)
    if _splits_differ(one, other):
        return Finding(other.case.name, "leak", "error", f"{count}, which is in split {one.case.split}")
    return Finding(other.case.name, "duplicate", "error", f"{count}: one scan under two names; keep one")


def _apart_mm(one: ScanFacts, other: ScanFacts, slices: tuple[int, int]) -> float:
    """Return how far apart two affines put the same slice."""
    assert one.affine is not None
    assert other.affine is not None
    here, there = one.affine @ (0, 0, slices[0], 1), other.affine @ (0, 0, slices[1], 1)
    return float(np.linalg.norm(here - there))


def _look_alikes(scans: Sequence[ScanFacts], known: set[frozenset[str]]) -> list[Finding]:
    """Find scans that show nearly the same image, though no slice is identical."""
    of_name = {scan.case.name: scan for scan in scans if scan.cells is not None}
    found = []
    for pair in look_alikes({name: scan.cells for name, scan in of_name.items() if scan.cells is not None}):
        if frozenset((pair.first, pair.second)) in known:
            continue
        one, other = of_name[pair.first], of_name[pair.second]
        text = f"shows nearly the same image as {pair.first} (correlation {pair.correlation:.2f})"
        if _splits_differ(one, other):
            found.append(Finding(pair.second, "leak", "error", f"{text}, which is in split {one.case.split}"))
        elif one.patient != other.patient:
            found.append(Finding(pair.second, "duplicate", "error", f"{text}: one scan under two names; keep one"))
    return found


def _shared_patients(scans: Sequence[ScanFacts]) -> list[Finding]:
    """Find patients in several splits; where nothing is split yet, patients with several cases are a note."""
    of_patient: dict[str, list[ScanFacts]] = defaultdict(list)
    for scan in scans:
        of_patient[scan.patient].append(scan)
    found = []
    for patient, theirs in sorted(of_patient.items()):
        splits = sorted({scan.case.split for scan in theirs if scan.case.split})
        names = ", ".join(scan.case.name for scan in theirs[:5])
        if len(splits) > 1:
            text = f"the patient of {names} is in {' and '.join(splits)}"
            found.append(Finding(theirs[0].case.name, "leak", "error", text))
        elif len(theirs) > 1 and not splits:
            text = f"{names} are scans of one patient ({patient}): keep them on one side of every split"
            found.append(Finding(theirs[0].case.name, "duplicate", "note", text))
    return found


def _splits_differ(one: ScanFacts, other: ScanFacts) -> bool:
    return one.case.split != other.case.split
