"""Trainings whose disk fails while they run, on a small file system of their own: full, read-only, in pieces."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.program import PROGRAM

from spleenseg.errors import UserError
from spleenseg.files import atomic, write_text
from spleenseg.training.train import train

from .conftest import Project

MEGABYTE = 1 << 20
LONG = ["train.epochs=400", "train.checkpoint_every=1"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB in memory, that can be filled and write-protected for real."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None or not mounted("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)):
        pytest.skip("mounting a small file system needs root on Linux")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def mounted(*how: str) -> bool:
    return subprocess.run(["mount", *how], capture_output=True).returncode == 0


def on(disk: Path, project: Project) -> Path:
    """Move a project to the disk; return its config."""
    return Path(shutil.move(project().parent, disk / "run")) / "train_eval_infer.config"


def training(config: Path, *settings: str, **environment: str) -> subprocess.Popen[str]:
    """Start the program, and come back once its first checkpoint is there."""
    words = [word for setting in settings for word in ("--set", setting)]
    process = subprocess.Popen(
        [*PROGRAM, "train", str(config), "--quiet", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    while not (config.parent / "models" / "last" / "state.npz").exists() and process.poll() is None:
        time.sleep(0.01)
    return process


def fill(disk: Path, left: int = 0) -> None:
    """Take all space but some bytes."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(max(0, file.tell() - left))


def protect(disk: Path) -> None:
    """Write-protect the disk, between two writes of the training."""
    for _ in range(1000):
        if mounted("-o", "remount,ro", str(disk)):
            return
        time.sleep(0.002)
    pytest.fail("the disk was never idle")


def ends_in_one_line(process: subprocess.Popen[str], told: str) -> None:
    _, said = process.communicate(timeout=600)
    assert process.returncode == 2, said
    line = the_line(said)
    assert told in line
    assert line.endswith("the last checkpoint is intact: set that right, then continue with --resume")


def the_line(said: str) -> str:
    """Return the one line on the failure; the fixture's slices are alike, of which one warning tells."""
    (line,) = [line for line in said.splitlines() if not line.startswith("warning: 4 images are in both")]
    assert line.startswith("error: cannot write ")
    return line


def goes_on_from_its_checkpoint(config: Path, *settings: str) -> None:
    with np.load(config.parent / "models" / "last" / "state.npz") as saved:
        state = json.loads(str(saved["state"]))
        assert all(np.isfinite(saved[name]).all() for name in saved.files if name != "state")
    assert not list(config.parent.rglob(".writing-*"))
    epochs = state["epoch"] + 1
    assert train(config, overrides=[*settings, f"train.epochs={epochs}"], resume=True).epochs == epochs
    assert len(json.loads((config.parent / "history.json").read_text())["epoch"]) == epochs


def test_a_disk_that_fills_up(project: Project, disk: Path) -> None:
    config = on(disk, project)
    process = training(config, *LONG)
    fill(disk)
    ends_in_one_line(process, "No space left on device")
    (disk / "filler").unlink()
    goes_on_from_its_checkpoint(config)


@pytest.mark.full
@pytest.mark.parametrize("settings", [["train.save_weights_only=True"], ["train.save_weights_only=False"]])
@pytest.mark.parametrize("left", [20_000, 60_000, 200_000])
def test_it_does_so_wherever_the_space_ends(project: Project, disk: Path, left: int, settings: list[str]) -> None:
    """Checkpoint, best weights, tables, curves and the manifest are written in turn, the best weights by HDF5."""
    config = on(disk, project)
    process = training(config, "train.epochs=400", "train.steps_per_epoch=20", *settings)
    fill(disk, left)
    if (filled := fill_until_it_ends(process, disk)) is not None:
        pytest.fail(f"still running on a full disk: {filled}")
    ends_in_one_line(process, "No space left on device")
    (disk / "filler").unlink()
    goes_on_from_its_checkpoint(config, *settings)


def fill_until_it_ends(process: subprocess.Popen[str], disk: Path) -> str | None:
    """Take what is left, 4 kB every second, until the program has ended; files of one size may fit for ever."""
    for _ in range(90):
        try:
            process.wait(timeout=1)
            return None
        except subprocess.TimeoutExpired:
            with (disk / "filler").open("ab", buffering=0) as file:
                try:
                    file.write(bytes(4096))
                except OSError:
                    continue
    return "90 seconds"


def test_a_disk_that_becomes_read_only(project: Project, disk: Path) -> None:
    config = on(disk, project)
    process = training(config, *LONG)
    protect(disk)
    ends_in_one_line(process, "Read-only file system")
    assert mounted("-o", "remount,rw", str(disk))
    goes_on_from_its_checkpoint(config)


def test_a_file_that_can_no_longer_be_removed_does_not_hide_why(disk: Path) -> None:
    def write() -> None:
        with atomic(disk / "figures.csv") as temporary:
            temporary.write_text("1")
            assert mounted("-o", "remount,ro", str(disk))

    with pytest.raises(UserError, match=r"cannot write .*figures\.csv: Read-only file system"):
        write()


def test_a_folder_that_is_taken_away(project: Project) -> None:
    """Something else lies in its place: a folder that is merely gone is made again."""
    config = project()
    process = training(config, *LONG)
    models = config.parent / "models"
    models.rename(config.parent / "elsewhere")
    write_or_leave(models)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 2, said
    line = the_line(said)
    assert str(models) in line
    models.unlink() if models.is_file() else shutil.rmtree(models)
    (config.parent / "elsewhere").rename(models)
    goes_on_from_its_checkpoint(config)


def write_or_leave(path: Path) -> None:
    """Put a file where a folder was, however often the training makes the folder again before."""
    while not path.is_file():
        try:
            write_text(path, "in the way")
        except UserError:
            shutil.rmtree(path, ignore_errors=True)


def test_slices_that_vanish_where_there_was_no_room_to_keep_them(project: Project, disk: Path) -> None:
    """They are read again at every step then."""
    config = project()
    fill(disk, left=4096)
    process = training(config, *LONG, "dataset.cache_mb=0", TMPDIR=str(disk))
    images = config.parent / "data" / "train" / "images"
    images.rename(config.parent / "elsewhere")
    _, said = process.communicate(timeout=600)
    assert process.returncode == 2, said
    assert "of 4 slices of [train] do not fit in memory: nowhere" in said
    (line,) = [line for line in said.splitlines() if not line.startswith("warning")]
    assert re.match(rf"error: image {re.escape(str(images))}/1000\d_a\.png does not exist; the last checkpoint", line)
    (config.parent / "elsewhere").rename(images)
    goes_on_from_its_checkpoint(config)


@pytest.mark.full
@pytest.mark.skipif(os.name == "nt", reason="limits of a process are POSIX")
@pytest.mark.parametrize(
    ("gigabytes", "settings"),
    [(6, ["train.batch_size=400000"]), (5, ["model.base_filters=2048", "model.num_layers=4"])],
)
def test_a_real_lack_of_memory(project: Project, gigabytes: int, settings: list[str]) -> None:
    """In the batches, and in a network that is being built."""
    import resource

    config = project()
    train(config, overrides=["train.epochs=1"])
    words = [word for setting in ["train.epochs=1", *settings] for word in ("--set", setting)]
    limit = (gigabytes << 30, gigabytes << 30)
    done = subprocess.run(
        [*PROGRAM, "train", str(config), "--quiet", *words],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit),
    )
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert "out of memory in training; try [train] batch_size" in line
    assert line.endswith("the last checkpoint is intact")
