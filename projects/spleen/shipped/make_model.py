"""Make the shipped spleen model from its data: three trainings, then one file.

    python make_model.py MSD_SLICES AMOS_CASE WORK

MSD_SLICES and AMOS_CASE are what make_dataset.py takes. WORK gets the run folders and `spleen.onnx`; what is finished
there is not done again. Where cross_validate.py has worked there before, the model also tells the Dice to be expected.
About an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from recipe import QUALITY, Recipe, spleenseg

from spleenseg.files import write_json
from spleenseg.inference.fitted import Fitted
from spleenseg.metrics.quality import QualityCalibration
from spleenseg.models.run_folder import RunFolder
from spleenseg.models.run_manifest import RunManifest

LICENCE = "CC BY-SA 4.0; attribution: Medical Segmentation Decathlon (spleen task), AMOS22"
EXPORT = ["--weights", "float16", "--threshold", "0.5", "--components", "largest", "--fill-holes", "--min-ml", "10"]


def tell_quality(run: Path, found: Path) -> None:
    """Give a run what the cross-validation found, so that the export takes it along."""
    weights = RunManifest.read(RunFolder.at(run).manifest).weights
    assert weights is not None  # it is finished
    quality = {name: QualityCalibration(**line) for name, line in json.loads(found.read_text()).items()}
    fitted = Fitted(weights_sha256=weights.sha256, threshold=None, quality=quality)
    write_json(RunFolder.at(run).calibration, fitted.model_dump(mode="json"))


def main() -> None:
    """Train and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("msd", "amos", "work"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    recipe = Recipe(given.msd.absolute(), given.amos.absolute(), given.work.absolute())
    run = recipe.whole()
    if (recipe.root / QUALITY).is_file():
        tell_quality(run, recipe.root / QUALITY)
    spleenseg("export", str(run), "-o", str(recipe.root / "spleen.onnx"), *EXPORT, "--licence", LICENCE)


if __name__ == "__main__":
    main()
