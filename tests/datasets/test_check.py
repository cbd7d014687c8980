from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spleenseg.datasets.check import check_sections, read_section
from spleenseg.errors import UserError

SPLITS = ("train", "eval", "test")


@pytest.fixture
def folders(save_pairs) -> dict[str, tuple[Path, Path]]:
    return {split: save_pairs(split=split) for split in ("train", "valid", "test")}


def test_complete_folders_pass(folders, make_config) -> None:
    check_sections(make_config(), (*SPLITS, "infer"))


def test_a_missing_folder_names_section_key_and_line(folders, make_config) -> None:
    config = make_config('eval.image_datapath="./nowhere"')
    with pytest.raises(UserError, match=r"train_eval_infer\.config: \[eval\] image_datapath .*nowhere does not exist"):
        check_sections(config, SPLITS)
    folders["test"][1].rename(folders["test"][1].with_name("moved"))
    with pytest.raises(UserError, match=r"\[test\] mask_datapath \(line \d+\): folder .*masks does not exist"):
        check_sections(make_config(), SPLITS)


def test_a_folder_that_is_not_given_is_asked_for(folders, make_config) -> None:
    with pytest.raises(UserError, match=r"\[test\] image_datapath.*: is not given"):
        check_sections(make_config("test.image_datapath=None"), SPLITS)


def test_an_image_without_mask_names_key_and_image(folders, make_config) -> None:
    (folders["train"][1] / "10002_bob.png").unlink()
    with pytest.raises(UserError, match=r"\[train\] mask_datapath \(line \d+\): image .*10002_bob\.png has no mask"):
        check_sections(make_config(), SPLITS)


def test_unreadable_headers_name_the_file(folders, make_config) -> None:
    images, masks = folders["valid"]
    (masks / "10001_anna.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"\[eval\] mask_datapath .*masks/10001_anna\.png is no readable"):
        check_sections(make_config(), SPLITS)
    (images / "10001_anna.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"\[eval\] image_datapath .*images/10001_anna\.png is empty"):
        check_sections(make_config(), SPLITS)


def test_image_and_mask_of_different_size_are_named(folders, make_config) -> None:
    path = folders["train"][1] / "10002_bob.png"
    Image.fromarray(np.zeros((16, 31), np.uint8)).save(path)
    with pytest.raises(UserError, match=r"\[train\] mask_datapath .*10002_bob\.png is 31x16, its image 32x16"):
        check_sections(make_config(), SPLITS)


def test_only_headers_are_read(folders, make_config) -> None:
    path = folders["train"][0] / "10001_anna.png"
    path.write_bytes(path.read_bytes()[:50])  # the header is whole, the pixels are gone
    check_sections(make_config(), SPLITS)


def test_every_error_is_one_line(folders, make_config) -> None:
    (folders["train"][1] / "10002_bob.png").unlink()
    with pytest.raises(UserError) as caught:
        check_sections(make_config(), SPLITS)
    assert "\n" not in str(caught.value)


def test_the_sections_that_infer_need_no_masks(folders, make_config) -> None:
    section = read_section(make_config(), "infer")
    assert [file.mask for file in section.files] == [None, None]


def test_checking_loads_neither_opencv_nor_keras(folders, make_config, tmp_path: Path) -> None:
    code = (
        "import sys; from spleenseg.config import load_config; from spleenseg.datasets import check_sections; "
        f"check_sections(load_config({str(make_config().path)!r}), ('train', 'eval')); "
        "sys.exit(any(name in sys.modules for name in ('cv2', 'keras', 'scipy', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
