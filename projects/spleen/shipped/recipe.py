"""The parts of the shipped spleen model's training, each in a folder of its own, each done once.

pretrain.config   synthetic patients alone
train.config      real patients beside synthetic ones, from there
finish.config     the same slices with coarse noise, from there
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """Where the data are, and where everything goes.

    Attributes:
        msd, amos: what make_dataset.py takes.
        root: gets a folder for each part. What is finished there is not trained again, what is begun goes on.
        settings: "section.key=value" over train.config and finish.config.
    """

    msd: Path
    amos: Path
    root: Path
    settings: list[str] = field(default_factory=list)

    def pretrained(self) -> Path:
        """Train on synthetic patients; return the run folder."""
        return self._trained("pretrained", "pretrain.config", ["--only-synthetic"])

    def fold(self, fold: int) -> Path:
        """Train without the patients of a fold, which become `test/`; return the run folder of the last part."""
        return self._from_pretrained(f"fold{fold}", ["--hold-out", str(fold)])

    def whole(self) -> Path:
        """Train on all patients; return the run folder of the last part."""
        return self._from_pretrained("whole", [])

    def _from_pretrained(self, name: str, making: list[str]) -> Path:
        start = self.pretrained()
        for part in ("train", "finish"):
            settings = [*self.settings, f"model.init_from={start}"]
            start = self._trained(f"{name}_{part}", f"{part}.config", making, *settings)
        return start

    def _trained(self, name: str, config: str, making: list[str], *settings: str) -> Path:
        run = self.root / name
        if _is_finished(run):
            return run
        begun = (run / "models/last/state.npz").is_file()
        if not begun:
            shutil.rmtree(run, ignore_errors=True)
            run.mkdir(parents=True)
            shutil.copy(HERE / config, run)
            data = [str(self.msd), str(self.amos), str(run / "dataset")]
            python(str(HERE / "make_dataset.py"), *data, *making, "--synthetic", str(self.root / "synthetic"))
        spleenseg("train", str(run / config), "--quiet", *["--resume"] * begun, *overrides(settings))
        return run


def overrides(settings: list[str] | tuple[str, ...]) -> list[str]:
    """Return settings as options."""
    return [word for setting in settings for word in ("--set", setting)]


def spleenseg(*words: str) -> None:
    """Run the program."""
    python("-c", "from spleenseg.cli.app import main; main()", *words)


def python(*words: str) -> None:
    """Run this Python."""
    subprocess.run([sys.executable, *words], check=True)


def _is_finished(run: Path) -> bool:
    manifest = run / "run.json"
    return manifest.is_file() and json.loads(manifest.read_bytes())["finished"] is not None
