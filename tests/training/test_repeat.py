"""A training repeated from its run.json: the same bits, from the same data only."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spleenseg.errors import UserError
from spleenseg.models.run_folder import RunManifest
from spleenseg.progress import Silent
from spleenseg.training.repeat import repeat
from spleenseg.training.train import train

from .conftest import Project

COMMAND = [sys.executable, "-c", "from spleenseg.cli.app import main; main()", "train"]


class Warned(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, message: str) -> None:
        self.lines.append(message)


def products(root: Path) -> dict[str, bytes]:
    """Every number of the last state, and the tables."""
    with np.load(root / "models" / "last" / "state.npz") as saved:
        bits = {name: saved[name].tobytes() for name in saved.files if name != "state"}
    return bits | {path.name: path.read_bytes() for path in (root / "eval").glob("*.csv")}


def run(*arguments: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_it_ends_with_the_same_bits_also_where_the_data_moved_to(project: Project, tmp_path: Path) -> None:
    config = project()
    run(str(config), "--set", "train.epochs=1", "--seed", "5")
    moved = tmp_path / "elsewhere"
    shutil.move(config.parent / "data" / "train", moved)
    settings = [f"train.image_datapath={moved / 'images'}", f"train.mask_datapath={moved / 'masks'}"]
    given = [word for setting in settings for word in ("--set", setting)]
    run("--from-manifest", str(config.parent / "run.json"), "--out", str(tmp_path / "again"), *given)
    assert len(products(config.parent)) > 10
    assert products(tmp_path / "again") == products(config.parent)


def test_other_data_is_refused_by_the_name_of_the_first_case(project: Project) -> None:
    config = project(train="a")
    train(config, overrides=["train.epochs=1"])
    image = config.parent / "data" / "train" / "images" / "10002_a.png"
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(image)
    with pytest.raises(UserError, match=r"\[train\] is not the data of .*run\.json: case a has other content"):
        repeat(config.parent / "run.json")
    assert not config.parent.with_name("project_repeated").exists()


def test_every_difference_of_versions_machine_and_settings_is_one_warning(project: Project) -> None:
    config, warned = project(), Warned()
    train(config, overrides=["train.epochs=1"])
    path = config.parent / "run.json"
    manifest = json.loads(path.read_text())
    manifest["packages"]["numpy"] = "1.0"
    manifest["machine"]["cores"] = 999
    manifest["machine"]["environment"]["OMP_EXAMPLE"] = "3"
    path.write_text(json.dumps(manifest))
    result = repeat(config.parent, overrides=["train.steps_per_epoch=1"], reporter=warned)
    assert result.run.root == config.parent.with_name("project_repeated")
    told = "\n".join(warned.lines)
    assert f"numpy: 1.0 then, {np.__version__} now" in told
    assert "cores: 999 then" in told
    assert "environment OMP_EXAMPLE: 3 then, not set now" in told
    assert "[train] steps_per_epoch is 1 now, it was 3" in told
    with pytest.raises(UserError, match=r"exists and is not empty; give another with --out; .*infer\.config --resume`"):
        repeat(config.parent)


def test_a_manifest_keeps_what_a_repetition_needs(project: Project) -> None:
    config = project()
    train(config, overrides=["train.epochs=1"])
    kept = RunManifest.read(config.parent / "run.json")
    assert list(kept.data["train"].cases) == ["a"]
    assert kept.config_text is not None
    assert "epochs = 1\n" in kept.config_text
    assert kept.machine is not None
    assert kept.machine.backend
    assert kept.machine.devices
    assert kept.machine.precision == "float32"
    assert kept.machine.deterministic
