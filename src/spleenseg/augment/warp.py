"""Resampling an image and its mask through one and the same map."""

from __future__ import annotations

import threading
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from spleenseg.augment.fields import Grid, Plane, Shape, total
from spleenseg.augment.geometry import Geometry

Image: TypeAlias = NDArray[Any]  # [H, W, C], uint8 or float32
Mask: TypeAlias = NDArray[np.uint8]  # [H, W] label values
Border: TypeAlias = Literal["constant", "edge"]

SHORT_STEPS = threading.Lock()
"""Held for work of many steps of microseconds. Each step lets go of Python's global lock and takes it again; two
threads doing so at once spend more time handing it over than computing."""

_BORDERS = {"constant": cv2.BORDER_CONSTANT, "edge": cv2.BORDER_REPLICATE}


def warp(image: Image, mask: Mask, geometry: Geometry, border: Border = "constant") -> tuple[Image, Mask]:
    """Apply `geometry` to an image (bilinear) and to its mask (nearest neighbour).

    The map is made once and serves both. Flips, and the identity, only move whole pixels and are exact. The
    results never share memory with what was given.

    Args:
        image: [H, W, C], uint8 or float32.
        mask: [H, W] labels.
        geometry: output -> source.
        border: what lies outside the source: "constant" is 0, the window's floor and the background label;
            "edge" repeats the outermost pixels of both.

    Returns:
        Image and mask of the same shapes and types.
    """
    mirrors = geometry.mirrors
    if mirrors is not None:
        return _flipped(image, *mirrors), _flipped(mask, *mirrors)
    height, width = mask.shape
    to_x, to_y = source_map(geometry, (height, width), SCRATCH)
    mode = _BORDERS[border]
    labels = cv2.remap(mask, to_x, to_y, cv2.INTER_NEAREST, borderMode=mode)
    return _resampled(image, to_x, to_y, mode), labels


def _resampled(image: Image, to_x: Plane, to_y: Plane, mode: int) -> Image:
    """Read an image bilinearly, four channels at a time: OpenCV is far quicker with four than with two or three."""
    height, width, channels = image.shape
    if channels in (1, 4):
        return np.asarray(cv2.remap(image, to_x, to_y, cv2.INTER_LINEAR, borderMode=mode)).reshape(image.shape)
    four, moved = (SCRATCH.get(name, (height, width, 4), image.dtype) for name in ("four", "moved"))
    result = np.empty_like(image)
    for first in range(0, channels, 4):
        count = min(4, channels - first)
        _copy_channels(image, four, first, 0, count)
        cv2.remap(four, to_x, to_y, cv2.INTER_LINEAR, dst=moved, borderMode=mode)
        _copy_channels(moved, result, 0, first, count)
    return result


def _copy_channels(source: Image, target: Image, first: int, at: int, count: int) -> None:
    """Put channels `first`, `first` + 1, ... of `source` into `target` from channel `at` on."""
    if count == 3 and {source.shape[2], target.shape[2]} == {3, 4}:  # the common case has a quicker way
        cv2.cvtColor(source, cv2.COLOR_BGR2BGRA if target.shape[2] == 4 else cv2.COLOR_BGRA2BGR, dst=target)
        return
    pairs = [place for step in range(count) for place in (first + step, at + step)]
    cv2.mixChannels([source], [target], pairs)


class Scratch(threading.local):
    """Arrays a thread uses again and again: fresh megabytes cost more than what is computed in them."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}

    def get(self, name: str, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Return the array of that name, its content undefined."""
        array = self._arrays.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = self._arrays[name] = np.empty(shape, dtype)
        return array


SCRATCH = Scratch()


def source_map(geometry: Geometry, shape: Shape, scratch: Scratch | None = None) -> tuple[Plane, Plane]:
    """Return the source position (x, y) of every output pixel, each float32 [H, W], in pixels.

    Fields are added at the nodes of their grid, and the sum is interpolated bilinearly. The linear part goes
    the same way at no loss: between nodes a power of two apart, bilinear interpolation of a linear function
    is that function, up to the last bits of float32 (1e-4 pixels; not a bit of the identity). With a
    `scratch` the result lives in it, until its next use.
    """
    scratch = scratch or Scratch()
    height, width = shape
    if not geometry.fields:
        x, y = np.arange(width)[None, :], np.arange(height)[:, None]
        along_x, along_y = _linear_part(geometry, x, y, shape)
        return _outer_sum(*along_x, scratch.get("x", shape)), _outer_sum(*along_y, scratch.get("y", shape))
    with SHORT_STEPS:
        grid, at_x, at_y = _map_at_nodes(geometry, shape)
    return grid.upsample(at_x, scratch.get("fine x", grid.fine)), grid.upsample(at_y, scratch.get("fine y", grid.fine))


def _map_at_nodes(geometry: Geometry, shape: Shape) -> tuple[Grid, Plane, Plane]:
    """Return the grid that resolves the fields, and the source position (x, y) of each of its nodes."""
    xx, xy, yx, yy = (np.float32(value) for value in geometry.linear)
    grid, dx, dy = total(geometry.fields, shape)
    (row_x, column_x), (row_y, column_y) = _linear_part(geometry, *grid.positions(), shape)
    at_x = (row_x + column_x + (xx * dx + xy * dy)).astype(np.float32)
    at_y = (row_y + column_y + (yx * dx + yy * dy)).astype(np.float32)
    return grid, at_x, at_y


def _linear_part(
    geometry: Geometry, x: NDArray[Any], y: NDArray[Any], shape: Shape
) -> tuple[tuple[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]:
    """Return what a row of `x` and a column of `y` add to the source position, for its x and for its y; float64."""
    (xx, xy, yx, yy), (height, width) = geometry.linear, shape
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    x, y = x.astype(np.float64) - middle_x, y.astype(np.float64) - middle_y
    return (xx * x + middle_x, xy * y), (yx * x + middle_y, yy * y)


def _outer_sum(row: NDArray[Any], column: NDArray[Any], out: Plane) -> Plane:
    return np.add(row.astype(np.float32), column.astype(np.float32), out=out)


def _flipped(array: NDArray[Any], left_right: bool, up_down: bool) -> NDArray[Any]:
    if not (left_right or up_down):
        return array.copy()
    code = -1 if left_right and up_down else int(left_right)
    return np.asarray(cv2.flip(array, code)).reshape(array.shape)
