"""Which series lie at a path, and the one that is meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spleenseg.errors import UserError
from spleenseg.volumes.dicom.headers import Header, quietly, read_header
from spleenseg.volumes.dicom.members import members

_SEG_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
_NO_SCANS = _SEG_CLASSES | {"1.2.840.10008.5.1.4.1.1.481.2"}  # radiotherapy dose
_SHOWN = 12


@dataclass(frozen=True)
class Series:
    """One DICOM series.

    Attributes:
        uid: SeriesInstanceUID.
        number: SeriesNumber, or None.
        description: SeriesDescription: free text, to be shown to the user only, never written to a log.
        modality: "CT", "MR", ... or "".
        slices: frames it holds.
        is_volume: whether it may be one: not a localizer, and its images state a position.
    """

    uid: str
    number: int | None
    description: str
    modality: str
    slices: int
    is_volume: bool = True


def list_series(path: Path | str) -> tuple[Series, ...]:
    """List the image series of a file, a folder's own files, or a zip archive, by number.

    Raises:
        UserError: no DICOM there, or an archive beyond the limits.
    """
    with quietly():
        return tuple(sorted((describe(group) for group in image_series(Path(path)).values()), key=_by_number))


def image_series(path: Path) -> dict[str, list[Header]]:
    """Return the headers of the images at `path` by series; segmentations and other objects are left out.

    Raises:
        UserError: no DICOM image there, or a damaged file.
    """
    headers = [read_header(member) for member in members(path)]
    images = [header for header in headers if _is_image(header)]
    if not images:
        if any(is_segmentation(header) for header in headers):
            raise UserError(f"{path}: is a segmentation (DICOM SEG), not a scan")
        raise UserError(f"{path}: holds DICOM, but no images")
    groups: dict[str, list[Header]] = {}
    for header in images:
        groups.setdefault(header.text("SeriesInstanceUID"), []).append(header)
    return groups


def choose(path: Path, wanted: str | None) -> list[Header]:
    """Return the headers of the series that is meant.

    Without `wanted`, the only one, or the only one that may be a volume: neither localizers (scouts) nor
    pictures that state no position, such as dose reports.

    Raises:
        UserError: `wanted` is not there, or it is not clear which is meant.
    """
    groups = image_series(path)
    known = {uid: describe(group) for uid, group in groups.items()}
    if wanted is not None:
        fitting = [uid for uid, series in known.items() if wanted in (uid, str(series.number))]
    else:
        fitting = [uid for uid, series in known.items() if series.is_volume] or list(known)
    if len(fitting) == 1:
        return groups[fitting[0]]
    if wanted is not None and not fitting:
        raise UserError(f"{path}: holds no series {wanted}; there are {_listed(list(known.values()))}")
    several = [known[uid] for uid in fitting]
    raise UserError(f"{path}: holds {len(several)} series; choose one with --series: {_listed(several)}")


def describe(group: list[Header]) -> Series:
    """Describe the series whose images have these headers."""
    first = group[0]
    number = first.text("SeriesNumber")
    return Series(
        uid=first.text("SeriesInstanceUID"),
        number=int(number) if number.lstrip("-").isdecimal() else None,
        description=first.text("SeriesDescription"),
        modality=first.text("Modality"),
        slices=sum(max(1, header.whole("NumberOfFrames", 1)) for header in group),
        is_volume=any(not is_localizer(header) and _is_placed(header) for header in group),
    )


def is_segmentation(header: Header) -> bool:
    """Say whether a file is a DICOM SEG object."""
    return header.text("SOPClassUID") in _SEG_CLASSES


def is_localizer(header: Header) -> bool:
    """Say whether an image is a localizer (scout)."""
    kinds = header.data.get("ImageType")
    return "LOCALIZER" in ([kinds] if isinstance(kinds, str) else list(kinds or ()))


def _is_image(header: Header) -> bool:
    return header.whole("Rows") > 0 and header.text("SOPClassUID") not in _NO_SCANS


def _is_placed(header: Header) -> bool:
    return any(header.data.get(name) for name in ("ImagePositionPatient", "PerFrameFunctionalGroupsSequence"))


def _by_number(series: Series) -> tuple[bool, int, str]:
    return series.number is None, series.number or 0, series.uid


def _listed(several: list[Series]) -> str:
    """Name series by what tells nothing of the patient."""
    numbers = [series.number for series in several]
    unique = None not in numbers and len(set(numbers)) == len(numbers)
    shown = [
        f"{series.number if unique else series.uid} ({series.modality or 'unknown'}, {series.slices} slices)"
        for series in sorted(several, key=_by_number)
    ]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
