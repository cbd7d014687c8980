"""What a model records beyond how images look: what helps its masks, and how good they probably are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spleenseg.inference.engine_choice import KERAS
from spleenseg.inference.postprocess import NOTHING, Postprocess

if TYPE_CHECKING:
    from spleenseg.metrics import QualityCalibration


@dataclass(frozen=True)
class Record:
    """What is known of a model.

    Attributes:
        name: of its file or folder.
        engine: what runs it, and how where that is not exact: "onnx", "openvino fast".
        mirrored: whether it was trained on slices mirrored left-right too.
        postprocess: what was chosen on its validation split.
        quality: by label, how the Dice of its masks follows from how they change with the threshold; empty where they
            are cut at another threshold than it was learnt at.
        file_bytes: size of the exported file, or of a run's weights.
        activation_bytes: see `ModelCard`.
    """

    name: str = "model"
    engine: str = KERAS
    mirrored: bool = False
    postprocess: Postprocess = NOTHING
    quality: Mapping[str, QualityCalibration] = field(default_factory=dict)
    file_bytes: int = 0
    activation_bytes: int | None = None


UNKNOWN = Record()
"""Nothing is known."""


def trained_mirrored(config: Mapping[str, Mapping[str, Any]]) -> bool:
    """Tell whether a training showed slices mirrored left-right as well.

    Args:
        config: its effective values by section and key, as run.json keeps them.
    """
    augmentor = config.get("augmentor", {})
    return bool(
        config.get("generator", {}).get("augmentation")
        and augmentor.get("hflip")
        and augmentor.get("policy") != "strong"
        and (augmentor.get("policy") != "compose" or config.get("compose", {}).get("hflip_probability", 0) > 0)
    )
