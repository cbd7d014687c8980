from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from spleenseg.datasets.likeness import ALIKE, likeness, look_alikes, print_of
from spleenseg.phantom.patient import make_patient


@pytest.fixture(scope="module")
def cohort() -> dict[str, np.ndarray]:
    """Six synthetic patients, int16 HU [24, 96, 96]."""
    seeds = (np.random.SeedSequence(5, spawn_key=(0, number)) for number in range(6))
    return {f"p{number}": make_patient(seed, 96, slices=24).hu for number, seed in enumerate(seeds)}


def resized(image: np.ndarray, factor: float) -> np.ndarray:
    planes = [cv2.resize(plane.astype(np.float32), None, fx=factor, fy=factor) for plane in image]
    return np.stack(planes).astype(image.dtype)


def cropped(image: np.ndarray) -> np.ndarray:
    margin = round(image.shape[1] * 0.03)
    depth = slice(1, None) if len(image) > 6 else slice(None)
    return image[depth, margin:, : -2 * margin]


def noised(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 20, image.shape)
    return (
        (image + noise)
        .clip(0 if image.dtype == np.uint8 else -1024, 255 if image.dtype == np.uint8 else 3000)
        .astype(image.dtype)
    )


def brighter(image: np.ndarray) -> np.ndarray:
    return (image * 0.9 + 15).clip(-1024, 255 if image.dtype == np.uint8 else 3000).astype(image.dtype)


CHANGES = {
    "itself": lambda image: image,
    "smaller": lambda image: resized(image, 0.75),
    "larger": lambda image: resized(image, 1.3),
    "cropped": cropped,
    "noised": noised,
    "other values": brighter,
    "all at once": lambda image: brighter(noised(resized(cropped(image), 0.8))),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_is_found_among_the_others_and_no_two_patients_are_alike(cohort, change) -> None:
    prints = {name: print_of(hu) for name, hu in cohort.items()}
    prints["copy"] = print_of(change(cohort["p3"]))
    assert [(pair.first, pair.second) for pair in look_alikes(prints)] == [("copy", "p3")]


def test_different_synthetic_patients_stay_well_below_the_limit(cohort) -> None:
    prints = [print_of(hu) for hu in cohort.values()]
    assert max(likeness(a, b) for a, b in combinations(prints, 2)) < ALIKE - 0.05


@pytest.fixture(scope="module")
def msd_slices(real_data: Path) -> dict[str, np.ndarray]:
    """Real slices of the Decathlon by file stem, uint8 [1, 512, 512]."""
    paths = sorted((real_data / "msd-spleen-slices" / "images").iterdir())
    return {path.stem: np.array(Image.open(path).convert("L"))[None] for path in paths}


def test_no_two_real_patients_are_alike(msd_slices) -> None:
    prints = {name: print_of(image) for name, image in msd_slices.items()}
    pairs = look_alikes(prints)
    assert all(pair.first.split("_", 1)[1] == pair.second.split("_", 1)[1] for pair in pairs)
    one_each = list({name.split("_", 1)[1]: cells for name, cells in prints.items()}.values())
    assert max(likeness(a, b) for a, b in combinations(one_each, 2)) < ALIKE - 0.1


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_of_a_single_real_slice_is_found(msd_slices, change) -> None:
    for image in list(msd_slices.values())[::6]:
        assert likeness(print_of(image), print_of(change(image))) > ALIKE + 0.02


def test_a_blank_scan_is_like_no_other() -> None:
    blank = print_of(np.full((3, 40, 40), 50, np.int16))
    assert likeness(blank, blank) == 0
    assert look_alikes({"a": blank, "b": blank}) == ()


def test_few_scans_are_no_trouble(cohort) -> None:
    assert look_alikes({}) == look_alikes({"a": print_of(cohort["p0"])}) == ()
