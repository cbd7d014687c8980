"""A DICOM series as a `Volume`."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from spleenseg.volumes.dicom.frames import Frame, frames_of
from spleenseg.volumes.dicom.headers import Header, guarded, quietly, read_whole
from spleenseg.volumes.dicom.members import Member
from spleenseg.volumes.dicom.pixels import hu, is_plain, stored_numbers
from spleenseg.volumes.dicom.series import choose
from spleenseg.volumes.dicom.source import DicomSource
from spleenseg.volumes.dicom.stack import Stack, stack
from spleenseg.volumes.dicom.workers import pool
from spleenseg.volumes.options import ReadOptions
from spleenseg.volumes.volume import Volume

_PSEUDONYM_DIGITS = 12
_SINGLE = "a single slice; give the folder of its series to read all of it"


def read(path: Path, options: ReadOptions, case: str) -> Volume:
    """Read a series from a folder, a zip archive or a file.

    Args:
        path: what holds the images.
        options: as asked.
        case: the name of the case.

    Raises:
        UserError: no series, several, a damaged one, or one without an even grid.
    """
    with quietly():
        headers = choose(path, options.series)
        frames = [frame for header in headers for frame in _frames(header)]
        slices = stack(frames, str(path), options.allow_gaps)
        rows, columns = slices.frames[0].shape
        options.check((columns, rows, slices.slices if slices.note else len(slices.frames)), slices.affine)
        array = _evened(slices) if slices.note else _stored(slices)
        first = slices.frames[0].header
        notes = (slices.note,) if slices.note else (_SINGLE,) if len(frames) == 1 else ()
        return Volume.from_stored(
            array.transpose(2, 1, 0),
            slices.affine,
            case=case,
            patient=pseudonym(first.text("PatientID"), options.key),
            modality=first.text("Modality") or options.modality,
            orientation=options.orientation,
            notes=notes,
            source=_source(slices),
        )


def _frames(header: Header) -> list[Frame]:
    with guarded(header.member):
        return frames_of(header)


def pseudonym(patient_id: str, key: bytes | None) -> str | None:
    """Return the first 12 hex digits of HMAC-SHA256(PatientID), None without a key or an id."""
    if key is None or not patient_id:
        return None
    return hmac.new(key, patient_id.encode(), hashlib.sha256).hexdigest()[:_PSEUDONYM_DIGITS]


def _stored(slices: Stack) -> NDArray[np.int16]:
    """Return HU [slice, row, column]."""
    rows, columns = slices.frames[0].shape
    array: NDArray[np.int16] | None = None
    for number, frame, numbers in _decoded(slices.frames):
        if array is None:  # only now is it known that the file does not merely promise so much
            array = np.empty((len(slices.frames), rows, columns), np.int16)
        hu(frame, numbers, array[number])
    assert array is not None
    return array


def _decoded(frames: Sequence[Frame]) -> Iterator[tuple[int, Frame, NDArray[np.generic]]]:
    """Yield every frame's place in the stack and its stored numbers, each file opened once.

    Files that hold a single compressed frame are decoded several at a time.
    """
    files: dict[int, list[int]] = {}
    for number, frame in enumerate(frames):
        files.setdefault(id(frame.header), []).append(number)
    if len(files) < len(frames) or len(files) == 1 or is_plain(frames[0].header):
        for numbers in files.values():
            header = frames[numbers[0]].header
            decoded = stored_numbers(header, [frames[number].index for number in numbers])
            for number, values in zip(numbers, decoded, strict=True):
                yield number, frames[number], values
    else:
        with pool() as threads:
            for number, values in enumerate(threads.map(_only, frames)):
                yield number, frames[number], values


def _only(frame: Frame) -> NDArray[np.generic]:
    (values,) = stored_numbers(frame.header, [frame.index])
    return values


def _evened(slices: Stack) -> NDArray[np.int16]:
    """Return HU [slice, row, column] on the even grid: linear between the two nearest slices."""
    stored = _stored(slices)
    result = np.empty((slices.slices, *stored.shape[1:]), np.int16)
    places = np.interp(np.arange(slices.slices), slices.at, np.arange(len(slices.at)))
    for k, place in enumerate(places):
        below = min(int(place), len(stored) - 2)
        weight = np.float32(place - below)
        between = stored[below] * (1 - weight) + stored[below + 1] * weight
        np.rint(between, out=result[k], casting="unsafe")
    return result


def _source(slices: Stack) -> DicomSource:
    frames = slices.frames
    headers = list({id(frame.header): frame.header for frame in frames}.values())
    first = headers[0]
    return DicomSource(
        study_uid=first.text("StudyInstanceUID"),
        series_uid=first.text("SeriesInstanceUID"),
        positions=slices.positions,
        load=partial(_load, [header.member for header in headers]),
        frames=tuple(frame.index for frame in frames) if len(headers) == 1 and len(frames) > 1 else (),
    )


def _load(members: Sequence[Member]) -> list[Dataset]:
    with quietly():
        return [read_whole(member, pixels=False) for member in members]
