"""The grey-value operations that networks for CT are trained with, in the order in which they happen to a scan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from spleenseg.augment.intensity import Intensity
from spleenseg.augment.scanner import Blur, LowResolution, Noise, Shading
from spleenseg.augment.steps import Step, between, draw_seed, factor_between
from spleenseg.augment.tone import Contrast, Gamma, Window, other_window, rescaled_hu

if TYPE_CHECKING:
    from spleenseg.config import Config

_AIR = -1000.0  # HU


def ct_steps(config: Config) -> Iterator[Step[Intensity]]:
    """Yield the steps of `[intensity]`: what a scanner resolves, reads and adds, then how its slice is shown.

    Raises:
        UserError: `window_hu` could close the window, or the manifest of the training slices is damaged.
    """
    window = training_window(config)
    _require_open_window(config, window)
    yield from _sharpness(config)
    yield from _readings(config, window)
    yield from _display(config, window)


def training_window(config: Config) -> Window:
    """Return the HU that the training slices show as 0 and 255: their manifest's, else the reference's 0 and 255."""
    from spleenseg.datasets.manifest import Expectation, find_manifest

    folder = config.train.image_datapath
    manifest = find_manifest(folder) if folder is not None else None
    look = Expectation.reference() if manifest is None else manifest.expectation
    return Window(*look.window_hu)


def _require_open_window(config: Config, window: Window) -> None:
    least, most = config.intensity.window_hu
    try:
        other_window(window, most, least)
    except ValueError as error:
        raise config.error("intensity", "window_hu", f"is {least:g} to {most:g}: {error}") from error


def _sharpness(config: Config) -> Iterator[Step[Intensity]]:
    keys = config.intensity
    yield Step(
        "low resolution",
        keys.low_resolution_probability,
        lambda rng: LowResolution(between(rng, keys.resolution)),
    )
    yield Step("blur", keys.blur_probability, lambda rng: Blur(between(rng, keys.blur_sigma)))


def _readings(config: Config, window: Window) -> Iterator[Step[Intensity]]:
    keys, floor = config.intensity, (window.low - _AIR) * window.per_hu
    one_slice = config.dataset.context == 0
    yield Step(
        "bias field",
        keys.bias_probability,
        lambda rng: Shading(between(rng, keys.bias_strength), floor, draw_seed(rng)),
    )
    yield Step(
        "HU shift and scale",
        keys.hu_probability,
        lambda rng: rescaled_hu(window, between(rng, keys.hu_scale), between(rng, keys.hu_shift)),
    )
    yield Step(
        "noise",
        keys.noise_probability,
        lambda rng: Noise(between(rng, keys.noise_hu) * window.per_hu, draw_seed(rng), shared=one_slice),
    )


def _display(config: Config, window: Window) -> Iterator[Step[Intensity]]:
    keys = config.intensity
    yield Step(
        "window",
        keys.window_probability,
        lambda rng: other_window(window, between(rng, keys.window_hu), between(rng, keys.window_hu)),
    )
    yield Step("contrast", keys.contrast_probability, lambda rng: Contrast(factor_between(rng, keys.contrast_factor)))
    yield Step("gamma", keys.gamma_probability, lambda rng: Gamma(factor_between(rng, keys.gamma_exponent)))
