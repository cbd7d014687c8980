"""`export`: a trained network with everything around it as one ONNX file that takes HU."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spleenseg.errors import UserError
from spleenseg.files import atomic
from spleenseg.inference.labels import HALF
from spleenseg.inference.model_card import LICENCE, ModelCard
from spleenseg.progress import SILENT, Reporter

if TYPE_CHECKING:
    from onnx import ModelProto

    from spleenseg.models.run_folder import Trained

PARITY = 1e-4
"""How far probabilities of the exported network may lie from those of Keras."""

_NEEDED = ("onnx", "tf2onnx")
_LARGEST = 2**31 - 1  # bytes; what one Protocol Buffers message can hold


@dataclass(frozen=True)
class ExportSummary:
    """What `export` wrote.

    Attributes:
        path: the model file.
        card: its metadata.
        megabytes: its size, in 10^6 bytes.
        difference: the largest between its probabilities and those of Keras, on a picture of noise.
    """

    path: Path
    card: ModelCard
    megabytes: float
    difference: float

    def summary(self) -> str:
        """Say in one line what was written and that it does the same."""
        facts = f"{self.card.model}, {self.megabytes:.1f} MB; differs from Keras by at most {self.difference:.0e}"
        return f"{self.path}: {facts}"


def export(
    run: Path | str,
    output: Path | str | None = None,
    *,
    threshold: float = HALF,
    licence: str = LICENCE,
    reporter: Reporter = SILENT,
) -> ExportSummary:
    """Write the best network of a run as one ONNX file: HU in, probabilities and labels out.

    Args:
        run: the run folder.
        output: the file; None: `model.onnx` in the run folder, where `segment` and `infer` find it. Never
            overwritten.
        threshold: probability from which the output `label` is the organ; several labels take the likeliest.
        licence: under which the weights may be used, in words.
        reporter: is warned where the run's files do not fit together.

    Raises:
        UserError: the file exists, no trained network in `run`, a package is missing, or the network has an
            operation that ONNX lacks.
    """
    run = Path(run)
    path = _free(Path(output) if output is not None else run / "model.onnx")
    _require_packages()
    from spleenseg.inference.loading import load_run

    trained = load_run(run, threshold, reporter)
    card = ModelCard.of(trained.config, trained.manifest, version("spleenseg"), threshold, licence)
    with reporter.task("exporting", None):
        model, difference = _exported(trained, card)
    content = model.SerializeToString(deterministic=True)
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    return ExportSummary(path, card, len(content) / 1e6, difference)


def _exported(trained: Trained, card: ModelCard) -> tuple[ModelProto, float]:
    import onnx

    from spleenseg.inference.onnx_graph import complete

    probe = np.random.default_rng(0).integers(0, 256, (2, *card.size, card.image_channels)).astype(np.float32)
    wanted = np.asarray(trained.model.predict_on_batch(probe))
    network = _network(trained.model, card)
    if network.ByteSize() > _LARGEST:
        raise UserError(f"{card.model} takes {network.ByteSize() / 1e9:.1f} GB, more than the 2 GB one ONNX file holds")
    difference = float(np.abs(_run(network, probe) - wanted).max())
    if difference > PARITY:
        raise UserError(f"{card.model} differs from Keras by {difference:.1e} once exported: please report it")
    model = complete(network, card)
    onnx.checker.check_model(model)
    return model, difference


def _network(model: Any, card: ModelCard) -> ModelProto:
    """Convert the network alone, float32 [N, H, W, C] -> float32 [N, H, W, K]."""
    import onnx

    from spleenseg.inference.onnx_nodes import OPSET

    with tempfile.TemporaryDirectory(prefix="spleenseg-") as folder, _quiet():
        path = Path(folder) / "network.onnx"
        model.export(path, format="onnx", verbose=False, opset_version=OPSET)
        network = onnx.load(path)
    _spell_out(network)
    kinds = {node.op_type for node in network.graph.node}
    unknown = {kind for kind in kinds if not onnx.defs.has(kind, max_inclusive_version=OPSET)}
    if unknown:
        raise UserError(f"{card.model} uses {', '.join(sorted(unknown))}, which ONNX export does not know")
    return network


def _spell_out(network: ModelProto) -> None:
    """Replace Erfc, which ONNX lacks, by 1 - Erf: GELU is made of it."""
    from onnx import helper, numpy_helper

    one = numpy_helper.from_array(np.array(1, np.float32), "spleenseg_one")
    nodes = []
    for node in network.graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        erf = node.output[0] + "_erf"
        nodes.append(helper.make_node("Erf", node.input, [erf], name=erf))
        nodes.append(helper.make_node("Sub", [one.name, erf], node.output, name=node.name))
    if len(nodes) > len(network.graph.node):
        network.graph.initializer.append(one)
    del network.graph.node[:]
    network.graph.node.extend(nodes)


def _run(network: ModelProto, images: Any) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(network.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def _free(path: Path) -> Path:
    if path.suffix != ".onnx":
        raise UserError(f"{path}: an exported model is a file NAME.onnx")
    if path.exists():
        raise UserError(f"{path} exists; give another name, or move it away")
    return path


def _require_packages() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(f"export needs {' and '.join(missing)}: pip install 'spleenseg[export]'")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the remarks of the converter and of TensorFlow from the terminal: what matters is checked afterwards."""
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
