"""[infer], [tiledinfer], [segmentation] and [inspect]: what prediction reads, writes and draws."""

from __future__ import annotations

from typing import Annotated

from spleenseg.config import kinds
from spleenseg.config.model import Anything
from spleenseg.config.section import CountOrNone, Flag, Folder, FolderOrNone, Section, Share, key

Strength = Annotated[float, kinds.any_of(kinds.flag(), kinds.number(0))]
Color = Annotated[str, kinds.color()]
Grey = kinds.whole(0, 255)
Background = Annotated[
    int | str | tuple[int, ...], kinds.any_of(Grey, kinds.listed(Grey, "(0,0,0)", 3, 3), kinds.color())
]
_COLORED = "`[segmentation] colorize` colours the masks"
_AS_IS = "images are segmented as they are"


class InferConfig(Section):
    """The images `infer` segments and where the masks go."""

    images_dir: FolderOrNone = key(None, "Folder of the images to segment.")
    output_dir: FolderOrNone = key(None, "Folder the masks are written to.")
    merged_dir: FolderOrNone = key(None, "Folder the overlays are written to; None: no overlays.")
    threshold: Share = key(
        0.5, "Probability from which a pixel is organ. Where it is not given, `infer` takes the model's own."
    )
    mask_colorize: Flag = key(False, "Colour the masks.", unused=_COLORED)
    colorized_dir: FolderOrNone = key(None, "Folder of the coloured masks.", unused=_COLORED)
    sharpening: Strength = key(False, "Sharpen the images first.", unused=_AS_IS)


class TiledInferConfig(Section):
    """Segmenting images larger than the network, tile by tile."""

    images_dir: FolderOrNone = key(None, "Folder of the images to segment; None: that of [infer].")
    output_dir: FolderOrNone = key(None, "Folder the masks are written to; None: that of [infer].")
    merged_dir: FolderOrNone = key(None, "Folder the overlays are written to; None: that of [infer].")
    overlapping: Annotated[int, kinds.whole(0, 16384)] = key(0, "Pixels by which tiles overlap.")
    split_size: CountOrNone = key(None, "Side of a tile in pixels; None: the network's width and height.")
    binarize: Flag = key(False, "Cut at the threshold below rather than at [infer] threshold.")
    threshold: Annotated[float, kinds.number(0, 255)] = key(60, "Threshold as a grey value, 255 for certain.")
    bitwise_blending: Flag = key(True, "Join with the prediction of the whole image.")
    background: Background = key(0, "Colour outside the image.", unused="the image is continued at its edge")
    mask_colorize: Flag = key(False, "Colour the masks.", unused=_COLORED)
    sharpening: Strength = key(False, "Sharpen the images first.", unused=_AS_IS)
    debug: Flag = key(False, "Keep the tiles.", unused="tiles are not files")


class SegmentationConfig(Section):
    """How masks and overlays are drawn."""

    colorize: Flag = key(False, "Write masks in the colours below rather than black and white.")
    black: Color = key("black", "Colour of the background.")
    white: Color = key("white", "Colour of the organ, in masks and overlays.")
    overlay_style: Annotated[str, kinds.one_of("off", "contour", "fill")] = key(
        "fill", "Overlay: nothing, the outline, or the outline over a tinted organ."
    )
    alpha: Share = key(0.4, "How strongly `fill` tints, from 0 to 1.")
    blursize: Anything = key(None, "Blur the masks.", unused="masks are cut at the threshold, never blurred")


class InspectConfig(Section):
    """Files that describe the network."""

    model_graph: Folder = key("./model.png", "Drawing of the network, a PNG, by `models show`.")
    summary: Folder = key("./summary.txt", "Table of its layers, by `models show`.")
