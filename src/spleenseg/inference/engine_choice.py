"""Engines and precisions by their names, the files they run, the fastest, and the cores it has. Light to import."""

from __future__ import annotations

import os
from importlib.util import find_spec

ENGINES = KERAS, ONNX, OPENVINO = ("keras", "onnx", "openvino")
PRECISIONS = EXACT, FAST, INT8 = ("exact", "fast", "int8")
SUFFIX = ".onnx"
EXPORTED_NAME = "model.onnx"
"""Where a run folder keeps its exported model."""
INT8_NAME = "model.int8.onnx"
"""Where it keeps the one that computes in int8."""


def fastest(precision: str) -> str | None:
    """Return the engine that computes a precision fastest, None where that is open."""
    if precision == INT8:
        return OPENVINO if find_spec("openvino") else ONNX
    return OPENVINO if precision == FAST else None


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
