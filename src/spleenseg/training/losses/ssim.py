"""Structural similarity as a loss: what a pixel's surroundings look like."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from spleenseg.training.losses.reading import Reading, Tensor, foreground

_WINDOW, _WINDOW_SIGMA = 11, 1.5  # pixels
_C1, _C2 = 0.01**2, 0.03**2


def ssim_loss(targets: Tensor, logits: Tensor, reading: Reading) -> Tensor:
    """Return 1 - the mean structural similarity (Wang et al. 2004), 11x11 Gaussian window of sigma 1.5.

    Only windows that lie inside the image count; images smaller than the window get a smaller one.
    """
    t, p = foreground(targets), foreground(reading.probabilities(logits))
    mean_t, mean_p = _blurred(t), _blurred(p)
    var_t = ops.maximum(_blurred(t * t) - mean_t * mean_t, 0.0)
    var_p = ops.maximum(_blurred(p * p) - mean_p * mean_p, 0.0)
    covariance = _blurred(t * p) - mean_t * mean_p
    brightness = (2 * mean_t * mean_p + _C1) / (mean_t * mean_t + mean_p * mean_p + _C1)
    structure = (2 * covariance + _C2) / (var_t + var_p + _C2)
    return 1 - ops.mean(brightness * structure)


def _blurred(x: Tensor) -> Tensor:
    """Average [N, H, W, K] under the window, first down, then across; no padding."""
    channels = x.shape[-1]
    for axis in (0, 1):
        weights = _window(x.shape[1 + axis])
        shape = (-1, 1, 1, 1) if axis == 0 else (1, -1, 1, 1)
        kernel = np.tile(weights.reshape(shape), (1, 1, channels, 1))
        x = ops.depthwise_conv(x, ops.convert_to_tensor(kernel), padding="valid")
    return x


def _window(side: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    size = min(_WINDOW, side)
    offsets = np.arange(size) - (size - 1) / 2
    weights = np.exp(-(offsets**2) / (2 * _WINDOW_SIGMA**2))
    return np.asarray(weights / weights.sum(), np.float32)
