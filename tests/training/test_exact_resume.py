"""Killed and stopped trainings, in processes of their own, end with the very bits of the one left alone."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from tests.program import PROGRAM

from .conftest import Project

STEPS = 12
SETTINGS = [f"train.steps_per_epoch={STEPS}", "train.epochs=3", "train.checkpoint_every=5", "train.ema=0.9"]
SETTINGS += ["model.image_width=64", "model.image_height=64", "train.warmup_epochs=1", "train.schedule=cosine"]


def command(config: Path, *more: str) -> list[str]:
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    return [*PROGRAM, "train", str(config), *settings, *more]


def products(config: Path) -> dict[str, object]:
    """Every number of the last state, the best weights and what run.json says of them, and the tables."""
    root = config.parent
    best = (root / "models" / "best_model.weights.h5").read_bytes()
    assert json.loads((root / "run.json").read_text())["weights"]["sha256"] == hashlib.sha256(best).hexdigest()
    with np.load(root / "models" / "last" / "state.npz") as saved:
        bits: dict[str, object] = {name: saved[name].tobytes() for name in saved.files if name != "state"}
    tables = {path.name: path.read_bytes() for path in (root / "eval").glob("*.csv")}
    history = json.loads((root / "history.json").read_text())
    return bits | {"best": best} | tables | {name: values for name, values in history.items() if name != "seconds"}


def disturb(config: Path, how: int, pause: float, *more: str) -> int:
    """Start a training, wait for its first checkpoint and `pause` seconds, send it a signal; return its status."""
    state = config.parent / "models" / "last" / "state.npz"
    process = subprocess.Popen(command(config, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not state.exists():
        time.sleep(0.01)
    time.sleep(pause)
    process.send_signal(how)
    return process.wait()


def run(config: Path, *more: str) -> None:
    done = subprocess.run(command(config, *more), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_killed_or_stopped_it_ends_with_the_same_bits(project: Project) -> None:
    config = project()
    run(config)
    whole = products(config)
    (config.parent / "models" / "last" / "state.npz").unlink()
    assert disturb(config, signal.SIGKILL, 2.5) == -signal.SIGKILL
    # killed while Python still imports, the checkpoint stays as it was
    assert disturb(config, signal.SIGTERM, 4.5, "--resume") in (0, 130, -signal.SIGTERM)
    run(config, "--resume")
    assert products(config) == whole


@pytest.mark.full
def test_it_does_so_whenever_it_is_killed(project: Project) -> None:
    config, moments, amid = project(), random.Random(137), 0
    run(config)
    whole = products(config)
    for attempt in range(20):
        (config.parent / "models" / "last" / "state.npz").unlink()
        disturb(config, (signal.SIGKILL, signal.SIGTERM)[attempt % 2], moments.uniform(0, 5))
        amid += steps_done(config) < 3 * STEPS
        run(config, "--resume")
        assert products(config) == whole
    assert amid >= 3  # where most ends come too late, shorten the pause


def steps_done(config: Path) -> int:
    with np.load(config.parent / "models" / "last" / "state.npz") as saved:
        state = json.loads(str(saved["state"]))
    return int(state["epoch"] * STEPS + state["step"])


@pytest.mark.full
def test_a_stop_while_the_program_loads_ends_it_in_good_order(project: Project) -> None:
    config = project()
    run(config)
    for tenths in range(5, 90, 7):  # imports, the network, its first step
        status = disturb(config, signal.SIGTERM, tenths / 10, "--resume", "--set", "train.epochs=4")
        assert status in (0, 130, -signal.SIGTERM), f"stopped after {tenths / 10} s: {status}"
    run(config, "--resume")
