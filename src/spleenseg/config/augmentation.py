"""[generator], [augmentor], its policies and the sections of single operations: how training slices are varied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from spleenseg.config import kinds
from spleenseg.config.section import Flag, Folder, Section, Share, key

Numbers = tuple[float, ...]
Positive = Annotated[float, kinds.positive()]
NotNegative = Annotated[float, kinds.number(0)]
Centers = Annotated[
    tuple[tuple[float, float], ...],
    kinds.listed(kinds.pair(kinds.number(0, 1), "(0.5, 0.5)"), "[(0.5, 0.5)]", low=1),
]


Range = tuple[float, float]
Shears = Annotated[Numbers, kinds.listed(kinds.number(-1, 1), "[0.1]")]


def _by_policy(reference: Any, otherwise: Any) -> Callable[[dict[str, Any]], Any]:
    """Return a default that is the reference's under its policy, and what suits CT under the others."""
    return lambda before: reference if before["policy"] == "reference" else otherwise


class GeneratorConfig(Section):
    """Whether training slices are augmented, and whether the augmented ones are kept to be looked at."""

    augmentation: Flag = key(True, "Augment the training slices.")
    debug: Flag = key(True, "Keep augmented pairs that were trained on, in the two folders below.")
    generated_images_dir: Folder = key("./generated_images_dir", "Folder of the kept images.")
    generated_masks_dir: Folder = key("./generated_masks_dir", "Folder of the kept masks.")
    verbose: Flag = key(False, "Print every file name.", unused="progress is shown as a bar")


class AugmentorConfig(Section):
    """Which operations vary a slice and its mask; the defaults of some switches follow the policy."""

    policy: Annotated[str, kinds.one_of("reference", "compose", "strong")] = key(
        "reference",
        "reference: one operation per sample; compose: several at once, see [compose]; "
        "strong: with [intensity] too and never mirrored left-right (recommended).",
    )
    border: Annotated[Literal["constant", "edge"], kinds.one_of("constant", "edge")] = key(
        "constant", "What lies outside the slice. constant: the window's floor; edge: its outermost pixels."
    )
    hflip: Flag = key(
        _by_policy(True, False), "Mirror left and right (the spleen is on one side: better off; `strong` never does)."
    )
    vflip: Flag = key(_by_policy(True, False), "Mirror top and bottom.")
    rotation: Flag = key(True, "Rotate by one of `angles` (reference), or within [compose] angle.")
    angles: Annotated[Numbers, kinds.listed(kinds.number(-360, 360), "[5, 10, 350, 355]")] = key(
        (90, 180, 270), "Angles in degrees, anticlockwise; the policy reference draws one of them."
    )
    shrinks: Annotated[Numbers, kinds.listed(kinds.positive(at_most=10), "[0.8]")] = key(
        (0.8,), "Factors of size: below 1 shrinks, above 1 zooms and crops; empty: never, under every policy."
    )
    shears: Shears = key(
        _by_policy((), (0.1,)), "Vertical shears (columns slide), as a slope; empty: never, under every policy."
    )
    horizontal_shears: Shears = key(
        _by_policy((), (0.1,)), "Horizontal shears (rows slide), as a slope; empty: never, under every policy."
    )
    deformation: Flag = key(_by_policy(False, True), "Elastic deformation, see [deformation].")
    distortion: Flag = key(_by_policy(False, True), "Smooth distortion, see [distortion].")
    sharpening: Flag = key(False, "Sharpen, see [sharpening].")
    brightening: Flag = key(False, "Change brightness and contrast, see [brightening].")
    barrdistortion: Flag = key(False, "Barrel distortion, see [barrdistortion].")
    pincdistortion: Flag = key(False, "Pincushion distortion, see [pincdistortion].")
    organ_scaling: Flag = key(
        False, "Change the size of the labelled organ alone (compose, strong): small pieces of it, and large organs."
    )
    organ_contrast: Flag = key(
        False, "Change the brightness of the labelled organ alone (compose, strong), as phases of contrast media do."
    )
    organ_removal: Flag = key(
        False, "Take the labelled organ out (compose, strong): a slice of a patient without it, labelled as background."
    )
    lookalikes: Flag = key(
        False, "Paint unlabelled blobs that look like the organ beside it (compose, strong), as bowel and stomach may."
    )
    transformer: Flag = key(False, "Transform.", unused="nothing here reads it; the operations are named above")


def _chance(default: float, operation: str) -> Any:
    return key(default, f"Probability of {operation}.")


