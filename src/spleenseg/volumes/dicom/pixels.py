"""Stored numbers of frames: straight from the file where they are plain, decoded where they are compressed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from spleenseg.errors import UserError
from spleenseg.volumes.dicom import workers
from spleenseg.volumes.dicom.codestream import require_honest
from spleenseg.volumes.dicom.frames import Frame
from spleenseg.volumes.dicom.headers import Header, damaged, read_whole

_PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_ELEMENTS = (
    "Rows Columns NumberOfFrames SamplesPerPixel PhotometricInterpretation BitsAllocated BitsStored HighBit "
    "PixelRepresentation PlanarConfiguration PixelData ExtendedOffsetTable ExtendedOffsetTableLengths"
)
_TAGS = _ELEMENTS.split()
_SAFE = (RLELossless, *_PLAIN)  # decoded here: their decoders are Python
_PIXEL_DATA = (0x7FE0, 0x0010)
_UNDEFINED = 0xFFFFFFFF


def stored_numbers(header: Header, indices: Sequence[int]) -> Iterator[NDArray[np.generic]]:
    """Yield frames of one file, [rows, columns] integers as they are stored, before rescaling.

    Args:
        header: of the file.
        indices: numbers of the frames, from 0.

    Raises:
        UserError: truncated, damaged, or a transfer syntax that cannot be read.
    """
    if is_plain(header):
        yield from (_plain(header, index) for index in indices)
    else:
        yield from _decoded(header, indices)


def is_plain(header: Header) -> bool:
    """Say whether the numbers lie in the file as they are."""
    whole_bytes = header.whole("BitsAllocated") in (8, 16, 32)
    return header.syntax in _PLAIN and header.pixels_at is not None and whole_bytes


def hu(frame: Frame, numbers: NDArray[np.generic], target: NDArray[np.int16]) -> None:
    """Write the HU of a frame to `target`: stored number times slope plus intercept, rounded half to even.

    Raises:
        UserError: the HU do not fit int16.
    """
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 0.0)
    ends = (low * frame.slope + frame.intercept, high * frame.slope + frame.intercept)
    if min(ends) < -32768.4 or max(ends) > 32767.4:
        raise UserError(
            f"{frame.header.member.name}: holds values from {min(ends):g} to {max(ends):g}; "
            "HU must lie in -32768..32767"
        )
    if frame.slope == 1 and frame.intercept.is_integer() and abs(frame.intercept) < 1 << 15 and numbers.itemsize <= 2:
        np.add(numbers.astype(np.int16), np.int16(frame.intercept), out=target)  # wraps back where unsigned
    else:
        np.rint(numbers.astype(np.float64) * frame.slope + frame.intercept, out=target, casting="unsafe")


def _plain(header: Header, index: int) -> NDArray[np.generic]:
    rows, columns = header.whole("Rows"), header.whole("Columns")
    order = ">" if header.syntax == ExplicitVRBigEndian else "<"
    dtype = np.dtype(f"{order}{_kind(header)}{header.whole('BitsAllocated') // 8}")
    size = rows * columns * dtype.itemsize
    with header.member.open() as file:
        file.seek(header.pixels_at or 0)
        start = 8 if header.syntax == ImplicitVRLittleEndian else 12
        element = file.read(start)
        group = int.from_bytes(element[:2], "big" if order == ">" else "little")
        if len(element) < start or group != _PIXEL_DATA[0]:
            raise _truncated(header)
        length = int.from_bytes(element[-4:], "big" if order == ">" else "little")
        if length == _UNDEFINED or (index + 1) * size > length or (index + 1) * size > header.member.size:
            raise _truncated(header)
        file.seek(index * size, 1)
        data = file.read(size)
    if len(data) < size:
        raise _truncated(header)
    return _without_spare_bits(np.frombuffer(data, dtype).reshape(rows, columns), header)


def _kind(header: Header) -> str:
    return "i" if header.whole("PixelRepresentation") == 1 else "u"


def _without_spare_bits(numbers: NDArray[np.generic], header: Header) -> NDArray[np.generic]:
    """Drop what lies above the stored bits: old overlays, or a sign that was not extended."""
    bits, stored, high = header.whole("BitsAllocated"), header.whole("BitsStored"), header.whole("HighBit")
    if not 0 < stored < bits or high != stored - 1:
        return numbers
    native = numbers.astype(numbers.dtype.newbyteorder("="))
    spare = native.dtype.type(bits - stored)
    return np.asarray((native << spare) >> spare)


def _decoded(header: Header, indices: Sequence[int]) -> Iterator[NDArray[np.generic]]:
    data = read_whole(header.member, _TAGS)
    if "PixelData" not in data:
        raise _truncated(header)
    try:
        decoder = get_decoder(UID(header.syntax))
    except (NotImplementedError, ValueError) as error:  # pydicom's word for a syntax unknown to it, or no UID at all
        raise UserError(f"{header.member.name}: its transfer syntax ({header.syntax}) cannot be read") from error
    if not decoder.is_available:
        raise UserError(f"{header.member.name}: no decoder for {decoder.UID.name}; pip install python-gdcm")
    require_honest(data, header)
    shape = header.whole("Rows"), header.whole("Columns")
    frames = _in_python(decoder, data, indices) if header.syntax in _SAFE else _by_worker(data, header, indices)
    for _ in indices:
        try:
            frame = next(frames)
        except StopIteration:
            raise _truncated(header) from None
        except Exception as error:  # decoders of damaged data raise whatever they come upon
            raise damaged(header.member, error) from None
        if frame.shape != shape or frame.dtype.kind not in "iu":
            raise damaged(header.member, ValueError())
        yield frame
    next(frames, None)  # lets the worker go


def _in_python(decoder: Decoder, data: Dataset, indices: Sequence[int]) -> Iterator[NDArray[np.generic]]:
    for frame, _about in decoder.iter_array(data, raw=True, indices=list(indices)):
        yield frame


def _by_worker(data: Dataset, header: Header, indices: Sequence[int]) -> Iterator[NDArray[np.generic]]:
    description = {
        "syntax": header.syntax,
        "rows": header.whole("Rows"),
        "columns": header.whole("Columns"),
        "number_of_frames": max(1, header.whole("NumberOfFrames", 1)),
        "samples_per_pixel": header.whole("SamplesPerPixel", 1),
        "photometric_interpretation": header.text("PhotometricInterpretation"),
        "bits_allocated": header.whole("BitsAllocated"),
        "bits_stored": header.whole("BitsStored"),
        "pixel_representation": header.whole("PixelRepresentation"),
        "pixel_keyword": "PixelData",
    }
    yield from workers.decode(bytes(data.PixelData), description, indices)


def _truncated(header: Header) -> UserError:
    return UserError(f"{header.member.name}: truncated: pixels are missing; export the series again")
