"""An exported model, read and checked, and ONNX Runtime's session of it. Light to import: see `head_start`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

from spleenseg.errors import UserError
from spleenseg.inference.engine_choice import usable_cores
from spleenseg.inference.onnx_file import read_metadata

_ERRORS_ONLY = 3
_LARGE = 32 * 10**6  # bytes of a file whose weights take longer to reorder than a few slices to predict
_FEW = 4  # slices


class Layout(Enum):
    """How weights lie in memory.

    In blocks of channels the reference's network (31 million weights, 512 x 512) takes 0.35 s a slice and 0.40 s to
    load, as they are in the file 0.45 s and 0.15 s (two cores of an AMD EPYC without AVX-512). A network of a few
    million weights loads in 0.05 s either way. Probabilities of the two differ by rounding, and PLAIN's also with the
    number of threads and of slices at once, by some 1e-7; BLOCKED's do not.
    """

    BLOCKED = "blocked"
    PLAIN = "plain"

    @classmethod
    def of(cls, content: bytes, few: bool) -> Layout:
        """Return what is sooner done with a model file for few slices, or for many."""
        return cls.PLAIN if few and len(content) >= _LARGE else cls.BLOCKED


def are_few(slices: int) -> bool:
    """Return whether slices are so few that loading a large network takes longer than predicting them."""
    return slices <= _FEW


def read_checked(path: Path) -> tuple[bytes, dict[str, str]]:
    """Return the bytes of an ONNX file that is complete in itself, and its metadata.

    Raises:
        UserError: no such file, no ONNX, damaged, or not self-contained.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read model {path}: {error.strerror or error}") from error
    return content, read_metadata(content, path)


def new_session(content: bytes, path: Path, threads: int | None, layout: Layout = Layout.BLOCKED) -> Any:
    """Return ONNX Runtime's session of a model.

    Args:
        content: the checked bytes of the file.
        path: its name, for errors.
        threads: how many compute; None: one for each core this process may use.
        layout: of its weights.

    Raises:
        UserError: ONNX Runtime cannot run it.
    """
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    if layout is Layout.PLAIN:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class
        line = str(error).strip().split("\n")[0][:200]
        if "alloc" in line.lower():
            raise UserError(f"not enough memory to load {path}: {line}") from error
        raise UserError(f"{path} cannot be run, it is damaged: {line}") from error
