"""One synthetic patient: anatomy, scanner, label map and the facts known of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spleenseg.phantom.anatomy import paint_anatomy
from spleenseg.phantom.grid import Grid
from spleenseg.phantom.intensity import hu_of
from spleenseg.phantom.scanner import add_noise, add_table, blur, digitize, frame_of
from spleenseg.phantom.stage import Stage
from spleenseg.phantom.traits import Streams, Traits


@dataclass(frozen=True, eq=False)
class Patient:
    """A synthetic CT with its truth. For tests and demonstrations; not evidence about patients.

    Attributes:
        hu: int16 HU [z, y, x]; x -> patient Left, y -> Posterior, z -> Superior.
        labels: uint8 [z, y, x], 1 in the spleen; accessory spleens are not labelled.
        spacing: mm between voxels along x, y and z.
        facts: what was drawn for this patient.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    spacing: tuple[float, float, float]
    facts: Traits

    @property
    def spleen_ml(self) -> float:
        """Volume of the spleen in the label map, in mL."""
        x, y, z = self.spacing
        return float(np.count_nonzero(self.labels)) * x * y * z / 1000

    def describe(self) -> dict[str, Any]:
        """Return the facts as plain values, with the volume the label map has."""
        return {**asdict(self.facts), "spleen_label": round(self.spleen_ml, 2)}


def make_patient(
    seed: int | np.random.SeedSequence,
    size: int = 512,
    *,
    slices: int | None = None,
    splenectomy: float = 0.05,
) -> Patient:
    """Make a patient. The same seed gives the same patient, whatever the size and number of slices.

    Args:
        seed: of everything random.
        size: pixels along x and y; the field of view stays.
        slices: number of slices over the range of the scan; None: as many as the patient's slice distance gives.
        splenectomy: probability that the spleen has been removed.
    """
    sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    streams = Streams(sequence)
    traits = Traits.draw(streams["traits"], splenectomy)
    frame = frame_of(traits, size, slices, streams["frame"])
    stage = Stage.build(Grid(frame.layered()), traits, streams)
    labels = paint_anatomy(stage)[frame.layers // 2 :: frame.layers]
    hu = blur(hu_of(stage), frame)
    add_table(hu, frame, traits, streams["table"])
    add_noise(hu, frame, traits, streams["noise"])
    return Patient(digitize(hu, streams["corners"]), np.ascontiguousarray(labels), frame.spacing, traits)
