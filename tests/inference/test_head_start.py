"""A model that begins to load before the program is there: the same checks, the same answer, no trace of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.program import PROGRAM

from spleenseg.cli.startup import ahead_of
from spleenseg.errors import UserError
from spleenseg.inference import head_start
from spleenseg.inference.builtin import builtin_model
from spleenseg.inference.loading import load_predictor
from spleenseg.inference.onnx_session import Layout

from .runs import need_openvino

MODEL = builtin_model()


def answer(path: Path = MODEL) -> np.ndarray:
    hu = np.random.default_rng(0).integers(-200, 200, (1, 1, 64, 64)).astype(np.int16)
    return load_predictor(path, threads=1).of_hu(hu, (0.8, 0.8))


def test_what_was_begun_is_taken_over_once_and_answers_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, settings = answer(), load_predictor(MODEL, threads=1).settings
    with ahead_of(["segment", "scan.nii.gz", f"--model={MODEL}", "--threads", "1"]):
        assert list(head_start._begun) == [MODEL]
        with monkeypatch.context() as patched:
            patched.setattr("spleenseg.inference.exported_engine.new_session", None)  # nobody begins again
            assert np.array_equal(answer(), alone)
        assert not head_start._begun
        assert load_predictor(MODEL, threads=1).settings == settings


@pytest.mark.parametrize(
    "words",
    [
        ["--engine", "keras"],
        ["--model", "nowhere.onnx"],
        ["--model", "splean"],
        ["--threads", "many"],
        ["--help"],
    ],
)
def test_nothing_is_begun_for_other_engines_missing_models_and_odd_words(words: list[str]) -> None:
    with ahead_of(["segment", "scan.nii.gz", *words]):
        assert not head_start._begun


def test_what_nobody_took_is_forgotten() -> None:
    with ahead_of(["segment", "scan.nii.gz"]):
        assert head_start._begun
    assert head_start.begun(MODEL) is None


def test_a_model_with_weights_elsewhere_is_refused_before_anything_runs_it(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "model.onnx"
    model = onnx.load(MODEL)
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=0)
    with ahead_of(["segment", "scan.nii.gz", "--model", str(path)]):
        assert head_start.begun(path) is None
        with pytest.raises(UserError, match="weights in other files"):
            load_predictor(path)


def test_the_program_says_what_is_wrong_although_a_model_was_begun(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "segment", "nowhere.nii.gz"], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: nowhere.nii.gz: no such file or folder\n"


@pytest.mark.parametrize(
    ("words", "layout"),
    [
        (["slice.nii.gz"], Layout.PLAIN),
        (["slice.nii.gz", "scan.nii.gz"], Layout.BLOCKED),
        (["folder"], Layout.BLOCKED),
        (["nowhere.nii.gz"], Layout.BLOCKED),
        (["slice.nii.gz", "x" * 5000], Layout.BLOCKED),
        (["slice.nii.gz", "-o", "folder"], Layout.PLAIN),
    ],
)
def test_a_large_network_is_begun_for_as_many_slices_as_the_files_hold(tmp_path, monkeypatch, words, layout):
    monkeypatch.setattr("spleenseg.inference.onnx_session._LARGE", 1)
    monkeypatch.chdir(tmp_path)
    Path("slice.nii.gz").write_bytes(bytes(1000))
    Path("scan.nii.gz").write_bytes(bytes(3 * 1024 * 1024))
    Path("folder").mkdir()
    with ahead_of(["segment", *words, "--model", str(MODEL)]):
        begun = head_start.begun(MODEL)
        assert begun is not None
        assert begun.layout is layout


def test_openvino_begins_too_and_answers_the_same():
    need_openvino()
    hu = np.random.default_rng(0).integers(-200, 200, (1, 1, 64, 64)).astype(np.int16)
    alone = load_predictor(MODEL, engine="openvino").of_hu(hu, (0.8, 0.8))
    with ahead_of(["segment", "scan.nii.gz", "--engine", "openvino"]):
        ahead = head_start._begun[MODEL].result()
        assert ahead.session is None
        assert ahead.network is not None
        assert np.array_equal(load_predictor(MODEL, engine="openvino").of_hu(hu, (0.8, 0.8)), alone)


def test_a_name_that_no_file_can_have_ends_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "slice.nii.gz").write_bytes(b"")
    words = [*PROGRAM, "segment", "slice.nii.gz", "--model", "x" * 300]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "File name too long" in done.stderr


def test_what_failed_ahead_is_done_again_by_the_one_who_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = answer()

    def fails(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(head_start, "new_session", fails)
        with head_start.head_start(MODEL, head_start.Asked(threads=1)):
            assert np.array_equal(answer(), alone)


def test_threads_and_other_options_may_stand_in_one_word() -> None:
    with ahead_of(["segment", "scan.nii.gz", "--threads=2"]):
        begun = head_start.begun(MODEL)
        assert begun is not None
        assert begun.threads == 2
