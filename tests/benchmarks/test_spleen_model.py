"""What the log of looks at the BTCV slices says of a model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from spleenseg.errors import UserError
from spleenseg.files import sha256
from spleenseg.inference.builtin import builtin_model

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from spleen_model import log_look

FOUND = {"mean_dice": 0.5, "min_dice": 0.1, "mean_negative_pixels": 3.0}


def test_a_look_names_the_file_of_a_built_in_model(tmp_path: Path) -> None:
    log_look(tmp_path / "looks.csv", [Path("spleen"), builtin_model()], FOUND)
    names = (tmp_path / "looks.csv").read_text().splitlines()[1].split(",")[1]
    digits = sha256(builtin_model())[:12]
    assert names == f"spleen:{digits}+spleen.onnx:{digits}"


def test_a_look_at_no_model_is_not_logged(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model 'spleeen'"):
        log_look(tmp_path / "looks.csv", [Path("spleeen")], FOUND)
    assert not (tmp_path / "looks.csv").exists()
