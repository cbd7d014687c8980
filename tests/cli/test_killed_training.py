"""A training killed without warning: nothing half-written, and the next call goes on."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EVERY, STEPS, EPOCHS = 5, 30, 3
CONFIG = f"""\
[model]
model = "TensorflowUNet"
image_width = 32
image_height = 32
image_channels = 1
num_classes = 1
base_filters = 4
num_layers = 2
[train]
epochs = {EPOCHS}
steps_per_epoch = {STEPS}
checkpoint_every = {EVERY}
save_weights_only = True
image_datapath = "train/images"
mask_datapath = "train/masks"
[eval]
image_datapath = "valid/images"
mask_datapath = "valid/masks"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    for split in ("train", "valid"):
        for kind in ("images", "masks"):
            folder = tmp_path / split / kind
            folder.mkdir(parents=True)
            for z in range(4):
                Image.fromarray(np.full((32, 32), 60 * z, np.uint8)).save(folder / f"{10000 + z}_{split}.png")
    (tmp_path / "c.config").write_text(CONFIG)
    return tmp_path / "c.config"


COUNTED = f"""\
import os, sys
from spleenseg.cli.app import run
from spleenseg.training.trainer import Trainer

log, count = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), Trainer._count_step

def counted(self):
    count(self)
    os.write(log, f"{{self.state.epoch * {STEPS} + self.state.step}}\\n".encode())

Trainer._count_step = counted
sys.exit(run(sys.argv[1:]))
"""


def train(config: Path, *more: str) -> list[str]:
    """The program, which also writes each step it has done to steps.log."""
    return [sys.executable, "-c", COUNTED, str(config.parent / "steps.log"), "train", str(config), *more]


def steps_done(config: Path) -> int:
    log = config.parent / "steps.log"
    return len(log.read_bytes().splitlines()) if log.exists() else 0


def kill_after(config: Path, step: int) -> int:
    """Kill it once it has its first checkpoint and has done so many steps; return how many it had done."""
    state = config.parent / "models" / "last" / "state.npz"
    for left in (state, config.parent / "steps.log"):
        left.unlink(missing_ok=True)
    process = subprocess.Popen(train(config, "--quiet"))
    while (not state.exists() or steps_done(config) < step) and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.wait()
    return steps_done(config)


def require_whole_and_resumable(config: Path, reached: int) -> None:
    root = config.parent
    before = json.loads(str(np.load(root / "models" / "last" / "state.npz")["state"]))
    done = before["epoch"] * STEPS + before["step"]
    assert done % EVERY == 0
    assert done <= reached <= done + EVERY
    finished = subprocess.run(train(config, "--resume"), capture_output=True, text=True, check=True)
    assert f"continuing at epoch {before['epoch'] + 1}, step {before['step'] + 1}" in finished.stdout
    history = json.loads((root / "history.json").read_text())
    assert history["epoch"] == [0, 1, 2]
    assert json.loads((root / "run.json").read_text())["finished"]


def test_a_killed_training_goes_on_from_its_last_checkpoint(config: Path) -> None:
    require_whole_and_resumable(config, kill_after(config, step=0))


@pytest.mark.full
def test_it_does_so_whenever_it_is_killed(config: Path) -> None:
    moments, killed_at = random.Random(137), []
    for _ in range(20):
        killed_at.append(kill_after(config, step=moments.randrange(EPOCHS * STEPS)))
        require_whole_and_resumable(config, killed_at[-1])
    assert sum(0 < step < EPOCHS * STEPS for step in killed_at) > 3
