"""The policy `reference`: a sample is one of the variants the reference builds of every source.

The reference makes all variants of a source and uses one in about eleven of them; here the one is drawn
first, uniformly, and only it is computed. Its users get the same distribution, with pairs that stay aligned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from spleenseg.augment import geometry as geo
from spleenseg.augment.fields import Distortion, Elastic, Field, Radial, Shape
from spleenseg.augment.intensity import Brighten, Sharpen
from spleenseg.augment.steps import draw_seed
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
        return replace(self.transform, geometry=geo.displacement(self.field(draw_seed(rng))))


@dataclass(frozen=True)
class ReferencePolicy:
    """Draws one of `variants` with equal chance."""

    variants: tuple[Variant, ...]

    def draw(self, rng: np.random.Generator, shape: Shape) -> Transform:
        """Return the transform of one sample."""
        return self.variants[int(rng.integers(len(self.variants)))].draw(rng)

    def examples(self, rng: np.random.Generator) -> Iterator[Transform]:
        """Yield every variant but the original, once."""
        return (variant.draw(rng) for variant in self.variants if variant.transform.name)


def reference_policy(config: Config) -> ReferencePolicy:
    """Build the set of variants `[augmentor]` and its sections ask for, the original among them.

    Raises:
        UserError: a distortion so strong that it tears the picture.
    """
    border = config.augmentor.border
    return ReferencePolicy(
        tuple(
            replace(variant, transform=replace(variant.transform, border=border))
            for group in _GROUPS
            for variant in group(config)
        )
    )


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
    """Vertical shears as the reference's, then horizontal ones, and each of them flipped wherever flips are on."""
    flips = {"": geo.IDENTITY}
    if config.augmentor.hflip:
        flips["hflipped_"] = geo.hflip()
    if config.augmentor.vflip:
        flips["vflipped_"] = geo.vflip()
    if config.augmentor.hflip and config.augmentor.vflip:
        flips["hvflipped_"] = geo.hflip().then(geo.vflip())
    shears = {f"sheared_{_underscored(value)}_": geo.shear(vertical=value) for value in config.augmentor.shears}
    for value in config.augmentor.horizontal_shears:
        shears[f"sheared_horizontal_{_underscored(value)}_"] = geo.shear(horizontal=value)
    for shear_name, shear in shears.items():
        for name, flip in flips.items():
            yield _fixed(f"{name}{shear_name}", shear.then(flip))


def _deformations(config: Config) -> Iterator[Variant]:
    if config.augmentor.deformation:
        for name, field in deformations(config).items():
            yield Variant(Transform(name), field)


def deformations(config: Config) -> dict[str, Callable[[int], Field]]:
    """Return the elastic fields [deformation] asks for, by name, each made from a seed."""
    section = config.deformation
    fields: dict[str, Callable[[int], Field]] = {}
    for sigma in section.sigmoids or (section.sigmoid,):
        amplitude = section.amplitude
        if amplitude is None:
            amplitude = elastic_amplitude(section.alpha, sigma)
        fields[f"deformed_alpha_{section.alpha:g}_sigmoid_{sigma:g}_"] = partial(Elastic, amplitude, sigma)
    return fields


def _distortions(config: Config) -> Iterator[Variant]:
    if config.augmentor.distortion:
        for name, field in distortions(config).items():
            yield Variant(Transform(name), field)


def distortions(config: Config) -> dict[str, Callable[[int], Field]]:
    """Return the smooth fields [distortion] asks for, by name, each made from a seed."""
    sigma = config.distortion.gaussian_filter_rsigma
    suffix = f"rsigma{sigma:g}_sigma{config.distortion.gaussian_filter_sigma:g}_"
    return {
        f"distorted_{fraction:g}_{suffix}": partial(Distortion, fraction, sigma)
        for fraction in config.distortion.distortions
    }


def _barrels(config: Config) -> Iterator[Variant]:
    if config.augmentor.barrdistortion:
        yield from _radials(config, "barrdistortion")


def _pincushions(config: Config) -> Iterator[Variant]:
    if config.augmentor.pincdistortion:
        yield from _radials(config, "pincdistortion")


def _radials(config: Config, section: str) -> Iterator[Variant]:
    for name, field in radials(config, section).items():
        yield _fixed(name, geo.displacement(field))


def radials(config: Config, section: str) -> dict[str, Field]:
    """Return the barrel or pincushion field of each centre in `section`, by name, numbered from 101.

    Raises:
        UserError: a distortion so strong that it tears the picture.
    """
    keys: BarrDistortionConfig = getattr(config, section)
    if keys.amount <= -1:
        raise config.error(section, "amount", f"{keys.amount:g} tears the middle open; give one above -1")
    stem = section.removesuffix("ion")
    return {
        f"{stem}ed_{number}_{keys.radius:g}_{keys.amount:g}_": Radial(center, keys.radius, keys.amount)
        for number, center in enumerate(keys.centers, start=101)
    }


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
