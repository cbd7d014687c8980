"""Label maps as colours, alone or over a slice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from spleenseg.render.colors import RGB

Style = Literal["off", "contour", "fill"]
STYLES: tuple[str, ...] = get_args(Style)

_PIXELS_PER_CONTOUR_PIXEL = 512  # a 512 pixel slice gets a contour of one pixel, 1024 two, ...

Pixels = NDArray[np.uint8]


def overlay(
    image: Pixels, labels: NDArray[np.generic], colors: Mapping[int, RGB], style: str, alpha: float = 0.4
) -> Pixels:
    """Show labels over a slice.

    The contour lies inside its label (the outermost pixels), so that touching labels keep one line each and
    the picture never shows more organ than the mask has. The fill is ``(1 - alpha) * image + alpha * colour``
    in floating point, rounded: nothing wraps around.

    Args:
        image: uint8 [H, W] or [H, W, 3].
        labels: integer or bool [H, W]; 0 is background.
        colors: label -> (red, green, blue). A label that is missing here is not drawn.
        style: ``"off"`` (the image as it is), ``"contour"``, or ``"fill"`` (blend and contour).
        alpha: weight of the colour in the fill, 0..1.

    Returns:
        uint8 [H, W, 3], a new array.

    Raises:
        ValueError: shapes or types do not fit, or the style is unknown.
    """
    picture = _as_rgb(image)
    if labels.shape != picture.shape[:2]:
        raise ValueError(f"labels {labels.shape} do not fit the image {picture.shape[:2]}")
    if style not in STYLES:
        raise ValueError(f"unknown overlay style {style!r}; use one of {', '.join(STYLES)}")
    if style == "off":
        return picture
    if style == "fill":
        _blend(picture, labels, colors, alpha)
    _draw(picture, labels, contours(labels, _thickness(picture)), colors)
    return picture


def colorize(labels: NDArray[np.generic], colors: Mapping[int, RGB], background: RGB) -> Pixels:
    """Paint a label map.

    Args:
        labels: integer or bool [H, W], values 0..255.
        colors: label -> (red, green, blue).
        background: colour of 0 and of every label without a colour of its own.

    Returns:
        uint8 [H, W, 3].
    """
    table = np.tile(np.array(background, np.uint8), (256, 1))
    for label, shade in colors.items():
        table[label] = shade
    return table[labels.astype(np.uint8)]


def contours(labels: NDArray[np.generic], thickness: int = 1) -> NDArray[np.bool_]:
    """Return the outermost pixels of every label, `thickness` deep: bool [H, W].

    A pixel is outermost if one of its four neighbours carries another label; beyond the picture lies
    background, so a label cut off by the border is closed there.
    """
    remaining = labels.copy()
    edge = np.zeros(labels.shape, bool)
    for _ in range(thickness):
        edge |= _touches_other(remaining)
        remaining[edge] = 0
    return edge


def _touches_other(labels: NDArray[np.generic]) -> NDArray[np.bool_]:
    padded = np.pad(labels, 1)
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    differs: NDArray[np.bool_] = np.zeros(labels.shape, bool)
    for neighbour in neighbours:
        differs |= neighbour != labels
    differs &= labels != 0
    return differs


def _as_rgb(image: Pixels) -> Pixels:
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(f"expected uint8 [H, W] or [H, W, 3], got {image.dtype} {image.shape}")
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image.copy()


def _thickness(picture: Pixels) -> int:
    height, width, _ = picture.shape
    return max(1, round(max(int(height), int(width)) / _PIXELS_PER_CONTOUR_PIXEL))


def _blend(picture: Pixels, labels: NDArray[np.generic], colors: Mapping[int, RGB], alpha: float) -> None:
    for label, shade in colors.items():
        inside = labels == label
        mixed = (1 - alpha) * picture[inside] + alpha * np.array(shade, np.float64)
        picture[inside] = np.rint(mixed).clip(0, 255).astype(np.uint8)


def _draw(picture: Pixels, labels: NDArray[np.generic], line: NDArray[np.bool_], colors: Mapping[int, RGB]) -> None:
    for label, shade in colors.items():
        picture[line & (labels == label)] = shade
