"""OpenVINO without its telemetry, and an exported model as it reads it. Light to import: see `head_start`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from spleenseg.errors import UserError, install_command


def import_without_telemetry() -> Any:
    """Import OpenVINO so that it neither sends anything nor writes an identifier into the home folder.

    Its package `openvino_telemetry` is hidden from it; it then uses its own stand-in that does nothing.

    Raises:
        UserError: it is not installed.
    """
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        return import_module("openvino")
    except ImportError as error:
        raise UserError(f"the engine openvino is not installed ({error}): {install_command('openvino')}") from error


def read_network(content: bytes, path: Path) -> Any:
    """Return a model as OpenVINO reads it, not yet compiled for any size.

    Args:
        content: the checked bytes of the file.
        path: its name, for errors.

    Raises:
        UserError: OpenVINO is missing, or cannot read it.
    """
    core = import_without_telemetry().Core()
    try:
        return core.read_model(model=content)
    except RuntimeError as error:
        raise UserError(f"OpenVINO cannot read {path}: {said(error)}") from error


def computes_in_bfloat16(core: Any) -> bool:
    """Return whether this processor does, by what OpenVINO finds."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def said(error: RuntimeError) -> str:
    """Return what OpenVINO says at the end of the many lines of its errors."""
    return str(error).strip().split("\n")[-1][:200]
