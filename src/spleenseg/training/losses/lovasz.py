"""The Lovasz extension of the Jaccard loss: IoU itself, with a slope everywhere (Berman et al. 2018).

arXiv:1705.08790: the losses of the pixels are sorted, the largest first, and each is weighed by how much the IoU
falls when that pixel is lost as well.
"""

from __future__ import annotations

from keras import ops

from spleenseg.training.losses.reading import Reading, Tensor, foreground


def lovasz_loss(targets: Tensor, logits: Tensor, reading: Reading) -> Tensor:
    """Return the Lovasz hinge (sigmoid) or the Lovasz-softmax (softmax), the mean over labels.

    Targets are made hard at 0.5, for the extension knows sets only. A label that is nowhere counts too: there the
    pixel most wrongly given to it is what it costs.
    """
    truth = ops.cast(foreground(targets) >= 0.5, "float32")
    if reading.exclusive:
        errors = ops.abs(truth - foreground(reading.probabilities(logits)))
    else:
        errors = ops.relu(1 - foreground(logits) * (2 * truth - 1))
    errors, truth = _rows(errors, reading), _rows(truth, reading)
    order = ops.argsort(-errors, axis=-1)
    errors, truth = ops.take_along_axis(errors, order, axis=-1), ops.take_along_axis(truth, order, axis=-1)
    return ops.mean(ops.sum(errors * _falls(truth), axis=-1))


def _rows(x: Tensor, reading: Reading) -> Tensor:
    """Return one row of pixels for each label, and for each image unless the batch is one: [rows, pixels]."""
    pixels = x.shape[1] * x.shape[2]
    x = ops.transpose(x, (3, 0, 1, 2))
    return ops.reshape(x, (x.shape[0], -1) if reading.batch_dice else (-1, pixels))


def _falls(truth: Tensor) -> Tensor:
    """Return how much the IoU falls with each pixel lost after those before it, [rows, pixels]."""
    total = ops.sum(truth, axis=-1, keepdims=True)
    kept = total - ops.cumsum(truth, axis=-1)
    union = total + ops.cumsum(1 - truth, axis=-1)
    lost = 1 - kept / union
    return lost - ops.pad(lost[:, :-1], [[0, 0], [1, 0]])
