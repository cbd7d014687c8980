"""Have a model of the spleen tell what Dice to expect of a mask: a line, fitted on synthetic patients.

    python tell_quality.py MODEL.onnx [--check FIGURES]

Dice against how well the masks of the model at several thresholds agree (`spleenseg.metrics.quality`), over whole
scans of synthetic patients with a spleen whom no training has seen: each as it is, with noise, and with organs less
than half as bright. What the network answers counts, without post-processing. The line is written into the file.
`--check` compares it with real patients: with the pairs "without_truth" in the `figures.json` of cross_validate.py,
which come from the networks of its folds. make_model.py does the first with the model that it exports.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from spleenseg.inference.exported_formats import write_onnx
from spleenseg.inference.loading import load_predictor
from spleenseg.inference.model_card import PREFIX
from spleenseg.inference.predictor import Predictor
from spleenseg.inference.slices import predict_slices
from spleenseg.metrics.overlap import confusion, dice
from spleenseg.metrics.quality import QualityCalibration, agreement_of_sizes, check_quality
from spleenseg.phantom import Patient, make_patient

FIRST_SEED, PATIENTS = 3_000_000, 24
SIDE, SLICES = 192, 48
AIR = -200  # HU below which nothing is made paler
LOOKS = {"as it is": (0.0, 1.0), "noisy": (60.0, 1.0), "pale": (20.0, 0.45)}  # noise in HU, share of the HU left


def pairs(predictor: Predictor) -> Iterator[tuple[float, float]]:
    """Yield agreement and Dice of every patient in every look."""
    noise = np.random.default_rng(FIRST_SEED)
    for seed in range(FIRST_SEED, FIRST_SEED + PATIENTS):
        patient = make_patient(seed, SIDE, slices=SLICES, splenectomy=0.0)
        for deviation, share in LOOKS.values():
            yield judged(predictor, patient, looking(patient.hu, deviation, share, noise))


def looking(hu: NDArray[np.int16], deviation: float, share: float, noise: np.random.Generator) -> NDArray[np.int16]:
    """Return a scan, int16 HU, made paler and noisier."""
    pale = np.where(hu > AIR, share * hu.astype(np.float32), hu)
    return np.clip(np.rint(pale + noise.normal(0, deviation, hu.shape)), -1024, 3071).astype(np.int16)


def judged(predictor: Predictor, patient: Patient, hu: NDArray[np.int16]) -> tuple[float, float]:
    """Return the agreement of the masks of a scan at several thresholds, and the Dice of the mask."""
    found = predict_slices(hu, predictor, slice_mm=patient.spacing[2], pixel_size=patient.spacing[:2])
    agreement = agreement_of_sizes([int(size) for size in found.sizes[0]])
    return agreement, dice(confusion(patient.labels == 1, found.labels > 0))


def tell(path: Path) -> QualityCalibration:
    """Fit the line for a model, and write it into the file."""
    predictor = load_predictor(path)
    (label,) = predictor.names
    line = QualityCalibration.fit(*zip(*pairs(predictor), strict=True))
    model = onnx.load(path)
    entry = next(entry for entry in model.metadata_props if entry.key == f"{PREFIX}quality")
    entry.value = json.dumps({label: asdict(line)})
    write_onnx(model, path)
    return line


def main() -> None:
    """Fit, write, and check if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--check", type=Path, metavar="FIGURES")
    given = parser.parse_args()
    line = tell(given.model)
    print(line)  # noqa: T201
    if given.check:
        agreements, dices = zip(*json.loads(given.check.read_text())["without_truth"], strict=True)
        print(check_quality([line.predict(agreement) for agreement in agreements], dices))  # noqa: T201


if __name__ == "__main__":
    main()
