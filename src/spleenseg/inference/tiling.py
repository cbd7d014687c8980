"""Images larger than the model: overlapping tiles, blended where they meet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from spleenseg.inference.engine import Floats

Pixels = npt.NDArray[np.uint8]
Predict = Callable[[Iterable[Pixels]], Iterable[Floats]]  # [H, W] or [H, W, C] each -> [H, W, K] each, lazily

SIGMA_OF_TILE = 1 / 8  # of the Gaussian weight, as a share of the tile's side
LEAST_WEIGHT = 1e-3  # no pixel of a tile counts for nothing: corners may be covered only once


def tiled_probabilities(image: Pixels, predict: Predict, tile: tuple[int, int], overlap: int) -> Floats:
    """Predict an image tile by tile and blend the tiles with Gaussian weights.

    A network sees nothing beyond its tile, where the image goes on. So the outer quarter of what two tiles share is
    left to the other one. A network of convolutions that sees no further than a quarter of the overlap gives what it
    gives for the whole image at once; where it also pools, if the tiles begin at multiples of its coarsest pixel. One
    that sees further answers less well towards the borders of its tiles. Every answer lies between those of the tiles
    there.

    An image smaller than a tile is continued by its edge to one tile and cut back afterwards.

    Args:
        image: uint8 [H, W] or [H, W, C], any size.
        predict: maps images of the tile's size to probabilities of the same size, in order.
        tile: height and width of a tile in pixels.
        overlap: pixels that neighbouring tiles share at least, less than both sides of the tile.

    Returns:
        float32 [H, W, K].
    """
    height, width = image.shape[:2]
    padded = _continued(image, tile)
    corners = list(tile_corners(padded.shape[:2], tile, overlap))
    weight, trust = blending_weight(tile), _trust(corners, tile)
    weights = np.zeros((*padded.shape[:2], 1), np.float32)
    total: Floats | None = None
    cuts = (padded[top : top + tile[0], left : left + tile[1]] for top, left in corners)
    for (top, left), part in zip(corners, predict(cuts), strict=True):
        if total is None:
            total = np.zeros((*padded.shape[:2], part.shape[-1]), np.float32)
        here = np.s_[top : top + tile[0], left : left + tile[1]]
        counts = weight * np.outer(trust[0][top], trust[1][left])[..., None]
        total[here] += part * counts
        weights[here] += counts
    assert total is not None  # there is always one tile
    total /= weights
    return total[:height, :width]


def tile_corners(size: tuple[int, int], tile: tuple[int, int], overlap: int) -> Iterator[tuple[int, int]]:
    """Yield (top, left) of tiles that cover `size` and lie inside it, row by row.

    Raises:
        ValueError: `overlap` is negative or not less than the tile's sides.
    """
    if not 0 <= overlap < min(tile):
        raise ValueError(f"overlap {overlap} does not fit tiles of {tile[0]}x{tile[1]}")
    for top in _starts(size[0], tile[0], overlap):
        for left in _starts(size[1], tile[1], overlap):
            yield top, left


def blending_weight(tile: tuple[int, int]) -> Floats:
    """Return float32 [h, w, 1]: a Gaussian, highest in the middle of the tile."""
    down, across = (_bell(side) for side in tile)
    return np.maximum(np.outer(down, across), LEAST_WEIGHT)[..., None].astype(np.float32)


def _starts(length: int, side: int, overlap: int) -> list[int]:
    last = length - side
    return [*range(0, last, side - overlap), last]


def _trust(corners: Sequence[tuple[int, int]], tile: tuple[int, int]) -> list[dict[int, Floats]]:
    """Return for each axis by where a tile begins how far each of its lines counts, 0 to 1, float32 [side]."""
    found = []
    for axis, side in enumerate(tile):
        starts = sorted({corner[axis] for corner in corners})
        shares = [0, *(one + side - other for one, other in pairwise(starts)), 0]  # with the tile before and after
        lines = np.arange(side)
        found.append(
            {
                start: _rise(lines, before) * _rise(lines[::-1], after)
                for start, before, after in zip(starts, shares, shares[1:], strict=False)
            }
        )
    return found


def _rise(lines: npt.NDArray[np.int_], shared: int) -> Floats:
    """Return 0 in the first quarter of the lines shared with another tile, rising to 1 over the next eighth."""
    return np.clip((lines + 1 - shared // 4) / max(1, shared / 8), 0, 1).astype(np.float32)


def _bell(side: int) -> npt.NDArray[np.float64]:
    offsets = np.arange(side) - (side - 1) / 2
    bell: npt.NDArray[np.float64] = np.exp(-0.5 * (offsets / (side * SIGMA_OF_TILE)) ** 2)
    return bell


def _continued(image: Pixels, tile: tuple[int, int]) -> Pixels:
    below, right = (max(0, side - length) for side, length in zip(tile, image.shape[:2], strict=True))
    rest = ((0, 0),) * (image.ndim - 2)
    return np.pad(image, ((0, below), (0, right), *rest), mode="edge") if below or right else image
