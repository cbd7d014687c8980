"""NIfTI-1 and NIfTI-2 in one file (.nii, .nii.gz): header, geometry and values, each checked on reading."""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from spleenseg.errors import UserError
from spleenseg.files import atomic
from spleenseg.volumes import gzipped
from spleenseg.volumes.options import ReadOptions
from spleenseg.volumes.orientation import is_invertible
from spleenseg.volumes.volume import StoredGrid, Volume

SUFFIXES = (".nii", ".nii.gz")
_HEADERS = {348: Nifti1Header, 540: Nifti2Header}
_LONGEST_HEADER = 540
_WIDE = 4  # bytes a voxel beyond which a file is read slice by slice
_MM_OF_UNIT = {1: 1000.0, 3: 0.001}  # metre and micrometre; all else, unknown included, is mm
_NO_LOG = logging.Logger("nowhere", level=logging.CRITICAL + 1)


@dataclass(frozen=True, eq=False)
class StoredImage:
    """What a NIfTI file holds, as it is stored.

    Attributes:
        values: [i, j, k], the file's own number type, before scaling; None of a wide type: see `slices`.
        slope: factor of every value.
        inter: what is added to every value after the factor.
        affine: float64 4x4, voxel (i, j, k, 1) to RAS mm.
        shape: lengths of the stored axes.
        slices: the stored slices `[:, :, k]` in turn, once; so a type wider than the volume to be made of it
            is never in memory as a whole.
    """

    values: NDArray[np.generic] | None
    slope: float
    inter: float
    affine: NDArray[np.float64]
    shape: tuple[int, int, int]
    slices: Iterator[NDArray[np.generic]]

    @classmethod
    def of(cls, values: NDArray[np.generic], slope: float, inter: float, affine: NDArray[np.float64]) -> StoredImage:
        """Describe an image that is in memory."""
        i, j, k = values.shape
        return cls(values, slope, inter, affine, (i, j, k), (values[:, :, place] for place in range(k)))

    @property
    def is_plain(self) -> bool:
        """Whether the values are integers that need no scaling."""
        return self.values is not None and self.slope == 1 and self.inter == 0 and self.values.dtype.kind in "iub"

    def scaled(self) -> Iterator[NDArray[np.float64]]:
        """Yield the true values of the stored slices in turn."""
        for plane in self.slices:
            with np.errstate(over="ignore", invalid="ignore"):  # infinities are found and named by the caller
                yield plane.astype(np.float64) * self.slope + self.inter


def stem(path: Path) -> str:
    """Return the file name without .nii or .nii.gz."""
    name = path.name
    lowered = name.lower()
    return next((name[: -len(end)] for end in reversed(SUFFIXES) if lowered.endswith(end)), name)


def accepts(path: Path) -> bool:
    """Say whether a path is a file of this kind, by its name."""
    return means(path) and path.is_file()


def means(path: Path) -> bool:
    """Say whether a path, if it is no folder, has the name of a file of this kind."""
    return path.name.lower().endswith(SUFFIXES) and not path.is_dir()


def read(path: Path, options: ReadOptions) -> Volume:
    """Read a scan.

    Args:
        path: .nii or .nii.gz, three-dimensional (or more, with one frame), real numbers.
        options: as asked; NIfTI says nothing of the modality or the patient.

    Raises:
        UserError: anything that keeps the file from being a volume of int16 HU with a geometry.
    """
    image = read_stored(path, options)
    values, affine = as_int16(image, path), image.affine
    del image
    return Volume.from_stored(
        values, affine, case=stem(path), modality=options.modality, orientation=options.orientation
    )


