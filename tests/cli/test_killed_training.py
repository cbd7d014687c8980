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

CONFIG = """\
[model]
model = "TensorflowUNet"
image_width = 32
image_height = 32
image_channels = 1
num_classes = 1
base_filters = 4
num_layers = 2
[train]
epochs = 3
steps_per_epoch = 30
checkpoint_every = 5
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


def spleenseg(*arguments: str) -> list[str]:
    code = "import sys; from spleenseg.cli.app import run; sys.exit(run(sys.argv[1:]))"
    return [sys.executable, "-c", code, *arguments]


def kill_after_first_checkpoint(config: Path, pause: float) -> None:
    state = config.parent / "models" / "last" / "state.npz"
    state.unlink(missing_ok=True)
    process = subprocess.Popen(spleenseg("train", str(config), "--quiet"))
    while not state.exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(pause)
    process.kill()
    process.wait()


def require_whole_and_resumable(config: Path) -> None:
    root = config.parent
    before = json.loads(str(np.load(root / "models" / "last" / "state.npz")["state"]))
    done = before["epoch"] * 30 + before["step"]
    assert done % 5 == 0
    finished = subprocess.run(spleenseg("train", str(config), "--resume"), capture_output=True, text=True, check=True)
    assert f"continuing at epoch {before['epoch'] + 1}, step {before['step'] + 1}" in finished.stdout
    history = json.loads((root / "history.json").read_text())
    assert history["epoch"] == [0, 1, 2]
    assert json.loads((root / "run.json").read_text())["finished"]


def test_a_killed_training_goes_on_from_its_last_checkpoint(config: Path) -> None:
    kill_after_first_checkpoint(config, pause=0.05)
    require_whole_and_resumable(config)


@pytest.mark.full
def test_it_does_so_whenever_it_is_killed(config: Path) -> None:
    moments = random.Random(137)
    for _ in range(20):
        kill_after_first_checkpoint(config, pause=moments.uniform(0, 1.5))
        require_whole_and_resumable(config)
