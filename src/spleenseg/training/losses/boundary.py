"""The boundary loss: what is wrong costs the more, the farther it lies from the organ's edge (Kervadec et al. 2019).

arXiv:1812.07032: mean(phi (p - t)) with phi the signed distance to the edge of the truth, in pixels, negative
inside. It needs a region's loss beside it, here dice_loss, and counts a hundredth, as at the start of the paper's
schedule. A truth without edge (nothing, or everything) leaves dice_loss alone.

Distances are exact and come from the labels alone, so they are made once a batch on the host (`with_distances`)
and travel behind the targets, as K more channels.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from keras import ops

from spleenseg.training.losses.reading import Reading, Tensor, foreground

Floats = np.ndarray[Any, np.dtype[np.float32]]
BOUNDARY_SHARE = 0.01


def boundary_term(targets: Tensor, logits: Tensor, distances: Tensor, reading: Reading) -> Tensor:
    """Return mean(phi (p - t)) over pixels and labels; zero for a perfect answer, else positive."""
    wrong = foreground(reading.probabilities(logits)) - foreground(targets)
    return ops.mean(foreground(ops.cast(distances, "float32")) * wrong)


def with_distances(targets: Floats) -> Floats:
    """Return [N, H, W, 2 K]: targets [N, H, W, K], and behind them the signed distance to each label's edge."""
    truth = np.asarray(targets, np.float32) >= 0.5
    distances = [[signed_distances(image[..., label]) for label in range(image.shape[-1])] for image in truth]
    return np.concatenate([targets, np.moveaxis(np.array(distances, np.float32), 1, -1)], axis=-1)


def signed_distances(truth: np.ndarray[Any, np.dtype[np.bool_]]) -> Floats:
    """Return how far each pixel's centre is from the edge, which runs half a pixel beyond the organ's last centre.

    Args:
        truth: where the organ is, [H, W].

    Returns:
        float32 [H, W], pixels: negative inside; 0 everywhere if there is no edge.
    """
    if truth.all() or not truth.any():
        return np.zeros(truth.shape, np.float32)
    inside, outside = (
        cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for part in (truth, ~truth)
    )
    return np.asarray(np.where(truth, 0.5 - inside, outside - 0.5), np.float32)


def parted(targets: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """Return targets and distances, each [N, H, W, channels]; distances are made here if they are missing."""
    if targets.shape[-1] == channels:
        targets = with_distances(ops.convert_to_numpy(targets))
    return targets[..., :channels], targets[..., channels:]
