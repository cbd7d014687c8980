"""[generator], [augmentor] and the sections of the single operations: how training slices are varied."""

from __future__ import annotations

from typing import Annotated

from spleenseg.config import kinds
from spleenseg.config.section import Flag, Folder, Section, key

Numbers = tuple[float, ...]
Positive = Annotated[float, kinds.positive()]
NotNegative = Annotated[float, kinds.number(0)]
Centers = Annotated[
    tuple[tuple[float, float], ...],
    kinds.listed(kinds.pair(kinds.number(0, 1), "(0.5, 0.5)"), "[(0.5, 0.5)]", low=1),
]


class GeneratorConfig(Section):
    """Whether training slices are augmented, and whether the augmented ones are kept to be looked at."""

    augmentation: Flag = key(True, "Augment the training slices.")
    debug: Flag = key(True, "Keep augmented pairs that were trained on, in the two folders below.")
    generated_images_dir: Folder = key("./generated_images_dir", "Folder of the kept images.")
    generated_masks_dir: Folder = key("./generated_masks_dir", "Folder of the kept masks.")
    verbose: Flag = key(False, "Print every file name.", unused="progress is shown as a bar")


class AugmentorConfig(Section):
    """Which operations vary a slice and its mask."""

    policy: Annotated[str, kinds.one_of("reference", "compose", "strong")] = key(
        "reference",
        "reference: one operation per sample; compose: several at once; strong: with intensities.",
    )
    hflip: Flag = key(True, "Mirror left and right (the spleen is on one side: better off for CT).")
    vflip: Flag = key(True, "Mirror top and bottom.")
    rotation: Flag = key(True, "Rotate by one of `angles`.")
    angles: Annotated[Numbers, kinds.listed(kinds.number(-360, 360), "[5, 10, 350, 355]")] = key(
        (90, 180, 270), "Angles in degrees, anticlockwise."
    )
    shrinks: Annotated[Numbers, kinds.listed(kinds.positive(at_most=10), "[0.8]")] = key(
        (0.8,), "Factors of size: below 1 shrinks, above 1 enlarges."
    )
    shears: Annotated[Numbers, kinds.listed(kinds.number(-1, 1), "[0.1]")] = key((), "Shears, as a slope.")
    deformation: Flag = key(False, "Elastic deformation, see [deformation].")
    distortion: Flag = key(False, "Smooth distortion, see [distortion].")
    sharpening: Flag = key(False, "Sharpen, see [sharpening].")
    brightening: Flag = key(False, "Change brightness and contrast, see [brightening].")
    barrdistortion: Flag = key(False, "Barrel distortion, see [barrdistortion].")
    pincdistortion: Flag = key(False, "Pincushion distortion, see [pincdistortion].")
    transformer: Flag = key(False, "Transform.", unused="nothing here reads it; the operations are named above")


class DeformationConfig(Section):
    """Elastic deformation after Simard 2003; in the file `alpha` is also spelt `alpah`."""

    alpha: NotNegative = key(1300, "Strength, on the reference's scale: 1300 with sigmoid 8 moves by 2.3 pixels.")
    sigmoid: Positive = key(8, "Smoothness: the Gaussian's standard deviation in pixels.")
    sigmoids: Annotated[Numbers | None, kinds.optional(kinds.listed(kinds.positive(), "[8.0, 10.0]", low=1))] = key(
        None, "Several such deviations to draw from; None: `sigmoid` alone."
    )
    amplitude: Annotated[float | None, kinds.optional(kinds.number(0))] = key(
        None, "Standard deviation of the displacement in pixels; takes the place of `alpha`."
    )


class DistortionConfig(Section):
    """Distortion by a smooth random field."""

    gaussian_filter_rsigma: Positive = key(40, "Smoothness of the field in pixels.")
    distortions: Annotated[Numbers, kinds.listed(kinds.positive(at_most=1), "[0.02]")] = key(
        (0.02,), "Strengths, as a fraction of the image's side."
    )
    gaussian_filter_sigma: NotNegative = key(
        0.5, "Second smoothing.", unused="it changes nothing in the reference either"
    )


class SharpeningConfig(Section):
    """Unsharp masking."""

    k: NotNegative = key(1.0, "Strength.")


class BrighteningConfig(Section):
    """Linear change of grey values."""

    alpha: Positive = key(1.2, "Factor of the grey values.")
    beta: Annotated[float, kinds.number(-255, 255)] = key(10, "Added to the grey values.")


class BarrDistortionConfig(Section):
    """Barrel distortion."""

    radius: Annotated[float, kinds.positive(at_most=1)] = key(0.5, "Reach, as a fraction of the image's side.")
    amount: Annotated[float, kinds.number(-1, 1)] = key(0.5, "Strength: above 0 bulges outwards.")
    centers: Centers = key(((0.5, 0.5),), "Centres to draw from, as fractions (x, y) of the image.")


class PincDistortionConfig(BarrDistortionConfig):
    """Pincushion distortion."""

    amount: Annotated[float, kinds.number(-1, 1)] = key(-0.5, "Strength: below 0 pinches inwards.")
