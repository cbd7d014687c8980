"""What each choice of the recommended config is worth: the same training with one choice undone at a time.

    python benchmarks/choices.py [--quick] [--json FILE] [--steps N] [--choices NAME ...] [--folder DIR]

24 synthetic patients of 256 x 256 with 40 slices each, divided by patient; the recommended config trains on them for N
steps (240; --quick: 40, which only shows that it runs), on a schedule of that length, and so does every variant below.
Steps, not seconds, are the same, so other work on the machine changes nothing. Every network is judged as it stands at
its end, on the patients held out (valid and test), over all voxels of a case at the slices' own size.

dice         for each variant, the mean case Dice of the patients held out
difference   for each, the mean of its Dice less the recommended config's, with the 95 % interval of the paired
             bootstrap over patients (low, high): negative where the choice helps. It knows nothing of the chance in a
             training itself: "another seed" shows how much that is
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import arguments, machine, report, versions
from spleenseg.config import Config
from spleenseg.progress import SILENT
from trainings import QUICK_SLICES, cohort, configured, gain, judge, mean, training

SIDE = 256
STEPS, QUICK_STEPS = 240, 40
RECOMMENDED = "recommended"
U_NET = ("model.model=TensorflowUNet", "model.num_layers=5")
CHOICES: dict[str, tuple[str, ...]] = {
    RECOMMENDED: (),
    "another seed": ("train.seed=138",),
    "learning rate 0.0005": ("model.learning_rate=0.0005",),
    "learning rate 0.005": ("model.learning_rate=0.005",),
    "Adam": ("model.optimizer=Adam",),
    "constant rate": ("train.schedule=constant",),
    "cosine": ("train.schedule=cosine",),
    "no warm-up": ("train.warmup_steps=0",),
    "bce_dice_loss": ("model.loss=bce_dice_loss",),
    "no average of weights": ("train.ema=0",),
    "slices as they come": ("train.foreground=0",),
    "policy reference": ("augmentor.policy=reference",),
    "policy compose": ("augmentor.policy=compose",),
    "no augmentation": ("model.generator=False",),
    "192 x 192": ("model.image_width=192", "model.image_height=192"),
    "one neighbour slice": ("dataset.context=1", "model.image_channels=3"),
    "24 filters": ("model.base_filters=24",),
    "deep supervision": ("model.deep_supervision=True",),
    "U-Net, normalised": (*U_NET, "model.normalization=True"),
    "U-Net, not normalised": (*U_NET, "model.normalization=False"),
}


def main() -> None:
    """Train every variant, report."""
    parser = arguments(__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, help=f"of each training ({STEPS}; --quick: {QUICK_STEPS})")
    parser.add_argument("--choices", nargs="+", choices=CHOICES, default=list(CHOICES), help="these alone")
    parser.add_argument("--folder", type=Path, help="keep the cohort here, or use the one that is there")
    options = parser.parse_args()
    steps = options.steps or (QUICK_STEPS if options.quick else STEPS)
    names = list(dict.fromkeys([RECOMMENDED, *options.choices]))  # it is what all are compared with
    with tempfile.TemporaryDirectory() as temporary:
        root = options.folder or Path(temporary)
        cohort(root, SIDE, QUICK_SLICES)
        found: dict[str, dict[str, Any]] = {}
        for name in names:
            started = time.perf_counter()
            found[name] = {"dice": trained(configured(root, RECOMMENDED, SIDE, steps, 1, CHOICES[name]))}
            print(f"{name}: Dice {mean(found[name]):.4f}, {time.perf_counter() - started:.0f} s", file=sys.stderr)
            if options.json and name != names[-1]:  # what is known so far, should the rest be stopped
                options.json.write_text(json.dumps(compared(found, steps), indent=2) + "\n")
    report(compared(found, steps), options.json)


def compared(found: dict[str, dict[str, Any]], steps: int) -> dict[str, Any]:
    """Return what is reported of the trainings so far."""
    recommended = found[RECOMMENDED]
    return {
        "dice": {name: round(mean(judged), 4) for name, judged in found.items()},
        "difference": {name: gain(judged, recommended) for name, judged in found.items() if name != RECOMMENDED},
        "steps": steps,
        "patients_held_out": len(recommended["dice"]),
        "machine": machine(),
        "versions": versions("spleenseg", "keras", "tensorflow-cpu"),
    }


def trained(config: Config) -> dict[str, float]:
    """Train; return the Dice of every patient held out, of the network as it stands at its end."""
    from spleenseg.models.run_folder import RunFolder
    from spleenseg.training.trainer import Trainer

    with training(config) as begun:
        Trainer(config, RunFolder.of(config), begun.learner, begun.feed, lambda state: None, SILENT).fit()
        return judge(begun)


if __name__ == "__main__":
    main()
