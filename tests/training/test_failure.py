"""Trainings that go wrong: one line, the last checkpoint intact, and what is needed to look into it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spleenseg.config import load_config
from spleenseg.errors import UserError
from spleenseg.progress import Silent
from spleenseg.training.failure import explained, replay
from spleenseg.training.network import Learner
from spleenseg.training.train import train

from .conftest import Project

WILD = ["model.learning_rate=1e30", "model.clipvalue=1e30", "train.epochs=4"]

LIMITED = """
import resource, sys
from spleenseg.cli.app import run
import spleenseg.training.checkpoint as checkpoint
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(run(sys.argv[2:]))
"""


def state_of(config: Path) -> dict[str, object]:
    with np.load(config.parent / "models" / "last" / "state.npz") as saved:
        return dict(json.loads(str(saved["state"])))


def test_a_loss_that_is_no_number_can_be_taken_again_as_the_note_says(project: Project) -> None:
    config = project()
    with pytest.raises(UserError, match=r"the loss became nan at epoch \d+, step \d+ \(images .*_a\.png.*README"):
        train(config, overrides=[*WILD, "model.base_filters=2"])
    kept = config.parent / "models" / "nan"
    note = re.search(r'print\(replay\("(.+)", "(.+)"\)\)', (kept / "README.txt").read_text())
    assert note is not None
    assert not np.isfinite(replay(*note.groups()))
    assert load_config(note[1]).train.image_datapath == load_config(config).train.image_datapath
    with np.load(kept / "batch.npz") as batch:
        assert batch["images"].shape == (2, 32, 32, 1)
        assert len(batch["names"]) == 2
    assert state_of(config)["epoch"] == 0


def test_the_variables_kept_are_those_of_right_before_the_step(project: Project) -> None:
    """A reproduction whose weights already are no numbers would tell nothing of how they became so."""
    config = project()
    with pytest.raises(UserError, match="the loss became nan"):
        train(config, overrides=[*WILD[:2], "train.epochs=1", "train.steps_per_epoch=50"])
    with np.load(config.parent / "models" / "nan" / "state.npz") as kept:
        state = json.loads(str(kept["state"]))
        finite = [np.isfinite(kept[name]).all() for name in kept.files if name != "state"]
    assert state["step"] > 0
    assert all(finite)


def test_weights_that_are_no_numbers_are_never_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of a step is that of the weights before it: of the last one before a checkpoint it says nothing."""
    config = project()
    taken = Learner.train_on

    def spoilt(learner: Learner, images: object, targets: object) -> dict[str, float]:
        found = taken(learner, images, targets)
        if int(learner.model.optimizer.iterations) == 2:
            weight = learner.network.trainable_variables[0]
            weight.assign(np.full(weight.shape, np.nan, np.float32))
        return found

    monkeypatch.setattr(Learner, "train_on", spoilt)
    with pytest.raises(
        UserError, match=r"nan at epoch 1, step 2 .* checkpoint, of epoch 1, step 2, is intact: --resume"
    ):
        train(config, overrides=["train.epochs=2", "train.checkpoint_every=1"])
    with np.load(config.parent / "models" / "last" / "state.npz") as saved:
        assert all(np.isfinite(saved[name]).all() for name in saved.files if name != "state")


def test_lack_of_memory_names_the_settings_that_need_less(project: Project) -> None:
    config = load_config(project())
    told = r"batch_size = 1 \(it is 2\) or .*bfloat16"
    with pytest.raises(UserError, match=told), explained(config):
        np.empty(2**60, np.uint8)


def test_other_errors_pass_as_they_are(project: Project) -> None:
    with pytest.raises(ZeroDivisionError), explained(load_config(project())):
        1 // 0  # noqa: B018


def test_a_file_that_cannot_grow_is_one_line_and_the_checkpoint_stays_whole(project: Project) -> None:
    """A limit on the size of files gives the same error at the same place as a disk that is full."""
    config = project()
    train(config, overrides=["train.epochs=1"])
    before = (config.parent / "models" / "last" / "state.npz").read_bytes()
    command = [sys.executable, "-c", LIMITED, "20000", "train", str(config), "--resume", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert "cannot write" in line
    assert (config.parent / "models" / "last" / "state.npz").read_bytes() == before
    assert not list(config.parent.rglob(".writing-*"))
    assert train(config, resume=True).epochs == 2


class Vandal(Silent):
    """Deletes the training images once something is said that begins with `word`."""

    def __init__(self, config: Path, word: str) -> None:
        self.images, self.word = config.parent / "data" / "train" / "images", word

    def say(self, message: str) -> None:
        if message.startswith(self.word):
            for path in self.images.glob("*.png"):
                path.unlink()


def test_a_slice_that_vanishes_before_the_first_step_is_named(project: Project) -> None:
    config = project()
    with pytest.raises(UserError, match=r"cannot read .*data/train/images/1000\d_a\.png: No such file"):
        train(config, overrides=["dataset.cache_mb=0"], reporter=Vandal(config, "4 of 4 slices of [eval]"))


def test_slices_that_vanish_while_training_are_not_missed(project: Project) -> None:
    """Every slice was decoded and kept at the start."""
    config = project()
    assert train(config, overrides=["dataset.cache_mb=0"], reporter=Vandal(config, "epoch 1/")).epochs == 2
    assert not list((config.parent / "data" / "train" / "images").iterdir())
