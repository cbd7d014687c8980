"""`spleenseg config` from the outside: what it prints, how it ends, how fast it answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spleenseg.cli.config import app
from spleenseg.errors import UserError

from .conftest import SPLEEN, line_of

HEAVY = {"keras", "tensorflow", "numpy", "scipy", "matplotlib", "cv2", "nibabel", "PIL", "rich"}


def run(*arguments: str | Path) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout, result.stderr


def test_check_says_ok_after_its_warnings(spleen: Path) -> None:
    out, err = run("check", spleen)
    assert out == "ok\n"
    assert err.startswith("warning: ")
    assert err.count("\n") == 1


def test_check_takes_overrides_and_strictness(spleen: Path) -> None:
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
    assert run("check", tmp_path / "p" / "train_eval_infer.config", "--strict") == ("ok\n", "")


def test_checking_loads_no_heavy_package(spleen: Path) -> None:
    code = (
        "import sys; from spleenseg.cli import config; from spleenseg.config import load_config; "
        f"load_config({str(spleen)!r}); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY & set(loaded) <= {"rich"}  # typer may load rich by itself


def test_check_answers_in_half_a_second(spleen: Path, tmp_path: Path) -> None:
    """Processor time of the whole process, so that other work on the machine does not count."""
    resource = pytest.importorskip("resource")
    code = f"import sys; from spleenseg.cli.config import app; sys.argv[1:] = ['check', {str(spleen)!r}]; app()"
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    seconds = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.5
