"""The files that `export` can write, and how each holds its card."""

from __future__ import annotations

import json
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spleenseg.errors import UserError, did_you_mean, install_command
from spleenseg.files import atomic, write_json
from spleenseg.inference.model_card import ModelCard
from spleenseg.inference.onnx_network import quiet

if TYPE_CHECKING:
    from onnx import ModelProto

ONNX, OPENVINO, LITERT = "onnx", "openvino", "litert"
SUFFIXES = {ONNX: ".onnx", OPENVINO: ".xml", LITERT: ".tflite"}
"""Ending of the file that `--format` writes."""

_NEEDED = {
    ONNX: {"onnx": "export", "tf2onnx": "export"},
    OPENVINO: {"onnx": "export", "tf2onnx": "export", "openvino": "openvino"},
    LITERT: {"tensorflow": "train"},
}  # package -> the extra that brings it


WEIGHTS = ("float32", "float16")
"""How weights can be stored."""


def require_weights(weights: str, format: str, int8: bool) -> None:
    """Refuse a way to store weights that does not exist or does not go with the rest.

    Raises:
        UserError: one of these.
    """
    if weights not in WEIGHTS:
        raise UserError(f"no weights '{weights}'{did_you_mean(weights, WEIGHTS)}; there are {', '.join(WEIGHTS)}")
    if weights == "float16" and (int8 or format == LITERT):
        raise UserError("--weights float16 is for --format onnx and openvino without --int8; leave it out")


def require_format(name: str, int8: bool) -> None:
    """Refuse a format that does not exist, cannot be written here, or cannot hold int8.

    Raises:
        UserError: one of these.
    """
    if name not in SUFFIXES:
        raise UserError(f"no format '{name}'{did_you_mean(name, SUFFIXES)}; there are {', '.join(SUFFIXES)}")
    if int8 and name == LITERT:
        raise UserError("--int8 is for --format onnx and openvino; leave it out, or choose one of them")
    missing = {package: extra for package, extra in _NEEDED[name].items() if find_spec(package) is None}
    if missing:
        command = install_command(*sorted(set(missing.values())))
        raise UserError(f"export to {name} needs {' and '.join(missing)}: {command}")


def free_path(path: Path, kind: str) -> Path:
    """Return `path` if it has the ending of a format and neither it nor a file that goes with it exists.

    Raises:
        UserError: it has another ending, or one of them exists.
    """
    if path.suffix != SUFFIXES[kind]:
        raise UserError(f"{path}: an exported model is a file NAME{SUFFIXES[kind]}")
    for file in (path, *_companions(path, kind)):
        if file.exists():
            raise UserError(f"{file} exists; give another name, or move it away")
    return path


def write_onnx(model: ModelProto, path: Path) -> int:
    """Write one self-contained file; return its size in bytes."""
    content = model.SerializeToString(deterministic=True)
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    return len(content)


def write_openvino(model: ModelProto, path: Path, card: ModelCard) -> int:
    """Write OpenVINO's IR: the graph, with the card in its `rt_info`, and NAME.bin, the weights; return the bytes."""
    from spleenseg.inference.openvino_network import import_without_telemetry

    openvino = import_without_telemetry()
    converted = openvino.Core().read_model(model=model.SerializeToString())
    for key, value in card.entries().items():
        converted.set_rt_info(value, key.split("."))
    with tempfile.TemporaryDirectory(prefix="spleenseg-") as folder:
        graph = Path(folder) / "model.xml"
        openvino.save_model(converted, graph, compress_to_fp16=False)
        return _placed(graph.with_suffix(".bin"), path.with_suffix(".bin")) + _placed(graph, path)


def write_litert(model: Any, path: Path, card: ModelCard) -> int:
    """Write the network alone for LiteRT, and NAME.json, the card; return the bytes of the first."""
    with tempfile.TemporaryDirectory(prefix="spleenseg-") as folder, quiet():
        file = Path(folder) / "model.tflite"
        model.export(file, format="litert", verbose=False)
        write_json(path.with_suffix(".json"), json.loads(card.model_dump_json()))
        return _placed(file, path)


def _placed(file: Path, path: Path) -> int:
    content = file.read_bytes()
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    return len(content)


def _companions(path: Path, kind: str) -> list[Path]:
    return {ONNX: [], OPENVINO: [path.with_suffix(".bin")], LITERT: [path.with_suffix(".json")]}[kind]
