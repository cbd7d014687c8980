"""One augmentation library at work in a process of its own, timed on demand; `augment.py` starts it.

    PYTHON augment_peers.py NAME

First prints one line of JSON about itself. Then, for every line of input (a number of seconds), augments the
same pair for that long and prints {"pairs": ..., "seconds": ...} of CPU time, so that other work on the
machine does not count. One thread everywhere.

The pair: 512 x 512, three different channels, one mask of an organ. Geometry, wherever a library has it:
mirroring both ways, rotation within 15 degrees, size 0.8 to 1.25, shear of 0.1 both ways, elastic deformation
(2.3 pixels, sigma 8), a smooth distortion of up to 15 pixels, a barrel distortion. Every library is given the
pair in its own format beforehand: conversions are not timed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

SIDE, ELASTIC_PX, SIGMA, DISTORTION_PX = 512, 2.3, 8, 15
ANGLE, SCALE, SLOPE, BARREL = 15, (0.8, 1.25), 0.1, 0.3
SHEAR_DEGREES = float(np.degrees(np.arctan(SLOPE)))
GRID_CELLS = 5

Work = Callable[[int], Any]


def pair() -> tuple[np.ndarray, np.ndarray]:
    """Return image uint8 [H, W, 3] and mask uint8 [H, W]: smooth structure, noise, and one organ."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = sum(np.sin(6.3 * (a * x[..., None] + b * y[..., None])) for a, b in rng.uniform(1, 6, (6, 2, 3)))
    image = 110 + 12 * waves + rng.normal(0, 8, (SIDE, SIDE, 3))
    image[(x - 0.5) ** 2 / 0.19 + (y - 0.5) ** 2 / 0.12 > 1] = 0
    mask = ((x - 0.3) / 0.11) ** 2 + ((y - 0.55) / 0.17) ** 2 < 1
    return np.clip(image, 0, 255).astype(np.uint8), mask.astype(np.uint8)


def spleenseg_geometry() -> tuple[Work, str, str]:
    return _spleenseg("compose"), version("spleenseg"), "all of them, in one warp"


def spleenseg_strong() -> tuple[Work, str, str]:
    return _spleenseg("strong"), version("spleenseg"), "policy strong with its default probabilities"


def _spleenseg(policy: str) -> Work:
    import cv2

    from spleenseg.augment import build_policy
    from spleenseg.config.load import parse_config

    cv2.setNumThreads(1)
    drawn = build_policy(parse_config(CONFIGS[policy], "benchmark.config"))
    image, mask = pair()

    def work(sample: int) -> Any:
        return drawn.draw(np.random.default_rng(sample), mask.shape).apply(image, mask)

    return work


_MODEL = """
[model]
generator = True
image_width = 512
image_height = 512
image_channels = 3
num_classes = 1
base_filters = 16
num_layers = 7
[deformation]
alpah = 1300
sigmoid = 8
[distortion]
gaussian_filter_rsigma = 40
distortions = [0.03]
"""
CONFIGS = {
    "compose": _MODEL
    + """
[augmentor]
policy = "compose"
hflip = True
vflip = True
barrdistortion = True
[barrdistortion]
amount = 0.3
[compose]
rotation_probability = 1
scaling_probability = 1
shear_probability = 1
deformation_probability = 1
distortion_probability = 1
barrdistortion_probability = 1
""",
    "strong": _MODEL + '\n[augmentor]\npolicy = "strong"\n',
}


