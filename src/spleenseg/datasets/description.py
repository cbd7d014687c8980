"""dataset.json, as the Medical Segmentation Decathlon and nnU-Net write it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from spleenseg.errors import UserError

DESCRIPTION = "dataset.json"


def read_description(path: Path) -> dict[str, Any]:
    """Read a dataset.json that describes CT.

    Raises:
        UserError: unreadable, no JSON object, or not one channel of CT.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: no JSON ({error})") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} does not describe a dataset")
    channels = data.get("modality", data.get("channel_names"))
    if isinstance(channels, dict) and [str(name).upper() for name in channels.values()] != ["CT"]:
        raise UserError(f"{path} describes {', '.join(map(str, channels.values()))}, not one channel of CT")
    return data


def inside(folder: Path, description: Path, entry: Any) -> Path:
    """Return a file or folder that a dataset.json names; names that lead out of `folder` are refused.

    Raises:
        UserError: no name, one that leads out, or nothing is there.
    """
    if not isinstance(entry, str):
        raise UserError(f"{description} lists {entry!r}, which is no file name")
    written = Path(os.path.normpath(entry))  # links to another disk are the user's own and followed
    if written.is_absolute() or ".." in written.parts:
        raise UserError(f"{description} lists {entry}, which lies outside {folder}")
    if not (folder / written).exists():
        raise UserError(f"{description} lists {entry}, which is missing")
    return folder / written


def described_labels(data: Any, path: Path) -> dict[str, int]:
    """Return name -> value from ``{"1": "spleen"}`` (MSD) or ``{"spleen": 1}`` (nnU-Net).

    Raises:
        UserError: not one whole number up to 255 a name, or none but the background.
    """
    if not isinstance(data, dict) or not data:
        raise UserError(f'{path} has no "labels", such as {{"0": "background", "1": "spleen"}}')
    try:
        pairs = [(str(b), int(a)) if str(a).isdigit() else (str(a), int(b)) for a, b in data.items()]
    except (TypeError, ValueError):
        raise UserError(f'{path}: "labels" must give each name one whole number') from None
    labels = {name: value for name, value in pairs if value != 0}
    if not labels or not all(0 < value < 256 for value in labels.values()):
        raise UserError(f'{path}: "labels" must name a label other than the background, with values up to 255')
    return labels
