"""Two devices that share each batch train as one does: the same curves, figures and weights."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.program import PROGRAM

from .conftest import Project

TWO = "--xla_force_host_platform_device_count=2"
# normalisation and a Dice over the whole batch show whether statistics are taken over all of it; a validation of
# batches of three and one shows what becomes of those that cannot be shared
SETTINGS = ["model.normalization=True", "model.batch_dice=True", "eval.batch_size=3", "train.epochs=3"]

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="pip install jax")


def trained(config: Path, *more: str) -> tuple[dict[str, list[float]], list[np.ndarray], str]:
    """Train on JAX with two devices of the processor; return curves, variables and what was said."""
    words = [word for setting in (*SETTINGS, *more) for word in ("--set", setting)]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": TWO, "JAX_PLATFORMS": "cpu"}
    command = [*PROGRAM, "train", str(config), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    history = json.loads((config.parent / "history.json").read_text())
    with np.load(config.parent / "models" / "last" / "state.npz") as saved:
        variables = [saved[name] for name in saved.files if name != "state"]
    return {name: values for name, values in history.items() if name != "seconds"}, variables, done.stdout


@needs_jax
def test_two_devices_give_the_curves_of_one(project: Project) -> None:
    config = project()
    one, weights, _ = trained(config, "train.devices=one")
    two, shared, said = trained(config, "train.devices=all")
    assert "2 of 2 devices share each batch: 1 slices each" in said
    assert one.keys() == two.keys()
    assert "val_loss" in one
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, atol=1e-4, err_msg=name)
    for ours, theirs in zip(shared, weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


@needs_jax
def test_a_batch_that_cannot_be_shared_is_trained_by_one(project: Project) -> None:
    *_, said = trained(project(), "train.batch_size=3", "train.epochs=1")
    assert "devices share" not in said
