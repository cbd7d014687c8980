"""The same weights give the same logits on every backend of Keras."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from spleenseg.config import Config
from spleenseg.models.build import build_model, logits_model

MakeConfig = Callable[..., Config]
BENCH = Path(__file__).parents[2] / ".venv-bench"  # of `make setup-bench`, the home of what is not locked
SWIN = {"filter_num_begin": 8, "depth": 3, "patch_size": 2, "num_heads": 2, "window_size": 5, "num_mlp": 16}
SMALL: dict[str, dict[str, object]] = {
    "AttentionUNet": {"normalization": True},
    "SwinUNet": SWIN,
    "UNet3Plus": {"classification_guided": True, "num_classes": 3},
}
CHILD = """
import os, sys
backend, config, data, *more = sys.argv[1:]
os.environ["KERAS_BACKEND"] = backend
sys.path += more
import keras, numpy as np
from spleenseg.config import load_config
from spleenseg.models.build import build_model, logits_model
assert keras.backend.backend() == backend
stored = np.load(data)
model = build_model(load_config(config).model)
model.set_weights([stored[f"weight{number}"] for number in range(len(model.weights))])
np.save(data + ".npy", keras.ops.convert_to_numpy(logits_model(model)(stored["image"])))
"""


def places_of(package: str) -> list[str]:
    """Return the folders to add to the path to have `package`; skips where it is nowhere."""
    if importlib.util.find_spec(package):
        return []
    for folder in BENCH.glob("lib/*/site-packages"):
        if (folder / package).is_dir():
            return [str(folder)]
    pytest.skip(f"{package} is neither here nor in .venv-bench")


@pytest.mark.full
@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("name", SMALL)
def test_logits_agree_with_another_backend(make_config: MakeConfig, tmp_path: Path, name: str, backend: str) -> None:
    places = places_of(backend)
    keras.utils.set_random_seed(9)
    config = make_config(model=name, image_width=64, image_height=64, **SMALL[name])
    model = build_model(config.model)
    image = np.random.default_rng(9).integers(0, 256, (1, 64, 64, 1)).astype(np.float32)
    weights = {f"weight{number}": value for number, value in enumerate(model.get_weights())}
    np.savez(tmp_path / "data.npz", image=image, **weights)
    command = [sys.executable, "-c", CHILD, backend, str(config.path), str(tmp_path / "data.npz"), *places]
    subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    theirs = np.load(tmp_path / "data.npz.npy")
    np.testing.assert_allclose(theirs, np.asarray(logits_model(model)(image)), atol=1e-4)
