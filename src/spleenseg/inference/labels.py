"""From probabilities to label values: one rule for pictures and volumes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from spleenseg.inference.engine import Floats

HALF = 0.5
"""The threshold where nothing else is asked for."""


def labels_of(probabilities: Floats, threshold: float = HALF) -> npt.NDArray[np.uint8]:
    """Decide the label of every pixel.

    Args:
        probabilities: [..., K]; K = 1: probability of the organ, K > 1: one channel a label, 0 the background.
        threshold: with K = 1 a pixel is organ where the probability is at least this. With K > 1 the
            likeliest label wins (the lowest one on a tie) and the threshold plays no part.

    Returns:
        uint8 [...], 0 for the background.
    """
    if probabilities.shape[-1] == 1:
        return (probabilities[..., 0] >= threshold).astype(np.uint8)
    return np.asarray(probabilities.argmax(axis=-1), np.uint8)


def organ_probability(probabilities: Floats) -> Floats:
    """Return [...]: the probability of the organ, or with several labels that of any label but the background."""
    if probabilities.shape[-1] == 1:
        return probabilities[..., 0]
    return np.float32(1) - probabilities[..., 0]


def label_names(known: Mapping[str, int], classes: int) -> dict[str, int]:
    """Return label name -> value in label maps for every label a network knows but the background.

    Args:
        known: the names and values that a manifest records. One organ alone may have any value; of several
            labels one that is missing here is called by its number.
        classes: `[model] num_classes`.
    """
    if classes == 1:
        return dict(known) if len(known) == 1 else {"organ": 1}
    names = {value: name for name, value in known.items()}
    return {names.get(value, f"label {value}"): value for value in range(1, classes)}
