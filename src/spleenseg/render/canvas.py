"""Placing pictures and words on a dark canvas with Pillow, exact to the pixel."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spleenseg.files import atomic
from spleenseg.render.colors import RGB

if TYPE_CHECKING:
    from PIL import Image

BACKGROUND: RGB = (18, 18, 20)
TEXT: RGB = (238, 238, 238)
FAINT: RGB = (165, 168, 175)
_COMPRESSION = 3  # of PNG: as small as 6 for such pictures, in half the time


class Canvas:
    """A dark sheet of `width` x `height` pixels."""

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        self.image = Image.new("RGB", (width, height), BACKGROUND)
        self.draw = ImageDraw.Draw(self.image)

    def paste(self, picture: Image.Image | NDArray[np.uint8], left: int, top: int) -> None:
        """Put a picture with its upper left corner at (left, top)."""
        from PIL import Image

        self.image.paste(Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture, (left, top))

    def write(self, words: str, at: tuple[float, float], size: int, anchor: str = "lt", shade: RGB = TEXT) -> None:
        """Write one line; `anchor` is Pillow's (``lt`` left top, ``mm`` middle, ``rb`` right bottom, ...)."""
        self.draw.text(at, printable(words), font=font(size), fill=shade, anchor=anchor)

    def mark(self, letter: str, at: tuple[float, float], size: int, anchor: str) -> None:
        """Write a letter with a dark rim, legible on any part of a picture."""
        self.draw.text(at, letter, font=font(size), fill=TEXT, anchor=anchor, stroke_width=2, stroke_fill=BACKGROUND)

    def box(self, left: float, top: float, width: float, height: float, shade: RGB) -> None:
        """Fill a rectangle."""
        self.draw.rectangle((left, top, left + width - 1, top + height - 1), fill=shade)

    def save(self, path: Path) -> None:
        """Write the sheet as PNG, atomically.

        Raises:
            UserError: `path` cannot be written.
        """
        with atomic(path) as temporary:
            self.image.save(temporary, format="PNG", compress_level=_COMPRESSION)


@lru_cache
def font(size: int) -> Any:
    """Return Pillow's own typeface at a size in pixels: the same on every machine."""
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


def printable(words: str) -> str:
    """Return `words` on one line, without control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in words)


def shorten(words: str, width: float, size: int) -> str:
    """Return `words`, with its middle replaced by an ellipsis if it is wider than `width` pixels."""
    words = printable(words)
    if font(size).getlength(words) <= width:
        return words
    for kept in range(len(words) - 1, 1, -1):
        head, tail = words[: (kept + 1) // 2], words[len(words) - kept // 2 :]
        if font(size).getlength(f"{head}…{tail}") <= width:
            return f"{head}…{tail}"
    return "…"
