"""What a training ran on, as run.json keeps it: processor, devices, backend, flags and the revision of the source."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from spleenseg.models.accelerators import device_names

_FLAGS = (
    "CUDA_",
    "DNNL_",
    "JAX_",
    "KERAS_",
    "KMP_",
    "MKL_",
    "NVIDIA_",
    "OMP_",
    "ONEDNN_",
    "OPENBLAS_",
    "PYTORCH_",
    "TF_",
    "XLA_",
    "PYTHONHASHSEED",
)
_OTHERS = ("TF_CLI_",)  # Terraform's
_PACKAGE = Path(__file__).parents[1]


class MachineRecord(BaseModel):
    """What the bits of a result depend on besides config, data and versions.

    Attributes:
        processor: its name as the system tells it.
        cores: logical cores.
        devices: what the backend computes on, by its own names.
        backend: "tensorflow", "jax" or "torch".
        precision: what the network computed in; "auto" is resolved.
        deterministic: whether operations ran in a fixed order.
        environment: variables that steer backends and their libraries.
        revision: commit of the source, with "+changes" if files differed; None where it is no checkout.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    processor: str
    cores: int
    devices: tuple[str, ...]
    backend: str
    precision: str
    deterministic: bool
    environment: dict[str, str]
    revision: str | None

    @classmethod
    def here(cls, precision: str, deterministic: bool) -> MachineRecord:
        """Describe this machine; the backend is loaded."""
        import keras

        return cls(
            processor=processor(),
            cores=os.cpu_count() or 1,
            devices=device_names(),
            backend=keras.backend.backend(),
            precision=precision,
            deterministic=deterministic,
            environment=_steering(os.environ),
            revision=revision(),
        )

    def differences(self, then: MachineRecord) -> Iterator[str]:
        """Yield one line for each thing that is not as it was `then`."""
        for name in ("processor", "cores", "devices", "backend", "precision", "deterministic", "revision"):
            before, now = getattr(then, name), getattr(self, name)
            if before != now:
                yield f"{name}: {_shown(before)} then, {_shown(now)} now"
        for name in sorted({*then.environment, *self.environment}):
            before, now = then.environment.get(name), self.environment.get(name)
            if before != now:
                yield f"environment {name}: {_shown(before)} then, {_shown(now)} now"


def processor() -> str:
    """Return the name of the processor, or the kind of machine where the system does not tell."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _steering(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that steer backends and their libraries."""
    kept = (name for name in sorted(environment) if name.startswith(_FLAGS) and not name.startswith(_OTHERS))
    return {name: environment[name] for name in kept}


def revision(package: Path = _PACKAGE) -> str | None:
    """Return the commit that the source was checked out at; None where it was installed instead."""
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git(package, "rev-parse", "HEAD")
    changed = _git(package, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return f"{commit}+changes" if changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "not set" if value is None else str(value)
