"""The policies `compose` and `strong`: every operation by its own chance, all geometry in one warp."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from spleenseg.augment import geometry as geo
from spleenseg.augment.ct import ct_steps, training_windows
from spleenseg.augment.fields import Field, Shape
from spleenseg.augment.geometry import Geometry
from spleenseg.augment.intensity import Brighten, Intensity, Sharpen
from spleenseg.augment.organ import UNCHANGED, Organ
from spleenseg.augment.reference import deformations, distortions, radials
from spleenseg.augment.scene import AS_IT_IS, Lookalike, Removal, Scene
from spleenseg.augment.steps import Step, between, chosen, draw_seed, each, factor_between, one_of
from spleenseg.augment.transform import Transform
from spleenseg.augment.warp import Border

if TYPE_CHECKING:
    from spleenseg.config import Config

_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)
_TAG = 5  # letters that tell the samples of one source apart

Rng: TypeAlias = np.random.Generator
Steps: TypeAlias = Iterator[Step[Geometry]]


@dataclass(frozen=True)
class ComposePolicy:
    """Draws some of the operations and composes them.

    Attributes:
        name: prefix of the saved pairs, followed by a few letters drawn for each.
        geometry: steps in the order in which they are applied; one warp does them all.
        intensity: steps on the grey values of the result, in order.
        border: what lies outside the source.
        organ: steps on the labelled pixels alone.
        scene: steps about the organ.
    """

    name: str
    geometry: tuple[Step[Geometry], ...]
    intensity: tuple[Step[Intensity], ...]
    border: Border
    organ: tuple[Step[Organ], ...] = ()
    scene: tuple[Step[Scene], ...] = ()

    def draw(self, rng: Rng, shape: Shape) -> Transform:
        """Return the transform of one sample."""
        geometry = geo.IDENTITY
        for part in chosen(self.geometry, rng):
            geometry = geometry.then(part)
        intensity = tuple(chosen(self.intensity, rng))
        organ = reduce(Organ.then, chosen(self.organ, rng), UNCHANGED)
        scene = reduce(Scene.then, chosen(self.scene, rng), AS_IT_IS)
        tag = rng.choice(_LETTERS, _TAG).tobytes().decode()
        return Transform(f"{self.name}_{tag}_", geometry, intensity, self.border, organ, scene)

    def examples(self, rng: Rng) -> Iterator[Transform]:
        """Yield every operation that has a chance, alone."""
        for name, geometry in each(self.geometry, rng):
            yield Transform(f"{name}_", geometry=geometry, border=self.border)
        for name, change in each(self.intensity, rng):
            yield Transform(f"{name}_", intensity=(change,), border=self.border)
        for name, organ in each(self.organ, rng):
            yield Transform(f"{name}_", organ=organ, border=self.border)
        for name, scene in each(self.scene, rng):
            yield Transform(f"{name}_", scene=scene, border=self.border)


def compose_policy(config: Config) -> ComposePolicy:
    """Compose what `[augmentor]` switches on, as often and as far as `[compose]` says.

    Raises:
        UserError: a distortion so strong that it tears the picture.
    """
    return _policy("composed", config, _flips(config), _pictures(config))


def strong_policy(config: Config) -> ComposePolicy:
    """Compose likewise, never mirrored left and right, with the grey-value operations of `[intensity]` as well.

    Raises:
        UserError: a distortion so strong that it tears the picture, an impossible window, or a damaged
            manifest of the training slices.
    """
    flips = (step for step in _flips(config) if step.name != "hflip")
    return _policy("strong", config, flips, (*ct_steps(config), *_pictures(config)))


def _policy(name: str, config: Config, flips: Steps, intensity: Iterable[Step[Intensity]]) -> ComposePolicy:
    return ComposePolicy(
        name,
        (*flips, *_geometry(config)),
        tuple(intensity),
        config.augmentor.border,
        tuple(_organ(config)),
        tuple(_scene(config)),
    )


def _flips(config: Config) -> Steps:
    if config.augmentor.hflip:
        yield Step("hflip", config.compose.hflip_probability, lambda rng: geo.hflip())
    if config.augmentor.vflip:
        yield Step("vflip", config.compose.vflip_probability, lambda rng: geo.vflip())


def _geometry(config: Config) -> Steps:
    yield from _linear(config)
    yield from _fields(config)
    yield from _radials(config)


def _linear(config: Config) -> Steps:
    on, keys = config.augmentor, config.compose
    if on.rotation:
        yield Step("rotation", keys.rotation_probability, lambda rng: geo.rotation(between(rng, keys.angle)))
    if on.shrinks:
        yield Step("scaling", keys.scaling_probability, lambda rng: geo.scaling(factor_between(rng, keys.scale)))
    if on.shears or on.horizontal_shears:
        yield Step("shear", keys.shear_probability, lambda rng: _shear(rng, config))


def _shear(rng: Rng, config: Config) -> Geometry:
    vertical, horizontal = (between(rng, config.compose.slope) for _ in range(2))
    on = config.augmentor
    return geo.shear(vertical if on.shears else 0.0, horizontal if on.horizontal_shears else 0.0)


def _fields(config: Config) -> Steps:
    on, keys = config.augmentor, config.compose
    if on.deformation:
        yield _field("deformation", keys.deformation_probability, deformations(config))
    if on.distortion and config.distortion.distortions:
        yield _field("distortion", keys.distortion_probability, distortions(config))


def _field(name: str, probability: float, fields: Mapping[str, Callable[[int], Field]]) -> Step[Geometry]:
    choices = tuple(fields.values())
    return Step(name, probability, lambda rng: geo.displacement(one_of(rng, choices)(draw_seed(rng))))


def _radials(config: Config) -> Steps:
    on, keys = config.augmentor, config.compose
    if on.barrdistortion:
        yield _radial("barrdistortion", keys.barrdistortion_probability, config)
    if on.pincdistortion:
        yield _radial("pincdistortion", keys.pincdistortion_probability, config)


def _radial(section: str, probability: float, config: Config) -> Step[Geometry]:
    fields = tuple(radials(config, section).values())
    return Step(section, probability, lambda rng: geo.displacement(one_of(rng, fields)))


def _organ(config: Config) -> Iterator[Step[Organ]]:
    on, keys = config.augmentor, config.compose
    if on.organ_scaling:
        scale = keys.organ_scale
        yield Step("organ scaling", keys.organ_scaling_probability, lambda rng: Organ(size=factor_between(rng, scale)))
    if on.organ_contrast:
        per_hu, hu, chance = _grey_per_hu(config), keys.organ_hu, keys.organ_contrast_probability
        yield Step("organ contrast", chance, lambda rng: Organ(shift=between(rng, hu) * per_hu))


def _scene(config: Config) -> Iterator[Step[Scene]]:
    on, keys = config.augmentor, config.compose
    if on.organ_removal:
        yield Step("organ removal", keys.organ_removal_probability, lambda rng: Scene(Removal(draw_seed(rng))))
    if on.lookalikes:
        per_hu = _grey_per_hu(config)
        for name in ("lookalike", "second lookalike"):
            yield Step(name, keys.lookalike_probability, lambda rng: _lookalike(rng, config, per_hu))


def _lookalike(rng: Rng, config: Config, per_hu: float) -> Scene:
    size, shift = factor_between(rng, config.compose.lookalike_size), between(rng, config.compose.lookalike_hu)
    return Scene(lookalikes=(Lookalike(size, shift * per_hu, draw_seed(rng)),))


def _grey_per_hu(config: Config) -> float:
    return float(np.mean([window.per_hu for window in training_windows(config)]))


def _pictures(config: Config) -> Iterator[Step[Intensity]]:
    on, keys = config.augmentor, config.compose
    if on.sharpening:
        yield Step("sharpening", keys.sharpening_probability, lambda rng: Sharpen(config.sharpening.k))
    if on.brightening:
        bright = Brighten(config.brightening.alpha, config.brightening.beta)
        yield Step("brightening", keys.brightening_probability, lambda rng: bright)
