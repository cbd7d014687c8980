"""`spleenseg config` from the outside: what it prints, how it ends, what it loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from spleenseg.cli.config import app
from spleenseg.config import load_config
from spleenseg.errors import UserError

from .conftest import SPLEEN, line_of

HEAVY = {"keras", "tensorflow", "matplotlib", "nibabel", "onnxruntime"}


def run(*arguments: str | Path) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout, result.stderr


def write_pairs(config: Path) -> None:
    """Put one image with its mask into every folder that a config trains and validates from."""
    read = load_config(config)
    for folder in (*_folders(read.train), *_folders(read.eval)):
        folder.mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "10000_a.png")


def _folders(section: Any) -> tuple[Path, Path]:
    return section.image_datapath, section.mask_datapath


def test_check_says_ok_after_its_warnings(spleen: Path) -> None:
    write_pairs(spleen)
    out, err = run("check", spleen)
    assert out == "ok\n"
    assert err.startswith("warning: ")
    assert err.count("\n") == 1


def test_check_takes_overrides_and_strictness(spleen: Path) -> None:
    write_pairs(spleen)
    with pytest.raises(UserError, match="divisible by 64"):
        run("check", spleen, "--set", "model.image_width=500")
    spleen.write_text(spleen.read_text() + "novelty = 1\n")
    assert f"novelty (line {len(SPLEEN.splitlines()) + 1}): unknown key, ignored" in run("check", spleen)[1]
    with pytest.raises(UserError, match="novelty"):
        run("check", spleen, "--strict")


def test_show_lists_value_origin_and_effect(spleen: Path) -> None:
    lines = run("show", spleen, "--set", "train.epochs=2")[0].splitlines()

    def row(key: str) -> str:
        return next(line for line in lines if line.split()[:1] == [key])

    assert row("epochs").split()[1:3] == ["2", "--set"]
    assert row("image_width").split()[1:4] == ["512", "line", str(line_of(SPLEEN, "image_width"))]
    assert "default" in row("seed")
    assert "no effect: validation sees every slice once" in row("validation_steps")


def test_show_as_json_holds_every_key(spleen: Path) -> None:
    rows = json.loads(run("show", spleen, "--json")[0])
    found = {(row["section"], row["key"]): row for row in rows}
    assert found["deformation", "alpha"]["value"] == 1300
    assert found["deformation", "alpha"]["line"] == line_of(SPLEEN, "alpah")
    assert found["train", "seed"]["source"] == "default"
    assert found["train", "validation_steps"]["effect"] == "no effect"
    assert Path(found["train", "model_dir"]["value"]) == spleen.parent / "models"


def test_new_prints_what_it_wrote_and_check_accepts_it(tmp_path: Path) -> None:
    out, _ = run("new", tmp_path / "p")
    assert len(out.splitlines()) == 7
    write_pairs(tmp_path / "p" / "train_eval_infer.config")
    assert run("check", tmp_path / "p" / "train_eval_infer.config", "--strict") == ("ok\n", "")


def test_check_names_the_key_whose_folder_is_missing(spleen: Path) -> None:
    with pytest.raises(UserError, match=r"\[train\] image_datapath \(line \d+\).*does not exist"):
        run("check", spleen)


def test_a_project_finds_a_dataset_that_lies_elsewhere(tmp_path: Path) -> None:
    run("new", tmp_path / "p", "--dataset", tmp_path / "data" / "Mine")
    config = load_config(tmp_path / "p" / "train_eval_infer.config")
    assert config.test.image_datapath is not None
    assert config.test.image_datapath.resolve() == (tmp_path / "data" / "Mine" / "test" / "images").resolve()


def test_checking_loads_no_heavy_package(spleen: Path) -> None:
    write_pairs(spleen)
    code = (
        "import sys; from spleenseg.cli.app import run; "
        f"status = run(['config', 'check', {str(spleen)!r}]); print(*sys.modules); sys.exit(status)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)
