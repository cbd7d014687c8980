"""One change of HU shown in several windows: each window shows the same change, in its own grey values."""

from __future__ import annotations

import numpy as np
import pytest

from spleenseg.augment.ct import InEachWindow, ct_steps, in_each, training_windows
from spleenseg.augment.scanner import Noise
from spleenseg.augment.tone import Window, rescaled_hu
from spleenseg.config import load_config

WINDOWS = (Window(-160, 240), Window(-1000, 400))
CONFIG = """
[model]
model = "TensorflowUNet"
image_width = 32
image_height = 32
image_channels = {channels}
num_classes = 1
base_filters = 4
num_layers = 3
[dataset]
context = 1
windows = {windows}
[augmentor]
policy = "strong"
"""


def shown(hu: np.ndarray) -> np.ndarray:
    """Return float HU [H, W, neighbours] in both windows, 0..255."""
    parts = [np.clip((hu - window.low) * window.per_hu, 0, 255) for window in WINDOWS]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def test_a_shift_of_hu_is_the_same_in_both_windows() -> None:
    hu = np.random.default_rng(0).uniform(-100, 200, (16, 16, 3))
    found = in_each(WINDOWS, lambda window: rescaled_hu(window, 1.1, 15))(shown(hu))
    np.testing.assert_allclose(found, shown(1.1 * hu + 15), atol=1e-3)


def test_noise_is_the_same_in_hu_in_both_windows() -> None:
    hu = np.full((64, 64, 3), 40.0)
    noise = in_each(WINDOWS, lambda window: Noise(12 * window.per_hu, seed=3, shared=False))
    changes = np.split(noise(shown(hu)) - shown(hu), 2, axis=-1)
    in_hu = [change / window.per_hu for change, window in zip(changes, WINDOWS, strict=True)]
    np.testing.assert_allclose(in_hu[0], in_hu[1], atol=1e-2)
    assert in_hu[0].std() == pytest.approx(12, rel=0.05)


def test_one_window_is_changed_without_a_wrapper() -> None:
    assert in_each(WINDOWS[:1], lambda window: rescaled_hu(window, 1, 5)) == rescaled_hu(WINDOWS[0], 1, 5)


def test_the_windows_of_the_config_are_those_of_training(tmp_path) -> None:
    path = tmp_path / "train_eval_infer.config"
    path.write_text(CONFIG.format(channels=6, windows="[(-160, 240), (-1000, 400)]"))
    config = load_config(path)
    assert training_windows(config) == WINDOWS
    rng = np.random.default_rng(1)
    drawn = {step.name: step.draw(rng) for step in ct_steps(config)}
    several = {name for name, operation in drawn.items() if isinstance(operation, InEachWindow)}
    assert several == {"bias field", "HU shift and scale", "noise", "window"}
    image = shown(rng.uniform(-100, 200, (32, 32, 3))).astype(np.uint8)
    for operation in drawn.values():
        assert operation(image).shape == image.shape
        assert operation(image).dtype == np.uint8
