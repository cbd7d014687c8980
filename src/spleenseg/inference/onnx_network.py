"""The trained network alone as ONNX: pictures of its own size in, probabilities out."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spleenseg.errors import UserError

if TYPE_CHECKING:
    from onnx import ModelProto


def network_of(model: Any, name: str) -> ModelProto:
    """Convert a Keras network that was called once.

    Args:
        model: float32 [N, H, W, C] with values 0..255 -> float32 [N, H, W, K].
        name: of the network, for errors.

    Raises:
        UserError: the network has an operation that ONNX lacks.
    """
    import onnx

    from spleenseg.inference.onnx_nodes import OPSET

    with tempfile.TemporaryDirectory(prefix="spleenseg-") as folder, quiet():
        path = Path(folder) / "network.onnx"
        model.export(path, format="onnx", verbose=False, opset_version=OPSET)
        network = onnx.load(path)
    _spell_out(network)
    kinds = {node.op_type for node in network.graph.node}
    unknown = {kind for kind in kinds if not onnx.defs.has(kind, max_inclusive_version=OPSET)}
    if unknown:
        raise UserError(f"{name} uses {', '.join(sorted(unknown))}, which ONNX export does not know")
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


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the remarks of converters and of TensorFlow from the terminal: what matters is checked afterwards."""
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
