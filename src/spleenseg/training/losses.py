"""Losses from logits, in float32 whatever the network computed in.

Float16 sums of a whole image overflow, and the logarithm of a clipped probability has no slope left: so
every loss takes logits and does its own sigmoid or softmax. Targets may be soft (in [0, 1]). Sums run over the
whole batch, [N, H, W], one per channel. With K > 1 channels channel 0 is the background, and overlap losses are
the mean over the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from spleenseg.errors import UserError, did_you_mean

Tensor = Any
Loss = Callable[[Tensor, Tensor], Tensor]

SMOOTH = 1.0
_WINDOW, _WINDOW_SIGMA = 11, 1.5  # of SSIM, pixels
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2


def build_loss(name: str, final_activation: str = "sigmoid") -> Loss:
    """Return a loss by its name in the config.

    Args:
        name: one of `registry.LOSSES`.
        final_activation: "sigmoid" (every channel for itself) or "softmax" (one label a pixel).

    Returns:
        a function (targets [N, H, W, K] in [0, 1], logits [N, H, W, K]) -> scalar float32, as
        `keras.Model.compile(loss=...)` takes it.

    Raises:
        UserError: there is none of that name.
    """
    if name not in _LOSSES:
        raise UserError(f"no loss '{name}'{did_you_mean(name, _LOSSES)}; accepted: {', '.join(_LOSSES)}")
    terms = _LOSSES[name]

    def loss(targets: Tensor, logits: Tensor) -> Tensor:
        targets, logits = ops.cast(targets, "float32"), ops.cast(logits, "float32")
        return sum(term(targets, logits, final_activation) for term in terms) / len(terms)

    loss.__name__ = name
    return loss


def cross_entropy(targets: Tensor, logits: Tensor, final_activation: str) -> Tensor:
    """Return the mean over pixels (with sigmoid, also channels) of -log of the probability of the truth."""
    if final_activation == "softmax":
        return ops.mean(ops.categorical_crossentropy(targets, logits, from_logits=True))
    return ops.mean(ops.binary_crossentropy(targets, logits, from_logits=True))


def dice_loss(targets: Tensor, logits: Tensor, final_activation: str) -> Tensor:
    """Return 1 - (2 sum(t p) + 1) / (sum(t) + sum(p) + 1)."""
    both, truth, found = _overlap(targets, logits, final_activation)
    return 1 - ops.mean((2 * both + SMOOTH) / (truth + found + SMOOTH))


def iou_loss(targets: Tensor, logits: Tensor, final_activation: str) -> Tensor:
    """Return 1 - (sum(t p) + 1) / (sum(t) + sum(p) - sum(t p) + 1)."""
    both, truth, found = _overlap(targets, logits, final_activation)
    return 1 - ops.mean((both + SMOOTH) / (truth + found - both + SMOOTH))


def ssim_loss(targets: Tensor, logits: Tensor, final_activation: str) -> Tensor:
    """Return 1 - the mean structural similarity (Wang et al. 2004), 11x11 Gaussian window of sigma 1.5.

    Only windows that lie inside the image count; images smaller than the window get a smaller one.
    """
    t = _foreground(targets)
    p = _foreground(_probabilities(logits, final_activation))
    mean_t, mean_p = _blurred(t), _blurred(p)
    var_t = ops.maximum(_blurred(t * t) - mean_t * mean_t, 0.0)
    var_p = ops.maximum(_blurred(p * p) - mean_p * mean_p, 0.0)
    covariance = _blurred(t * p) - mean_t * mean_p
    brightness = (2 * mean_t * mean_p + _SSIM_C1) / (mean_t * mean_t + mean_p * mean_p + _SSIM_C1)
    structure = (2 * covariance + _SSIM_C2) / (var_t + var_p + _SSIM_C2)
    return 1 - ops.mean(brightness * structure)


def _probabilities(logits: Tensor, final_activation: str) -> Tensor:
    return ops.softmax(logits, axis=-1) if final_activation == "softmax" else ops.sigmoid(logits)


def _foreground(x: Tensor) -> Tensor:
    return x[..., 1:] if x.shape[-1] > 1 else x


def _overlap(targets: Tensor, logits: Tensor, final_activation: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return sum(t p), sum(t) and sum(p), each [foreground channels]."""
    t = _foreground(targets)
    p = _foreground(_probabilities(logits, final_activation))
    return ops.sum(t * p, axis=(0, 1, 2)), ops.sum(t, axis=(0, 1, 2)), ops.sum(p, axis=(0, 1, 2))


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


_LOSSES = {
    "binary_crossentropy": (cross_entropy,),
    "dice_loss": (dice_loss,),
    "iou_loss": (iou_loss,),
    "bce_dice_loss": (cross_entropy, dice_loss),
    "bce_iou_loss": (cross_entropy, iou_loss),
    "basnet_hybrid_loss": (cross_entropy, ssim_loss, iou_loss),
}
