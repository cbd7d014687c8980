"""What a precision costs: the mean Dice of networks on the validation slices, side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spleenseg.datasets.millimetres import Step
from spleenseg.datasets.slices import SliceSet
from spleenseg.errors import UserError
from spleenseg.inference.engine import Floats
from spleenseg.inference.engine_choice import FAST
from spleenseg.inference.labels import labels_of
from spleenseg.inference.predictor import at_size
from spleenseg.metrics.overlap import Counts, confusion, dice
from spleenseg.progress import SILENT, Reporter

if TYPE_CHECKING:
    from onnx import ModelProto

Predict = Callable[[Floats], Floats]
_BATCH = 4


def mean_dice(
    slices: SliceSet, networks: Mapping[str, Predict], threshold: float, reporter: Reporter = SILENT
) -> dict[str, float]:
    """Return the Dice of each network, by the name it is given under.

    It is the mean over cases (and labels) in which there is an organ, each over all voxels of the case at the
    size of its files, as `evaluate` reports it.

    Args:
        slices: the split.
        networks: float32 [N, H, W, C] with values 0..255 -> float32 [N, H, W, K].
        threshold: see `labels_of`.
        reporter: shows progress.

    Raises:
        UserError: no slice shows an organ.
    """
    counts: dict[tuple[str, str, int], Counts] = defaultdict(lambda: Counts(0, 0, 0, 0))
    with reporter.task("comparing on valid", len(slices)) as task:
        for start in range(0, len(slices), _BATCH):
            part = range(start, min(start + _BATCH, len(slices)))
            images = np.stack([slices.image(index) for index in part]).astype(np.float32)
            for name, predict in networks.items():
                for index, found in zip(part, predict(images), strict=True):
                    case = slices.files[index].case
                    for value, count in _counts(slices.native_labels(index), found, slices.step(index), threshold):
                        counts[name, case, value] = _sum(counts[name, case, value], count)
            task.advance(len(part))
    return {name: _mean(name, counts) for name in networks}


def onnx_runtime(network: ModelProto) -> Predict:
    """Return a network to be run by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(network.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def openvino(network: ModelProto, precision: str) -> Predict | None:
    """Return a network to be run by OpenVINO; None where it is not installed or cannot compute so.

    Args:
        network: the network.
        precision: a key of `openvino_engine.HINTS`.
    """
    if find_spec("openvino") is None:
        return None
    from spleenseg.inference.openvino_engine import HINTS
    from spleenseg.inference.openvino_network import computes_in_bfloat16, import_without_telemetry

    core = import_without_telemetry().Core()
    if precision == FAST and not computes_in_bfloat16(core):
        return None
    model = core.read_model(model=network.SerializeToString())
    compiled: Any = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": HINTS[precision]})
    return lambda images: np.array(compiled([images])[0])


def _counts(
    truth: npt.NDArray[np.uint8], found: Floats, step: Step | None, threshold: float
) -> list[tuple[int, Counts]]:
    """Compare a slice [H, W] with probabilities [h, w, K] label by label."""
    labels = labels_of(at_size(found, (truth.shape[0], truth.shape[1]), step), threshold)
    values = range(1, max(2, found.shape[-1]))
    return [(value, confusion(truth == value, labels == value)) for value in values]


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(one.tp + other.tp, one.fp + other.fp, one.fn + other.fn, one.tn + other.tn)


def _mean(name: str, counts: Mapping[tuple[str, str, int], Counts]) -> float:
    dices = [dice(count) for (network, _, _), count in counts.items() if network == name and count.truth]
    if not dices:
        raise UserError("no slice of the validation split [eval] shows an organ: precisions cannot be compared on it")
    return float(np.mean(dices))
