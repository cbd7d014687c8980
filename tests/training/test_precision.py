"""What stays float32 where a network computes in fewer bits."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from spleenseg.config import load_config
from spleenseg.models.accelerators import Kind, capability_of
from spleenseg.training.network import build
from spleenseg.training.precision import fastest, resolve_precision

from .conftest import Project


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_weights_logits_slots_and_averages_stay_float32(project: Project, precision: str) -> None:
    settings = [f"train.precision={precision}", "train.ema=0.9", "model.model=FastUNet", "model.num_layers=3"]
    learner = build(load_config(project(), settings))
    assert {v.dtype for v in learner.variables() if "float" in v.dtype} == {"float32"}
    assert learner.network.get_layer("up1_conv").compute_dtype == precision
    images = np.full((2, 32, 32, 1), 100, np.float32)
    logits = learner.model(images)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    targets = np.zeros((2, 32, 32, 1), np.float32)
    loss = learner.model.compute_loss(images, targets, logits)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"


def test_the_choice_may_be_left_to_the_machine() -> None:
    assert resolve_precision("auto") in {"float32", "bfloat16"}
    assert resolve_precision("float16") == "float16"


@pytest.mark.parametrize(
    ("kind", "capability", "flags", "expected"),
    [
        ("processor", None, {"avx2", "avx512f"}, "float32"),
        ("processor", None, {"avx512_bf16"}, "bfloat16"),  # Zen 4, Cooper Lake
        ("processor", None, {"amx_bf16"}, "bfloat16"),
        ("processor", None, {"bf16"}, "bfloat16"),  # Arm
        ("processor", None, set(), "float32"),
        ("nvidia", (6, 1), {"avx512_bf16"}, "float32"),  # Pascal: the processor's features do not count
        ("nvidia", (7, 0), set(), "float16"),  # Volta
        ("nvidia", (7, 5), {"avx512_bf16"}, "float16"),  # Turing
        ("nvidia", (8, 0), set(), "bfloat16"),  # Ampere
        ("nvidia", (8, 9), set(), "bfloat16"),  # Ada
        ("nvidia", (9, 0), set(), "bfloat16"),  # Hopper
        ("nvidia", (10, 0), set(), "bfloat16"),  # Blackwell: compared as numbers, not as text
        ("nvidia", None, set(), "float32"),
        ("other", None, {"avx512_bf16"}, "float32"),
    ],
)
def test_the_format_follows_from_what_computes(
    kind: Kind, capability: tuple[int, int] | None, flags: set[str], expected: str
) -> None:
    assert fastest(kind, capability, flags) == expected


def test_capabilities_are_read_as_each_backend_tells_them() -> None:
    assert capability_of((8, 6)) == (8, 6)  # TensorFlow, torch
    assert capability_of("10.0") == (10, 0)  # JAX
    assert capability_of("gfx90a") is None  # JAX on AMD
    assert capability_of(None) is None


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_without_a_card_the_processor_computes(backend: str) -> None:
    """The real backend is asked, in a process of its own: it is chosen once in a process."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = "from spleenseg.models.accelerators import accelerator; print(*accelerator())"
    environment = {**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["processor", "None"]


def test_in_float16_gradients_that_would_vanish_are_learnt_from(project: Project) -> None:
    """What makes it a choice for old cards: the loss is scaled, overflows skip a step, the figures stay as they are."""
    settings = ["train.precision=float16", "model.learning_rate=1e-4", "model.model=FastUNet", "model.num_layers=3"]
    learner = build(load_config(project(), settings))
    optimizer = learner.model.optimizer
    optimizer.dynamic_scale.assign(2.0**60)  # no gradient survives this one
    images, targets = np.full((2, 32, 32, 1), 100, np.float32), np.zeros((2, 32, 32, 1), np.float32)
    weights = learner.network.trainable_variables
    before = [np.array(keras.ops.convert_to_numpy(v.value)) for v in weights]

    def moved() -> bool:
        now = [keras.ops.convert_to_numpy(v.value) for v in weights]
        return any((one != other).any() for one, other in zip(now, before, strict=True))

    loss = learner.train_on(images, targets)["loss"]
    assert 0 < loss < 10
    assert float(optimizer.dynamic_scale) == 2.0**59
    assert not moved()
    optimizer.dynamic_scale.assign(2.0**10)
    learner.train_on(images, targets)
    assert moved()
