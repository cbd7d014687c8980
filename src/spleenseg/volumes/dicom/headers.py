"""The header of one DICOM file, read without its pixels and without a word of what it says of the patient."""

from __future__ import annotations

import importlib
import io
import logging
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from spleenseg.errors import UserError
from spleenseg.volumes.dicom.members import Member

_ELEMENTS = (
    "SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID SeriesNumber SeriesDescription Modality "
    "PatientID ImageType Rows Columns NumberOfFrames SamplesPerPixel PhotometricInterpretation BitsAllocated "
    "BitsStored HighBit PixelRepresentation RescaleSlope RescaleIntercept ModalityLUTSequence "
    "ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness SharedFunctionalGroupsSequence "
    "PerFrameFunctionalGroupsSequence SegmentationType SegmentSequence"
)
_TAGS = _ELEMENTS.split()
_DEFLATED, _PLAIN = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.1\0\0\0"
_META_LENGTH_AT, _META_AT = 140, 144
_MOST_INFLATED = 4 << 30
_SILENT = logging.CRITICAL + 1


@dataclass(frozen=True, eq=False)
class Header:
    """What a DICOM file says apart from its pixels.

    Attributes:
        member: the file.
        data: its elements that matter here.
        pixels_at: where the element of the pixels begins in the file; None where the file is deflated.
    """

    member: Member
    data: Dataset
    pixels_at: int | None

    @property
    def syntax(self) -> str:
        """UID of the transfer syntax."""
        meta = getattr(self.data, "file_meta", None)
        return str(getattr(meta, "TransferSyntaxUID", ImplicitVRLittleEndian))

    def text(self, keyword: str) -> str:
        """Return an element as text, "" where it is missing."""
        value = self.data.get(keyword)
        return "" if value is None else str(value).strip()

    def whole(self, keyword: str, default: int = 0) -> int:
        """Return a whole number, `default` where it is missing or none."""
        try:
            return int(self.data.get(keyword, default))
        except (TypeError, ValueError, OverflowError):
            return default


def read_header(member: Member) -> Header:
    """Read the header of a file.

    Raises:
        UserError: it is damaged.
    """
    with member.open() as file, guarded(member):
        source, is_deflated = _inflated(file, member)
        data = dcmread(source, stop_before_pixels=True, force=True, specific_tags=list(_TAGS))
        for keyword in _TAGS:
            data.get(keyword)  # elements are parsed when first looked at
        return Header(member, data, None if is_deflated else source.tell())


def read_whole(member: Member, tags: Sequence[str] | None = None, *, pixels: bool = True) -> Dataset:
    """Read a file again, with its pixels or without.

    Raises:
        UserError: it is damaged.
    """
    with member.open() as file, guarded(member):
        source, _ = _inflated(file, member)
        return dcmread(source, stop_before_pixels=not pixels, force=True, specific_tags=list(tags) if tags else None)


@contextmanager
def guarded(member: Member) -> Iterator[None]:
    """Turn whatever parsing a damaged file raises, which may quote values, into one line that does not.

    Raises:
        UserError: anything was raised.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise damaged(member, error) from None


def damaged(member: Member, error: Exception) -> UserError:
    """Word what went wrong in a file, without the values it holds."""
    return UserError(f"{member.name}: damaged or unusual DICOM ({type(error).__name__}); export the series again")


def numbers(data: Dataset, keyword: str, count: int) -> NDArray[np.float64] | None:
    """Return an element of `count` finite numbers; None where it is missing, has another count or is no number."""
    value = data.get(keyword)
    if value is None or isinstance(value, Dataset):
        return None
    try:
        found = np.atleast_1d(np.array(value, dtype=np.float64)).ravel()
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.shape == (count,) and np.isfinite(found).all() else None


@contextmanager
def quietly() -> Iterator[None]:
    """Let no library tell what files say: their warnings quote values."""
    settings, mode = config.settings, config.settings.reading_validation_mode
    loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    levels = [logger.level for logger in loggers]
    _silence_gdcm()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings.reading_validation_mode = config.IGNORE
        for logger in loggers:
            logger.setLevel(_SILENT)
        try:
            yield
        finally:
            settings.reading_validation_mode = mode
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _silence_gdcm() -> None:
    try:
        trace = importlib.import_module("gdcm").Trace
    except ImportError:
        return
    trace.DebugOff(), trace.WarningOff(), trace.ErrorOff()


def _inflated(file: BinaryIO, member: Member) -> tuple[BinaryIO, bool]:
    """Return the file, its data set inflated (within limits) where the transfer syntax deflates it."""
    head = file.read(1024)
    file.seek(0)
    if _DEFLATED not in head:
        return file, False
    content = file.read()
    start = _META_AT + int.from_bytes(content[_META_LENGTH_AT:_META_AT], "little")
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    data = stream.decompress(content[start:], _MOST_INFLATED)
    if stream.unconsumed_tail:
        raise UserError(f"{member.name}: inflates to more than {_MOST_INFLATED >> 30} GiB")
    return io.BytesIO(content[:start].replace(_DEFLATED, _PLAIN) + data), True
