"""[dataset] and [mask]: how images and masks are read."""

from __future__ import annotations

from typing import Annotated

from spleenseg.config import kinds
from spleenseg.config.model import Anything
from spleenseg.config.section import MOST, Flag, Section, Share, key

DATASET_CLASSES = (
    "ImageMaskDataset",
    "BaseImageMaskDataset",
    "NormalizedImageMaskDataset",
    "RGB2GrayscaleImageMaskDataset",
)
INTERPOLATIONS = ("INTER_NEAREST", "INTER_LINEAR", "INTER_CUBIC", "INTER_AREA", "INTER_LANCZOS4")
ALGORITHMS = ("THRESH_BINARY", "THRESH_OTSU", "THRESH_TRIANGLE")
_ANY_FORMAT = "image files of every format are read alike"
_GREY = "masks are read as grey values"
_EVERY_CLASS = "all of them read images and masks alike here"


class DatasetConfig(Section):
    """How the image files become arrays."""

    datasetclass: Annotated[str, kinds.one_of(*DATASET_CLASSES)] = key(
        "ImageMaskDataset", "Reader of the image and mask folders.", unused=_EVERY_CLASS
    )
    color_order: Annotated[str, kinds.one_of("bgr", "rgb")] = key("bgr", "Order of the colour channels.")
    resize_interpolation: Annotated[str | None, kinds.optional(kinds.one_of(*INTERPOLATIONS, prefix="cv2."))] = key(
        None, "How images are resized; None: by area down, cubic up. Masks are never interpolated."
    )
    stretch: Flag = key(False, "Let images of other proportions than the model's be stretched to its size.")
    context: Annotated[int, kinds.whole(0, 31)] = key(0, "Neighbouring slices on each side given to the network.")
    context_mm: Annotated[float | None, kinds.optional(kinds.positive(at_most=100))] = key(
        None, "How far apart these neighbours are in mm (the nearest slices are taken); None: adjacent slices."
    )
    windows: Annotated[tuple[tuple[float, float], ...] | None, kinds.optional(kinds.windows())] = key(
        None, "HU windows, each given to the network as its own channel; None: the one the dataset was prepared with."
    )
    cache_mb: Annotated[int | None, kinds.optional(kinds.whole(0, MOST))] = key(
        None, "Memory for the decoded slices of a section in MB; the rest is memory-mapped. None: a quarter of all."
    )
    fold: Annotated[int | None, kinds.optional(kinds.whole(0, MOST))] = key(
        None,
        "Train on the cases of this fold (from 0) of the dataset's splits_final.json, validate on those it holds out; "
        "None: on the folders' own.",
    )
    image_normalize: Flag = key(False, "Divide images by 255.", unused="`[model] input_normalize` does it")
    image_format: Anything = key("rgb", "Colour format of the images.", unused=_ANY_FORMAT)
    mask_format: Annotated[str, kinds.one_of("gray", "grayscale", "rgb")] = key(
        "gray", "Colour format of the masks.", unused=_ANY_FORMAT
    )
    rgb_mask: Flag = key(False, "Masks are in colour.", unused=_ANY_FORMAT)
    debug: Flag = key(False, "Keep the images as read.", unused="`[generator] debug` keeps what is trained on")


class MaskConfig(Section):
    """How a mask file becomes the truth: resized, binarised, and softened for the loss only."""

    blur: Flag = key(False, "Soften the truth the loss sees; its boundary and area stay.")
    blur_size: Annotated[tuple[int, int], kinds.pair(kinds.odd(), "(3,3)")] = key(
        (3, 3), "Size of the softening filter, odd, in pixels."
    )
    binarize: Flag = key(True, "Cut every mask at the threshold; False: only those that reach it, others above 0.")
    threshold: Annotated[float, kinds.number(0, 255)] = key(128, "Grey value from which a pixel is organ.")
    algorithm: Annotated[str | None, kinds.optional(kinds.one_of(*ALGORITHMS, prefix="cv2."))] = key(
        None, "How the threshold is found: None or THRESH_BINARY take `threshold`."
    )
    normalized_threshold: Share = key(0.15, "Threshold of masks divided by 255.", unused="`threshold` is read")
    mask_colors: Anything = key(None, "Colour of each class.", unused=_GREY)
    grayscaling: Anything = key(None, "Weights of the colours.", unused=_GREY)
    mask_channels: Anything = key(None, "Channels of the masks.", unused=_GREY)
    classes: Anything = key(None, "Names of the classes.", unused="labels are numbers here")
