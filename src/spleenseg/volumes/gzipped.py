"""Gzip with limits when reading, and with bytes that depend on the content only when writing."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from spleenseg.errors import UserError

_GZIP_WINDOW = 31
_CHUNK = 1 << 16
_MOST_EXPANSION = 1032  # deflate cannot expand a byte further
_MOST_PADDING = 1 << 20
_Damaged = cast(type[OSError], isal_zlib.error)  # its stub declares an instance
MAGIC = b"\x1f\x8b"


def inflate_head(compressed: bytes, size: int, path: Path) -> bytes:
    """Return the first `size` bytes of gzip data, or all of it where it holds fewer.

    Raises:
        UserError: the data is truncated or corrupt before that.
    """
    head = b""
    for piece in _pieces(compressed, path):
        head += piece[:size]
        if len(head) >= size:
            break
    return head[:size]


def inflate(compressed: bytes, size: int, path: Path) -> NDArray[np.uint8]:
    """Return exactly `size` bytes of gzip data, its checksums verified to the end.

    Memory is bounded by `size`, whatever the data claims.

    Raises:
        UserError: the data is truncated, corrupt, or far longer than `size`.
    """
    require_plausible(compressed, size, path)
    target = np.empty(size, np.uint8)
    done = 0
    for piece in _pieces(compressed, path):
        if done + len(piece) > size + _MOST_PADDING:
            raise UserError(f"{path}: holds more data than its header states; write the file again")
        kept = max(0, min(len(piece), size - done))
        target[done : done + kept] = np.frombuffer(piece, np.uint8, kept)
        done += len(piece)
    if done < size:
        raise _truncated(path, size)
    return target


def require_plausible(compressed: bytes, size: int, path: Path) -> None:
    """Check that gzip data may hold `size` bytes at all, before room is made for them.

    Raises:
        UserError: it cannot.
    """
    if size > len(compressed) * _MOST_EXPANSION:
        raise _truncated(path, size)


def inflate_parts(compressed: bytes, start: int, size: int, count: int, path: Path) -> Iterator[bytearray]:
    """Yield `count` parts of `size` bytes each from `start` on; one part is in memory at a time.

    Checksums are verified to the end before the last part is given.

    Raises:
        UserError: the data is truncated, corrupt, or far longer than that.
    """
    pieces, held, left = _pieces(compressed, path), bytearray(), start + size * count
    for number in range(-1, count):  # first what lies before the parts
        wanted = start if number < 0 else size
        while len(held) < wanted or number == count - 1:
            piece = next(pieces, None)
            if piece is None:
                break
            left -= len(piece)
            if left < -_MOST_PADDING:
                raise UserError(f"{path}: holds more data than its header states; write the file again")
            held += piece
        if len(held) < wanted:
            raise _truncated(path, start + size * count)
        part, held = held[:wanted], held[wanted:]
        if number >= 0:
            yield part


def _pieces(compressed: bytes, path: Path) -> Iterator[bytes]:
    """Yield the decompressed bytes of every gzip member in turn."""
    view = memoryview(compressed)
    while view[:2] == MAGIC:
        stream = isal_zlib.decompressobj(_GZIP_WINDOW)
        position = 0
        try:
            while not stream.eof and position < len(view):
                yield stream.decompress(view[position : position + _CHUNK])
                position += _CHUNK
        except _Damaged as error:
            raise UserError(
                f"{path}: the compressed data is corrupt ({error}); copy or download the file again"
            ) from error
        if not stream.eof:
            raise UserError(f"{path}: the compressed data is truncated; copy or download the file again")
        view = view[min(position, len(view)) - len(stream.unused_data) :]


def write_gzip(path: Path, parts: Iterable[bytes | memoryview], level: int) -> None:
    """Write `parts` one after another, with neither time nor name in the header."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", level, raw, mtime=0) as file:
        for part in parts:
            file.write(part)


def _truncated(path: Path, size: int) -> UserError:
    return UserError(f"{path}: truncated: its header promises {size} bytes; copy or download the file again")
