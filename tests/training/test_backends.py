"""Every backend trains: the same project, from the same weights, comes to the same loss."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tests.models.test_backends import places_of

from spleenseg.training.train import train

from .conftest import Project

CHILD = """
import sys
places = sys.argv.index("--")
sys.path += sys.argv[1:places]
sys.argv[1:] = sys.argv[places + 1 :]
from spleenseg.cli.app import main
main()
"""
SETTINGS = ["train.epochs=2", "train.steps_per_epoch=4", "model.dropout_rate=0", "train.ema=0.9"]


@pytest.mark.full
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_learns_as_tensorflow_does(project: Project, backend: str) -> None:
    config, places = project(), places_of(backend)
    train(config, overrides=["train.epochs=1", "train.steps_per_epoch=1"])
    begun = config.parent.with_name("begun")
    config.parent.rename(begun)
    losses = {}
    for name in ("tensorflow", backend):
        config = project()
        settings = [word for setting in [*SETTINGS, f"model.init_from={begun}"] for word in ("--set", setting)]
        command = [sys.executable, "-c", CHILD, *places, "--", "train", str(config), *settings]
        subprocess.run(command, check=True, env={**os.environ, "KERAS_BACKEND": name, "OMP_NUM_THREADS": "1"})
        losses[name] = json.loads((config.parent / "history.json").read_text())["loss"]
        config.parent.rename(config.parent.with_name(name))
    assert losses[backend] == pytest.approx(losses["tensorflow"], rel=1e-3)
