"""Pictures and masks made to fit the model: its size, its channels, its colour order. One way for all uses."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from spleenseg.config import Config
from spleenseg.datasets.majority import by_coverage
from spleenseg.datasets.millimetres import Step, grey_on_grid, labels_on_grid

Pixels = NDArray[np.uint8]


def fit_image(image: Pixels, config: Config, step: Step | None = None) -> Pixels:
    """Show a picture as the model takes it.

    Args:
        image: uint8 grey [H, W] or RGB [H, W, 3].
        config: `[model] image_width`, `image_height`, `image_channels`; `[dataset] resize_interpolation`,
            `color_order`.
        step: see `fit_size`.

    Returns:
        uint8 [image_height, image_width, C]: C = 3 in the colour order of the config (grey is repeated),
        else one grey channel.
    """
    return fit_channels(fit_size(image, config, step), config)


def fit_size(image: Pixels, config: Config, step: Step | None = None) -> Pixels:
    """Bring a picture to the model's height and width.

    Args:
        image: uint8 grey [H, W] or RGB [H, W, 3].
        config: see `fit_image`.
        step: pixels of the picture that make one of the model's, see `millimetres`; None: the whole picture is
            resized, by default area-averaged down, cubic up.
    """
    height, width = config.model.image_height, config.model.image_width
    if step is not None:
        return grey_on_grid(image, (height, width), step)
    if image.shape[:2] == (height, width):
        return image
    name = config.dataset.resize_interpolation
    if name is None:
        grows = height > image.shape[0] or width > image.shape[1]
        name = "INTER_CUBIC" if grows else "INTER_AREA"
    resized: Pixels = cv2.resize(image, (width, height), interpolation=getattr(cv2, name))
    return resized


def fit_channels(image: Pixels, config: Config) -> Pixels:
    """Bring grey [H, W] or RGB [H, W, 3] to the channels of the model, [H, W, C]."""
    if config.model.image_channels != 3:
        return grey_of(image)[..., None]
    if image.ndim == 2:
        colour: Pixels = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        return colour
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR)) if config.dataset.color_order == "bgr" else image


def fit_mask(mask: Pixels, config: Config, step: Step | None = None) -> Pixels:
    """Bring labels [H, W] to the model's height and width: downwards the label that covers most of a pixel, upwards the
    nearest one. No new values appear.

    `step` as in `fit_size`.
    """
    height, width = config.model.image_height, config.model.image_width
    if step is not None:
        return labels_on_grid(mask, (height, width), step)
    if mask.shape == (height, width):
        return mask
    if height > mask.shape[0] or width > mask.shape[1]:
        return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    return by_coverage(mask, lambda plane: cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA))


def grey_of(image: Pixels) -> Pixels:
    """Return the luminance (ITU-R BT.601) of RGB [H, W, 3] as [H, W]; grey [H, W] as it is."""
    if image.ndim == 2:
        return image
    grey: Pixels = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return grey


def without_repeats(image: Pixels) -> Pixels:
    """Return [H, W] if the three channels of RGB [H, W, 3] are the same, else the image."""
    red, green, blue = (image[..., channel] for channel in range(3))
    return red.copy() if np.array_equal(red, green) and np.array_equal(green, blue) else image
