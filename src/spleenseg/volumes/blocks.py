"""Text header and a block of voxels: what NRRD and MetaImage have in common."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spleenseg.errors import UserError
from spleenseg.volumes import gzipped
from spleenseg.volumes.orientation import is_invertible

MOST_HEADER = 1 << 20
_MOST_EXPANSION = 1032  # deflate cannot expand a byte further


@dataclass(frozen=True, eq=False)
class Block:
    """Voxels as they are stored.

    Attributes:
        values: [i, j, k], the file's own number type.
        affine: float64 4x4, voxel (i, j, k, 1) to RAS mm.
    """

    values: NDArray[np.generic]
    affine: NDArray[np.float64]


def content_of(path: Path, first: int = -1) -> bytes:
    """Return the bytes of a file, or as many of the first as asked for.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(first)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def beside(path: Path, name: str) -> bytes:
    """Return the bytes of a data file that a header names: it must lie in the header's own folder.

    Raises:
        UserError: the name leads elsewhere, or the file cannot be read.
    """
    if not name or Path(name).name != name or name in (".", "..") or any(sign in name for sign in "\\/%*\0"):
        raise UserError(f"{path}: its voxels are said to lie in {name!r}; they must lie in one file beside it")
    target = path.parent / name
    if not target.is_file() or target.resolve().parent != path.parent.resolve():
        raise UserError(f"{path}: its voxels are said to lie in {name!r}, which is not a file beside it")
    return content_of(target)


def unpack(data: bytes, size: int, encoding: str, path: Path) -> NDArray[np.uint8]:
    """Return exactly `size` bytes of voxels.

    Args:
        data: what follows the header.
        size: bytes the header promises.
        encoding: "raw", "gzip" or "zlib".
        path: for messages.

    Raises:
        UserError: truncated, corrupt, or more than promised.
    """
    if encoding == "gzip":
        return gzipped.inflate(data, size, path)
    if encoding == "zlib":
        data = _inflate_zlib(data, size, path)
    if len(data) < size:
        raise UserError(f"{path}: truncated: {len(data)} of {size} bytes; copy or download the file again")
    return np.frombuffer(data, np.uint8, size)


def shaped(data: NDArray[np.uint8], shape: tuple[int, int, int], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Return voxels [i, j, k], i running fastest."""
    return np.ndarray(shape, dtype, data.data, order="F")


def require_shape(sizes: Sequence[int], path: Path) -> tuple[int, int, int]:
    """Check that a volume has three axes of some length.

    Raises:
        UserError: it has not.
    """
    if len(sizes) != 3 or min(sizes) < 1 or max(sizes) > 1 << 16:
        raise UserError(f"{path}: a volume has three axes; this file is {'x'.join(map(str, sizes)) or 'empty'}")
    return sizes[0], sizes[1], sizes[2]


def require_affine(affine: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    """Check that an affine gives every voxel a place.

    Raises:
        UserError: it does not.
    """
    if not is_invertible(affine):
        raise UserError(f"{path}: its axes are not invertible, so the voxels have no place in space")
    return affine


def floats(fields: Mapping[str, str], key: str, count: int, path: Path) -> list[float]:
    """Return a field of numbers divided by spaces, commas or brackets.

    Raises:
        UserError: missing, another count, or no numbers.
    """
    text = fields.get(key, "")
    for sign in "(),":
        text = text.replace(sign, " ")
    try:
        found = [float(word) for word in text.split()]
    except ValueError:
        found = []
    if len(found) != count:
        raise UserError(f"{path}: its field '{key}' should hold {count} numbers")
    return found


def _inflate_zlib(data: bytes, size: int, path: Path) -> bytes:
    if size > (len(data) + 1) * _MOST_EXPANSION:
        raise UserError(f"{path}: truncated: its header promises {size} bytes; copy or download the file again")
    stream = zlib.decompressobj()
    try:
        return stream.decompress(data, size)
    except zlib.error as error:
        raise UserError(f"{path}: the compressed data is corrupt; copy or download the file again") from error
