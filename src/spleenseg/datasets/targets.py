"""From mask pixels to labels, and from labels to what the loss compares with.

The order is fixed: resize, binarise, and only then soften, for the loss alone. Metrics take the hard target.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from spleenseg.config import Config
from spleenseg.config.data import MaskConfig
from spleenseg.errors import UserError

_AUTOMATIC = {"THRESH_OTSU": cv2.THRESH_OTSU, "THRESH_TRIANGLE": cv2.THRESH_TRIANGLE}
_JUST_BELOW_HALF = np.float32(0.499)


def labels_of_mask(grey: NDArray[np.uint8], mask: MaskConfig, classes: int) -> NDArray[np.uint8]:
    """Return the labels a mask means.

    Args:
        grey: uint8 [H, W] as read from the file (resized by nearest neighbour, if at all).
        mask: the [mask] section.
        classes: `[model] num_classes`. 1: organ where the grey value is at least the threshold (given, or
            found by `algorithm`); without `binarize` everything above 0 in a mask that holds no value as high as the
            threshold (0 and 1, say), for the lossy edges of brighter ones are no organ. K > 1: the grey values are
            labels.

    Returns:
        uint8 [H, W] with values 0..max(1, K-1).

    Raises:
        UserError: with several classes, a value that is no label.
    """
    if classes > 1:
        highest = int(grey.max())
        if highest >= classes:
            raise UserError(f"holds the value {highest}, but [model] num_classes = {classes} knows 0 to {classes - 1}")
        return grey
    return binarize(grey, mask).astype(np.uint8)


def binarize(grey: NDArray[np.uint8], mask: MaskConfig) -> NDArray[np.bool_]:
    """Return where the organ is, bool [H, W]; see `labels_of_mask`."""
    least = max(mask.threshold, 1)  # 0 is never organ
    if not mask.binarize and grey.max(initial=0) < least:
        return grey > 0
    if mask.binarize and mask.algorithm in _AUTOMATIC:
        found, _ = cv2.threshold(grey, 0, 255, _AUTOMATIC[mask.algorithm])
        return grey > found
    return grey >= least


def soften(labels: NDArray[np.uint8], mask: MaskConfig) -> NDArray[np.float32]:
    """Blur the organ's edge without moving it or changing its area.

    A box blur of `[mask] blur_size`, written as an exchange: every pair of an organ and a background pixel
    within one box trades 1/(box area). The exchange is damped where it would carry a pixel across 0.5
    (corners, thin parts, single pixels). What one side loses the other gains, so the area is exactly kept;
    no pixel changes side, so the level 0.5 is the original boundary. At straight edges it is the box blur.

    Args:
        labels: uint8 [H, W]; everything above 0 is organ.
        mask: the [mask] section; without `blur` the target stays hard.

    Returns:
        float32 [H, W] in [0, 1]; ``>= 0.5`` exactly where `labels` is organ, and the same sum.
    """
    target = (labels > 0).astype(np.float32)
    if mask.blur and target.any():
        part = _surroundings(target, mask)
        target[part] = _exchange(target[part], mask)
    return target


def _exchange(organ: NDArray[np.float32], mask: MaskConfig) -> NDArray[np.float32]:
    background = 1 - organ
    traded = np.where(organ > 0, _box(background, mask), _box(organ, mask))
    damping = np.divide(_JUST_BELOW_HALF, np.maximum(traded, _JUST_BELOW_HALF), dtype=np.float32)
    lost = damping * _box(background * damping, mask)
    gained = damping * _box(organ * damping, mask)
    return np.clip(np.where(organ > 0, 1 - lost, gained), 0, 1).astype(np.float32)


def hard_target(labels: NDArray[np.uint8], classes: int) -> NDArray[np.float32]:
    """Return the truth as 0 and 1, float32 [H, W, K]: the organ for one class, else one channel a label."""
    if classes == 1:
        return (labels > 0).astype(np.float32)[..., None]
    return np.eye(classes, dtype=np.float32)[labels]


def soft_target(labels: NDArray[np.uint8], config: Config) -> NDArray[np.float32]:
    """Return what the loss compares with, float32 [H, W, K]: softened as [mask] says, one-hot for K > 1."""
    if config.model.num_classes == 1:
        return soften(labels, config.mask)[..., None]
    return hard_target(labels, config.model.num_classes)


def _surroundings(organ: NDArray[np.float32], mask: MaskConfig) -> tuple[slice, slice]:
    """The organ's bounding box and one filter length around it: beyond, nothing changes."""
    width, height = mask.blur_size
    rows, columns = np.flatnonzero(organ.any(axis=1)), np.flatnonzero(organ.any(axis=0))
    return (
        slice(max(0, rows[0] - height), rows[-1] + height + 1),
        slice(max(0, columns[0] - width), columns[-1] + width + 1),
    )


def _box(values: NDArray[np.float32], mask: MaskConfig) -> NDArray[np.float32]:
    """Box mean, mirrored at the border so that weights stay symmetric: what is sent is what arrives."""
    blurred: NDArray[np.float32] = cv2.blur(values, mask.blur_size, borderType=cv2.BORDER_REFLECT)
    return blurred
