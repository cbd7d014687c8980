"""Whether the numbers of a scan can be HU, and those of a label map labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from spleenseg.audit.findings import Finding
from spleenseg.volumes import Volume

PHYSICAL_HU = (-1100, 4000)
"""Air has -1000, with noise down to -1100; dense bone 2000, metal more: from a 12-bit scanner at most 3071."""

_MOST_BELOW = 0.05  # shares of all voxels
_MOST_ABOVE = 0.001
_LOWEST_TISSUE = -300  # a scan in HU holds something darker: the air about the body, or in it
_EIGHT_BITS = 255
_RAW_WATER = 700  # the median of what is no air, where 1024 was not yet taken away


def check_values(volume: Volume) -> list[Finding]:
    """Say what is wrong with the numbers of a scan, if they are to be HU."""
    low, high = int(volume.array.min()), int(volume.array.max())
    case = volume.case
    if low == high:
        return [Finding(case, "hu", "error", f"every voxel is {low}: the image is empty")]
    if high - low <= _EIGHT_BITS:
        text = f"values go from {low} to {high}: an 8-bit picture, not HU; export the CT again in HU"
        return [Finding(case, "hu", "error", text)]
    if low > _LOWEST_TISSUE:
        return [_without_air(volume, low, high)]
    return _beyond_physics(volume, low)


def _without_air(volume: Volume, low: int, high: int) -> Finding:
    median = float(np.median(volume.array[volume.array > low + 100])) if high > low + 100 else 0.0
    if low >= 0 and median > _RAW_WATER:
        text = f"values go from {low} to {high}, half of them above {median:.0f}: raw values of a scanner, not HU"
        return Finding(volume.case, "hu", "error", f"{text}; apply the rescale intercept (often -1024)")
    text = f"values go from {low} to {high}: no air, so these are not the HU of a whole scan"
    return Finding(volume.case, "hu", "warning", text)


def _beyond_physics(volume: Volume, low: int) -> list[Finding]:
    """Warn of many voxels that no tissue has; one lowest value everywhere is padding and no fault."""
    least, most = PHYSICAL_HU
    below = np.count_nonzero(volume.array < least) / volume.array.size
    if low < least:
        below -= np.count_nonzero(volume.array == low) / volume.array.size
    above = np.count_nonzero(volume.array > most) / volume.array.size
    found = []
    for share, limit, where in ((below, _MOST_BELOW, f"below {least}"), (above, _MOST_ABOVE, f"above {most}")):
        if share > limit:
            text = f"{share:.1%} of the voxels are {where} HU, which no tissue has; the rescaling may be wrong"
            found.append(Finding(volume.case, "hu", "warning", text))
    return found


def check_labels(case: str, counts: NDArray[np.int64], declared: Mapping[str, int] | None) -> list[Finding]:
    """Say what is wrong with the values of a label map.

    Args:
        case: the scan.
        counts: voxels of each of the values 0 to 255.
        declared: name -> value; None: nobody says, `undeclared` compares the cases instead.
    """
    known = set(declared.values()) if declared else set(range(1, 256))
    found = []
    unknown = [value for value in np.flatnonzero(counts).tolist() if value and value not in known]
    if unknown:
        named = ", ".join(f"{name}={value}" for name, value in (declared or {}).items())
        values = ", ".join(map(str, unknown[:5]))
        text = f"the label map holds the value {values} ({int(counts[unknown].sum())} voxels); declared are {named}"
        found.append(Finding(case, "labels", "error", text))
    if not counts[sorted(known)].any():
        found.append(Finding(case, "empty", "note", "the label map is empty: right only where the organ is absent"))
    return found


def undeclared(values_of_case: Mapping[str, Collection[int]]) -> list[Finding]:
    """Find values that only few of the label maps hold, where nobody says what the labels are.

    Args:
        values_of_case: case -> label values in its map, without 0.
    """
    used = [set(values) for values in values_of_case.values() if values]
    if len(used) < 3:
        return []
    usual = {value for values in used for value in values if 2 * sum(value in one for one in used) >= len(used)}
    found = []
    for case, values in values_of_case.items():
        odd = sorted(set(values) - usual)
        if odd and usual:
            others = ", ".join(map(str, sorted(usual)))
            text = f"the label map holds the value {odd[0]}, which most others do not: they hold {others}"
            found.append(Finding(case, "labels", "warning", text))
    return found
