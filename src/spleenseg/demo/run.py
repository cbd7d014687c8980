"""`demo`: the main job on synthetic CT, in minutes, continuing where an interrupted one stopped."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from spleenseg.config import load_config
from spleenseg.datasets.prepare import prepare
from spleenseg.demo.page import write_page
from spleenseg.errors import UserError
from spleenseg.evaluation.evaluate import Evaluation, evaluate
from spleenseg.files import atomic, write_json
from spleenseg.inference.segment import segment
from spleenseg.models.run_folder import RunFolder
from spleenseg.phantom import write_cohort
from spleenseg.progress import SILENT, Reporter
from spleenseg.training.train import train

CONFIG = "train_eval_infer.config"
_MARKER = "demo.json"


@dataclass(frozen=True)
class DemoSize:
    """How large the demonstration is; the default fits five minutes on two cores.

    Attributes:
        cases: labelled patients (70 % train, 20 % valid, 10 % test).
        unlabelled: patients that are only segmented.
        pixels: side of a slice.
        settings: "section.key=value" over the demonstration's config.
    """

    cases: int = 30
    unlabelled: int = 3
    pixels: int = 96
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DemoResult:
    """Where the demonstration lies and how good it was.

    Attributes:
        page: the page to open.
        evaluation: figures on the held-out patients.
    """

    page: Path
    evaluation: Evaluation

    def summary(self) -> str:
        """Say how good it was and where to look."""
        return f"{self.evaluation.summary()}\nLook at {self.page}"


def demo(
    out: Path | str = "demo",
    *,
    seed: int = 137,
    size: DemoSize = DemoSize(),
    reporter: Reporter = SILENT,
) -> DemoResult:
    """Write a phantom cohort, prepare it, train, evaluate by patient, segment unseen volumes, draw the page.

    A folder in which an earlier demo stopped is continued; what is done is not done again.

    Args:
        out: the folder; new, empty, or one of an earlier demo with the same seed and size.
        seed: of patients, split, weights and augmentation.
        size: how much of everything.
        reporter: shows progress.

    Raises:
        UserError: `out` holds something else.
        KeyboardInterrupt: asked to stop; the same call continues.
    """
    out = Path(out)
    _claim(out, seed, size)
    cohort, dataset, root = out / "cohort", out / "dataset", out / "run"
    write_cohort(
        cohort,
        size.cases,
        seed,
        size=size.pixels,
        unlabelled=size.unlabelled,
        resume=True,
        reporter=reporter,
    )
    prepare(cohort, dataset, seed=seed, resume=True, reporter=reporter)
    config = load_config(_write_config(root), _settings(seed, size))
    run = RunFolder.of(config)
    train(config, resume=run.last_state.is_file(), reporter=reporter)
    evaluation = evaluate(config, reporter=reporter)
    segmentations = out / "segmentations"
    segment([cohort / "imagesTs"], segmentations, root, resume=True, reporter=reporter)
    with atomic(out / "cases.csv") as temporary:
        shutil.copyfile(run.cases_csv, temporary)
    return DemoResult(write_page(out, run, evaluation, segmentations), evaluation)


def _claim(out: Path, seed: int, size: DemoSize) -> None:
    """Mark `out` as a demonstration's, or recognise it as this one's, begun earlier."""
    marker = out / _MARKER
    facts = {"seed": seed, "cases": size.cases, "unlabelled": size.unlabelled, "pixels": size.pixels}
    if marker.is_file():
        if json.loads(marker.read_text()) != facts:
            raise UserError(f"{out} holds a demo of another seed or size; give another --out")
        return
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f"{out} exists and is not a demo; give a new folder with --out")
    write_json(marker, facts)


def _write_config(root: Path) -> Path:
    path = root / CONFIG
    if not path.exists():
        with atomic(path) as temporary:
            temporary.write_bytes((files("spleenseg.demo") / "demo.config").read_bytes())
    return path


def _settings(seed: int, size: DemoSize) -> tuple[str, ...]:
    side = size.pixels
    return (f"train.seed={seed}", f"model.image_width={side}", f"model.image_height={side}", *size.settings)
