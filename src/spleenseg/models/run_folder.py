"""The folder of a training: where everything lies in it, and the trained network out of it.

Weights are rebuilt from the registry and run.json, then loaded as numbers; a `.keras` file is never
deserialised as code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spleenseg.errors import UserError
from spleenseg.files import sha256
from spleenseg.models.backend import load_backend
from spleenseg.models.run_config import as_trained, restored
from spleenseg.models.run_manifest import BestRecord, DataRecord, NetworkRecord, RunManifest, WeightsRecord
from spleenseg.progress import SILENT, Reporter

if TYPE_CHECKING:
    from spleenseg.config import Config
    from spleenseg.datasets.manifest import Expectation

__all__ = [
    "BestRecord",
    "DataRecord",
    "NetworkRecord",
    "RunFolder",
    "RunManifest",
    "Trained",
    "WeightsRecord",
    "load_trained",
    "trained_config",
]

CONFIG_NAME = "train_eval_infer.config"
MANIFEST_NAME = "run.json"
WORST = 5
"""How many of the worst cases have a picture."""


@dataclass(frozen=True)
class RunFolder:
    """Every path of a run folder; nothing is read or made.

    Attributes:
        root: the folder, which usually holds the config.
        models_dir: weights and the state to resume from.
        eval_dir: the tables and curves of a training.
        config_name: name of the config file.
        best_name: name of the best weights, without suffix.
        weights_only: whether the best weights are `.weights.h5` (True) or a `.keras` archive.
    """

    root: Path
    models_dir: Path
    eval_dir: Path
    config_name: str = CONFIG_NAME
    best_name: str = "best_model"
    weights_only: bool = True

    @classmethod
    def at(cls, root: Path | str) -> RunFolder:
        """Return the run folder at `root` with nothing moved."""
        root = Path(root)
        return cls(root, root / "models", root / "eval")

    @classmethod
    def of(cls, config: Config) -> RunFolder:
        """Return the run folder of a config; `model_dir` and `eval_dir` may lie elsewhere."""
        root, train = config.folder, config.train
        return cls(
            root,
            train.model_dir,
            train.eval_dir,
            config.path.name,
            _best_name(train.best_model_file),
            train.save_weights_only,
        )

    @property
    def config(self) -> Path:
        """The config the user wrote."""
        return self.root / self.config_name

    @property
    def config_copy(self) -> Path:
        """The config as it was when training began; the config itself where the weights lie beside it."""
        return self.models_dir / self.config_name

    @property
    def keeps_config(self) -> bool:
        """Whether `config_copy` is a copy, and not the file the user wrote."""
        return self.config_copy.resolve() != self.config.resolve()

    @property
    def best_weights(self) -> Path:
        """The weights of the best epoch."""
        return self.models_dir / (self.best_name + (".weights.h5" if self.weights_only else ".keras"))

    def next_best(self, epoch: int) -> Path:
        """The weights of an epoch that is the best so far, until the checkpoint after it is written."""
        return self.last / f"{epoch}_{self.best_weights.name}"

    def all_next_best(self) -> tuple[Path, ...]:
        """Return what lies there of `next_best`, of any epoch."""
        found = self.last.glob(f"*_{self.best_weights.name}")
        return tuple(sorted(path for path in found if path.name.split("_", 1)[0].isdecimal()))

    @property
    def last(self) -> Path:
        """The folder of the state to resume from."""
        return self.models_dir / "last"

    @property
    def last_state(self) -> Path:
        """Weights, optimiser and counters after the last checkpoint."""
        return self.last / "state.npz"

    @property
    def nan(self) -> Path:
        """What reproduces a loss that was no number."""
        return self.models_dir / "nan"

    @property
    def nan_config(self) -> Path:
        """The settings of the training that led there."""
        return self.nan / self.config_name

    @property
    def losses_csv(self) -> Path:
        """`epoch, loss, val_loss`."""
        return self.eval_dir / "train_losses.csv"

    @property
    def losses_png(self) -> Path:
        """The same as curves."""
        return self.eval_dir / "train_losses.png"

    @property
    def metrics_csv(self) -> Path:
        """The metrics of `[train] metrics` by epoch."""
        return self.eval_dir / "train_metrics.csv"

    @property
    def metrics_png(self) -> Path:
        """The same as curves."""
        return self.eval_dir / "train_metrics.png"

    @property
    def history(self) -> Path:
        """All figures of all epochs."""
        return self.root / "history.json"

    @property
    def evaluation_csv(self) -> Path:
        """Loss and metrics of `evaluate`."""
        return self.root / "evaluation.csv"

    @property
    def cases_csv(self) -> Path:
        """Figures by case of `evaluate`."""
        return self.root / "cases.csv"

    @property
    def slices_csv(self) -> Path:
        """Figures by slice of `evaluate`."""
        return self.root / "slices.csv"

    @property
    def summary_csv(self) -> Path:
        """Each figure over all cases, with its interval."""
        return self.root / "summary.csv"

    @property
    def calibration(self) -> Path:
        """What was fitted on the validation split: threshold and predicted Dice."""
        return self.root / "calibration.json"

    @property
    def worst(self) -> tuple[Path, ...]:
        """Pictures of the worst cases."""
        return tuple(self.eval_dir / f"worst_{rank}.png" for rank in range(1, WORST + 1))

    @property
    def report(self) -> Path:
        """The page people read."""
        return self.root / "report.html"

    @property
    def report_json(self) -> Path:
        """The same numbers for programs."""
        return self.root / "report.json"

    @property
    def manifest(self) -> Path:
        """run.json."""
        return self.root / MANIFEST_NAME

    def products(self) -> tuple[Path, ...]:
        """Return every file a training and its evaluation make here, whether it exists or not; never the config."""
        either = (self.models_dir / f"{self.best_name}{suffix}" for suffix in (".weights.h5", ".keras"))
        kept = (self.nan / name for name in ("batch.npz", "state.npz", "README.txt", self.config_name))
        copy = (self.config_copy,) if self.keeps_config else ()
        made = (self.last_state, *kept, *copy, self.losses_csv, self.losses_png, self.metrics_csv)
        told = (
            self.metrics_png,
            self.history,
            self.evaluation_csv,
            self.cases_csv,
            self.slices_csv,
            self.summary_csv,
            self.calibration,
            *self.worst,
            self.report,
            self.report_json,
            self.manifest,
        )
        return (*either, *made, *told)


def _best_name(file: Path | str | None) -> str:
    name = Path(file).name if file else "best_model"
    for suffix in (".weights.h5", ".keras", ".h5"):
        name = name.removesuffix(suffix)
    return name or "best_model"


@dataclass(frozen=True)
class Trained:
    """A trained network, ready to use.

    Attributes:
        model: the keras.Model of `build.build_model` with its trained weights, float32.
        config: the config it is used with; what shapes the network and its pictures is the run's, whatever the
            file says now.
        manifest: its run.json.
        expectation: what its images must look like.
    """

    model: Any
    config: Config
    manifest: RunManifest
    expectation: Expectation


def load_trained(run: Path | str | Config, reporter: Reporter = SILENT) -> Trained:
    """Rebuild the best network of a run.

    Args:
        run: a run folder, or a config, whose folder is one.
        reporter: is warned where the config now describes another network or other pictures than were trained,
            and where the weights are not the ones run.json names because a training was killed in between.

    Raises:
        UserError: no run.json, no weights, weights that do not fit or that another training wrote, or another
            version's run.
    """
    load_backend()
    from spleenseg.models.build import build_model
    from spleenseg.models.weights import load_weights

    root = Path(run).absolute() if isinstance(run, str | Path) else run.folder
    manifest = RunManifest.read(root / MANIFEST_NAME)
    if isinstance(run, str | Path):
        config = restored(manifest.config, root / manifest.config_file)
    else:
        config = as_trained(run, manifest.config, reporter)
    path = _weights(manifest, root, reporter)
    model = build_model(config.model)
    load_weights(model, path)
    return Trained(model, config, manifest, manifest.expectation)


def trained_config(config: Config, reporter: Reporter = SILENT) -> Config:
    """Return `config` with the network and the pictures of the run in its folder; loads no weights.

    Raises:
        UserError: no run.json, or another version's run.
    """
    return as_trained(config, RunManifest.read(config.folder / MANIFEST_NAME).config, reporter)


def _weights(manifest: RunManifest, root: Path, reporter: Reporter) -> Path:
    if manifest.weights is None:
        raise UserError(
            f"no weights yet in {root}: no epoch with a finite validation loss is finished; continue it with --resume, "
            "or train again with a lower learning_rate"
        )
    path = root / manifest.weights.file
    if path.is_file() and sha256(path) != manifest.weights.sha256:
        if manifest.finished is not None:
            raise UserError(
                f"{path} is not the file that {root / MANIFEST_NAME} names (another SHA-256): something wrote over it "
                "after the training; bring that file back, or train again"
            )
        reporter.warn(f"{path} changed after run.json was written; its figures may belong to other weights")
    return path
