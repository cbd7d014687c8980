"""`doctor`: what is installed, what computes, how fast, and what keeps it from doing so."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

from spleenseg.datasets.store import machine_memory
from spleenseg.doctor.parts import Part, parts
from spleenseg.errors import UserError, install_command
from spleenseg.models.accelerators import device_names
from spleenseg.models.backend import load_backend
from spleenseg.models.machine import processor
from spleenseg.progress import SILENT, Reporter

SECONDS = 5.0
_TRAINING_SHARE = 0.6


@dataclass(frozen=True)
class Training:
    """What training would run on.

    Attributes:
        backend: "tensorflow", "jax" or "torch".
        devices: the backend's own names of what it computes on.
        precision: the number format that `precision = "auto"` means here.
        slices_per_second: of the bare step of `network`, None if not measured.
        network: what was trained, in words.
    """

    backend: str
    devices: tuple[str, ...]
    precision: str
    slices_per_second: float | None = None
    network: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """What `doctor` found.

    Attributes:
        version: of spleenseg.
        python: of Python.
        system: operating system and architecture.
        processor: its name.
        cores: those this process may use.
        memory_gb: of the machine; None where the system does not tell.
        parts: the libraries the program can use.
        training: None if training cannot be done.
        seconds_per_slice: of the built-in model on slices of 512 x 512; None if not measured.
        problems: what is set up so that it cannot work, each with what to do.
    """

    version: str
    python: str
    system: str
    processor: str
    cores: int
    memory_gb: float | None
    parts: tuple[Part, ...]
    training: Training | None
    seconds_per_slice: float | None
    problems: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """Return everything by name, ready for JSON."""
        return asdict(self)


def diagnose(*, seconds: float = SECONDS, reporter: Reporter = SILENT) -> Diagnosis:
    """Look at this installation and machine; nothing is changed, nothing leaves the machine.

    Args:
        seconds: how long to measure speed; 0: not at all.
        reporter: says what is going on.
    """
    from spleenseg.inference.engine_choice import usable_cores

    found, memory = parts(), machine_memory()
    per_slice = None
    if seconds > 0:
        from spleenseg.doctor.speed import segmentation_speed

        reporter.say("measuring how fast this machine segments ...")
        per_slice = segmentation_speed(seconds * (1 - _TRAINING_SHARE))
    training, problems = _training(found, seconds * _TRAINING_SHARE, reporter)
    return Diagnosis(
        version("spleenseg"),
        platform.python_version(),
        f"{platform.system()} {platform.machine()}",
        processor(),
        usable_cores(),
        None if memory is None else round(memory / 1e9, 1),
        found,
        training,
        per_slice,
        problems,
    )


def _training(found: Sequence[Part], seconds: float, reporter: Reporter) -> tuple[Training | None, tuple[str, ...]]:
    """Describe training and measure it; None where it cannot be done, a problem if someone asked for it."""
    installed = {part.name for part in found if part.version}
    if "Keras" not in installed and "KERAS_BACKEND" not in os.environ:
        return None, ()
    try:
        load_backend()
    except UserError as error:
        return None, (str(error),)
    import keras

    from spleenseg.training.precision import resolve_precision

    devices = device_names()
    training = Training(keras.backend.backend(), devices, resolve_precision("auto"))
    if seconds > 0:
        from spleenseg.doctor.speed import training_speed

        reporter.say("measuring how fast it trains ...")
        speed, network = training_speed(seconds)
        training = replace(training, slices_per_second=speed, network=network)
    return training, _unused_cards(devices)


def _unused_cards(devices: Sequence[str]) -> tuple[str, ...]:
    """Say which graphics cards are there that the backend does not see."""
    if any(device.lower().startswith(("gpu", "cuda")) for device in devices):
        return ()
    cards = _nvidia_cards()
    return (f"{', '.join(cards)}: not used by the backend; {install_command('gpu')}",) if cards else ()


def _nvidia_cards() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.partition(" (UUID")[0] for line in done.stdout.splitlines() if line.startswith("GPU")]