class ComposeConfig(Section):
    """How often and how far the operations that [augmentor] switches on are drawn by `compose` and `strong`.

    What is not here (deformation, distortion, barrel, ...) is as strong as its own section says.
    """

    hflip_probability: Share = _chance(0.5, "mirroring left and right")
    vflip_probability: Share = _chance(0.5, "mirroring top and bottom")
    rotation_probability: Share = _chance(0.5, "rotating")
    scaling_probability: Share = _chance(0.5, "changing the size")
    shear_probability: Share = _chance(0.3, "shearing")
    deformation_probability: Share = _chance(0.3, "elastic deformation")
    distortion_probability: Share = _chance(0.3, "smooth distortion")
    barrdistortion_probability: Share = _chance(0.2, "barrel distortion")
    pincdistortion_probability: Share = _chance(0.2, "pincushion distortion")
    sharpening_probability: Share = _chance(0.2, "sharpening")
    brightening_probability: Share = _chance(0.2, "brightening")
    organ_scaling_probability: Share = _chance(0.3, "changing the size of the organ alone")
    organ_contrast_probability: Share = _chance(0.3, "changing the brightness of the organ alone")
    organ_removal_probability: Share = _chance(0.1, "taking the organ out")
    lookalike_probability: Share = _chance(0.25, "each of two blobs that look like the organ")
    organ_scale: Annotated[Range, kinds.span(kinds.positive(at_most=3), "(0.3, 1.4)")] = key(
        (0.3, 1.4), "Range of the factor of the organ's diameter, drawn evenly on a logarithmic scale."
    )
    organ_hu: Annotated[Range, kinds.span(kinds.number(-200, 200), "(-25, 25)")] = key(
        (-25, 25), "Range of what is added to the organ, in HU."
    )
    lookalike_hu: Annotated[Range, kinds.span(kinds.number(-300, 300), "(-50, 50)")] = key(
        (-50, 50), "Range of the difference between such a blob and the organ, in HU."
    )
    lookalike_size: Annotated[Range, kinds.span(kinds.positive(at_most=0.5), "(0.02, 0.12)")] = key(
        (0.02, 0.12), "Range of its radius, as a fraction of the image's shorter side, evenly on a logarithmic scale."
    )
    angle: Annotated[Range, kinds.span(kinds.number(-360, 360), "(-15, 15)")] = key(
        (-15, 15), "Range of the rotation in degrees, anticlockwise."
    )
    scale: Annotated[Range, kinds.span(kinds.positive(at_most=10), "(0.8, 1.25)")] = key(
        (0.8, 1.25), "Range of the factor of size, drawn evenly on a logarithmic scale."
    )
    slope: Annotated[Range, kinds.span(kinds.number(-0.9, 0.9), "(-0.1, 0.1)")] = key(
        (-0.1, 0.1), "Range of the shear's slope, drawn for each direction that is switched on."
    )


class IntensityConfig(Section):
    """Grey-value operations of the policy `strong`: what differs between scanners, protocols and windows.

    Each has a probability and a range; (0, 0) or a factor range of (1, 1) changes nothing.
    """

    hu_probability: Share = _chance(0.3, "shifting and scaling the HU")
    hu_shift: Annotated[Range, kinds.span(kinds.number(-100, 100), "(-15, 15)")] = key(
        (-15, 15), "Range of the shift in HU."
    )
    hu_scale: Annotated[Range, kinds.span(kinds.number(0.4, 1.6), "(0.95, 1.05)")] = key(
        (0.95, 1.05), "Range of the factor of the HU; water stays at 0."
    )
    bias_probability: Share = _chance(0.15, "a slow change of brightness across the slice (beam hardening, cupping)")
    bias_strength: Annotated[Range, kinds.span(kinds.number(0, 0.1), "(0, 0.02)")] = key(
        (0, 0.02), "Range of its largest value, as a share of the attenuation: 0.01 moves water by 10 HU."
    )
    low_resolution_probability: Share = _chance(0.15, "simulated low resolution")
    resolution: Annotated[Range, kinds.span(kinds.positive(at_most=1), "(0.5, 1)")] = key(
        (0.5, 1.0), "Range of the resolution's factor."
    )
    blur_probability: Share = _chance(0.15, "blurring")
    blur_sigma: Annotated[Range, kinds.span(kinds.number(0, 20), "(0.3, 1)")] = key(
        (0.3, 1.0), "Range of the Gaussian's standard deviation in pixels."
    )
    noise_probability: Share = _chance(0.2, "Gaussian noise")
    noise_hu: Annotated[Range, kinds.span(kinds.number(0, 200), "(0, 20)")] = key(
        (0, 20), "Range of the noise's standard deviation in HU."
    )
    noise_grain: Annotated[Range, kinds.span(kinds.number(1, 16), "(1, 3)")] = key(
        (1, 1), "Range of the noise's grain in pixels: more than 1 is the noise of wide voxels, enlarged."
    )
    window_probability: Share = _chance(0.2, "moving both ends of the window")
    window_hu: Annotated[Range, kinds.span(kinds.number(-200, 200), "(-20, 20)")] = key(
        (-20, 20), "Range by which each end moves, in HU."
    )
    contrast_probability: Share = _chance(0.2, "changing the contrast about the mean")
    contrast_factor: Annotated[Range, kinds.span(kinds.positive(at_most=10), "(0.8, 1.25)")] = key(
        (0.8, 1.25), "Range of the contrast's factor."
    )
    gamma_probability: Share = _chance(0.2, "a gamma curve")
    gamma_exponent: Annotated[Range, kinds.span(kinds.positive(at_most=10), "(0.7, 1.5)")] = key(
        (0.7, 1.5), "Range of the exponent, drawn evenly on a logarithmic scale."
    )


class DeformationConfig(Section):
    """Elastic deformation after Simard 2003; in the file `alpha` is also spelt `alpah`."""

    alpha: NotNegative = key(1300, "Strength, on the reference's scale: 1300 with sigmoid 8 moves by 2.3 pixels.")
    sigmoid: Positive = key(8, "Smoothness: the Gaussian's standard deviation in pixels.")
    sigmoids: Annotated[Numbers | None, kinds.optional_list(kinds.listed(kinds.positive(), "[8.0, 10.0]"))] = key(
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
