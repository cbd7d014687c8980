"""run.json: everything needed to rebuild a trained network, and to say years later where it came from."""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from spleenseg.datasets.manifest import Expectation
from spleenseg.errors import UserError
from spleenseg.files import sha256, write_json
from spleenseg.models.machine import MachineRecord
from spleenseg.models.run_config import portable

if TYPE_CHECKING:
    from spleenseg.config import Config

FORMAT = 1
_PACKAGES = (
    "h5py",
    "jax",
    "jaxlib",
    "keras",
    "nibabel",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "pydantic",
    "scipy",
    "tensorflow",
    "tensorflow-cpu",
    "torch",
)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class DataRecord(_Record):
    """One split a training drew from.

    Attributes:
        slices: how many.
        patients: how many different ones.
        sha256: hash of its files (`datasets.data_hash`).
        cases: the same for each case.
    """

    slices: int
    patients: int
    sha256: str
    cases: dict[str, str] = {}


class NetworkRecord(_Record):
    """Which network was trained; `image_size` is (width, height) in pixels."""

    name: str
    parameters: int
    image_size: tuple[int, int]
    image_channels: int
    num_classes: int


class InitialRecord(_Record):
    """What a training started from, if not from chance.

    Attributes:
        source: the file of an encoder's weights, or the folder of another run.
        layers: how many layers took its weights.
        fresh: the layers that did not, by name: the source has none of that name and shape.
        sha256: of the weights' file; None: an earlier version did not keep it.
    """

    source: str
    layers: int
    fresh: tuple[str, ...]
    sha256: str | None = None


class BestRecord(_Record):
    """The epoch whose weights were kept (from 0) and its figures; an undefined figure is None."""

    epoch: int
    figures: dict[str, float | None]


class WeightsRecord(_Record):
    """The file of the best weights: relative to the run folder where it lies inside, else absolute."""

    file: str
    sha256: str