def read_stored(path: Path, options: ReadOptions = ReadOptions()) -> StoredImage:
    """Read header, geometry and values as they are stored.

    Raises:
        UserError: the file is missing, unreadable, truncated, corrupt, not NIfTI, has no usable geometry, or is not
            admitted.
    """
    head = _content(path, _LONGEST_HEADER)
    is_gzip = head[:2] == gzipped.MAGIC
    content = _content(path) if is_gzip else b""
    header = _header(gzipped.inflate_head(content, _LONGEST_HEADER, path) if is_gzip else head, path)
    shape, dtype, offset = _layout(header, path)
    affine = _affine(header, path)
    options.check(shape, affine)
    slope, inter = _scaling(header, path)
    plane = dtype.itemsize * shape[0] * shape[1]
    size = offset + plane * shape[2]
    if is_gzip:
        gzipped.require_plausible(content, size, path)
    elif path.stat().st_size < size:
        raise _truncated(path, path.stat().st_size, size)
    if dtype.itemsize > _WIDE:
        find = partial(gzipped.inflate_parts, content) if is_gzip else _parts
        planes = (np.ndarray(shape[:2], dtype, part, order="F") for part in find(offset, plane, shape[2], path))
        return StoredImage(None, slope, inter, affine, shape, planes)
    data = gzipped.inflate(content, size, path) if is_gzip else np.frombuffer(_content(path), np.uint8)
    values: NDArray[np.generic] = np.ndarray(shape, dtype, data.data, offset, order="F")
    return StoredImage.of(values, slope, inter, affine)


def _parts(start: int, size: int, count: int, path: Path) -> Iterator[bytes]:
    """Yield `count` parts of `size` bytes of a file from `start` on."""
    with path.open("rb") as file:
        file.seek(start)
        for number in range(count):
            part = file.read(size)
            if len(part) < size:
                raise _truncated(path, start + number * size + len(part), start + count * size)
            yield part


def _truncated(path: Path, found: int, size: int) -> UserError:
    return UserError(f"{path}: truncated: {found} of {size} bytes; copy or download the file again")


def _content(path: Path, first: int = -1) -> bytes:
    """Return a file's bytes, or as many of the first as asked for."""
    try:
        with path.open("rb") as file:
            content = file.read(first)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not content:
        raise UserError(f"{path}: the file is empty")
    return content


def _header(head: bytes, path: Path) -> Nifti1Header:
    sizes = {struct.unpack(order + "i", head[:4])[0] for order in "<>"} if len(head) >= 4 else set()
    length = next(iter(sizes & set(_HEADERS)), None)
    if length is None or len(head) < length:
        raise UserError(f"{path}: not a NIfTI file (its header is not one)")
    try:
        header = _HEADERS[length].from_fileobj(io.BytesIO(head[:length]), check=False)
        header.check_fix(logger=_NO_LOG)
    except (HeaderDataError, ValueError) as error:
        raise UserError(f"{path}: not a usable NIfTI header: {error}") from error
    if bytes(header["magic"].tobytes())[:2] != b"n+":
        raise UserError(f"{path}: not a NIfTI file with header and voxels in one (.nii or .nii.gz)")
    return header


