"""The policy `reference`: a sample is one of the variants the reference builds of every source.

The reference makes all variants of a source and uses one in about eleven of them; here the one is drawn
first, uniformly, and only it is computed. Its users get the same distribution, with pairs that stay aligned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from spleenseg.augment import geometry as geo
from spleenseg.augment.fields import Distortion, Elastic, Field, Radial, Shape
from spleenseg.augment.intensity import Brighten, Sharpen
from spleenseg.augment.transform import Transform

if TYPE_CHECKING:
    from spleenseg.config import Config
    from spleenseg.config.augmentation import BarrDistortionConfig

# The reference smooths its noise over the three channels too; what is left of alpah = 1300 and sigmoid = 8
# is a displacement of 2.3 px (standard deviation along each axis), in proportion to alpah and 1 / sigmoid.
_EFFECTIVE_PX, _AT_ALPHA, _AT_SIGMA = 2.3, 1300.0, 8.0


@dataclass(frozen=True)
class Variant:
    """One entry of the reference's set: always the same transform, or a field drawn anew each time.

    Attributes:
        transform: name and everything that is fixed.
        field: makes the displacement field from a seed; None if nothing is random.
    """

    transform: Transform
    field: Callable[[int], Field] | None = None

    def draw(self, rng: np.random.Generator) -> Transform:
        """Return the transform of one sample."""
        if self.field is None:
            return self.transform
        seed = int(rng.integers(2**63))
        return Transform(self.transform.name, geo.displacement(self.field(seed)))


@dataclass(frozen=True)
class ReferencePolicy:
    """Draws one of `variants` with equal chance."""

    variants: tuple[Variant, ...]

    def draw(self, rng: np.random.Generator, shape: Shape) -> Transform:
        """Return the transform of one sample."""
        return self.variants[int(rng.integers(len(self.variants)))].draw(rng)


def reference_policy(config: Config) -> ReferencePolicy:
    """Build the set of variants `[augmentor]` and its sections ask for, the original among them.

    Raises:
        UserError: a distortion so strong that it tears the picture.
    """
    return ReferencePolicy(tuple(variant for group in _GROUPS for variant in group(config)))


def _fixed(name: str, geometry: geo.Geometry) -> Variant:
    return Variant(Transform(name, geometry))


def _originals(config: Config) -> Iterator[Variant]:
    yield Variant(Transform())


def _flips(config: Config) -> Iterator[Variant]:
    if config.augmentor.hflip:
        yield _fixed("hfliped_", geo.hflip())
    if config.augmentor.vflip:
        yield _fixed("vfliped_", geo.vflip())


def _rotations(config: Config) -> Iterator[Variant]:
    if config.augmentor.rotation:
        for angle in config.augmentor.angles:
            yield _fixed(f"rotated_{angle:g}_", geo.rotation(angle))


def _shrinks(config: Config) -> Iterator[Variant]:
    for factor in config.augmentor.shrinks:
        yield _fixed(f"shrinked_{_underscored(factor)}_", geo.scaling(factor))


def _shears(config: Config) -> Iterator[Variant]:
    """Vertical shears, and each of them flipped wherever flips are on."""
    flips = {"": geo.IDENTITY}
    if config.augmentor.hflip:
        flips["hflipped_"] = geo.hflip()
    if config.augmentor.vflip:
        flips["vflipped_"] = geo.vflip()
    if config.augmentor.hflip and config.augmentor.vflip:
        flips["hvflipped_"] = geo.hflip().then(geo.vflip())
    for value in config.augmentor.shears:
        for name, flip in flips.items():
            yield _fixed(f"{name}sheared_{_underscored(value)}_", geo.shear(vertical=value).then(flip))


def _deformations(config: Config) -> Iterator[Variant]:
    if config.augmentor.deformation:
        section = config.deformation
        for sigma in section.sigmoids or (section.sigmoid,):
            amplitude = section.amplitude
            if amplitude is None:
                amplitude = elastic_amplitude(section.alpha, sigma)
            name = f"deformed_alpha_{section.alpha:g}_sigmoid_{sigma:g}_"
            yield Variant(Transform(name), partial(Elastic, amplitude, sigma))


def _distortions(config: Config) -> Iterator[Variant]:
    if config.augmentor.distortion:
        sigma = config.distortion.gaussian_filter_rsigma
        suffix = f"rsigma{sigma:g}_sigma{config.distortion.gaussian_filter_sigma:g}_"
        for fraction in config.distortion.distortions:
            yield Variant(Transform(f"distorted_{fraction:g}_{suffix}"), partial(Distortion, fraction, sigma))


def _barrels(config: Config) -> Iterator[Variant]:
    if config.augmentor.barrdistortion:
        yield from _radials(config, "barrdistortion", config.barrdistortion)


def _pincushions(config: Config) -> Iterator[Variant]:
    if config.augmentor.pincdistortion:
        yield from _radials(config, "pincdistortion", config.pincdistortion)


def _radials(config: Config, section: str, keys: BarrDistortionConfig) -> Iterator[Variant]:
    """One variant for each centre, numbered from 101."""
    if keys.amount <= -1:
        raise config.error(section, "amount", f"{keys.amount:g} tears the middle open; give one above -1")
    for number, center in enumerate(keys.centers, start=101):
        name = f"{section.removesuffix('ion')}ed_{number}_{keys.radius:g}_{keys.amount:g}_"
        yield _fixed(name, geo.displacement(Radial(center, keys.radius, keys.amount)))


def _intensities(config: Config) -> Iterator[Variant]:
    if config.augmentor.sharpening:
        k = config.sharpening.k
        yield Variant(Transform(f"sharpened_{k:g}_", intensity=(Sharpen(k),)))
    if config.augmentor.brightening:
        alpha, beta = config.brightening.alpha, config.brightening.beta
        yield Variant(Transform(f"brightened_{alpha:g}_{beta:g}_", intensity=(Brighten(alpha, beta),)))


_GROUPS: tuple[Callable[[Config], Iterator[Variant]], ...] = (
    _originals,
    _flips,
    _rotations,
    _shrinks,
    _shears,
    _deformations,
    _distortions,
    _barrels,
    _pincushions,
    _intensities,
)


def elastic_amplitude(alpha: float, sigma: float) -> float:
    """Return the displacement, in pixels, that the reference's `alpah` and `sigmoid` really cause.

    The standard deviation along each axis: 2.3 px at alpah = 1300 and sigmoid = 8.
    """
    return _EFFECTIVE_PX * (alpha / _AT_ALPHA) * (_AT_SIGMA / sigma)


def _underscored(value: float) -> str:
    return f"{value:g}".replace(".", "_")
