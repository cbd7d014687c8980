"""What `prepare` may be asked for, and what is impossible."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from spleenseg.datasets.manifest import Display, Layout, Request
from spleenseg.datasets.nnunet import require_name
from spleenseg.datasets.source import Source
from spleenseg.datasets.split import SPLITS, require_shares
from spleenseg.errors import UserError, did_you_mean
from spleenseg.volumes.orientation import require_orientation

_PIXEL_MM = (0.1, 20.0)


def make_request(
    source: Source,
    dataset: Path,
    *,
    layout: str,
    window: tuple[float, float],
    display: str,
    pixel_mm: float | None,
    labels: Mapping[str, int] | None,
    seed: int,
    shares: tuple[float, float, float],
    into: str | None,
    allow_gaps: bool,
    orientation: str | None,
) -> Request:
    """Check what `prepare` was asked for, before anything is read or written; see there for the arguments.

    Raises:
        UserError: one of them is impossible, or there are too few scans to divide.
    """
    if not window[0] < window[1] or not all(map(math.isfinite, window)):
        raise UserError(f"the window must be LOW HIGH with LOW below HIGH, not {window[0]:g} {window[1]:g}")
    _require_one_of("display", display, get_args(Display))
    _require_one_of("format", layout, get_args(Layout))
    if orientation is not None:
        require_orientation(orientation)
    if into is not None:
        _require_one_of("into", into, SPLITS)
    if pixel_mm is not None:
        _require_pixel_size(pixel_mm, layout)
    if layout == "nnunet":
        require_name(dataset)
        if into not in (None, "train"):
            raise UserError(f"nnU-Net's layout holds training cases only, so --into {into} does not go with it")
        into = "train"  # nnU-Net knows training cases only; folds divide them
    if into is None:
        require_shares(len(source.scans), shares)
    return Request(
        layout=layout,
        window_hu=window,
        display=display,
        pixel_mm=pixel_mm,
        labels=_checked(labels or source.labels or {"organ": 1}),
        seed=seed,
        shares=shares,
        into=into,
        allow_gaps=allow_gaps,
        declared_orientation=orientation,
        cases=tuple(scan.case for scan in source.scans),
    )


def parse_labels(texts: Sequence[str] | None) -> dict[str, int] | None:
    """Read labels written as ``NAME=VALUE``; None and an empty list mean those of dataset.json.

    Raises:
        UserError: a text of another form, or a name or value given twice.
    """
    labels: dict[str, int] = {}
    for text in texts or ():
        name, _, value = (part.strip() for part in text.partition("="))
        if not name or not value.isdecimal():
            raise UserError(f"--label {text}: write NAME=VALUE with a whole number, such as spleen=1")
        if name in labels:
            raise UserError(f"--label {name} is given twice")
        labels[name] = int(value)
    return labels or None


def _require_one_of(what: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        choices = f"{', '.join(known[:-1])} or {known[-1]}"
        raise UserError(f"{what} must be {choices}, is {given!r}{did_you_mean(given, known)}")


def _require_pixel_size(pixel_mm: float, layout: str) -> None:
    if not _PIXEL_MM[0] <= pixel_mm <= _PIXEL_MM[1]:
        raise UserError(f"a pixel is {_PIXEL_MM[0]:g} to {_PIXEL_MM[1]:g} mm wide, not {pixel_mm:g}")
    if layout == "nnunet":
        raise UserError("nnU-Net chooses its pixel size itself; leave --pixel-mm out, or the format nnunet")


def _checked(labels: Mapping[str, int]) -> dict[str, int]:
    for name, value in labels.items():
        if not 1 <= value <= 255:
            raise UserError(f"label {name}={value}: values go from 1 to 255; 0 is the background")
    if len(set(labels.values())) < len(labels):
        raise UserError(f"two labels have the same value: {', '.join(f'{n}={v}' for n, v in labels.items())}")
    return dict(labels)
