"""calibration.json: what `evaluate` fitted on the validation split for one file of weights, read where it is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from spleenseg.errors import UserError
from spleenseg.inference.model_card import ModelCard
from spleenseg.inference.postprocess import NOTHING
from spleenseg.inference.postprocess_choice import Choice
from spleenseg.metrics import QualityCalibration, Threshold
from spleenseg.metrics.calibration import HALF


class Fitted(BaseModel):
    """The content of calibration.json.

    Attributes:
        weights_sha256: of the weights it was fitted with.
        threshold: the best one on valid; None with several labels, where none is used.
        quality: by label, how its Dice at that threshold follows from what is known without truth.
        postprocess: what was found to help masks at that threshold; None where it was not measured.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str = "spleenseg calibration"
    format: int = 1
    weights_sha256: str | None
    threshold: Threshold | None
    quality: dict[str, QualityCalibration]
    postprocess: Choice | None = None

    @property
    def cut(self) -> float:
        """The threshold of these masks: the best one on valid; with several labels 0.5 for each of them."""
        return self.threshold.value if self.threshold else HALF

    @classmethod
    def read(cls, path: Path, weights_sha256: str | None) -> Self | None:
        """Return what an earlier evaluation fitted with the same weights; None where there is none.

        Raises:
            UserError: the file is damaged.
        """
        if not path.is_file():
            return None
        try:
            found = cls.model_validate(json.loads(path.read_bytes()))
        except (OSError, ValueError, ValidationError) as error:
            raise UserError(f"{path} is damaged; remove it and run `spleenseg evaluate --section eval`") from error
        return found if found.weights_sha256 == weights_sha256 else None

    def applied(self, card: ModelCard) -> ModelCard:
        """Return the card of a model exported from these weights with what was fitted, whenever it was exported.

        What `export` was told holds: its `--threshold`, and its post-processing.
        """
        threshold = card.threshold if card.threshold_given else float(self.cut)
        told = card.postprocess is not None and not card.postprocess.cases
        found = {
            "threshold": threshold,
            "postprocess": card.postprocess if told else self.postprocess,
            "quality": self.quality if self.cut == threshold else {},
        }
        return card.model_copy(update=found)

    def differences(self, card: ModelCard, with_threshold: bool = True) -> list[str]:
        """Say in words which of threshold, if it counts, and post-processing a card has otherwise than fitted."""
        found = []
        if with_threshold and card.threshold != self.cut:
            found.append(f"threshold {card.threshold:g} (fitted: {self.cut:g})")
        recorded, chosen = (_words(choice) for choice in (card.postprocess, self.postprocess))
        if recorded != chosen:
            found.append(f"post-processing {recorded} (fitted: {chosen})")
        return found


def _words(choice: Choice | None) -> str:
    return (choice.options if choice else NOTHING).words()