def _layout(header: Nifti1Header, path: Path) -> tuple[tuple[int, int, int], np.dtype[np.generic], int]:
    """Return the stored shape, the number type and where the voxels begin."""
    shape = tuple(int(length) for length in header["dim"][1 : 1 + int(header["dim"][0])])
    text = "x".join(map(str, shape))
    if len(shape) < 3 or min(shape) < 1:
        raise UserError(f"{path}: a volume has three axes; this file is {text}")
    if max(shape[3:], default=1) > 1:
        raise UserError(f"{path}: {text} holds several frames; give one volume a file")
    try:
        dtype = header.get_data_dtype()
        offset = int(header["vox_offset"])
    except (HeaderDataError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: not a usable NIfTI header: {error}") from error
    if dtype.kind not in "iubf":
        raise UserError(f"{path}: holds colour or complex values; a volume holds one number a voxel")
    if offset < int(header["sizeof_hdr"]):
        raise UserError(f"{path}: not a usable NIfTI header: its voxels begin inside the header")
    return (shape[0], shape[1], shape[2]), dtype, offset


def _affine(header: Nifti1Header, path: Path) -> NDArray[np.float64]:
    """Return the sform if there is one, else the qform, in mm."""
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        raise UserError(f"{path}: states no orientation (sform and qform codes are 0); set one of them")
    try:
        affine = np.array(header.get_best_affine(), dtype=np.float64)
    except (HeaderDataError, ValueError) as error:
        raise UserError(f"{path}: its orientation cannot be read: {error}") from error
    affine[:3] *= _MM_OF_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    if not is_invertible(affine):
        raise UserError(f"{path}: its affine is not invertible, so the voxels have no place in space")
    return affine


def _scaling(header: Nifti1Header, path: Path) -> tuple[float, float]:
    try:
        slope, inter = header.get_slope_inter()
    except HeaderDataError as error:
        raise UserError(f"{path}: its intensity scaling cannot be used: {error}") from error
    return (1.0, 0.0) if slope is None else (float(slope), float(inter or 0.0))


def as_int16(image: StoredImage, path: Path) -> NDArray[np.int16]:
    """Return [i, j, k] int16, scaled and rounded half to even.

    Raises:
        UserError: a value is no number, or int16 cannot hold it.
    """
    if image.is_plain and image.values is not None:
        _require_int16(image.values, path)
        return image.values.astype(np.int16, copy=False)
    result = np.empty(image.shape, np.int16, order="F")
    for k, values in enumerate(image.scaled()):
        if not np.isfinite(values).all():
            raise UserError(f"{path}: holds values that are no numbers (NaN or infinity); write it without them")
        rounded = np.rint(values)
        _require_int16(rounded, path)
        result[:, :, k] = rounded
    return result


def _require_int16(values: NDArray[np.generic], path: Path) -> None:
    if np.can_cast(values.dtype, np.int16):
        return
    low, high = values.min(), values.max()
    if low < -32768 or high > 32767:
        raise UserError(f"{path}: holds values from {low} to {high}; HU must lie in -32768..32767")


def as_labels(image: StoredImage, path: Path) -> NDArray[np.uint8]:
    """Return [i, j, k] uint8.

    Raises:
        UserError: a value is not a whole number of 0..255.
    """
    result = np.empty(image.shape, np.uint8, order="F")
    for k, values in enumerate(image.slices if image.is_plain else image.scaled()):
        if not (np.isfinite(values) & (values == np.rint(values))).all():
            raise UserError(f"{path}: a label map holds whole numbers; this file holds others")
        if values.min() < 0 or values.max() > 255:
            raise UserError(f"{path}: labels must lie in 0..255; found {values.min():g} to {values.max():g}")
        result[:, :, k] = values
    return result


def write(path: Path, stored: NDArray[np.generic], grid: StoredGrid, level: int = 6) -> None:
    """Write [i, j, k] on `grid`, atomically; sform the grid's affine, qform code 0; same content, same bytes.

    Args:
        path: ends in .nii or .nii.gz.
        stored: uint8, int16 or float32, of the grid's shape.
        grid: the stored grid.
        level: gzip level, for .nii.gz.

    Raises:
        UserError: the name has another ending, or the file cannot be written.
    """
    if not path.name.lower().endswith(SUFFIXES):
        raise UserError(f"{path}: a NIfTI file ends in .nii.gz or .nii")
    header = Nifti1Header(endianness="<")
    header.set_data_dtype(stored.dtype)
    header.set_data_shape(grid.shape)
    header.set_sform(grid.affine, code="scanner")
    header.set_zooms(np.linalg.norm(grid.affine[:3, :3], axis=0))
    header.set_xyzt_units("mm")
    header["vox_offset"], header["magic"] = 352, b"n+1"
    header["scl_slope"], header["scl_inter"] = 1, 0
    parts = chain([header.binaryblock, bytes(4)], _planes(stored))
    with atomic(path) as temporary:
        if path.name.lower().endswith(".gz"):
            gzipped.write_gzip(temporary, parts, level)
        else:
            with temporary.open("wb") as file:
                file.writelines(parts)


def _planes(stored: NDArray[np.generic]) -> Iterator[memoryview]:
    """Yield the bytes of [:, :, k] in turn, so that no second copy of the whole is made."""
    little = stored.dtype.newbyteorder("<")
    for k in range(stored.shape[2]):
        yield np.asarray(stored[:, :, k], little, order="F").T.data.cast("B")
