"""What compressed frames say of their own size: read before decoding, so that no lie fills memory."""

from __future__ import annotations

import struct

from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments
from pydicom.uid import JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes, RLELossless

from spleenseg.errors import UserError
from spleenseg.volumes.dicom.headers import Header, damaged

_STATING = (*JPEG2000TransferSyntaxes, *JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes)
_MOST_OF_RLE = 64  # two bytes stand for 128 at most
_JPEG_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_JPEG_START, _J2K_START = b"\xff\xd8", b"\xff\x4f\xff\x51"


def require_honest(data: Dataset, header: Header) -> None:
    """Check that every compressed frame states the size of the image.

    Raises:
        UserError: a frame states another size, or the pixels are too few for the image.
    """
    expected = header.whole("Rows"), header.whole("Columns")
    try:
        if header.syntax == RLELossless:
            honest = len(data.PixelData) * _MOST_OF_RLE >= expected[0] * expected[1]
        elif header.syntax in _STATING:
            sizes = [size for size in map(_stated, generate_fragments(data.PixelData)) if size]
            honest = bool(sizes) and set(sizes) == {expected}
        else:
            honest = len(data.PixelData) >= expected[0] * expected[1] * header.whole("BitsAllocated") // 8
    except Exception as error:
        raise damaged(header.member, error) from None
    if not honest:
        raise UserError(
            f"{header.member.name}: its compressed pixels are not an image of {expected[1]}x{expected[0]}; "
            "damaged or truncated; export the series again"
        )


def _stated(fragment: bytes) -> tuple[int, int] | None:
    """Return rows and columns a fragment states, None where it begins no image."""
    if fragment.startswith(_J2K_START):
        width, height, left, top = struct.unpack(">4I", fragment[8:24])
        return height - top, width - left
    return _jpeg(fragment) if fragment.startswith(_JPEG_START) else None


def _jpeg(fragment: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(fragment):
        if fragment[at] != 0xFF:
            return None
        marker = fragment[at + 1]
        if marker in _JPEG_FRAME_MARKERS:
            rows, columns = struct.unpack(">2H", fragment[at + 5 : at + 9])
            return rows, columns
        at += 1 if marker == 0xFF else 2 + int.from_bytes(fragment[at + 2 : at + 4], "big")
    return None
