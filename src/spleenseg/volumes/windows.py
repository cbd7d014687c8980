"""HU windows: which part of the HU scale a grey image shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_INT16_COUNT = 1 << 16


def apply_window(hu: NDArray[np.int16], window: tuple[float, float]) -> NDArray[np.uint8]:
    """Map HU to grey: `low` and below to 0, `high` and above to 255, linear between, rounded half to even.

    Args:
        hu: int16 HU, any shape.
        window: `(low, high)` in HU, low < high.

    Returns:
        uint8, the shape of `hu`.

    Raises:
        ValueError: the window is empty or reversed, or `hu` is not int16.
    """
    low, high = window
    if not low < high:
        raise ValueError(f"a window is (low, high) with low < high, not {window}")
    if hu.dtype != np.int16:
        raise ValueError(f"HU are int16, not {hu.dtype}")
    return _grey_of_every_hu(low, high)[hu.view(np.uint16)]


def _grey_of_every_hu(low: float, high: float) -> NDArray[np.uint8]:
    """Return the grey of all 65,536 int16 values, indexed by their bits read as uint16."""
    every = np.arange(_INT16_COUNT, dtype=np.uint16).view(np.int16).astype(np.float64)
    return np.rint(np.clip((every - low) * 255.0 / (high - low), 0, 255)).astype(np.uint8)
