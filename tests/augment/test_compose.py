"""The policies `compose` and `strong`: each operation by its own chance, one warp, pairs that stay aligned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleenseg.augment import BatchStream, Policy, build_policy
from spleenseg.augment import geometry as geo
from spleenseg.augment.compose import ComposePolicy
from spleenseg.augment.fields import Distortion, Elastic, Radial
from spleenseg.augment.intensity import Brighten, Sharpen
from spleenseg.augment.scanner import Blur, LowResolution, Noise, Shading
from spleenseg.augment.tone import Contrast, Gamma, Linear
from spleenseg.config import load_config
from spleenseg.datasets.manifest import Manifest
from spleenseg.errors import UserError

from .pairs import MemorySlices, config_with, iou, soft, spleen_like

EVERYTHING = {
    "hflip": True,
    "vflip": True,
    "shears": [0.1],
    "horizontal_shears": [0.1],
    "deformation": True,
    "distortion": True,
    "sharpening": True,
    "brightening": True,
    "barrdistortion": True,
    "pincdistortion": True,
    "organ_scaling": True,
    "organ_contrast": True,
    "organ_removal": True,
    "lookalikes": True,
}
NOTHING = {
    **dict.fromkeys(EVERYTHING, False),
    "rotation": False,
    "shrinks": [],
    "shears": [],
    "horizontal_shears": [],
}
NEVER = {
    f"{name}_probability": 0.0
    for name in ("hu", "bias", "low_resolution", "blur", "noise", "window", "contrast", "gamma")
}


def policy_of(folder: Path, policy: str, augmentor: Mapping[str, Any], **sections: Mapping[str, Any]) -> ComposePolicy:
    built = build_policy(config_with(folder, augmentor={**augmentor, "policy": policy}, **sections))
    assert isinstance(built, ComposePolicy)
    return built


def names_of(policy: ComposePolicy) -> list[str]:
    return [step.name for step in (*policy.geometry, *policy.intensity, *policy.organ, *policy.scene)]


def samples(policy: Policy, count: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [policy.draw(rng, (64, 64)) for _ in range(count)]


@pytest.fixture(scope="module", params=["compose", "strong"])
def policy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ComposePolicy:
    """Every operation that there is, as often as it is by default."""
    return policy_of(tmp_path_factory.mktemp("config"), request.param, EVERYTHING)


def test_an_image_equal_to_its_mask_stays_its_mask(policy: ComposePolicy) -> None:
    mask = spleen_like()
    image = np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
    for transform in samples(policy, 40):
        moved, labels = transform.apply(image, mask)
        changes = [type(change) for change in transform.intensity]
        if labels.sum() > 2000 and Brighten not in changes:  # which moves 0 and 255, and so the level 128
            assert iou(moved[..., 0] >= 128, labels > 0) > 0.97, transform


def test_every_operation_alone_keeps_the_pair_aligned(policy: ComposePolicy) -> None:
    mask = spleen_like()
    image = np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
    names = set()
    for transform in policy.examples(np.random.default_rng(5)):
        moved, labels = transform.apply(image, mask)
        if transform.scene.removal:
            assert not labels.any()
            assert not moved.any()
        else:
            assert iou(moved[..., 0] >= 128, labels > 0) > 0.97, transform
        names.add(transform.name.rstrip("_"))
    assert names == set(names_of(policy))


def test_real_slices_stay_aligned_under_the_recommended_policy(real_data: Path) -> None:
    config = load_config(real_data / "reference" / "train_eval_infer.config", ["augmentor.policy=strong"])
    policy = build_policy(config)
    for path in sorted((real_data / "msd-spleen-slices" / "masks").glob("*.jpg")):
        mask = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) >= 128).astype(np.uint8)
        least = 0.97 if mask.sum() > 1000 else 0.94  # a nearest neighbour counts in 25 pixels across
        for transform in samples(policy, 10, seed=int(mask.sum())):
            moved, labels = replace(transform, intensity=()).apply(mask[..., None] * np.uint8(255), mask)
            assert iou(moved[..., 0] >= 128, labels > 0) > least, (path.name, transform)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), labels=st.lists(st.integers(1, 255), min_size=1, max_size=4, unique=True))
def test_no_label_appears_that_was_not_there(policy: ComposePolicy, seed: int, labels: list[int]) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.choice(np.array(labels, np.uint8), (48, 64))
    image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    moved, after = policy.draw(rng, (48, 64)).apply(image, mask)
    assert set(np.unique(after)) <= {0, *labels}
    assert (moved.shape, moved.dtype, after.dtype) == (image.shape, np.uint8, np.uint8)


def test_threads_runs_and_epochs(policy: ComposePolicy) -> None:
    def epoch(threads: int, number: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
        batches = list(BatchStream(MemorySlices(7), policy, 3, 5, 137, soft, threads).epoch(number))
        names = [name for batch in batches for name in batch.names]
        return np.stack([b.images for b in batches]), np.stack([b.targets for b in batches]), names

    one, four, other = epoch(1, 2), epoch(4, 2), epoch(4, 3)
    np.testing.assert_array_equal(one[0], four[0])
    np.testing.assert_array_equal(one[1], four[1])
    assert one[2] == four[2]
    assert (one[0] != other[0]).any()
    assert len(set(one[2])) == 15  # saved pairs do not overwrite each other


def test_strong_is_compose_with_intensity_and_never_mirrors_left_and_right(tmp_path: Path) -> None:
    composed = names_of(policy_of(tmp_path, "compose", EVERYTHING))
    strong = names_of(policy_of(tmp_path, "strong", EVERYTHING))
    assert "hflip" in composed
    assert "hflip" not in strong
    assert set(composed) - {"hflip"} < set(strong)
    added = set(strong) - set(composed)
    assert added == {
        *("low resolution", "blur", "bias field", "HU shift and scale", "noise", "window", "contrast", "gamma")
    }


def test_by_default_both_do_what_suits_ct(tmp_path: Path) -> None:
    wanted = ["rotation", "scaling", "shear", "deformation", "distortion"]
    assert names_of(policy_of(tmp_path, "compose", {})) == wanted
    assert names_of(policy_of(tmp_path, "strong", {}))[:5] == wanted


def test_the_switches_of_the_file_decide(tmp_path: Path) -> None:
    assert names_of(policy_of(tmp_path, "compose", NOTHING)) == []
    for switch in ("hflip", "vflip", "rotation", "deformation", "distortion", "barrdistortion", "sharpening"):
        assert names_of(policy_of(tmp_path, "compose", {**NOTHING, switch: True})) == [switch]
    for switch in ("organ_scaling", "organ_contrast"):
        assert names_of(policy_of(tmp_path, "strong", {**NOTHING, switch: True}))[-1] == switch.replace("_", " ")
    assert names_of(policy_of(tmp_path, "compose", {**NOTHING, "shrinks": [0.9]})) == ["scaling"]


def test_nothing_switched_on_changes_no_bit(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for name in ("compose", "strong"):
        (transform,) = samples(policy_of(tmp_path, name, NOTHING, intensity=NEVER), 1)
        moved, labels = transform.apply(image, image[..., 0])
        np.testing.assert_array_equal(moved, image)
        np.testing.assert_array_equal(labels, image[..., 0])


@pytest.mark.parametrize(("switch", "axis"), [("hflip", 1), ("vflip", 0)])
def test_a_composed_flip_undoes_itself(tmp_path: Path, switch: str, axis: int) -> None:
    policy = policy_of(tmp_path, "compose", {**NOTHING, switch: True}, compose={f"{switch}_probability": 1.0})
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    (transform,) = samples(policy, 1)
    once = transform.apply(image, image[..., 0])
    np.testing.assert_array_equal(once[0], np.flip(image, axis))
    twice = transform.apply(*once)
    np.testing.assert_array_equal(twice[0], image)
    np.testing.assert_array_equal(twice[1], image[..., 0])


def test_each_operation_comes_as_often_as_its_probability(tmp_path: Path) -> None:
    keys = {"vflip_probability": 0.8, "rotation_probability": 0.1, "deformation_probability": 0.4}
    switched_on = {**NOTHING, "vflip": True, "rotation": True, "deformation": True}
    drawn = samples(policy_of(tmp_path, "compose", switched_on, compose=keys), 3000)
    rotated = np.mean([abs(one.geometry.linear[1]) > 0 for one in drawn])
    flipped = np.mean([one.geometry.linear[3] < 0 for one in drawn])
    deformed = np.mean([len(one.geometry.fields) for one in drawn])
    assert (flipped, rotated, deformed) == pytest.approx((0.8, 0.1, 0.4), abs=0.04)


def test_parameters_fill_their_ranges_and_no_more(tmp_path: Path) -> None:
    always = {"rotation_probability": 1.0, "scaling_probability": 0.0, "angle": (-40, 10)}
    turned = samples(policy_of(tmp_path, "compose", {**NOTHING, "rotation": True}, compose=always), 500)
    angles = [np.degrees(np.arctan2(-one.geometry.linear[1], one.geometry.linear[0])) for one in turned]
    assert -40 <= min(angles) < -38
    assert 8 < max(angles) <= 10
    sized = {"scaling_probability": 1.0, "scale": (0.5, 2.0)}
    scaled = samples(policy_of(tmp_path, "compose", {**NOTHING, "shrinks": [1]}, compose=sized), 500)
    factors = [1 / one.geometry.linear[0] for one in scaled]
    assert 0.5 <= min(factors) < 0.52
    assert 1.95 < max(factors) <= 2.0
    assert np.mean(np.array(factors) < 1) == pytest.approx(0.5, abs=0.07)


def test_shears_go_the_ways_that_are_switched_on(tmp_path: Path) -> None:
    keys = {"shear_probability": 1.0, "slope": (0.05, 0.1)}
    for lists, vertical, horizontal in (
        ({"shears": [0.1]}, True, False),
        ({"horizontal_shears": [0.1]}, False, True),
        ({"shears": [0.1], "horizontal_shears": [0.1]}, True, True),
    ):
        (one,) = samples(policy_of(tmp_path, "compose", {**NOTHING, **lists}, compose=keys), 1)
        _, across, down, _ = one.geometry.linear
        assert (down != 0, across != 0) == (vertical, horizontal)


def test_the_operations_are_those_of_their_sections(tmp_path: Path) -> None:
    sections = {
        "deformation": {"amplitude": 3.5, "sigmoids": [6, 12]},
        "distortion": {"distortions": [0.01], "gaussian_filter_rsigma": 30},
        "barrdistortion": {"amount": 0.3, "radius": 0.4, "centers": [(0.4, 0.6)]},
        "brightening": {"alpha": 1.1, "beta": 5},
        "sharpening": {"k": 0.5},
    }
    policy = policy_of(tmp_path, "compose", EVERYTHING, **sections)
    by_name = {one.name.rstrip("_"): one for one in policy.examples(np.random.default_rng(0))}
    (elastic,) = by_name["deformation"].geometry.fields
    assert isinstance(elastic, Elastic)
    assert elastic.amplitude == 3.5
    assert elastic.sigma in (6, 12)
    (distortion,) = by_name["distortion"].geometry.fields
    assert isinstance(distortion, Distortion)
    assert (distortion.reach, distortion.sigma) == (0.01, 30)
    assert by_name["barrdistortion"].geometry.fields == (Radial((0.4, 0.6), 0.4, 0.3),)
    assert by_name["brightening"].intensity == (Brighten(1.1, 5),)
    assert by_name["sharpening"].intensity == (Sharpen(0.5),)


def test_all_fields_together_still_do_not_fold(tmp_path: Path) -> None:
    certain = {f"{name}_probability": 1.0 for name in ("deformation", "distortion", "barrdistortion", "shear")}
    policy = policy_of(tmp_path, "compose", EVERYTHING, compose=certain, deformation={"amplitude": 20})
    mask = spleen_like(128, 160)
    for transform in samples(policy, 10):
        assert len(transform.geometry.fields) >= 3
        assert cv2.connectedComponents(transform.apply(mask[..., None], mask)[1])[0] <= 2


@pytest.mark.parametrize("policy_name", ["reference", "compose", "strong"])
@pytest.mark.parametrize(("border", "outside"), [("constant", 0), ("edge", 9)])
def test_the_border_is_a_key(tmp_path: Path, policy_name: str, border: str, outside: int) -> None:
    augmentor = {**NOTHING, "shrinks": [0.5], "policy": policy_name, "border": border}
    keys = {"scaling_probability": 1.0, "scale": (0.5, 0.5)}
    policy = build_policy(config_with(tmp_path, augmentor=augmentor, compose=keys, intensity=NEVER))
    mask = np.full((64, 64), 9, np.uint8)
    shrunk = [one.apply(mask[..., None], mask) for one in policy.examples(np.random.default_rng(0))]
    assert [(image[0, 0, 0], labels[0, 0]) for image, labels in shrunk] == [(outside, outside)]


def test_a_reference_config_can_shear_horizontally_too(tmp_path: Path) -> None:
    policy = build_policy(config_with(tmp_path, augmentor={**NOTHING, "shears": [0.1], "horizontal_shears": [0.2]}))
    found = {one.name: one.geometry for one in policy.examples(np.random.default_rng(0))}
    assert found == {"sheared_0_1_": geo.shear(vertical=0.1), "sheared_horizontal_0_2_": geo.shear(horizontal=0.2)}


def certainly(**ranges: tuple[float, float]) -> dict[str, Any]:
    return {**dict.fromkeys(NEVER, 1.0), **ranges}


def intensities(policy: Policy) -> dict[type, Any]:
    (transform,) = samples(policy, 1)
    return {type(change): change for change in transform.intensity}


def test_strong_draws_every_intensity_within_its_range(tmp_path: Path) -> None:
    keys = certainly(
        hu_shift=(10, 10),
        hu_scale=(1, 1),
        bias_strength=(0.01, 0.01),
        resolution=(0.7, 0.7),
        blur_sigma=(0.6, 0.6),
        noise_hu=(12, 12),
        window_hu=(0, 0),
        contrast_factor=(1.1, 1.1),
        gamma_exponent=(0.8, 0.8),
    )
    found = intensities(policy_of(tmp_path, "strong", NOTHING, intensity=keys))
    assert found[LowResolution] == LowResolution(0.7)
    assert found[Blur] == Blur(0.6)
    assert found[Contrast].factor == pytest.approx(1.1)
    assert found[Gamma].exponent == pytest.approx(0.8)
    # a folder without manifest shows HU 0..255, one grey value each
    assert found[Noise].sigma == pytest.approx(12)
    assert found[Shading].floor == pytest.approx(1000)
    (transform,) = samples(policy_of(tmp_path, "strong", NOTHING, intensity=keys), 1)
    offsets = [change.offset for change in transform.intensity if isinstance(change, Linear)]
    assert offsets == pytest.approx([10, 0])


def test_hu_are_those_of_the_training_slices(tmp_path: Path) -> None:
    Manifest(
        created_by="test",
        source="test",
        window_hu=(-160, 240),
        display="radiological",
        labels={"spleen": 1},
        seed=1,
        shares=(0.7, 0.2, 0.1),
        cases={},
    ).write(tmp_path / "dataset")
    images = tmp_path / "dataset" / "train" / "images"
    images.mkdir(parents=True)
    keys = certainly(hu_shift=(10, 10), hu_scale=(1, 1), noise_hu=(12, 12), window_hu=(0, 0))
    found = intensities(policy_of(tmp_path, "strong", NOTHING, intensity=keys, train={"image_datapath": str(images)}))
    assert found[Noise].sigma == pytest.approx(12 * 255 / 400)
    assert found[Shading].floor == pytest.approx(840 * 255 / 400)


def test_neighbouring_slices_have_noise_of_their_own(tmp_path: Path) -> None:
    keys = certainly(noise_hu=(12, 12))
    assert intensities(policy_of(tmp_path, "strong", NOTHING, intensity=keys))[Noise].shared
    context = policy_of(tmp_path, "strong", NOTHING, intensity=keys, dataset={"context": 1})
    assert not intensities(context)[Noise].shared


def test_a_range_that_could_close_the_window_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\[intensity\] window_hu.*255 HU") as caught:
        policy_of(tmp_path, "strong", {}, intensity={"window_hu": (-130, 130)})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["compose", "strong"])
def test_a_distortion_that_tears_the_picture_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"\[pincdistortion\] amount"):
        policy_of(tmp_path, name, {"pincdistortion": True}, pincdistortion={"amount": -1})