def albumentations() -> tuple[Work, str, str]:
    """albumentations 2 and AlbumentationsX share a module name and differ in some parameters."""
    import cv2

    cv2.setNumThreads(1)
    import albumentations as library

    changed = "AlbumentationsX" if _has("albumentationsx") else "albumentations"
    if changed == "AlbumentationsX":
        share = ELASTIC_PX * 3**0.5 / SIDE  # uniform displacements of that standard deviation
        nodes = (SIDE // (2 * SIGMA),) * 2
        elastic = library.ElasticTransform(displacement_range=(share, share), control_grid_shape=nodes, p=1)
        limits, extra = "distort_range", {"telemetry": False}
    else:
        alpha = ELASTIC_PX * 2 * SIGMA * np.pi**0.5
        elastic = library.ElasticTransform(alpha=alpha, sigma=SIGMA, p=1)
        limits, extra = "distort_limit", {}
    cell = DISTORTION_PX / (SIDE / GRID_CELLS)
    shear = dict.fromkeys("xy", (-SHEAR_DEGREES, SHEAR_DEGREES))
    transform = library.Compose(
        [
            library.HorizontalFlip(p=0.5),
            library.VerticalFlip(p=0.5),
            library.Affine(scale=SCALE, rotate=(-ANGLE, ANGLE), shear=shear, p=1),
            elastic,
            library.GridDistortion(num_steps=GRID_CELLS, **{limits: (-cell, cell)}, p=1),
            library.OpticalDistortion(**{limits: (-BARREL, BARREL)}, p=1),
        ],
        **extra,
    )
    image, mask = pair()
    number = version("albumentationsx" if changed == "AlbumentationsX" else "albumentations")
    return lambda sample: transform(image=image, mask=mask), number, "all of them, in four warps"


def _has(package: str) -> bool:
    try:
        return bool(version(package))
    except ModuleNotFoundError:
        return False


def monai() -> tuple[Work, str, str]:
    import torch
    from monai.transforms import Compose, Rand2DElasticd, RandFlipd, RandGridDistortiond

    torch.set_num_threads(1)
    keys, largest = ("image", "mask"), ELASTIC_PX * 3**0.5
    cell = DISTORTION_PX / (SIDE / GRID_CELLS)
    size = (SCALE[0] - 1, SCALE[1] - 1)
    transform = Compose(
        [
            RandFlipd(keys, 0.5, 0),
            RandFlipd(keys, 0.5, 1),
            Rand2DElasticd(
                keys,
                spacing=(2 * SIGMA,) * 2,
                magnitude_range=(largest, largest),
                prob=1,
                rotate_range=float(np.radians(ANGLE)),
                shear_range=(SLOPE, SLOPE),
                scale_range=(size, size),
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            RandGridDistortiond(keys, GRID_CELLS, 1, (-cell, cell), mode=("bilinear", "nearest"), padding_mode="zeros"),
        ]
    )
    image, mask = _tensors()
    return (
        lambda sample: transform({"image": image, "mask": mask}),
        version("monai"),
        "all but the barrel, in two warps",
    )


def torchio() -> tuple[Work, str, str]:
    import torch
    import torchio as library

    torch.set_num_threads(1)
    image, mask = _tensors()
    subject = library.Subject(
        image=library.ScalarImage(tensor=image[..., None]), mask=library.LabelMap(tensor=mask[..., None])
    )
    nodes = (SIDE // (2 * SIGMA), SIDE // (2 * SIGMA), 4)
    largest = (ELASTIC_PX * 3**0.5,) * 2 + (0,)
    transform = library.Compose(
        [
            library.RandomFlip(axes=(0, 1)),
            library.RandomAffine(scales=(*SCALE, *SCALE, 1, 1), degrees=(0, 0, 0, 0, -ANGLE, ANGLE)),
            library.RandomElasticDeformation(num_control_points=nodes, max_displacement=largest, locked_borders=0),
        ]
    )
    return lambda sample: transform(subject), version("torchio"), "no shear, no distortion, no barrel; two warps"


def batchgeneratorsv2() -> tuple[Work, str, str]:
    import torch
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms

    torch.set_num_threads(1)
    transform = ComposeTransforms(
        [
            SpatialTransform(
                (SIDE, SIDE),
                0,
                False,
                p_elastic_deform=1,
                elastic_deform_scale=SIGMA / SIDE,
                elastic_deform_magnitude=4 * ELASTIC_PX,
                p_rotation=1,
                rotation=(-float(np.radians(ANGLE)), float(np.radians(ANGLE))),
                p_scaling=1,
                scaling=SCALE,
                p_synchronize_scaling_across_axes=1,
            ),
            MirrorTransform((0, 1)),
        ]
    )
    return _on_copies(transform), version("batchgeneratorsv2"), "no shear, no distortion, no barrel; one warp"


def nnunet() -> tuple[Work, str, str]:
    """The transforms nnU-Net 2 trains its 2-D networks with, at its own probabilities."""
    import torch
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
    from batchgeneratorsv2.transforms.utils.random import RandomTransform
    from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform

    torch.set_num_threads(1)
    factor = BGContrast((0.75, 1.25))
    gamma = {"gamma": BGContrast((0.7, 1.5)), "synchronize_channels": False, "p_per_channel": 1, "p_retain_stats": 1}
    transform = ComposeTransforms(
        [
            SpatialTransform(
                (SIDE, SIDE),
                0,
                False,
                p_elastic_deform=0,
                p_rotation=0.2,
                rotation=(-np.pi, np.pi),
                p_scaling=0.2,
                scaling=(0.7, 1.4),
                p_synchronize_scaling_across_axes=1,
            ),
            RandomTransform(GaussianNoiseTransform((0, 0.1), 1, True), 0.1),
            RandomTransform(GaussianBlurTransform((0.5, 1.0), False, False, 0.5, benchmark=True), 0.2),
            RandomTransform(MultiplicativeBrightnessTransform(factor, False, 1), 0.15),
            RandomTransform(ContrastTransform(factor, True, False, 1), 0.15),
            RandomTransform(SimulateLowResolutionTransform((0.5, 1), False, True, None, None, 0.5), 0.25),
            RandomTransform(GammaTransform(p_invert_image=1, **gamma), 0.1),
            RandomTransform(GammaTransform(p_invert_image=0, **gamma), 0.3),
            MirrorTransform((0, 1)),
            RemoveLabelTansform(-1, 0),
        ]
    )
    return _on_copies(transform), version("batchgeneratorsv2"), "the transforms of nnU-Net 2's 2-D training"


def _on_copies(transform: Any) -> Work:
    image, mask = _tensors()
    return lambda sample: transform(image=image.clone(), segmentation=mask.clone())


def _tensors() -> tuple[Any, Any]:
    import torch

    image, mask = pair()
    standardised = (image.transpose(2, 0, 1).astype(np.float32) - 60) / 60
    return torch.from_numpy(standardised), torch.from_numpy(mask[None].astype(np.int16))


LIBRARIES = {
    "spleenseg": spleenseg_geometry,
    "spleenseg strong": spleenseg_strong,
    "albumentations": albumentations,
    "albumentationsx": albumentations,
    "monai": monai,
    "torchio": torchio,
    "batchgeneratorsv2": batchgeneratorsv2,
    "nnunet strong": nnunet,
}


def main(name: str) -> None:
    """Serve timings of one library until the input ends."""
    work, number, operations = LIBRARIES[name]()
    work(0)
    print(json.dumps({"version": number, "operations": operations}), flush=True)
    sample = 1
    for line in sys.stdin:
        pairs, started = 0, time.process_time()
        while (spent := time.process_time() - started) < float(line):
            work(sample)
            sample, pairs = sample + 1, pairs + 1
        print(json.dumps({"pairs": pairs, "seconds": spent}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
