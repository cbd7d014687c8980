"""Losses that are the mean of what every pixel costs by itself."""

from __future__ import annotations

from keras import ops

from spleenseg.training.losses.reading import Reading, Tensor

GAMMA = 2  # how much less a pixel costs the surer it is right (Lin et al. 2017)
ORGAN_SHARE = 0.25  # of a pixel of the organ; one of background has the rest (their alpha)


def cross_entropy(targets: Tensor, logits: Tensor, reading: Reading) -> Tensor:
    """Return the mean over pixels (with sigmoid, also channels) of -log of the probability of the truth."""
    if reading.exclusive:
        return ops.mean(ops.categorical_crossentropy(targets, logits, from_logits=True))
    return ops.mean(ops.binary_crossentropy(targets, logits, from_logits=True))


def focal_loss(targets: Tensor, logits: Tensor, reading: Reading) -> Tensor:
    """Return cross-entropy times (1 - p) ** 2, p the probability of the truth (Lin et al. 2017, arXiv:1708.02002).

    With sigmoid the organ counts 0.25 and the background 0.75, as in the paper; with softmax every label 1.
    """
    if reading.exclusive:
        p = reading.probabilities(logits)
        return ops.mean(-ops.sum(targets * (1 - p) ** GAMMA * ops.log_softmax(logits, axis=-1), axis=-1))
    missed = targets * ops.sigmoid(-logits) ** GAMMA * ops.softplus(-logits)
    invented = (1 - targets) * ops.sigmoid(logits) ** GAMMA * ops.softplus(logits)
    return ops.mean(ORGAN_SHARE * missed + (1 - ORGAN_SHARE) * invented)
