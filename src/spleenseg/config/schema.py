"""The whole config: every section together, where each value comes from, and what each key does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, SkipValidation

from spleenseg.config.augmentation import (
    AugmentorConfig,
    BarrDistortionConfig,
    BrighteningConfig,
    ComposeConfig,
    DeformationConfig,
    DistortionConfig,
    GeneratorConfig,
    IntensityConfig,
    PincDistortionConfig,
    SharpeningConfig,
)
from spleenseg.config.data import DatasetConfig, MaskConfig
from spleenseg.config.inference import InferConfig, InspectConfig, SegmentationConfig, TiledInferConfig
from spleenseg.config.model import ModelConfig
from spleenseg.config.places import DEFAULT, Origin, Problem
from spleenseg.config.section import Effect, KeyFacts, Section, facts, short_name
from spleenseg.config.training import EvalConfig, TestConfig, TrainConfig
from spleenseg.errors import UserError


@dataclass(frozen=True)
class KeyView:
    """One key as ``config show`` lists it.

    Attributes:
        value: the effective value.
        origin: where it was given.
        effect: whether setting it changes anything.
        reason: why it does not, else empty.
        accepts: the values it takes.
    """

    section: str
    key: str
    value: object
    origin: Origin
    effect: Effect
    description: str
    reason: str
    accepts: str


class Config(BaseModel):
    """A validated config file; immutable. Sections and keys are attributes: ``config.train.epochs``.

    Attributes:
        path: the file, absolute.
        warnings: one line each: unknown keys, and keys set without effect.
        origins: (section, key) -> where its value was given; keys left at their default are not in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: ModelConfig
    dataset: DatasetConfig
    train: TrainConfig
    eval: EvalConfig
    test: TestConfig
    infer: InferConfig
    tiledinfer: TiledInferConfig
    segmentation: SegmentationConfig
    mask: MaskConfig
    generator: GeneratorConfig
    augmentor: AugmentorConfig
    compose: ComposeConfig
    intensity: IntensityConfig
    deformation: DeformationConfig
    distortion: DistortionConfig
    sharpening: SharpeningConfig
    brightening: BrighteningConfig
    barrdistortion: BarrDistortionConfig
    pincdistortion: PincDistortionConfig
    inspect: InspectConfig
    path: Annotated[Path, SkipValidation]
    warnings: Annotated[tuple[str, ...], SkipValidation] = ()
    origins: Annotated[Mapping[tuple[str, str], Origin], SkipValidation] = {}

    @property
    def folder(self) -> Path:
        """The folder that holds the file, absolute; relative paths in it start here."""
        return self.path.parent

    def origin(self, section: str, key: str) -> Origin:
        """Return where a value was given."""
        return self.origins.get((section, key), DEFAULT)

    def error(self, section: str, key: str, problem: str) -> UserError:
        """Return the error to raise: ``FILE: [section] key (line N): problem``."""
        return UserError(Problem(section, key, self.origin(section, key), problem).located(self.path))

    def describe(self) -> list[KeyView]:
        """Return every key with its effective value, where that comes from, and whether it has an effect."""
        return [
            self._view(name, key, facts(section, key))
            for name, section in SECTIONS.items()
            for key in section.model_fields
        ]

    def values(self) -> dict[str, dict[str, Any]]:
        """Return every effective value by section and key, ready for JSON; a section validates it back."""
        return {name: getattr(self, name).model_dump(mode="json") for name in SECTIONS}

    def _view(self, name: str, key: str, known: KeyFacts) -> KeyView:
        effect, reason = effect_of(known, self.model.model)
        value = getattr(getattr(self, name), key)
        return KeyView(name, key, value, self.origin(name, key), effect, known.description, reason, known.accepts)


def effect_of(known: KeyFacts, model: str) -> tuple[Effect, str]:
    """Return whether a key has an effect with architecture `model`, and why not."""
    if known.unused:
        return Effect.UNUSED, known.unused
    short = short_name(model)
    if known.models and short not in {short_name(name) for name in known.models}:
        return Effect.OTHER_MODEL, f"read by {' and '.join(known.models)} only"
    if short in {short_name(name) for name in known.unread_by}:
        return Effect.OTHER_MODEL, f"{model} follows its paper there"
    return Effect.WORKS, ""


SECTIONS: dict[str, type[Section]] = {
    name: field.annotation
    for name, field in Config.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}
