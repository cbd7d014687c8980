"""The organs of one patient, in the order in which they press on one another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spleenseg.phantom.bowel import paint_bowel
from spleenseg.phantom.chest import paint_chest, paint_layers
from spleenseg.phantom.foregut import build_stomach, paint_foregut
from spleenseg.phantom.kidneys import paint_kidney
from spleenseg.phantom.liver import paint_liver
from spleenseg.phantom.skeleton import paint_bones, paint_muscles
from spleenseg.phantom.spleen import paint_spleen
from spleenseg.phantom.stage import Placed, Stage
from spleenseg.phantom.vessels import paint_vessels


def paint_anatomy(stage: Stage) -> NDArray[np.uint8]:
    """Paint all organs.

    Returns:
        The label map, uint8 [z, y, x]: 1 in the spleen.
    """
    paint_layers(stage)
    paint_chest(stage)
    paint_muscles(stage)
    kidneys = [paint_kidney(stage, side) for side in (1, -1)]
    at = stage.at((-60, -190, -150), (175, 80, 140))
    stomach = Placed(build_stomach(at, stage.traits, stage.streams["stomach"]), at.box)
    spleen, labels = paint_spleen(stage, at, stomach.shape, kidneys[0])
    liver = paint_liver(stage, [*kidneys, spleen], stomach)
    paint_foregut(stage, stomach, at, [spleen, liver, kidneys[0]])
    paint_vessels(stage)
    paint_bowel(stage)
    paint_bones(stage)
    return labels
