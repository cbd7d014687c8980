"""Whether a finished model file gives what Keras gives, all the way from HU to probabilities of the slice's size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from spleenseg.errors import UserError
from spleenseg.inference.engine import HU
from spleenseg.inference.exported_engine import ModelFile
from spleenseg.inference.keras_engine import KerasEngine
from spleenseg.inference.model_card import ModelCard
from spleenseg.inference.onnx_engine import OnnxEngine
from spleenseg.inference.predictor import Predictor

if TYPE_CHECKING:
    from onnx import ModelProto

    from spleenseg.models.run_folder import Trained

PARITY = 1e-4
"""How far a probability may lie from that of Keras where nothing is resized."""
RESIZED_PARITY = 0.01
"""How far they may lie from each other on average where slices are resized: greys may differ by one there."""

_SLICES = 2
_SMOOTH = 4.0  # pixels; a sigma of what the slices show, so that resizing keeps it
_RANGE = 4000  # HU; much is beyond the windows once smoothed, and much within


def check_finished(model: ModelProto, card: ModelCard, trained: Trained) -> float:
    """Compare a finished file with the network of the run on slices of noise in HU.

    Args:
        model: the file, in float32.
        card: its metadata.
        trained: the network.

    Returns:
        the largest difference of probabilities on slices of the network's size.

    Raises:
        UserError: it is above `PARITY`, or on slices of another size the mean is above `RESIZED_PARITY`.
    """
    keras = Predictor(KerasEngine(trained.model, _SLICES), trained.config, trained.expectation)
    file = OnnxEngine(ModelFile(Path("model.onnx"), model.SerializeToString(), card), _SLICES)
    pixel = None if card.pixel_mm is None else (card.pixel_mm, card.pixel_mm)
    height, width = card.size
    found = []
    for size in ((height, width), (height * 5 // 4 + 1, width * 3 // 4 + 1)):
        hu = _slices(card, size)
        found.append(np.abs(file.of_hu(hu, pixel) - keras.of_hu(hu, pixel)))
    largest, mean = float(found[0].max()), float(found[1].mean())
    if largest > PARITY or mean > RESIZED_PARITY:
        raise UserError(
            f"{card.model} differs from Keras by {largest:.1e}, on resized slices by {mean:.1e} on average, "
            "once it takes HU: please report it"
        )
    return largest


def _slices(card: ModelCard, size: tuple[int, int]) -> HU:
    """Return smooth noise, int16 HU [N, S, H, W]."""
    noise = np.random.default_rng(0).uniform(-_RANGE, _RANGE, (_SLICES * (1 + 2 * card.context), *size))
    planes = [cv2.GaussianBlur(plane, (0, 0), _SMOOTH) for plane in noise]
    return np.stack(planes).astype(np.int16).reshape(_SLICES, -1, *size)
