"""Which of the libraries that the program can use are installed, and the command that installs the others."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec

from spleenseg.errors import install_command
from spleenseg.models.backend import INSTALL


@dataclass(frozen=True)
class Part:
    """A library the program can use.

    Attributes:
        name: what it is called.
        version: the one installed, None if it is missing.
        purpose: what it is for.
        install: the command that installs it.
    """

    name: str
    version: str | None
    purpose: str
    install: str


@dataclass(frozen=True)
class _Library:
    module: str
    distributions: tuple[str, ...]
    purpose: str
    install: str


_LIBRARIES = {
    "ONNX Runtime": _Library(
        "onnxruntime", ("onnxruntime",), "segments, with exported and built-in models", "pip install onnxruntime"
    ),
    "Keras": _Library("keras", ("keras",), "trains", INSTALL["tensorflow"]),
    "TensorFlow": _Library("tensorflow", ("tensorflow-cpu", "tensorflow"), "computes for Keras", INSTALL["tensorflow"]),
    "JAX": _Library("jax", ("jax",), "computes for Keras, also on several devices at once", INSTALL["jax"]),
    "PyTorch": _Library("torch", ("torch",), "computes for Keras", INSTALL["torch"]),
    "tf2onnx": _Library("tf2onnx", ("tf2onnx",), "exports models", install_command("export")),
    "OpenVINO": _Library("openvino", ("openvino",), "segments faster, and in bfloat16", install_command("openvino")),
    "tensorboardX": _Library(
        "tensorboardX", ("tensorboardX",), "logs trainings for TensorBoard", install_command("tensorboard")
    ),
    "MLflow": _Library("mlflow", ("mlflow-skinny", "mlflow"), "logs trainings for MLflow", install_command("mlflow")),
}


def parts() -> tuple[Part, ...]:
    """Look for every library; none of them is loaded."""
    return tuple(Part(name, _version(lib), lib.purpose, lib.install) for name, lib in _LIBRARIES.items())


def _version(library: _Library) -> str | None:
    if find_spec(library.module) is None:
        return None
    for distribution in library.distributions:
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return "of unknown version"
