"""An exported model, read and checked, and ONNX Runtime's session of it. Light to import: see `head_start`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from spleenseg.errors import UserError
from spleenseg.inference.onnx_file import read_metadata

_ERRORS_ONLY = 3


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


def new_session(content: bytes, path: Path, threads: int | None) -> Any:
    """Return ONNX Runtime's session of a model.

    Args:
        content: the checked bytes of the file.
        path: its name, for errors.
        threads: how many compute; None: one for each core this process may use.

    Raises:
        UserError: ONNX Runtime cannot run it.
    """
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class
        line = str(error).strip().split("\n")[0][:200]
        raise UserError(f"{path} cannot be run, it is damaged: {line}") from error


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
