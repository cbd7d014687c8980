"""The policy `reference`: the variants its users had, each as likely as the other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from spleenseg.augment import build_policy
from spleenseg.augment import geometry as geo
from spleenseg.augment.fields import Distortion, Elastic
from spleenseg.augment.policies import Unchanged
from spleenseg.augment.reference import ReferencePolicy, reference_policy
from spleenseg.augment.transform import Transform
from spleenseg.augment.warp import warp
from spleenseg.config import load_config
from spleenseg.errors import UserError

from .pairs import config_with, iou, spleen_like

OFF = {"hflip": False, "vflip": False, "rotation": False, "shrinks": [], "shears": []}
SPLEEN = {
    "vflip": False,
    "hflip": True,
    "rotation": True,
    "angles": [5, 10, 350, 355],
    "shrinks": [0.8],
    "shears": [0.1],
    "deformation": True,
    "distortion": True,
}
SPLEEN_NAMES = {
    "",
    "hfliped_",
    "rotated_5_",
    "rotated_10_",
    "rotated_350_",
    "rotated_355_",
    "shrinked_0_8_",
    "sheared_0_1_",
    "hflipped_sheared_0_1_",
    "deformed_alpha_1300_sigmoid_8_",
    "distorted_0.03_rsigma40_sigma0.5_",
}


def policy_of(folder: Path, augmentor: dict[str, Any], **sections: dict[str, Any]) -> ReferencePolicy:
    return reference_policy(config_with(folder, augmentor={**OFF, **augmentor}, **sections))


def names_of(policy: ReferencePolicy) -> list[str]:
    return [variant.transform.name for variant in policy.variants]


def drawn(policy: ReferencePolicy, seed: int = 0) -> Transform:
    """The transform of the policy's last variant, which the tests make the interesting one."""
    return policy.variants[-1].draw(np.random.default_rng(seed))


def test_the_spleen_config_gives_the_eleven_variants_of_the_reference(tmp_path: Path) -> None:
    names = names_of(policy_of(tmp_path, SPLEEN, distortion={"distortions": [0.03]}))
    assert len(names) == 11
    assert set(names) == SPLEEN_NAMES


def test_the_spleen_config_byte_for_byte_gives_them_too(real_data: Path) -> None:
    policy = build_policy(load_config(real_data / "reference" / "train_eval_infer.config"))
    assert isinstance(policy, ReferencePolicy)
    assert set(names_of(policy)) == SPLEEN_NAMES


def test_every_variant_is_drawn_equally_often(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, SPLEEN, distortion={"distortions": [0.03]})
    rng = np.random.default_rng(137)
    counts = Counter(policy.draw(rng, (64, 64)).name for _ in range(11_000))
    assert set(counts) == SPLEEN_NAMES
    assert chisquare(list(counts.values())).pvalue > 0.01


def test_shears_are_also_flipped_where_flips_are_on(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, {"hflip": True, "vflip": True, "shears": [0.1]})
    assert names_of(policy) == [
        "",
        "hfliped_",
        "vfliped_",
        "sheared_0_1_",
        "hflipped_sheared_0_1_",
        "vflipped_sheared_0_1_",
        "hvflipped_sheared_0_1_",
    ]
    mask = spleen_like(128, 160)
    image = mask[..., None] * 255
    by_name = {variant.transform.name: variant.transform for variant in policy.variants}
    sheared = by_name["sheared_0_1_"].apply(image, mask)
    flipped = by_name["hflipped_sheared_0_1_"].apply(image, mask)[1]
    assert iou(flipped > 0, warp(*sheared, geo.hflip())[1] > 0) > 0.97
    assert iou(flipped > 0, warp(*warp(image, mask, geo.hflip()), geo.shear(0.1))[1] > 0) < 0.9


def test_nothing_switched_on_leaves_the_original(tmp_path: Path) -> None:
    assert names_of(policy_of(tmp_path, {})) == [""]


def test_names_follow_the_parameters(tmp_path: Path) -> None:
    policy = policy_of(
        tmp_path,
        {"rotation": True, "angles": [7.5], "shrinks": [1.25], "deformation": True, "distortion": True},
        deformation={"alpah": 900, "sigmoids": [6, 9.5]},
        distortion={"gaussian_filter_rsigma": 30, "distortions": [0.02, 0.05]},
    )
    assert names_of(policy) == [
        "",
        "rotated_7.5_",
        "shrinked_1_25_",
        "deformed_alpha_900_sigmoid_6_",
        "deformed_alpha_900_sigmoid_9.5_",
        "distorted_0.02_rsigma30_sigma0.5_",
        "distorted_0.05_rsigma30_sigma0.5_",
    ]


def test_the_later_operations_of_the_reference_are_variants_too(tmp_path: Path) -> None:
    policy = policy_of(
        tmp_path,
        {"sharpening": True, "brightening": True, "barrdistortion": True, "pincdistortion": True},
        barrdistortion={"radius": 0.3, "amount": 0.3, "centers": [(0.3, 0.3), (0.7, 0.7)]},
    )
    assert names_of(policy) == [
        "",
        "barrdistorted_101_0.3_0.3_",
        "barrdistorted_102_0.3_0.3_",
        "pincdistorted_101_0.5_-0.5_",
        "sharpened_1_",
        "brightened_1.2_10_",
    ]


def test_alpah_is_the_effective_strength_and_amplitude_overrides_it(tmp_path: Path) -> None:
    for keys, amplitude in (
        ({"alpah": 1300, "sigmoid": 8}, 2.3),
        ({"alpah": 650, "sigmoid": 16}, 0.575),
        ({"alpah": 1300, "sigmoid": 8, "amplitude": 5.0}, 5.0),
    ):
        transform = drawn(policy_of(tmp_path, {"deformation": True}, deformation=keys))
        (field,) = transform.geometry.fields
        assert isinstance(field, Elastic)
        assert field.amplitude == pytest.approx(amplitude)
        assert field.sigma == keys["sigmoid"]


def test_every_sample_gets_a_field_of_its_own(tmp_path: Path) -> None:
    for operation, kind in (("deformation", Elastic), ("distortion", Distortion)):
        policy = policy_of(tmp_path, {operation: True})
        rng = np.random.default_rng(0)
        fields = {policy.variants[-1].draw(rng).geometry.fields for _ in range(50)}
        assert len(fields) == 50
        assert all(isinstance(field, kind) for (field,) in fields)


def test_a_drawn_transform_can_be_replayed(tmp_path: Path) -> None:
    mask = spleen_like(96, 128)
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    policy = policy_of(tmp_path, SPLEEN)
    for variant in policy.variants:
        transform = variant.draw(np.random.default_rng(3))
        again = variant.draw(np.random.default_rng(3))
        assert transform == again
        for first, second in zip(transform.apply(image, mask), again.apply(image, mask), strict=True):
            np.testing.assert_array_equal(first, second)


def test_a_distortion_that_tears_the_picture_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\[pincdistortion\] amount.*-1") as caught:
        policy_of(tmp_path, {"pincdistortion": True}, pincdistortion={"amount": -1})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sections", [{"model": {"generator": False}}, {"generator": {"augmentation": False}}])
def test_without_generator_or_augmentation_pairs_stay_as_they_are(
    tmp_path: Path, sections: dict[str, dict[str, Any]]
) -> None:
    policy = build_policy(config_with(tmp_path, **sections))
    assert isinstance(policy, Unchanged)
    assert policy.draw(np.random.default_rng(0), (8, 8)) == Transform()
