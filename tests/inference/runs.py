"""Run folders of networks whose answer is known, as a training leaves them, and scans to try them on."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spleenseg.config import Config, load_config
from spleenseg.datasets.manifest import Expectation
from spleenseg.models.build import build_model
from spleenseg.models.run_folder import RunFolder, RunManifest
from spleenseg.volumes import Volume, write_volume

SPLEEN = Expectation(window_hu=(-160, 240), display="radiological", pixel_mm=None, context=0, labels={"spleen": 1})
STEEP = 200.0
HERE = (1, 1)  # of a 3x3 kernel: the pixel itself
LEFT_NEIGHBOUR = (1, 0)


def need_openvino() -> None:
    """Skip where it is not installed; nothing is imported, for its telemetry must be switched off before."""
    if find_spec("openvino") is None:
        pytest.skip("extra openvino is not installed: make test-extras", allow_module_level=True)


def write_config(root: Path, extra: str = "", **model: object) -> Config:
    """Write a config of a one-level network of 16x32 pixels (width x height) and load it."""
    keys = {
        "model": "TensorflowUNet",
        "image_width": 16,
        "image_height": 32,
        "image_channels": 3,
        "num_classes": 1,
        "base_filters": 1,
        "num_layers": 1,
        "loss": "bce_dice_loss",
        "metrics": ["binary_accuracy"],
        **model,
    }
    lines = "\n".join(f"{key} = {value!r}" for key, value in keys.items())
    root.mkdir(parents=True, exist_ok=True)
    path = root / "train_eval_infer.config"
    path.write_text(f"[model]\n{lines}\n{extra}\n")
    return load_config(path)


def set_brightness_weights(
    model: Any, limits: Sequence[float], tap: tuple[int, int] = HERE, channel: int | None = None
) -> None:
    """Make a one-level network answer by one pixel's brightness.

    Args:
        model: of `build_model`.
        limits: shares of 255: label k begins at limits[k - 1].
        tap: which pixel of the 3x3 surroundings it looks at.
        channel: which channel; None: the mean of all.
    """
    first = np.zeros(model.get_layer("bottom_conv1").kernel.shape, np.float32)
    if channel is None:
        first[tap] = 1 / first.shape[2]
    else:
        first[tap][channel] = 1
    second = np.zeros(model.get_layer("bottom_conv2").kernel.shape, np.float32)
    second[HERE] = 1
    model.get_layer("bottom_conv1").set_weights([first, np.zeros(1, np.float32)])
    model.get_layer("bottom_conv2").set_weights([second, np.zeros(1, np.float32)])
    model.get_layer("logits").set_weights(_head(limits, model.output_shape[-1]))


def _head(limits: Sequence[float], classes: int) -> list[np.ndarray]:
    """Return kernel [1, 1, 1, K] and bias [K]: channel k gains on k - 1 from limits[k - 1] on."""
    if classes == 1:
        return [np.full((1, 1, 1, 1), STEEP, np.float32), np.float32([-STEEP * limits[0]])]
    slopes = STEEP * np.arange(classes, dtype=np.float32)
    offsets = -STEEP * np.concatenate([[0], np.cumsum(limits)]).astype(np.float32)
    return [slopes.reshape(1, 1, 1, classes), offsets]


def save_run(config: Config, model: Any, expectation: Expectation = SPLEEN) -> Path:
    """Leave the folder of `config` as a training does."""
    run = RunFolder.of(config)
    run.models_dir.mkdir(parents=True, exist_ok=True)
    model.save_weights(run.best_weights)
    start = RunManifest.start(config, model, expectation, {}, {})
    start.with_best(0, {"val_loss": 0.1}, run.best_weights, run.root).with_end().write(run.manifest)
    return run.root


def brightness_run(
    root: Path,
    limits: Sequence[float] = (0.5,),
    expectation: Expectation = SPLEEN,
    tap: tuple[int, int] = HERE,
    channel: int | None = None,
    **model: object,
) -> Path:
    """Make a run folder whose network labels pixels by their brightness; return it."""
    extra = f"[dataset]\ncontext = {expectation.context}\nstretch = True\n[train]\nsave_weights_only = True"
    config = write_config(root, extra, **model)
    network = build_model(config.model)
    set_brightness_weights(network, limits, tap, channel)
    return save_run(config, network, expectation)


def blocks(shape: tuple[int, int, int], seed: int = 0, low: int = -400, high: int = 400) -> np.ndarray:
    """Return int16 HU [z, y, x] of one random value per 4x4 block: what resizing barely changes."""
    coarse = [shape[0], -(-shape[1] // 4), -(-shape[2] // 4)]
    values = np.random.default_rng(seed).integers(low, high, coarse).astype(np.int16)
    return values.repeat(4, axis=1).repeat(4, axis=2)[:, : shape[1], : shape[2]]


def write_scan(path: Path, hu: np.ndarray, spacing: tuple[float, float, float] = (0.8, 0.7, 3.0)) -> Volume:
    """Write HU [z, y, x] as NIfTI whose stored axes are Left, Posterior, Superior."""
    x, y, z = spacing
    affine = np.diag([-x, -y, z, 1.0])
    volume = Volume.from_stored(np.ascontiguousarray(hu.transpose(2, 1, 0)), affine, case=path.name.split(".")[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(volume, path)
    return volume
