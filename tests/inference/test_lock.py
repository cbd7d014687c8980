from __future__ import annotations

import os
import subprocess
import sys

import pytest

from spleenseg.errors import UserError
from spleenseg.inference.images import infer
from spleenseg.inference.lock import LOCK_NAME, only_run_in
from spleenseg.inference.segment import segment

from .runs import blocks, write_scan
from .test_images import project

HOLD = """\
import sys, time
from pathlib import Path
from spleenseg.inference.lock import only_run_in
with only_run_in(Path(sys.argv[1])):
    print("in", flush=True)
    time.sleep(600)
"""


def test_a_second_run_into_a_folder_is_refused_and_the_first_keeps_its_files(tmp_path):
    write_scan(tmp_path / "a.nii.gz", blocks((2, 32, 16)))
    with only_run_in(tmp_path / "out"):
        (tmp_path / "out" / ".writing-x.nii.gz").write_text("of the first run")
        before = sorted((tmp_path / "out").iterdir())
        with pytest.raises(UserError, match="another run is writing to"):
            segment([tmp_path / "a.nii.gz"], tmp_path / "out", tmp_path / "no model is looked at")
        assert sorted((tmp_path / "out").iterdir()) == before


@pytest.mark.parametrize("folder", ["masks", "merged"])
def test_pictures_are_not_segmented_into_a_folder_that_another_run_writes_to(tmp_path, folder):
    config = project(tmp_path)
    with only_run_in(tmp_path / folder), pytest.raises(UserError, match="another run is writing to"):
        infer(config)
    assert infer(config).images == 3
    assert not list(tmp_path.rglob(LOCK_NAME))


def test_a_killed_process_locks_nobody_out(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    with pytest.raises(UserError, match="another run"), only_run_in(tmp_path):
        pass
    process.kill()
    process.communicate()
    assert (tmp_path / LOCK_NAME).exists()
    with only_run_in(tmp_path):
        pass
    assert not (tmp_path / LOCK_NAME).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of files")
def test_a_lock_that_another_user_left_behind_locks_nobody_out(tmp_path, monkeypatch):
    (tmp_path / LOCK_NAME).write_text("")
    opened = os.open

    def as_other_user(path, flags, *more):
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied")
        return opened(path, flags, *more)

    monkeypatch.setattr(os, "open", as_other_user)
    with only_run_in(tmp_path):
        assert (tmp_path / LOCK_NAME).exists()
    with pytest.raises(UserError, match=r"cannot write to .*Permission denied"), only_run_in(tmp_path / "free"):
        pass


def test_a_folder_made_for_nothing_goes_again_and_one_with_files_stays(tmp_path):
    with only_run_in(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert not (tmp_path / "a").exists()
    with only_run_in(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "mask.png").touch()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["mask.png"]


def test_a_file_system_without_locks_keeps_nobody_from_working(tmp_path, monkeypatch):
    def unsupported(handle):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("spleenseg.inference.lock._lock", unsupported)
    with only_run_in(tmp_path / "out"):
        assert (tmp_path / "out").is_dir()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(UserError, match="is a file"), only_run_in(tmp_path / "out"):
        pass
