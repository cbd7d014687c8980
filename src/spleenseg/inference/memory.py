"""How much memory a scan may take, and what gives way where it would take more."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spleenseg.errors import UserError
from spleenseg.inference.engine import Floats

DEFAULT_LIMIT = "2GB"
_UNITS = {"MB": 10**6, "GB": 10**9}
_PROGRAM = 300 * 10**6  # interpreter, libraries and the network's weights
_VOXEL = 5  # bytes: int16 HU, uint8 labels, and twice a byte while the scan is brought into order or measured
_PROBABILITY = 4  # bytes a voxel
_ACTIVATIONS = 48 * 4  # bytes a pixel: what a network holds of one slice at a time, as measured for our U-Nets


@dataclass(frozen=True)
class Plan:
    """How a scan is predicted within the limit.

    Attributes:
        batch_size: slices at once.
        on_disk: whether the probabilities lie in a temporary file.
    """

    batch_size: int
    on_disk: bool


def bytes_of(text: str) -> int:
    """Return the bytes that a size such as "2GB", "1.5 GB" or "800MB" means.

    Raises:
        UserError: it is no size, or none above zero.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(MB|GB)", text.strip().upper())
    size = int(float(found[1]) * _UNITS[found[2]]) if found else 0
    if size <= 0:
        raise UserError(f"'{text}' is no amount of memory; give one such as 2GB or 800MB")
    return size


def plan(
    shape: tuple[int, ...], limit: int, batch_size: int, pixels: int, keep_probability: bool, held: int = 0
) -> Plan:
    """Decide what fits beside a scan: first smaller batches give way, then the probabilities go to disk.

    Args:
        shape: of the scan, (z, y, x).
        limit: bytes the program may take.
        batch_size: slices at once where there is room.
        pixels: of a slice on the network's grid.
        keep_probability: whether probabilities are wanted.
        held: slices whose probabilities are held at once beside them, for smoothing.

    Raises:
        UserError: the scan with one slice at a time takes more.
    """
    voxels = int(np.prod(shape, dtype=np.int64))
    step = _ACTIVATIONS * max(pixels, shape[1] * shape[2])
    free = limit - _PROGRAM - _VOXEL * voxels - step - _PROBABILITY * held * shape[1] * shape[2]
    if free < 0:
        size = "x".join(map(str, shape[::-1]))
        raise UserError(
            f"{size} voxels need {-(-(limit - free) // 10**8) / 10:g} GB, more than --max-memory allows "
            f"({limit / 10**9:g} GB); allow more"
        )
    wanted = _PROBABILITY * voxels if keep_probability else 0
    on_disk = wanted > free
    left = free if on_disk else free - wanted
    return Plan(min(batch_size, 1 + left // step), on_disk)


def on_disk(shape: tuple[int, ...], folder: Path) -> Floats:
    """Return float32 zeros that lie in a nameless temporary file of `folder`, which goes with the array.

    Raises:
        UserError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=".writing-", dir=folder) as file:
            return np.memmap(file, np.float32, "w+", shape=shape)
    except OSError as error:
        raise UserError(f"cannot write probabilities to {folder}: {error.strerror or error}") from error
