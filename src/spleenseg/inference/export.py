"""`export`: a trained network with everything around it as one file that takes HU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spleenseg.errors import UserError
from spleenseg.inference.export_check import PARITY, check_finished
from spleenseg.inference.exported_formats import (
    LITERT,
    ONNX,
    OPENVINO,
    SUFFIXES,
    free_path,
    require_format,
    require_weights,
    write_litert,
    write_onnx,
    write_openvino,
)
from spleenseg.inference.fitted import Fitted
from spleenseg.inference.labels import HALF
from spleenseg.inference.model_card import LICENCE, ModelCard
from spleenseg.inference.refinement import MODELS_OWN, Refinement
from spleenseg.progress import SILENT, Reporter

if TYPE_CHECKING:
    from onnx import ModelProto

    from spleenseg.models.run_folder import Trained

INT8_LIMIT = 0.002
"""How far the mean Dice of an int8 network on valid may lie from that of float32."""

_LARGEST = 2**31 - 1  # bytes; what one Protocol Buffers message can hold


@dataclass(frozen=True)
class ExportSummary:
    """What `export` wrote.

    Attributes:
        path: the model file.
        card: its metadata.
        megabytes: its size, in 10^6 bytes.
        difference: the largest between its probabilities in float32 and those of Keras, on pictures of noise for the
            network alone and on slices of noise in HU for the whole file; None where no ONNX network was made.
    """

    path: Path
    card: ModelCard
    megabytes: float
    difference: float | None

    def summary(self) -> str:
        """Say in one line what was written and that it does the same."""
        facts = f"{self.card.model}, {self.megabytes:.1f} MB, threshold {self.card.threshold:g}"
        if self.card.precision == "int8":
            return f"{self.path}: {facts}, int8: {self.card.cost('int8')}"
        same = "" if self.difference is None else f"; differs from Keras by at most {self.difference:.0e}"
        if self.card.weights == "float16":
            same = f"; weights in float16: {self.card.cost('float16')}"
        fast = f"; --precision fast: {self.card.cost('fast')}" if self.card.dice_on_valid_fast else ""
        return f"{self.path}: {facts}{same}{fast}"


def export(
    run: Path | str,
    output: Path | str | None = None,
    *,
    threshold: float | None = None,
    int8: bool = False,
    weights: str = "float32",
    format: str = ONNX,
    licence: str = LICENCE,
    refinement: Refinement = MODELS_OWN,
    reporter: Reporter = SILENT,
) -> ExportSummary:
    """Write the best network of a run as one file: HU in, probabilities and labels out.

    Args:
        run: the run folder.
        output: the file; None: `model.onnx` or `model.int8.onnx` in the run folder, where `segment` and `infer`
            find it, or `model.float16.onnx`, `model.xml` and `model.tflite`. Never overwritten.
        threshold: probability from which the output `label` is the organ; several labels take the likeliest.
            None: the one that `evaluate` fitted on valid with these weights (calibration.json), else 0.5.
        int8: compute in int8, calibrated on training slices.
        weights: "float32", or "float16": stored in half precision, computed with in float32.
        format: "onnx"; "openvino": IR; or "litert": the network alone, its card beside it.
        licence: under which the weights may be used, in words.
        refinement: post-processing to record instead of what `evaluate` found to help on valid.
        reporter: is told where the threshold comes from and what could not be measured.

    Raises:
        UserError: the file exists, no trained network in `run`, a package is missing, the network has an
            operation that ONNX lacks, or int8 or float16 change the mean Dice on valid by more than `INT8_LIMIT`.
    """
    run = Path(run)
    require_format(format, int8)
    require_weights(weights, format, int8)
    name = f"model{'.int8' if int8 else '.float16' if weights == 'float16' else ''}{SUFFIXES[format]}"
    path = free_path(Path(output) if output is not None else run / name, format)
    from spleenseg.inference.loading import load_run

    trained = load_run(run, HALF if threshold is None else threshold, reporter)
    fitted = _fitted(run, trained)
    given = threshold is not None
    threshold = _threshold_of(fitted, reporter) if threshold is None else threshold
    card = _described(trained, fitted, threshold, licence, refinement, reporter)
    card = card.model_copy(update={"threshold_given": given})
    if format == LITERT:
        _probed(trained.model, card)
        return ExportSummary(path, card, write_litert(trained.model, path, card) / 1e6, None)
    from spleenseg.inference.onnx_memory import activation_bytes  # of onnx, which LiteRT does without

    with reporter.task("exporting", None):
        network, difference = _converted(trained.model, card)
        difference = max(difference, check_finished(_completed(network, card), card, trained))
        card = card.model_copy(update={"activation_bytes": activation_bytes(network)})
    if int8:
        network, card = _in_int8(network, card, trained, reporter)
    else:
        if weights == "float16":
            network, card = _in_half(network, card, trained, reporter)
        card = _with_fast(network, card, trained, reporter)
    model = _completed(network, card)
    size = write_openvino(model, path, card) if format == OPENVINO else write_onnx(model, path)
    return ExportSummary(path, card, size / 1e6, difference)


def _fitted(run: Path, trained: Trained) -> Fitted | None:
    """Return what was fitted on valid with these weights, if anything was."""
    from spleenseg.models.run_folder import RunFolder

    weights = trained.manifest.weights
    return None if weights is None else Fitted.read(RunFolder.at(run).calibration, weights.sha256)


def _threshold_of(fitted: Fitted | None, reporter: Reporter) -> float:
    """Return the threshold that was fitted on valid, else 0.5."""
    if fitted is None or fitted.threshold is None or not 0 < fitted.threshold.value <= 1:
        return HALF
    value = float(fitted.threshold.value)
    reporter.say(f"threshold {value:g}, the best on valid by calibration.json; --threshold sets another")
    return value


def _described(
    trained: Trained,
    fitted: Fitted | None,
    threshold: float,
    licence: str,
    refinement: Refinement,
    reporter: Reporter,
) -> ModelCard:
    from spleenseg.datasets.slices import SliceSet
    from spleenseg.inference.asked_postprocess import asked

    card = ModelCard.of(trained.config, trained.manifest, version("spleenseg"), threshold, licence)
    choice = fitted.postprocess if fitted else None
    if refinement != MODELS_OWN:
        train = partial(SliceSet.from_config, trained.config, "train", reporter)
        choice = asked(refinement, choice, train, card.labels)
    if choice is not None:
        reporter.say(choice.summary())
    quality = fitted.quality if fitted and fitted.cut == threshold else {}
    return card.model_copy(update={"postprocess": choice, "quality": quality})


def _probed(model: Any, card: ModelCard) -> tuple[Any, Any]:
    """Return a picture of noise and what Keras answers, float32 [2, H, W, C] and [2, H, W, K]."""
    probe = np.random.default_rng(0).integers(0, 256, (2, *card.size, card.image_channels)).astype(np.float32)
    return probe, np.asarray(model.predict_on_batch(probe))


def _converted(model: Any, card: ModelCard) -> tuple[ModelProto, float]:
    """Return the network alone as ONNX, and how far it lies from Keras."""
    from spleenseg.inference.onnx_network import network_of
    from spleenseg.inference.valid_dice import onnx_runtime

    probe, wanted = _probed(model, card)
    network = network_of(model, card.model)
    if network.ByteSize() > _LARGEST:
        raise UserError(f"{card.model} takes {network.ByteSize() / 1e9:.1f} GB, more than the 2 GB one ONNX file holds")
    difference = float(np.abs(onnx_runtime(network)(probe) - wanted).max())
    if difference > PARITY:
        raise UserError(f"{card.model} differs from Keras by {difference:.1e} once exported: please report it")
    return network, difference


def _completed(network: ModelProto, card: ModelCard) -> ModelProto:
    import onnx

    from spleenseg.inference.onnx_graph import complete

    model = complete(network, card)
    onnx.checker.check_model(model)
    return model


def _in_int8(
    network: ModelProto, card: ModelCard, trained: Trained, reporter: Reporter
) -> tuple[ModelProto, ModelCard]:
    """Return the network in int8, and the card that says what it costs: the larger of what the two engines show."""
    from spleenseg.datasets.slices import SliceSet
    from spleenseg.inference.quantise import calibration_images, quantised
    from spleenseg.inference.valid_dice import mean_dice, onnx_runtime, openvino

    valid = SliceSet.from_config(trained.config, "eval", reporter)
    slices = SliceSet.from_config(trained.config, "train", reporter)
    with reporter.task("quantising", None):
        small = quantised(network, calibration_images(slices))
    networks = {"float32": onnx_runtime(network), "onnx": onnx_runtime(small)}
    if (other := openvino(small, "exact")) is not None:
        networks["openvino"] = other
    found = mean_dice(valid, networks, card.threshold, reporter)
    exact = found.pop("float32")
    worst = max(found.values(), key=lambda value: abs(value - exact))
    _require_close("int8", exact, worst, "use --precision fast or exact")
    cost = {"dice_on_valid": (exact, worst), "measured_with": tuple(found)}
    return small, card.model_copy(update={"precision": "int8", **cost})


def _require_close(kind: str, exact: float, found: float, advice: str) -> None:
    if abs(found - exact) > INT8_LIMIT:
        raise UserError(
            f"{kind} changes the mean Dice on valid from {exact:.4f} to {found:.4f}, by more than {INT8_LIMIT}: "
            f"not exported; {advice}"
        )


def _in_half(
    network: ModelProto, card: ModelCard, trained: Trained, reporter: Reporter
) -> tuple[ModelProto, ModelCard]:
    """Return the network with weights in float16, and the card that says what it costs where that can be measured."""
    from spleenseg.inference.onnx_half import with_half_weights

    small = with_half_weights(network)
    card = card.model_copy(update={"weights": "float16"})
    found = _compared({"exact": network, "half": small}, card, trained, reporter)
    if found is None:
        return small, card
    _require_close("float16", *found, "leave --weights out")
    return small, card.model_copy(update={"dice_on_valid": found})


def _compared(
    networks: dict[str, ModelProto], card: ModelCard, trained: Trained, reporter: Reporter
) -> tuple[float, float] | None:
    """Return the mean Dice on valid of two networks; None where there is no valid split."""
    from spleenseg.datasets.slices import SliceSet
    from spleenseg.inference.valid_dice import mean_dice, onnx_runtime

    try:
        valid = SliceSet.from_config(trained.config, "eval", reporter)
        runs = {name: onnx_runtime(network) for name, network in networks.items()}
        found = mean_dice(valid, runs, card.threshold, reporter)
    except UserError as error:
        reporter.say(f"what weights in float16 cost is not measured: {error}")
        return None
    exact, other = found.values()
    return exact, other


def _with_fast(network: ModelProto, card: ModelCard, trained: Trained, reporter: Reporter) -> ModelCard:
    """Record what `--precision fast` costs on valid, where it can be measured here."""
    from spleenseg.datasets.slices import SliceSet
    from spleenseg.inference.valid_dice import mean_dice, onnx_runtime, openvino

    fast = openvino(network, "fast")
    if fast is None:
        return card
    try:
        valid = SliceSet.from_config(trained.config, "eval", reporter)
        found = mean_dice(valid, {"exact": onnx_runtime(network), "fast": fast}, card.threshold, reporter)
    except UserError as error:
        reporter.say(f"what --precision fast costs is not measured: {error}")
        return card
    return card.model_copy(update={"dice_on_valid_fast": (found["exact"], found["fast"])})
