"""How much memory a scan may take, and what gives way where it would take more."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spleenseg.errors import UserError
from spleenseg.inference.engine import Floats

DEFAULT_LIMIT = "2GB"
_UNITS = {"MB": 10**6, "GB": 10**9}
_PROGRAM = 300 * 10**6  # interpreter and libraries
KERAS_LIBRARIES = 400 * 10**6
"""Bytes that Keras and TensorFlow take beside what the program takes with ONNX Runtime."""
_WEIGHTS = 4  # times the file: its bytes, the engine's own, those in the order the processor wants
_VOXEL = 5  # bytes: int16 HU, uint8 labels, and twice a byte while the scan is brought into order or measured
_PROBABILITY = 4  # bytes a voxel
_KEPT = 3  # times the activations: an engine keeps memory for its own orders of them and from its first step
_SLICE = 8  # bytes a pixel of the scan: HU on their way into the network
_COPIES = 2  # of probabilities on their way out of it
_USUAL = 64 * _PROBABILITY  # bytes of activations a pixel, of networks that nobody measured


@dataclass(frozen=True)
class Plan:
    """How a scan is predicted within the limit.

    Attributes:
        batch_size: slices at once.
        on_disk: whether the probabilities lie in a temporary file.
    """

    batch_size: int
    on_disk: bool


@dataclass(frozen=True)
class NetworkMemory:
    """What a network takes, in bytes.

    Attributes:
        weights: the size of its file.
        activations: those that exist at once while one slice goes through it, see `onnx_memory.activation_bytes`.
        libraries: what its engine takes beside the program.
    """

    weights: int
    activations: int
    libraries: int = 0

    @classmethod
    def of(cls, pixels: int, weights: int = 0, activations: int | None = None, libraries: int = 0) -> NetworkMemory:
        """Describe a network.

        Args:
            pixels: of a slice on its grid.
            weights: see the attribute.
            activations: see the attribute; None: nobody measured them.
            libraries: see the attribute.
        """
        return cls(weights, _USUAL * pixels if activations is None else activations, libraries)

    def __add__(self, other: NetworkMemory) -> NetworkMemory:
        """Return what both take together: each keeps its memory while the other computes; libraries are loaded once."""
        libraries = max(self.libraries, other.libraries)
        return NetworkMemory(self.weights + other.weights, self.activations + other.activations, libraries)


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
    shape: tuple[int, ...],
    limit: int,
    batch_size: int,
    network: NetworkMemory,
    keep_probability: bool,
    held: int = 0,
    channels: int = 1,
) -> Plan:
    """Decide what fits beside a scan: first smaller batches give way, then the probabilities go to disk.

    Args:
        shape: of the scan, (z, y, x).
        limit: bytes the program may take.
        batch_size: slices at once where there is room.
        network: what the network takes.
        keep_probability: whether probabilities are wanted.
        held: slices whose probabilities are held at once beside them, for smoothing.
        channels: probabilities of a pixel.

    Raises:
        UserError: the scan with one slice at a time takes more.
    """
    voxels = int(np.prod(shape, dtype=np.int64))
    pixels, probabilities = shape[1] * shape[2], _PROBABILITY * channels
    step = _KEPT * network.activations + (_SLICE + _COPIES * probabilities) * pixels
    always = _PROGRAM + network.libraries + _WEIGHTS * network.weights + _VOXEL * voxels + held * probabilities * pixels
    free = limit - always - step
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
            _reserve(file.fileno(), _PROBABILITY * int(np.prod(shape, dtype=np.int64)))
            return np.memmap(file, np.float32, "w+", shape=shape)
    except OSError as error:
        raise UserError(f"cannot write probabilities to {folder}: {error.strerror or error}") from error


def _reserve(file: int, size: int) -> None:
    """Take room on the disk: what is missing is an error here, and on a mapped page it would end the process.

    Raises:
        OSError: the disk is full.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # not every file system can
            raise
