"""The files that show a training, where figures are undefined."""

from __future__ import annotations

import json
import math
from pathlib import Path

from spleenseg.models.run_folder import RunFolder
from spleenseg.training.history import write_history


def test_a_figure_that_is_no_number_is_null_an_empty_cell_and_a_gap(tmp_path: Path) -> None:
    run = RunFolder.at(tmp_path)
    figures = {"loss": 0.5, "val_loss": 0.25, "dice_coef": 0.125}
    rows = [{"epoch": 0, **figures}, {"epoch": 1, **figures, "val_loss": math.nan, "dice_coef": math.inf}]
    write_history(run, rows, ["dice_coef"])
    history = json.loads(run.history.read_text())
    assert (history["loss"], history["val_loss"], history["dice_coef"]) == ([0.5, 0.5], [0.25, None], [0.125, None])
    assert run.losses_csv.read_text() == "epoch, loss, val_loss\n0, 0.5000, 0.2500\n1, 0.5000, \n"
    assert run.metrics_csv.read_text() == "epoch,dice_coef,\n0, 0.1250\n1, \n"
    assert run.losses_png.is_file()
    assert run.metrics_png.is_file()
