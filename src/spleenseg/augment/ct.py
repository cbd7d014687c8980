"""The grey-value operations that networks for CT are trained with, in the order in which they happen to a scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spleenseg.augment.intensity import Intensity
from spleenseg.augment.scanner import Blur, LowResolution, Noise, Shading
from spleenseg.augment.steps import Step, between, draw_seed, factor_between
from spleenseg.augment.tone import Contrast, Gamma, Window, other_window, rescaled_hu
from spleenseg.augment.warp import Image

if TYPE_CHECKING:
    from spleenseg.config import Config

_AIR = -1000.0  # HU


@dataclass(frozen=True)
class InEachWindow:
    """What happens to the HU of a slice, as each of its windows shows it.

    Attributes:
        operations: one a window, all with the same parameters in HU; each changes its own group of channels.
    """

    operations: tuple[Intensity, ...]

    def __call__(self, image: Image) -> Image:
        """Return the changed image [H, W, windows x neighbours]."""
        groups = np.split(image, len(self.operations), axis=-1)
        pairs = zip(self.operations, groups, strict=True)
        return np.concatenate([operation(np.ascontiguousarray(group)) for operation, group in pairs], axis=-1)


def in_each(windows: tuple[Window, ...], operation: Callable[[Window], Intensity]) -> Intensity:
    """Return what `operation` makes of one window, or of each of several."""
    operations = tuple(operation(window) for window in windows)
    return operations[0] if len(operations) == 1 else InEachWindow(operations)


def ct_steps(config: Config) -> Iterator[Step[Intensity]]:
    """Yield the steps of `[intensity]`: what a scanner resolves, reads and adds, then how its slice is shown.

    Raises:
        UserError: `window_hu` could close the window, or the manifest of the training slices is damaged.
    """
    windows = training_windows(config)
    for window in windows:
        _require_open_window(config, window)
    yield from _sharpness(config)
    yield from _readings(config, windows)
    yield from _display(config, windows)


def training_windows(config: Config) -> tuple[Window, ...]:
    """Return the HU that the training slices show as 0 and 255, in each window of `[dataset] windows`.

    Without that key: those of their manifest, else the reference's 0 and 255.
    """
    from spleenseg.datasets.manifest import Expectation, find_manifest

    if config.dataset.windows is not None:
        return tuple(Window(*window) for window in config.dataset.windows)
    folder = config.train.image_datapath
    manifest = find_manifest(folder) if folder is not None else None
    look = Expectation.reference() if manifest is None else manifest.expectation
    return (Window(*look.window_hu),)


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


def _readings(config: Config, windows: tuple[Window, ...]) -> Iterator[Step[Intensity]]:
    keys, one_slice = config.intensity, config.dataset.context == 0

    def shading(rng: np.random.Generator) -> Intensity:
        strength, seed = between(rng, keys.bias_strength), draw_seed(rng)
        return in_each(windows, lambda window: Shading(strength, (window.low - _AIR) * window.per_hu, seed))

    def reading(rng: np.random.Generator) -> Intensity:
        scale, shift = between(rng, keys.hu_scale), between(rng, keys.hu_shift)
        return in_each(windows, lambda window: rescaled_hu(window, scale, shift))

    def noise(rng: np.random.Generator) -> Intensity:
        sigma, seed = between(rng, keys.noise_hu), draw_seed(rng)
        grain = factor_between(rng, keys.noise_grain) if keys.noise_grain != (1, 1) else 1.0
        return in_each(windows, lambda window: Noise(sigma * window.per_hu, seed, one_slice, grain))

    yield Step("bias field", keys.bias_probability, shading)
    yield Step("HU shift and scale", keys.hu_probability, reading)
    yield Step("noise", keys.noise_probability, noise)


def _display(config: Config, windows: tuple[Window, ...]) -> Iterator[Step[Intensity]]:
    keys = config.intensity

    def window(rng: np.random.Generator) -> Intensity:
        low, high = between(rng, keys.window_hu), between(rng, keys.window_hu)
        return in_each(windows, lambda known: other_window(known, low, high))

    yield Step("window", keys.window_probability, window)
    yield Step("contrast", keys.contrast_probability, lambda rng: Contrast(factor_between(rng, keys.contrast_factor)))
    yield Step("gamma", keys.gamma_probability, lambda rng: Gamma(factor_between(rng, keys.gamma_exponent)))
