"""Make the shipped spleen model from its data: three trainings, then one file.

    python make_model.py MSD_SLICES AMOS_CASE WORK

MSD_SLICES and AMOS_CASE are what make_dataset.py takes. WORK gets the run folders and `spleen.onnx`; what is finished
there is not done again. Then tell_quality.py completes the file. About an hour on two cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from recipe import Recipe, spleenseg
from tell_quality import tell

LICENCE = "CC BY-SA 4.0; attribution: Medical Segmentation Decathlon (spleen task), AMOS22"
EXPORT = ["--weights", "float16", "--threshold", "0.5", "--components", "largest", "--fill-holes", "--min-ml", "25"]


def main() -> None:
    """Train and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("msd", "amos", "work"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    recipe = Recipe(given.msd.absolute(), given.amos.absolute(), given.work.absolute())
    run = recipe.whole()
    model = recipe.root / "spleen.onnx"
    if not model.exists():
        spleenseg("export", str(run), "-o", str(model), *EXPORT, "--licence", LICENCE)
    tell(model)


if __name__ == "__main__":
    main()
