"""`spleenseg models`, from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spleenseg.cli.app import run
from spleenseg.models.registry import ARCHITECTURES, names

CONFIG = """[model]
model = "UNet"
image_width = 32
image_height = 32
image_channels = 1
num_classes = 1
base_filters = 2
num_layers = 3
[inspect]
summary = "./layers.txt"
"""


def test_the_list_names_every_network_and_its_paper_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == list(names())
    assert all(line.endswith(known.paper) for line, known in zip(lines[2:], ARCHITECTURES, strict=True))


def test_the_list_as_json_has_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"name", "paper", "parameters", "gflop", "encoder_weights"} <= set(rows[0])
    fast = next(row for row in rows if row["name"] == "FastUNet")
    assert fast["gflop"] < 4.47
    assert "Tensorflow3DUNet" not in {row["name"] for row in rows}


def test_an_override_without_a_config_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--set", "model.image_width=64"]) == 2
    assert "needs a CONFIG" in capsys.readouterr().err


def test_show_says_which_files_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "train_eval_infer.config"
    path.write_text(CONFIG)
    assert run(["models", "show", str(path), "--set", "model.base_filters=3"]) == 0
    written = [tmp_path / "layers.txt", tmp_path / "model.png"]
    assert capsys.readouterr().out.splitlines() == [str(each) for each in written]
    assert all(each.stat().st_size > 500 for each in written)


def test_show_of_a_network_to_come_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "train_eval_infer.config"
    path.write_text(CONFIG.replace("UNet", "Tensorflow3DUNet"))
    assert run(["models", "show", str(path)]) == 2
    assert "Tensorflow3DUNet is not built yet" in capsys.readouterr().err
