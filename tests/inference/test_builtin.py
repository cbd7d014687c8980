from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spleenseg.cli.app import run
from spleenseg.errors import UserError
from spleenseg.inference import builtin
from spleenseg.inference.builtin import NAMES, builtin_model, named
from spleenseg.inference.export import export
from spleenseg.inference.exported_engine import ModelFile
from spleenseg.inference.reading import Reading
from spleenseg.inference.segment import segment
from spleenseg.phantom import make_patient
from spleenseg.volumes import Volume, write_volume

from .runs import brightness_run

SPLENECTOMY = 1_000_000  # the first seed; training never uses these
MOST_ML = 5.0
OFFLINE = """
import socket, sys
def refuse(*args, **kwargs):
    raise RuntimeError("the network was asked")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
from spleenseg.cli.app import run
status = run(sys.argv[1:])
print(sorted(name for name in ("keras", "tensorflow", "torch", "jax") if name in sys.modules))
sys.exit(status)
"""


def patient(path: Path, seed: int, size: int = 256, slices: int | None = None, splenectomy: float = 0.0) -> Path:
    made = make_patient(seed, size, slices=slices, splenectomy=splenectomy)
    x, y, z = made.spacing
    stored = np.ascontiguousarray(made.hu.transpose(2, 1, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(Volume.from_stored(stored, np.diag([-x, -y, z, 1.0]), case=path.name.split(".")[0]), path)
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model file of that name, as the package holds one."""
    pytest.importorskip("keras")
    root = tmp_path_factory.mktemp("weights")
    export(brightness_run(root / "run"), root / "spleen.onnx")
    return root


@pytest.fixture
def shipped() -> Path:
    """Return the model that is part of the package."""
    path = builtin.FOLDER / "spleen.onnx"
    if not path.is_file():
        pytest.skip("the built-in model spleen.onnx is not in src/spleenseg/weights yet")
    return path


def test_segment_takes_the_built_in_model_where_none_is_given(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtin, "FOLDER", exported)
    scan = str(patient(tmp_path / "scan.nii.gz", 1, 64, 3))
    (tmp_path / "spleen").mkdir()  # a folder of that name takes nothing from the default
    monkeypatch.chdir(tmp_path)
    assert run(["segment", scan, "-o", "default", "--quiet"]) == 0
    assert run(["segment", scan, "-o", "path", "--quiet", "--model", str(exported / "spleen.onnx")]) == 0
    (tmp_path / "spleen").rmdir()
    assert run(["segment", scan, "-o", "named", "--quiet", "--model", "spleen"]) == 0
    masks = {(tmp_path / out / "scan.nii.gz").read_bytes() for out in ("default", "path", "named")}
    assert len(masks) == 1


def test_a_path_that_exists_comes_before_a_built_in_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spleen").mkdir()
    assert named(Path("spleen")) == Path("spleen")


def test_an_unknown_name_lists_the_built_in_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no model 'splen'.*spleen"):
        named(Path("splen"))
    for path in ("runs/splen", "splen.onnx"):
        assert named(Path(path)) == Path(path)


def test_a_missing_file_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "FOLDER", tmp_path)
    with pytest.raises(UserError, match="missing from this installation"):
        builtin_model()


def test_the_weights_have_their_own_licence_beside_them() -> None:
    for name in NAMES:
        text = (builtin.FOLDER / f"{name}.LICENSE.txt").read_text(encoding="utf-8")
        assert all(word in text for word in ("CC BY-SA 4.0", "Medical Segmentation Decathlon", "AMOS22", "CC BY 4.0"))


def test_the_shipped_model_is_small_and_comes_with_what_made_it(shipped: Path) -> None:
    assert shipped.stat().st_size <= 5_000_000
    for part in ("pretrain.", "train.", ""):
        assert shipped.with_name(f"spleen.{part}config").is_file()
        assert json.loads(shipped.with_name(f"spleen.{part}run.json").read_text())["finished"]


def test_each_part_of_its_training_names_the_weights_it_started_from(shipped: Path) -> None:
    last, before = (json.loads(shipped.with_name(f"spleen.{part}run.json").read_text()) for part in ("", "train."))
    assert last["initial"]["sha256"] == before["weights"]["sha256"]
    assert ModelFile.read(shipped).card.weights_sha256 == last["weights"]["sha256"]


def test_segment_asks_no_network_and_loads_no_training_framework(exported: Path, tmp_path: Path) -> None:
    scan = patient(tmp_path / "scan.nii.gz", 1, 64, 3)
    words = ["segment", str(scan), "--model", str(exported / "spleen.onnx"), "-o", str(tmp_path / "out"), "--quiet"]
    done = subprocess.run([sys.executable, "-c", OFFLINE, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "[]"
    assert (tmp_path / "out" / "scan.nii.gz").is_file()


def test_the_built_in_model_tells_what_dice_to_expect_unless_it_finds_nothing(shipped: Path, tmp_path: Path) -> None:
    scans = [patient(tmp_path / "with.nii.gz", 7, 128, 40), tmp_path / "fat.nii.gz"]
    fat = np.full((128, 128, 4), -90, np.int16)  # black in the model's window
    write_volume(Volume.from_stored(fat, np.diag([-3.0, -3.0, 5.0, 1.0]), case="fat"), scans[1])
    segment(scans, tmp_path / "out", reading=Reading(force=True))
    with (tmp_path / "out" / "volumes.csv").open() as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    assert 0.8 <= float(rows["with"]["quality"]) <= 1
    assert (float(rows["fat"]["volume_ml"]), rows["fat"]["quality"]) == (0, "")


def found_ml(folder: Path, scans: list[Path]) -> list[float]:
    segment(scans, folder / "out")
    with (folder / "out" / "volumes.csv").open() as file:
        return [float(row["volume_ml"]) for row in csv.DictReader(file)]


def test_in_most_of_four_synthetic_patients_after_splenectomy_no_spleen_is_found(shipped: Path, tmp_path: Path) -> None:
    scans = [patient(tmp_path / f"{k}.nii.gz", SPLENECTOMY + k, 192, 20, splenectomy=1.0) for k in range(4)]
    assert sum(ml <= MOST_ML for ml in found_ml(tmp_path, scans)) >= 3


@pytest.mark.full
def test_a_model_is_no_worse_after_splenectomy_than_its_card_says(shipped: Path, tmp_path: Path) -> None:
    """The aim is 48 of 50; the shipped model is short of it (docs/reference/model-spleen.md)."""
    scans = [patient(tmp_path / f"{k}.nii.gz", SPLENECTOMY + k, splenectomy=1.0) for k in range(50)]
    found = found_ml(tmp_path, scans)
    assert len(found) == 50
    assert sum(ml <= MOST_ML for ml in found) >= 46
