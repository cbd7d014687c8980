"""The engine that runs an exported model with ONNX Runtime: float32, exact, and without Keras."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from spleenseg.inference.engine import Floats
from spleenseg.inference.exported_engine import ExportedEngine, Inputs, ModelFile
from spleenseg.inference.onnx_session import Layout, are_few


class OnnxEngine(ExportedEngine):
    """Runs an exported model with ONNX Runtime.

    Args:
        model: the model.
        batch_size: slices a step, until `expect` says otherwise.
        threads: how many compute; None: one for each core this process may use.

    Raises:
        UserError: ONNX Runtime cannot run it.
    """

    def __init__(self, model: ModelFile, batch_size: int = 4, threads: int | None = None) -> None:
        self._threads = threads
        self._layout: Layout | None = model.ahead.layout if model.ahead else Layout.BLOCKED
        self._session: Any = model.session(threads, self._layout)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        model.require_interface([item.name for item in inputs], [item.name for item in outputs])
        self._model = replace(model, ahead=None)  # what was begun is taken over, and not kept beside its successor
        super().__init__(model.card, batch_size)

    def expect(self, slices: int, batch_size: int) -> None:
        """See `Engine.expect`: the session has the layout for so many slices, whichever it was begun with."""
        super().expect(slices, batch_size)
        layout = Layout.of(self._model.content, are_few(slices))
        if layout is not self._layout:
            self._session = self._layout = None  # first, so that the weights are not held twice
            self._session = self._model.session(self._threads, layout)
            self._layout = layout

    def _run(self, inputs: Inputs) -> Floats:
        found: Floats = self._session.run(["probability"], inputs)[0]
        return found
