"""The engine that runs an exported model with OpenVINO, at the precision asked for and without its telemetry."""

from __future__ import annotations

from typing import Any

import numpy as np

from spleenseg.errors import UserError
from spleenseg.inference.engine import Floats
from spleenseg.inference.engine_choice import EXACT, FAST, usable_cores
from spleenseg.inference.exported_engine import ExportedEngine, Inputs, ModelFile
from spleenseg.inference.openvino_network import computes_in_bfloat16, import_without_telemetry, said

HINTS = {EXACT: "f32", FAST: "bf16"}
"""What the layers compute in, by `--precision`; OpenVINO left alone would choose bfloat16 unasked."""


class OpenVinoEngine(ExportedEngine):
    """Runs an exported model with OpenVINO on the processor.

    Args:
        model: the model.
        batch_size: slices a step, until `expect` says otherwise.
        threads: how many compute; None: one for each core this process may use.
        precision: a key of `HINTS`.

    Raises:
        UserError: OpenVINO is missing, cannot run the model, or the processor lacks bfloat16.
    """

    def __init__(
        self, model: ModelFile, batch_size: int = 4, threads: int | None = None, precision: str = EXACT
    ) -> None:
        self._core = import_without_telemetry().Core()
        if precision == FAST and not computes_in_bfloat16(self._core):
            raise UserError("this processor does not compute in bfloat16; leave --precision fast out")
        self._settings = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads or usable_cores(),
        }
        self._network, self._path = model.network(), model.path
        ports = (self._network.inputs, self._network.outputs)
        model.require_interface(*([name for port in some for name in port.get_names()] for some in ports))
        self._compiled: tuple[tuple[int, ...], Any] | None = None
        super().__init__(model.card, batch_size)

    def _run(self, inputs: Inputs) -> Floats:
        """Predict a batch; a short last one is filled up, so that slices of one size are compiled for once."""
        hu = inputs["hu"]
        count = len(hu)
        if count < self._batch_size:
            hu = np.concatenate([hu, np.zeros((self._batch_size - count, *hu.shape[1:]), np.int16)])
        found: Floats = self._request(hu.shape)({**inputs, "hu": hu})["probability"]
        return found[:count].copy()

    def _request(self, shape: tuple[int, ...]) -> Any:
        """Return the model compiled for one shape: sizes known beforehand let OpenVINO drop what they decide.

        Raises:
            UserError: OpenVINO cannot compute it.
        """
        if self._compiled is None or self._compiled[0] != shape:
            self._compiled = None  # first, so that two are not held at once
            try:
                network = self._network.clone()
                network.reshape({"hu": list(shape)})
                self._compiled = (shape, self._core.compile_model(network, "CPU", self._settings))
            except RuntimeError as error:
                raise UserError(f"OpenVINO cannot run {self._path}: {said(error)}") from error
        return self._compiled[1]
