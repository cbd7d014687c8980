"""The engine that runs an exported model with OpenVINO, at the precision asked for and without its telemetry."""

from __future__ import annotations

from typing import Any

import numpy as np

from spleenseg.errors import UserError
from spleenseg.inference.engine import Floats
from spleenseg.inference.onnx_engine import ExportedEngine, Inputs, ModelFile
from spleenseg.inference.onnx_session import usable_cores
from spleenseg.inference.openvino_network import import_without_telemetry

PRECISIONS = {"exact": "f32", "fast": "bf16"}
"""What the layers compute in, by `--precision`; OpenVINO left alone would choose bfloat16 unasked."""


class OpenVinoEngine(ExportedEngine):
    """Runs an exported model with OpenVINO on the processor.

    Args:
        model: the model.
        batch_size: slices a step.
        threads: how many compute; None: one for each core this process may use.
        precision: a key of `PRECISIONS`.

    Raises:
        UserError: OpenVINO is missing, cannot run the model, or the processor lacks bfloat16.
    """

    def __init__(
        self, model: ModelFile, batch_size: int = 4, threads: int | None = None, precision: str = "exact"
    ) -> None:
        self._core = import_without_telemetry().Core()
        if precision == "fast" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UserError("this processor does not compute in bfloat16; leave --precision fast out")
        self._settings = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads or usable_cores(),
        }
        self._model = model.network()
        self._compiled: tuple[tuple[int, ...], Any] | None = None
        super().__init__(model.card, self._predict, batch_size)

    def _predict(self, inputs: Inputs) -> Floats:
        """Predict a batch; a short last one is filled up, so that slices of one size are compiled for once."""
        hu = inputs["hu"]
        count = len(hu)
        if count < self._batch_size:
            hu = np.concatenate([hu, np.zeros((self._batch_size - count, *hu.shape[1:]), np.int16)])
        found: Floats = self._request(hu.shape)({**inputs, "hu": hu})["probability"]
        return found[:count].copy()

    def _request(self, shape: tuple[int, ...]) -> Any:
        """Return the model compiled for one shape: sizes known beforehand let OpenVINO drop what they decide."""
        if self._compiled is None or self._compiled[0] != shape:
            model = self._model.clone()
            model.reshape({"hu": list(shape)})
            self._compiled = (shape, self._core.compile_model(model, "CPU", self._settings))
        return self._compiled[1]
