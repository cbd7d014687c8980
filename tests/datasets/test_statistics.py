from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spleenseg.datasets.prepare import prepare
from spleenseg.datasets.statistics import stats
from spleenseg.errors import UserError

from .conftest import Listener


def test_a_prepared_dataset_is_counted_in_millilitres(make_cohort, tmp_path: Path) -> None:
    dataset = tmp_path / "Spleen"
    prepare(make_cohort(10), dataset)
    train, valid, test = stats(dataset).rows()
    assert [row["split"] for row in (train, valid, test)] == ["train", "valid", "test"]
    assert train == {
        "split": "train",
        "label": "spleen",
        "slices": 42,
        "cases": 7,
        "patients": 7,
        "slices_with_organ": 14,
        "organ_pixels": 7 * 50,
        "organ_ml": pytest.approx(7 * 50 * 0.0032, abs=1e-3),
    }
    assert test["slices"] == 6


def test_every_label_has_its_row(make_cohort, tmp_path: Path) -> None:
    prepare(make_cohort(3, {1: "spleen", 6: "liver"}), tmp_path / "data")
    rows = stats(tmp_path / "data").rows()
    assert [(row["split"], row["label"]) for row in rows[:2]] == [("train", "spleen"), ("train", "liver")]
    assert {row["organ_pixels"] for row in rows} == {50}


def test_a_plain_dataset_is_counted_in_pixels_and_shared_patients_are_told(save_pairs, tmp_path: Path) -> None:
    save_pairs(split="train")
    save_pairs(["10007_bob.png"], split="valid", mask=np.zeros((16, 32)))
    listener = Listener()
    found = stats(tmp_path / "data", reporter=listener)
    assert [(row["split"], row["slices"], row["slices_with_organ"]) for row in found.rows()] == [
        ("train", 2, 2),
        ("valid", 1, 0),
    ]
    assert found.rows()[0]["organ_pixels"] == 2 * 50
    assert found.rows()[0]["organ_ml"] is None
    assert found.patients_in_several_splits == ("bob",)
    assert "1 patient(s) are in more than one split: bob" in listener.warnings[0]


def test_masks_of_0_and_1_are_counted_too(save_pairs, tmp_path: Path) -> None:
    save_pairs(mask=np.eye(16, 32))
    assert stats(tmp_path / "data").rows()[0]["organ_pixels"] == 2 * 16


def test_a_folder_of_images_and_masks_alone_is_one_split(save_pairs, tmp_path: Path) -> None:
    save_pairs()
    (row,) = stats(tmp_path / "data" / "train").rows()
    assert (row["split"], row["slices"], row["patients"]) == ("all", 2, 2)


def test_the_result_is_ready_for_json(save_pairs, tmp_path: Path) -> None:
    save_pairs()
    assert json.loads(json.dumps(asdict(stats(tmp_path / "data"))))["name"] == "data"


def test_the_chart_has_the_references_name_and_size(save_pairs, tmp_path: Path) -> None:
    save_pairs()
    assert stats(tmp_path / "data").chart == str(tmp_path / "data" / "data_Statistics.png")
    with Image.open(tmp_path / "data" / "data_Statistics.png") as picture:
        assert picture.size == (800, 600)


def test_a_picture_of_the_charts_name_is_kept(save_pairs, tmp_path: Path) -> None:
    save_pairs()
    chart = tmp_path / "chart.png"
    chart.write_bytes(b"somebody's picture")
    for _ in range(2):
        stats(tmp_path / "data", chart=chart)
    (kept,) = tmp_path.glob("chart_*_bak.png")
    assert kept.read_bytes() == b"somebody's picture"


def test_what_is_no_dataset_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"holds no \{train,valid,test\}"):
        stats(tmp_path / "empty")
    with pytest.raises(UserError, match="is not a folder"):
        stats(tmp_path / "nowhere")


def test_the_real_slices_all_hold_spleen(real_data: Path, tmp_path: Path) -> None:
    found = stats(real_data / "msd-spleen-slices", chart=tmp_path / "chart.png")
    (row,) = found.rows()
    assert (row["slices"], row["patients"], row["slices_with_organ"]) == (18, 10, 18)


def test_augmented_copies_add_nothing_to_an_organ(make_cohort, tmp_path: Path) -> None:
    prepare(make_cohort(3), tmp_path / "data", into="train")
    before = stats(tmp_path / "data").rows()
    for kind in ("images", "masks"):
        folder = tmp_path / "data/train" / kind
        for path in sorted(folder.iterdir()):
            shutil.copy(path, folder / f"rotated_5_{path.name}")
    assert stats(tmp_path / "data").rows() == before