class RunManifest(_Record):
    """The content of run.json.

    Attributes:
        format: version of this layout.
        spleenseg: version of the program that trained.
        packages: versions of the packages that the result depends on.
        python, platform: of the machine that trained.
        created, finished: UTC; `finished` is None while a training runs and after it was killed.
        seed: `[train] seed`.
        config_file: name of the config.
        config: every effective value by section and key, paths relative to the run folder.
        config_sha256: of the config file as it lay there; None if there is no file.
        config_text: a config with every setting that was given, overrides included; None in older runs.
        data: by split ("train", "valid"...).
        patient_overlap: patients that occur in two splits, by "split, split"; empty is good.
        expectation: what images must look like for this model.
        network: which network.
        initial: what it started from; None if from chance.
        best: the best epoch so far.
        weights: the file its weights are in.
        machine: what it ran on; None in older runs.
        resumed_with: what had changed each time it was resumed, a line each; empty: it went on as it began.
    """

    format: int = FORMAT
    spleenseg: str
    packages: dict[str, str]
    python: str
    platform: str
    created: datetime
    finished: datetime | None = None
    seed: int
    config_file: str
    config: dict[str, dict[str, Any]]
    config_sha256: str | None
    config_text: str | None = None
    data: dict[str, DataRecord]
    patient_overlap: dict[str, list[str]]
    expectation: Expectation
    network: NetworkRecord
    initial: InitialRecord | None = None
    best: BestRecord | None = None
    weights: WeightsRecord | None = None
    machine: MachineRecord | None = None
    resumed_with: tuple[str, ...] = ()

    @classmethod
    def start(
        cls,
        config: Config,
        model: Any,
        expectation: Expectation,
        data: Mapping[str, DataRecord],
        patient_overlap: Mapping[str, Iterable[str]],
    ) -> RunManifest:
        """Describe a training about to begin.

        Args:
            config: its config.
            model: the built keras.Model.
            expectation: what its training images look like.
            data: the splits it draws from.
            patient_overlap: patients that occur in two of them.
        """
        return cls(
            spleenseg=_version("spleenseg") or "unknown",
            packages=_packages(),
            python=platform.python_version(),
            platform=_platform(),
            created=_now(),
            seed=config.train.seed,
            config_file=config.path.name,
            config=portable(config),
            config_sha256=sha256(config.path) if config.path.is_file() else None,
            data=dict(data),
            patient_overlap={splits: sorted(patients) for splits, patients in patient_overlap.items()},
            expectation=expectation,
            network=_network(config, model),
        )

    def with_best(self, epoch: int, figures: Mapping[str, float], weights: Path, root: Path) -> RunManifest:
        """Return a copy that names a new best epoch (from 0) and the file its weights were saved to."""
        finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        file = weights.relative_to(root).as_posix() if weights.is_relative_to(root) else str(weights)
        best, record = (
            BestRecord(epoch=epoch, figures=finite),
            WeightsRecord(file=file, sha256=sha256(weights)),
        )
        return self.model_copy(update={"best": best, "weights": record})

    def trained_on(self, cases: Iterable[str], patients: Mapping[str, str]) -> tuple[str, ...]:
        """Return those of `cases` that the training saw, sorted; it is known by the names of its cases.

        Args:
            cases: names.
            patients: case -> patient, as far as known: other cases of a patient that was trained on count too.
        """
        seen = self.data["train"].cases if "train" in self.data else {}
        owners = {patients.get(case, case) for case in seen}
        return tuple(sorted(case for case in {*cases} if case in seen or patients.get(case, case) in owners))

    def with_end(self) -> RunManifest:
        """Return a copy that says the training ended now."""
        return self.model_copy(update={"finished": _now()})

    def write(self, path: Path) -> None:
        """Write run.json atomically."""
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> RunManifest:
        """Read a run.json.

        Raises:
            UserError: there is none, it is damaged, or another version of the program wrote it.
        """
        if not path.is_file():
            raise UserError(f"no run.json in {path.parent}: it is not the folder of a training; train first")
        try:
            data = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read {path}: {error}") from error
        if not isinstance(data, dict):
            raise UserError(f"{path} is not the manifest of a training")
        try:
            _require_known_format(data, path)
            return cls.model_validate(data)
        except ValidationError as error:
            raise UserError(_misfit(data, path, error)) from error


def _require_known_format(data: dict[str, Any], path: Path) -> None:
    found = data.get("format")
    if isinstance(found, int) and found > FORMAT:
        writer = data.get("spleenseg", "unknown")
        raise UserError(f"{path} was written by a newer spleenseg ({writer}, run format {found}); upgrade spleenseg")


def _misfit(data: dict[str, Any], path: Path, error: ValidationError) -> str:
    first = error.errors()[0]
    problem = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg'].lower()}"
    writer = data.get("spleenseg", "unknown")
    return (
        f"{path} does not describe a training as this version knows it ({problem}; "
        f"written by spleenseg {writer}); use the version that wrote it, or train again"
    )


def _network(config: Config, model: Any) -> NetworkRecord:
    section = config.model
    return NetworkRecord(
        name=model.name,
        parameters=model.count_params(),
        image_size=(section.image_width, section.image_height),
        image_channels=section.image_channels,
        num_classes=section.num_classes,
    )


def version_changes(then: RunManifest) -> Iterator[str]:
    """Yield one line for each version that is not what it was when `then` was written."""
    before = {"spleenseg": then.spleenseg, "python": then.python, "platform": then.platform, **then.packages}
    now = {"spleenseg": _version("spleenseg"), "python": platform.python_version(), "platform": _platform()}
    now |= _packages()
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            yield f"{name}: {before.get(name) or 'absent'} then, {now.get(name) or 'absent'} now"


def _packages() -> dict[str, str]:
    return {name: found for name in _PACKAGES if (found := _version(name))}


def _platform() -> str:
    return f"{platform.system()} {platform.machine()} {sys.implementation.name}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
