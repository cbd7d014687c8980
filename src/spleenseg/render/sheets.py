"""Many small pictures on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spleenseg.render.canvas import Canvas, shorten

if TYPE_CHECKING:
    from PIL import Image

_LARGEST, _SMALLEST = 512, 192  # limits of a cell's side in pixels
_MARGIN, _GAP = 16, 12
_TITLE_SIZE, _TITLE_BAND = 18, 26

Tile = tuple[str, NDArray[np.uint8]]


def contact_sheet(tiles: Sequence[Tile], columns: int, path: Path) -> None:
    """Write pictures with their titles side by side as one PNG.

    Every picture keeps its proportions and fills a square cell, as large as the largest picture but between
    192 and 512 pixels; small pictures are enlarged without smoothing, so that their pixels can be counted.

    Args:
        tiles: (title, picture) in reading order; a picture is uint8 [H, W] or [H, W, 3].
        columns: pictures in a row, at least 1.
        path: the PNG file.

    Raises:
        ValueError: there are no tiles, or `columns` is less than 1.
        UserError: `path` cannot be written.
    """
    if not tiles or columns < 1:
        raise ValueError("a contact sheet needs at least one picture and one column")
    columns = min(columns, len(tiles))
    largest = max(max(picture.shape[:2]) for _, picture in tiles)
    cell = min(max(largest, _SMALLEST), _LARGEST)
    pictures = [_fit(picture, cell) for _, picture in tiles]
    rows = [range(start, min(start + columns, len(tiles))) for start in range(0, len(tiles), columns)]
    heights = [max(pictures[index].height for index in row) for row in rows]
    width = 2 * _MARGIN + columns * cell + (columns - 1) * _GAP
    height = 2 * _MARGIN + sum(heights) + len(rows) * _TITLE_BAND + (len(rows) - 1) * _GAP
    sheet = Canvas(width, height)
    top = _MARGIN
    for row, row_height in zip(rows, heights, strict=True):
        for column, index in enumerate(row):
            left = _MARGIN + column * (cell + _GAP)
            sheet.write(shorten(tiles[index][0], cell, _TITLE_SIZE), (left, top), _TITLE_SIZE)
            sheet.paste(pictures[index], left + (cell - pictures[index].width) // 2, top + _TITLE_BAND)
        top += _TITLE_BAND + row_height + _GAP
    sheet.save(path)


def _fit(picture: NDArray[np.uint8], cell: int) -> Image.Image:
    from PIL import Image

    image = Image.fromarray(picture).convert("RGB")
    scale = cell / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    smooth = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
    return image if scale == 1 else image.resize(size, smooth)
