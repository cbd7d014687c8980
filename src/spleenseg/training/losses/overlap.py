"""Losses from sums over areas: what truth and prediction share, and what only one of them has."""

from __future__ import annotations

from keras import ops

from spleenseg.training.losses.reading import Reading, Tensor, foreground

SMOOTH = 1.0  # of the reference
PLAIN_SMOOTH = 1e-5  # of nnU-Net
INVENTED, MISSED = 0.3, 0.7  # what false positives and false negatives count (Salehi et al. 2017)
FOCUS = 0.75  # exponent of the focal Tversky loss: 1 / gamma, gamma = 4/3 (Abraham & Khan 2019)
LEAST = 1e-7  # below which a Tversky loss is as good as none: there the power has no end of a slope


def dice_loss(targets: Tensor, logits: Tensor, reading: Reading) -> Tensor:
    """Return 1 - (2 sum(t p) + 1) / (sum(t) + sum(p) + 1)."""
    return _dice(targets, logits, reading, SMOOTH)


def plain_dice_loss(targets: Tensor, logits: Tensor, reading: Reading) -> Tensor:
    """Return 1 - (2 sum(t p) + 1e-5) / (sum(t) + sum(p) + 1e-5), as nnU-Net has it (Isensee et al. 2021)."""
    return _dice(targets, logits, reading, PLAIN_SMOOTH)


def iou_loss(targets: Tensor, logits: Tensor, reading: Reading) -> Tensor:
    """Return 1 - (sum(t p) + 1) / (sum(t) + sum(p) - sum(t p) + 1)."""
    both, truth, found = _overlap(targets, logits, reading)
    return 1 - ops.mean((both + SMOOTH) / (truth + found - both + SMOOTH))


def tversky_loss(targets: Tensor, logits: Tensor, reading: Reading) -> Tensor:
    """Return 1 - (tp + 1) / (tp + 0.3 fp + 0.7 fn + 1) (Salehi et al. 2017, arXiv:1706.05721)."""
    return ops.mean(_untversky(targets, logits, reading))


def focal_tversky_loss(targets: Tensor, logits: Tensor, reading: Reading) -> Tensor:
    """Return the Tversky loss of each label to the power of 0.75 (Abraham & Khan 2019, arXiv:1810.07842)."""
    return ops.mean(ops.maximum(_untversky(targets, logits, reading), LEAST) ** FOCUS)


def _dice(targets: Tensor, logits: Tensor, reading: Reading, smooth: float) -> Tensor:
    both, truth, found = _overlap(targets, logits, reading)
    return 1 - ops.mean((2 * both + smooth) / (truth + found + smooth))


def _overlap(targets: Tensor, logits: Tensor, reading: Reading) -> tuple[Tensor, Tensor, Tensor]:
    """Return sum(t p), sum(t) and sum(p), each [labels] or, image by image, [N, labels]."""
    t, p = foreground(targets), foreground(reading.probabilities(logits))
    return ops.sum(t * p, axis=reading.axes), ops.sum(t, axis=reading.axes), ops.sum(p, axis=reading.axes)


def _untversky(targets: Tensor, logits: Tensor, reading: Reading) -> Tensor:
    """Return 1 - the Tversky index, written without that difference, which would leave a rounding error."""
    t, p = foreground(targets), foreground(reading.probabilities(logits))
    tp = ops.sum(t * p, axis=reading.axes)
    wrong = ops.sum(INVENTED * (1 - t) * p + MISSED * t * (1 - p), axis=reading.axes)
    return wrong / (tp + wrong + SMOOTH)
