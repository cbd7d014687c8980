"""Static int8 quantisation of an exported network, calibrated on slices it was trained with.

Weights are rounded per output channel, activations per tensor, by the least and the greatest value that the
calibration slices bring about (Jacob et al. 2018, arXiv:1712.05877). The last layer stays float32.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spleenseg.datasets.slices import SliceSet
from spleenseg.inference.engine import Floats
from spleenseg.inference.onnx_network import quiet

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

CALIBRATION_SLICES = 32
"""How many training slices decide the ranges of activations."""

_HEAVY = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
_QUANTISED = [*sorted(_HEAVY), "Add", "AveragePool", "Concat", "GlobalAveragePool", "MaxPool", "Relu", "Resize"]


def quantised(network: ModelProto, images: Iterable[Floats]) -> ModelProto:
    """Return a network whose layers compute in int8 (QuantizeLinear and DequantizeLinear around each).

    Args:
        network: float32 [N, H, W, C] -> float32 [N, H, W, K].
        images: float32 [N, H, W, C] with values 0..255, batches to calibrate on.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="spleenseg-") as folder, quiet():
        plain, simple, small = (Path(folder) / f"{name}.onnx" for name in ("plain", "simple", "small"))
        onnx.save(network, plain)
        quant_pre_process(plain, simple, skip_symbolic_shape=True)
        nodes = onnx.load(simple).graph.node
        quantize_static(
            simple,
            small,
            _reader(images, network.graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=_QUANTISED,
            nodes_to_exclude=_from_the_last_layer(nodes),
        )
        return onnx.load(small)


def calibration_images(slices: SliceSet) -> Iterator[Floats]:
    """Yield slices to calibrate on, float32 [1, H, W, C]: half of them show the organ, evenly spread over cases."""
    organ = [index for index in range(len(slices)) if slices.labels(index).any()]
    others = sorted(set(range(len(slices))) - set(organ))
    for index in [*_spread(organ, CALIBRATION_SLICES // 2), *_spread(others, CALIBRATION_SLICES // 2)]:
        yield slices.image(index)[None].astype(np.float32)


def _spread(places: Sequence[int], count: int) -> list[int]:
    if len(places) <= count:
        return list(places)
    return [places[int(step)] for step in np.linspace(0, len(places) - 1, count)]


def _from_the_last_layer(nodes: Sequence[NodeProto]) -> list[str]:
    """Return the names of the last layer with weights and of all that follows it."""
    last = max(place for place, node in enumerate(nodes) if node.op_type in _HEAVY)
    return [node.name for node in nodes[last:]]


def _reader(images: Iterable[Floats], name: str) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rest = iter(images)

        def get_next(self) -> dict[str, Floats] | None:
            image = next(self._rest, None)
            return None if image is None else {name: image}

    return Reader()
