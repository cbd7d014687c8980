"""The audit of one scan and its label map, and what of it is kept to compare the scans with one another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spleenseg.audit.anatomy import is_solid
from spleenseg.audit.cases import Case
from spleenseg.audit.findings import AxisVerdict, Finding
from spleenseg.audit.orientation import judge_orientation
from spleenseg.audit.placement import SPREAD_LIMIT_HU, Placement, place
from spleenseg.audit.values import check_labels, check_values
from spleenseg.datasets.likeness import Print, print_of
from spleenseg.errors import UserError
from spleenseg.volumes import Volume, read_volume

_MOST_LABELS = 8  # whose places are checked, the largest first
_BLANK_HU = 5.0  # slices of less deviation show nothing and are alike in every scan
_TELLING = {"left-right": "left and right", "front-back": "front and back", "up-down": "top and bottom"}

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Ask:
    """What a user wants to have checked.

    Attributes:
        labels: name -> value of the labels; None: nobody says.
        orientation: where the stored axes are declared to run to, against the files.
        key: of the pseudonyms by which cases of one patient are recognised; lives as long as the audit.
        quick: leave out what looks at the image: orientation, places of labels, look-alikes.
    """

    labels: Mapping[str, int] | None
    orientation: str | None
    key: bytes
    quick: bool


@dataclass(frozen=True, eq=False)
class ScanFacts:
    """What was found in one scan, and what is needed to compare it with others.

    Attributes:
        case: where it comes from.
        findings: of the scan itself.
        orientation: verdicts, empty if not asked for.
        patient: pseudonym, or the case.
        spacing: (x, y, z) in mm; None where the scan cannot be read.
        affine: voxel (x, y, z, 1) to RAS mm.
        slices: a hash for each slice; None for one that shows nothing.
        cells: print of the image; None if not asked for.
        values: label values present, without 0; None where there is no readable label map.
    """

    case: Case
    findings: tuple[Finding, ...]
    orientation: tuple[AxisVerdict, ...] = ()
    patient: str = ""
    spacing: tuple[float, float, float] | None = None
    affine: NDArray[np.float64] | None = None
    slices: tuple[bytes | None, ...] = ()
    cells: Print | None = None
    values: tuple[int, ...] | None = None


def audit_scan(case: Case, ask: Ask) -> ScanFacts:
    """Read a scan and its label map and check both; what cannot be read is a finding."""
    try:
        volume = case.read(ask.orientation, ask.key)
    except UserError as error:
        return ScanFacts(case, (Finding(case.name, "unreadable", "error", str(error)),))
    if volume.modality != "CT":
        problem = Finding(case.name, "hu", "error", f"{case.image.name} is {volume.modality}, not CT")
        return ScanFacts(case, (problem,))
    findings = [_renamed(finding, case) for finding in check_values(volume)]
    in_hu = not any(finding.kind == "hu" for finding in findings)
    labels, about_labels, values = _labels(case, volume, ask)
    findings += about_labels
    verdicts: tuple[AxisVerdict, ...] = ()
    if not ask.quick:
        verdicts = judge_orientation(volume, labels, ask.labels, case.name)
        findings += _contradictions(verdicts)
        findings += _places(case.name, volume, labels, ask.labels) if labels is not None and in_hu else []
    return ScanFacts(
        case,
        tuple(findings),
        verdicts,
        case.patient or (case.name if volume.patient == volume.case else volume.patient),
        volume.spacing,
        volume.affine,
        tuple(_hash(plane) for plane in volume.array),
        None if ask.quick else print_of(volume.array),
        values,
    )


def _renamed(finding: Finding, case: Case) -> Finding:
    return Finding(case.name, finding.kind, finding.severity, finding.message)


def _labels(case: Case, volume: Volume, ask: Ask) -> tuple[Labels | None, list[Finding], tuple[int, ...] | None]:
    """Return the label map, what is wrong with it, and its values."""
    if case.labels is None:
        return None, [], None
    try:
        labels = case.read_labels(volume)
    except UserError as error:
        return None, [Finding(case.name, "grid" if _is_readable(case) else "unreadable", "error", str(error))], None
    counts = np.sum([np.bincount(plane.ravel(), minlength=256) for plane in labels], axis=0)
    values = tuple(value for value in np.flatnonzero(counts).tolist() if value)
    return labels, check_labels(case.name, counts, ask.labels), values


def _is_readable(case: Case) -> bool:
    """Say whether the label map can be read by itself, so that its grid must be the problem."""
    if case.prepared or case.labels is None:
        return case.labels is not None and case.labels.is_file()
    try:
        values = read_volume(case.labels).array
    except UserError:
        return False
    return bool(values.min() >= 0 and values.max() <= 255)


def _contradictions(verdicts: tuple[AxisVerdict, ...]) -> list[Finding]:
    return [
        Finding(
            one.case,
            "orientation",
            "error",
            f"the image contradicts the file on {_TELLING[one.axis]}: {one.evidence}",
        )
        for one in verdicts
        if one.verdict == "contradicts"
    ]


def _places(case: str, volume: Volume, labels: Labels, names: Mapping[str, int] | None) -> list[Finding]:
    """Check that the labels lie on what they label; of many labels the largest."""
    counts = np.bincount(labels.ravel(), minlength=256)
    name_of = {value: name for name, value in (names or {}).items()}
    largest = [int(value) for value in np.argsort(-counts[1:], kind="stable")[:_MOST_LABELS] + 1 if counts[value]]
    only = len(name_of or np.flatnonzero(counts[1:])) == 1
    found = []
    for value in largest:
        name = name_of.get(value, f"value {value}")
        if names and value not in name_of:
            continue
        placed = place(volume.array, labels == value, volume.spacing)
        text = _misplaced(placed, solid=only or is_solid(name)) if placed else ""
        if text:
            found.append(Finding(case, "shifted", "error", f"the label {name} {text}"))
    return found


def _misplaced(placed: Placement, solid: bool) -> str:
    """Word why a label is not where it belongs; empty if it is."""
    if placed.is_displaced(solid):
        x, y, z = placed.displacement
        moved = f"{abs(x):.0f} mm {'left' if x > 0 else 'right'}, {abs(y):.0f} mm {'back' if y > 0 else 'forward'}"
        up = f" and {abs(z):.0f} mm {'up' if z > 0 else 'down'}" if z else ""
        return f"does not lie on its organ: it would fit much better {moved}{up} (fit here {placed.fit:.2f} of that)"
    if solid and placed.spread_hu > SPREAD_LIMIT_HU:
        return f"covers no single tissue: HU inside deviate by {placed.spread_hu:.0f} on average"
    return ""


def _hash(plane: NDArray[np.int16]) -> bytes | None:
    if plane[::4, ::4].std() < _BLANK_HU:
        return None
    return hashlib.blake2b(np.ascontiguousarray(plane).data, digest_size=12).digest()
