from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spleenseg.config import load_config, new
from spleenseg.config.starter import starter_config
from spleenseg.errors import UserError

from .conftest import SPLEEN

PROJECT = Path(__file__).parents[2] / "projects" / "spleen" / "train_eval_infer.config"
FILES = ["1.train.bat", "1.train.sh", "2.evaluate.bat", "2.evaluate.sh", "3.infer.bat", "3.infer.sh"]


def test_a_new_project_has_a_config_that_is_right_and_the_scripts(tmp_path: Path) -> None:
    written = new(tmp_path / "project", name="Liver 2")
    assert sorted(path.name for path in written) == [*FILES, "train_eval_infer.config"]
    assert sorted(path.name for path in (tmp_path / "project").iterdir()) == sorted(p.name for p in written)
    config = load_config(tmp_path / "project" / "train_eval_infer.config", strict=True)
    assert config.warnings == ()
    assert config.train.image_datapath == tmp_path / "project" / "dataset" / "Liver 2" / "train" / "images"


def test_the_starter_has_the_references_keys() -> None:
    def keys(text: str) -> set[str]:
        return {line.split("=")[0].strip() for line in text.splitlines() if "=" in line and line[0] not in ";["}

    ours, theirs = keys(starter_config("Spleen", "data")), keys(SPLEEN)
    assert theirs - ours == {"validation_steps", "gaussian_filter_sigma", "blursize"}  # those without effect
    assert ours - theirs == {"seed", "overlay_style"}


@pytest.mark.parametrize("recommended", [False, True])
def test_the_projects_in_the_repository_are_the_starters(recommended: bool) -> None:
    path = PROJECT.with_name("recommended.config") if recommended else PROJECT
    assert path.read_text(encoding="utf-8") == starter_config("Spleen", "../../dataset/Spleen", recommended)
    assert load_config(path, strict=True).warnings == ()


@pytest.mark.skipif(os.name == "nt", reason="runs a POSIX shell script")
@pytest.mark.parametrize(
    ("script", "command"), [("1.train", "train"), ("2.evaluate", "evaluate"), ("3.infer", "infer")]
)
def test_the_scripts_call_the_program_in_their_own_folder(script: str, command: str, tmp_path: Path) -> None:
    new(tmp_path / "my project")
    program = tmp_path / "spleenseg"
    program.write_text(f"#!{sys.executable}\nimport os, sys\nprint(os.getcwd(), *sys.argv[1:], sep='|')\n")
    program.chmod(0o755)
    shell = tmp_path / "my project" / f"{script}.sh"
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    run = subprocess.run([shell, "--resume"], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == f"{tmp_path / 'my project'}|{command}|train_eval_infer.config|--resume"
    bat = (tmp_path / "my project" / f"{script}.bat").read_bytes()
    assert b"spleenseg " + command.encode() + b" train_eval_infer.config %*\r\n" in bat


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "2.evaluate.sh"
    mine.write_text("mine")
    with pytest.raises(UserError, match=r"2\.evaluate\.sh exists and is not overwritten"):
        new(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["2.evaluate.sh"]
    assert mine.read_text() == "mine"


def test_other_files_in_the_folder_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert len(new(tmp_path)) == 7


def test_a_file_for_a_folder_and_a_bad_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file; give a folder"):
        new(tmp_path / "file")
    for name in ("", "../up", 'a"b', "a\nb", ".hidden"):
        with pytest.raises(UserError, match="letters, digits"):
            new(tmp_path / "project", name=name)
    assert not (tmp_path / "project").exists()
