"""What an exported model says of itself: how images must look to it, what it gives, and where it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from spleenseg.config import Config
from spleenseg.datasets.manifest import Expectation
from spleenseg.errors import UserError
from spleenseg.inference.postprocess_choice import Choice
from spleenseg.inference.record import trained_mirrored
from spleenseg.metrics import QualityCalibration
from spleenseg.models.run_config import restored
from spleenseg.models.run_manifest import RunManifest

FORMAT = 1
INTENDED_USE = "Research on CT of adults. Not a medical device: no decision about a patient may rest on it."
LICENCE = "not stated: the terms of the training data and of whoever trained it apply"
PREFIX = "spleenseg."
"""Beginning of the keys under which a model file keeps its card."""


class ModelCard(BaseModel):
    """The metadata inside an exported model.

    Attributes:
        format: version of this layout.
        spleenseg: version of the program that exported it.
        model: registered name of the network.
        image_width, image_height, image_channels, num_classes: of the network, see `[model]`.
        color_order, resize_interpolation: see `[dataset]`.
        window_hu, windows, display, pixel_mm, context, context_mm, labels: see `Expectation`.
        threshold: probability from which a pixel is organ in the output `label`.
        threshold_given: whether `export` was told it, rather than taking what was fitted; None: not recorded.
        precision: "float32", or "int8" where weights and activations are quantised.
        weights: "float32", or "float16" where they are stored in half precision; the network computes in float32.
        dice_on_valid: with int8 or weights in float16, the mean Dice on the validation slices: (float32, as here).
        measured_with: with int8, the engines that were compared for it, the worse of which counts; empty: not recorded.
        dice_on_valid_fast: the same of a float32 model: (float32, computed in bfloat16); None: not measured.
        mirrored: whether slices were shown mirrored left-right in training as well.
        postprocess: what was chosen on valid for its masks; None: it was not measured.
        quality: by label, how the Dice of its masks at `threshold` follows from what is known without truth.
        activation_bytes: most bytes of activations that one slice has at once in float32; None: not measured.
        weights_sha256: of the weights it was made from.
        training_data_sha256: of the slices it was trained on; None: nobody recorded it.
        trained_by: version of the program that trained.
        licence, intended_use: in words.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    format: int = FORMAT
    spleenseg: str
    model: str
    image_width: int
    image_height: int
    image_channels: int
    num_classes: int
    color_order: str
    resize_interpolation: str | None
    window_hu: tuple[float, float]
    windows: tuple[tuple[float, float], ...] = ()
    display: Literal["radiological", "reference"]
    pixel_mm: float | None
    context: int
    context_mm: float | None = None
    labels: dict[str, int]
    threshold: float
    threshold_given: bool | None = None
    precision: Literal["float32", "int8"] = "float32"
    weights: Literal["float32", "float16"] = "float32"
    dice_on_valid: tuple[float, float] | None = None
    measured_with: tuple[str, ...] = ()
    dice_on_valid_fast: tuple[float, float] | None = None
    mirrored: bool = False
    postprocess: Choice | None = None
    quality: dict[str, QualityCalibration] = {}
    activation_bytes: int | None = None
    weights_sha256: str
    training_data_sha256: str | None
    trained_by: str
    licence: str = LICENCE
    intended_use: str = INTENDED_USE

    @classmethod
    def of(cls, config: Config, manifest: RunManifest, version: str, threshold: float, licence: str) -> Self:
        """Describe a trained network: `config` as `load_trained` returns it, `manifest` its run.json."""
        assert manifest.weights is not None  # it was trained
        train = manifest.data.get("train")
        return cls(
            spleenseg=version,
            **{key: getattr(config.model, key) for key in ("model", "image_width", "image_height")},
            **{key: getattr(config.model, key) for key in ("image_channels", "num_classes")},
            **{key: getattr(config.dataset, key) for key in ("color_order", "resize_interpolation")},
            **manifest.expectation.model_dump(),
            threshold=threshold,
            mirrored=trained_mirrored(manifest.config),
            weights_sha256=manifest.weights.sha256,
            training_data_sha256=train.sha256 if train else None,
            trained_by=manifest.spleenseg,
            licence=licence,
        )

    def cost(self, precision: str, engine: str | None = None) -> str:
        """Say what a precision, "fast", "int8" or "float16" (weights), changed in the mean Dice on valid at export.

        Args:
            precision: which.
            engine: what runs the model now, so that a figure of another engine is told as such; None: nothing does.
        """
        measured = self.dice_on_valid_fast if precision == "fast" else self.dice_on_valid
        if measured is None:
            return "how much Dice that costs was not measured when the model was exported"
        exact, found = measured
        words = f"mean Dice on valid {found:.4f}, float32 {exact:.4f} ({found - exact:+.4f})"
        if precision != "int8" or not self.measured_with:
            return words
        words += f", measured with {' and '.join(self.measured_with)}"
        return words if engine in (None, *self.measured_with) else f"{words}; with {engine}, as here, not measured"

    @property
    def expectation(self) -> Expectation:
        """How images must look."""
        return Expectation.model_validate(self.model_dump())

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the grid the network works on."""
        return (self.image_height, self.image_width)

    def config(self, path: Path) -> Config:
        """Return a config with the settings that shape images for this network, as if it lay beside `path`."""
        network = {key: getattr(self, key) for key in ("model", "image_width", "image_height", "num_classes")}
        images = {"color_order": self.color_order, "resize_interpolation": self.resize_interpolation}
        values = {"model": {**network, "image_channels": self.image_channels}, "dataset": images}
        return restored(values, path.absolute().with_suffix(".config"))

    def entries(self) -> dict[str, str]:
        """Return the card as a model file keeps it: text by key, everything but text as JSON."""
        fields = self.model_dump(mode="json")
        return {PREFIX + key: value if isinstance(value, str) else json.dumps(value) for key, value in fields.items()}

    @classmethod
    def read(cls, entries: Mapping[str, str], path: Path) -> Self:
        """Return the card that `entries` made.

        Raises:
            UserError: there is none, it is damaged, or of a newer version.
        """
        own = {key.removeprefix(PREFIX): value for key, value in entries.items() if key.startswith(PREFIX)}
        if not own:
            raise UserError(
                f"{path} does not record what images it expects (window, display, labels); "
                "give a model written by `spleenseg export`"
            )
        if own.get("format", "").isdecimal() and int(own["format"]) > FORMAT:
            raise UserError(f"{path} was written by a newer spleenseg ({own.get('spleenseg')}); upgrade spleenseg")
        try:
            return cls.model_validate({key: _value(key, text) for key, text in own.items()})
        except (ValueError, ValidationError) as error:
            raise UserError(f"{path} is damaged: its metadata cannot be read; export it again") from error


_TEXTS = frozenset(
    {
        *("spleenseg", "model", "color_order", "resize_interpolation", "display", "precision", "weights"),
        *("weights_sha256", "training_data_sha256", "trained_by", "licence", "intended_use"),
    }
)


def _value(key: str, text: str) -> Any:
    """Return a field from its text; `null` is None for texts too."""
    if key in _TEXTS:
        return None if text == "null" else text
    return json.loads(text)
