"""MetaImage (.mha, .mhd): the files ITK and its relatives write."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spleenseg.errors import UserError
from spleenseg.volumes import blocks
from spleenseg.volumes.blocks import Block
from spleenseg.volumes.options import ReadOptions

SUFFIXES = (".mha", ".mhd")
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_LAST_KEY = b"ElementDataFile"
_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


def read(path: Path, options: ReadOptions = ReadOptions()) -> Block:
    """Read a volume of numbers.

    Raises:
        UserError: damaged, of several values a voxel, without a place in space, with its voxels elsewhere than in it
            or one file beside it, or not admitted.
    """
    fields, start = _fields(blocks.content_of(path, blocks.MOST_HEADER), path)
    shape = blocks.require_shape([int(size) for size in _numbers(fields, "DimSize", path)], path)
    affine = _affine(fields, path)
    options.check(shape, affine)
    code = _TYPES.get(fields.get("ElementType", ""))
    if code is None or fields.get("ElementNumberOfChannels", "1") != "1":
        raise UserError(f"{path}: a volume holds one number a voxel; this file is of another type")
    is_big = "True" in (fields.get("BinaryDataByteOrderMSB", ""), fields.get("ElementByteOrderMSB", ""))
    dtype: np.dtype[np.generic] = np.dtype((">" if is_big else "<") + code)
    if fields.get("HeaderSize", "0") != "0" or fields.get("BinaryData", "True") != "True":
        raise UserError(f"{path}: its voxels are not plain binary after the header; write it so")
    named = fields.get("ElementDataFile", "")
    data = blocks.content_of(path)[start:] if named == "LOCAL" else blocks.beside(path, named)
    encoding = "zlib" if fields.get("CompressedData") == "True" else "raw"
    size = dtype.itemsize * shape[0] * shape[1] * shape[2]
    return Block(blocks.shaped(blocks.unpack(data, size, encoding, path), shape, dtype), affine)


def _fields(content: bytes, path: Path) -> tuple[dict[str, str], int]:
    """Return the fields and where the data begins: after the line of the last one."""
    at = content.find(_LAST_KEY, 0, blocks.MOST_HEADER)
    if at < 0 or b"DimSize" not in content[:at]:
        raise UserError(f"{path}: not a MetaImage file (its header is not one)")
    end = content.find(b"\n", at)
    end = sys.maxsize if end < 0 else end + 1
    pairs = [line.partition("=") for line in content[:end].decode("utf-8", "replace").splitlines()]
    return {key.strip(): value.strip() for key, divider, value in pairs if divider}, end


def _numbers(fields: Mapping[str, str], key: str, path: Path) -> list[float]:
    found = blocks.floats(fields, key, 3, path)
    if not np.isfinite(found).all():
        raise UserError(f"{path}: its field '{key}' should hold 3 numbers")
    return found


def _affine(fields: Mapping[str, str], path: Path) -> NDArray[np.float64]:
    turn = next((key for key in ("TransformMatrix", "Rotation", "Orientation") if key in fields), None)
    origin = next((key for key in ("Offset", "Position", "Origin") if key in fields), None)
    if turn is None or origin is None:
        raise UserError(f"{path}: states no orientation (TransformMatrix and Offset); write it with them")
    columns = np.reshape(blocks.floats(fields, turn, 9, path), (3, 3)).T  # its lines are the axes
    spacing = np.array(_numbers(fields, "ElementSpacing", path))
    affine = np.eye(4)
    affine[:3, :3] = _LPS_TO_RAS[:, None] * columns * spacing
    affine[:3, 3] = _LPS_TO_RAS * blocks.floats(fields, origin, 3, path)
    return blocks.require_affine(affine, path)
